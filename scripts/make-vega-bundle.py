# SPDX-License-Identifier: Apache-2.0
"""Writes the offline JavaScript bundle that HTML reports embed: Vega, Vega-Lite and vega-embed with its tooltips.

usage: make-vega-bundle.py OUTPUT.js          (needs vl-convert-python on PYTHONPATH)
"""

import os
import pathlib
import sys

VEGA_LITE_VERSION = "6.4"

# The bundle's own names stay inside a function; three globals come out.
SNIPPET = "window.vega = vega; window.vegaLite = vegaLite; window.vegaEmbed = vegaEmbed;"


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        import vl_convert
    except ImportError:
        sys.exit("make-vega-bundle.py: vl-convert-python is not installed; run: make setup")
    bundle = vl_convert.javascript_bundle(SNIPPET, vl_version=VEGA_LITE_VERSION)
    for name in ("window.vegaEmbed=", "window.vegaLite=", "window.vega="):
        if name not in bundle.replace(" ", ""):
            sys.exit(f"make-vega-bundle.py: the bundle does not set {name[:-1]}; check the vl-convert version")
    header = (
        f"/* Vega {vl_convert.get_vega_version()}, Vega-Lite {VEGA_LITE_VERSION}, "
        f"vega-embed {vl_convert.get_vega_embed_version()} (BSD-3-Clause), by vl-convert {vl_convert.__version__} */\n"
    )
    output = pathlib.Path(sys.argv[1])
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial-{os.getpid()}")
    partial.write_text(header + "(() => {\n" + bundle + "\n})();\n", encoding="utf-8")
    partial.replace(output)


if __name__ == "__main__":
    main()
