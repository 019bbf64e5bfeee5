# SPDX-License-Identifier: Apache-2.0
"""Draws Vega-Lite specifications as SVG, PNG or PDF files, without a browser or a network.

usage: export-figures.py SPEC.json OUTPUT.svg|.png|.pdf [SPEC.json OUTPUT ...]
                                              (needs vl-convert-python on PYTHONPATH)
"""

import os
import pathlib
import sys

VEGA_LITE_VERSION = "6.4"
PIXELS_PER_INCH = 288  # four times the size on screen: sharp in print


def draw(vl_convert, specification: str, suffix: str) -> bytes:
    options = {"vl_version": VEGA_LITE_VERSION, "allowed_base_urls": []}
    if suffix == ".svg":
        return vl_convert.vegalite_to_svg(specification, **options).encode("utf-8")
    if suffix == ".png":
        return vl_convert.vegalite_to_png(specification, ppi=PIXELS_PER_INCH, **options)
    if suffix == ".pdf":
        return vl_convert.vegalite_to_pdf(specification, **options)
    sys.exit(f"export-figures.py: cannot write {suffix or 'a file without an ending'}; use .svg, .png or .pdf")


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 2:
        sys.exit(__doc__)
    try:
        import vl_convert
    except ImportError:
        sys.exit("export-figures.py: vl-convert-python is not installed; run: make setup")
    for source, target in zip(arguments[::2], arguments[1::2]):
        specification = pathlib.Path(source).read_text(encoding="utf-8")
        output = pathlib.Path(target)
        picture = draw(vl_convert, specification, output.suffix.lower())
        partial = output.with_name(f".{output.name}.partial-{os.getpid()}")
        try:
            partial.write_bytes(picture)
            partial.replace(output)
        except OSError as error:
            partial.unlink(missing_ok=True)
            sys.exit(f"export-figures.py: cannot write {output}: {error.strerror}")


if __name__ == "__main__":
    main()
