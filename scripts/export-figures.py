# SPDX-License-Identifier: Apache-2.0
"""Draws Vega-Lite specifications as SVG, PNG or PDF files, without a browser or a network.

usage: export-figures.py SPEC.json OUTPUT.svg|.png|.pdf [SPEC.json OUTPUT ...]
                                              (needs vl-convert-python on PYTHONPATH)
"""

import json
import math
import os
import pathlib
import re
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


def drawn_size(vl_convert, chart: dict) -> dict:
    opening = re.search(r"<svg[^>]*>", draw(vl_convert, json.dumps(chart), ".svg").decode("utf-8")).group()
    return {side: float(re.search(rf'\b{side}="([\d.]+)', opening).group(1)) for side in ("width", "height")}


def fitted(vl_convert, specification: str) -> str:
    """Panels of the size that gives the whole picture the one in `usermeta.size`: Vega-Lite fits single charts alone."""
    chart = json.loads(specification)
    wanted = (chart.get("usermeta") or {}).get("size")
    panels = chart.get("concat", [])
    if not wanted or not panels:
        return specification
    columns = min(int(chart.get("columns", len(panels))), len(panels))
    counts = {"width": columns, "height": -(-len(panels) // columns)}
    aspect = panels[0]["height"] / panels[0]["width"]
    for _ in range(6):
        size = drawn_size(vl_convert, chart)
        if all(0 <= wanted[side] - size[side] < counts[side] for side in wanted):
            break
        for panel in panels:
            for side in wanted:
                panel[side] = math.floor(panel[side] + (wanted[side] - size[side]) / counts[side])
            for side, ratio in (("height", aspect), ("width", 1 / aspect)):
                if side not in wanted:
                    panel[side] = round(panel["width" if side == "height" else "height"] * ratio)
            if min(panel["width"], panel["height"]) < 20:
                sys.exit("export-figures.py: the panels do not fit; choose a larger size or smaller letters")
    # Panels are whole points wide; what is left over goes to the margin.
    margin = chart["config"]["padding"]
    left_over = {side: max(0, wanted[side] - size[side]) if side in wanted else 0 for side in counts}
    chart["padding"] = {
        "left": margin, "top": margin, "right": margin + left_over["width"], "bottom": margin + left_over["height"],
    }
    return json.dumps(chart)


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments or len(arguments) % 2:
        sys.exit(__doc__)
    try:
        import vl_convert
    except ImportError:
        sys.exit("export-figures.py: vl-convert-python is not installed; run: make setup")
    for source, target in zip(arguments[::2], arguments[1::2]):
        specification = fitted(vl_convert, pathlib.Path(source).read_text(encoding="utf-8"))
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
