"""From a matplotlib figure to a small, deterministic, accessible SVG and a PNG beside it."""

import io
import re
from html import escape
from typing import NamedTuple

from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.text import Text

from fusefront.reports.figures.style import ink

HALO = "halo-"  # gid prefix of texts that get an outline: halo-<role>-...
HALO_WIDTH = 2.6
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


class Drawing(NamedTuple):
    """A finished figure; SVG in light inks with its halos as CSS, for print (if asked) as
    strokes."""

    name: str
    title: str
    description: str
    svg: str
    print_svg: str
    png: bytes


def finish(
    fig: Figure, name: str, title: str, description: str, *, printed: bool = False
) -> Drawing:
    """Serialise; must be called inside `canvas.drawing`. The figure is spent afterwards.

    `printed` adds the SVG for print, which takes another drawing.
    """
    svg = to_svg(fig, name, title, description)
    for text in fig.findobj(Text):
        gid = text.get_gid() or ""
        if gid.startswith(HALO):
            role = gid.split("-")[1]
            stroke = patheffects.withStroke(linewidth=HALO_WIDTH, foreground=ink(role))
            text.set_path_effects([stroke])
            text.set_gid(None)
    png = io.BytesIO()
    fig.savefig(png, format="png", dpi=144, facecolor=ink("paper"), metadata={"Software": None})
    for_print = to_svg(fig, name, title, description) if printed else ""
    return Drawing(name, title, description, svg, for_print, png.getvalue())


def to_svg(fig: Figure, name: str, title: str, description: str) -> str:
    """Light SVG with <title> and <desc>; ids carry the name, so that many can live in one page."""
    buffer = io.StringIO()
    fig.savefig(buffer, format="svg", metadata=_NO_METADATA)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r'( d|points)="([^"]*)"', lambda m: f'{m[1]}="{_rounded(m[2])}"', text)
    text = re.sub(r"\s*\n\s*", "\n", text)
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None
    width, height = box[1].split()[2:]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box[1]}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="{name}-t {name}-d" class="figure">\n'
        f'<title id="{name}-t">{escape(title)}</title>\n'
        f'<desc id="{name}-d">{escape(description)}</desc>\n'
        f"<style>*{{stroke-linejoin:round;stroke-linecap:butt}}{_halos(name)}</style>\n"
    )
    return head + text[text.index(">") + 1 :]


def standalone(svg: str) -> str:
    """With a paper ground and the XML header, for a file of its own."""
    ground = f'<svg style="background:{ink("paper")}" '
    return '<?xml version="1.0" encoding="utf-8"?>\n' + svg.replace("<svg ", ground, 1)


def _halos(name: str) -> str:
    """Outlines by paint order: a path effect would double the file."""
    rules = ""
    for role in ("paper", "veil"):
        texts = f"g[id^='{name}-{HALO}{role}']"
        rules += f"{texts}{{stroke:{ink(role)};stroke-width:{HALO_WIDTH}px;paint-order:stroke}}"
        rules += f"{texts} *{{vector-effect:non-scaling-stroke}}"
    return rules


def _rounded(path: str) -> str:
    short = re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), path)
    return short.replace("\n", " ")
