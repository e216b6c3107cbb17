"""A matplotlib figure with our fonts and colours, without changing global settings."""

import logging
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

from fusefront.reports import japanese_font
from fusefront.reports.evidence import Point
from fusefront.reports.figures import style
from fusefront.reports.figures.style import ink
from fusefront.reports.words.names import full, shorten

FONTS = Path(__file__).resolve().parent.parent / "fonts"
INTER = (FONTS / "Inter-Regular.subset.otf", FONTS / "Inter-SemiBold.subset.otf")
# drawn from where they are on the machine: what the font that ships has not, Korean for example
WIDER_FILES = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKjp-Regular.otf",
    "NotoSansJP-Regular.otf",
    "NotoSansJP-Regular.ttf",
    "NotoSansJP[wght].ttf",
    "SourceHanSansJP-Regular.otf",
    "SourceHanSans-Regular.ttc",
    "ipaexg.ttf",
)


@contextmanager
def drawing(*, narrow: bool = False) -> Iterator[None]:
    """Use our fonts and settings while figures are made and saved; they are restored afterwards."""
    families = ["Inter", japanese_font.FAMILY]
    register((*INTER, *japanese_font.FILES.values()))
    if wider := wider_font():
        families.append(wider)
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)  # a fallback font without weight 600 is drawn at 700
    try:
        with mpl.rc_context(cast(Any, settings(families, narrow=narrow))):
            yield
    finally:
        log.setLevel(level)


def wider_font() -> str | None:
    """Family of a font of this machine with more characters than ours; None where it has none."""
    files = {Path(f).name: Path(f) for f in font_manager.findSystemFonts()}
    for name in WIDER_FILES:
        if path := files.get(name):
            bold = files.get(name.replace("Regular", "Bold"))
            register((path, bold) if bold else (path,))
            return FT2Font(str(path)).family_name
    return None


def register(paths: tuple[Path, ...]) -> None:
    """Make font files known to matplotlib, once each."""
    known = {Path(entry.fname) for entry in font_manager.fontManager.ttflist}
    for path in paths:
        if path not in known:
            font_manager.fontManager.addfont(path)


def settings(families: list[str], *, narrow: bool) -> dict[str, Any]:
    """Matplotlib settings of every figure."""
    label, note = (style.LABEL_NARROW, style.NOTE_NARROW) if narrow else (style.LABEL, style.NOTE)
    lines = {f"{axis}tick.{k}": v for axis in "xy" for k, v in _tick(note).items()}
    return lines | {
        "svg.fonttype": "path",  # exact label boxes everywhere; the words are in title and desc
        "svg.hashsalt": "fusefront",
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "text.hinting": "none",
        "font.family": [*families, "DejaVu Sans"],
        "font.size": label,
        "axes.labelsize": note,
        "axes.edgecolor": ink("hair"),
        "axes.labelcolor": ink("soft"),
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "axes.unicode_minus": True,
        "figure.facecolor": "none",
        "figure.dpi": 72,
        "savefig.facecolor": "none",
        "savefig.dpi": "figure",
        "savefig.bbox": None,
        "text.color": ink("ink"),
        "xtick.major.size": 4,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "lines.solid_capstyle": "butt",
        "path.simplify": True,
    }


def _tick(note: float) -> dict[str, Any]:
    return {
        "labelsize": note,
        "color": ink("hair"),
        "labelcolor": ink("soft"),
        "major.width": 0.8,
    }


def figure(width: float, height: float) -> Figure:
    """A figure of so many CSS pixels, with a canvas that measures text."""
    fig = Figure(figsize=(width / 72, height / 72))
    FigureCanvasAgg(fig)
    return fig


def renderer(fig: Figure) -> RendererAgg:
    """The renderer that measures text of this figure."""
    assert isinstance(fig.canvas, FigureCanvasAgg)
    measuring: RendererAgg = fig.canvas.get_renderer()  # type: ignore[no-untyped-call]
    return measuring


@cache
def charmap(path: Path) -> frozenset[int]:
    """Code points that a font file can draw."""
    return frozenset(FT2Font(str(path)).get_charmap())


def drawable(text: str) -> str:
    """The text with characters that none of the figure's fonts has replaced by their names."""
    families = mpl.rcParams["font.family"]
    paths = [Path(font_manager.findfont(family)) for family in families]
    have = frozenset().union(*(charmap(path) for path in paths))
    return "".join(c if ord(c) in have or c == "\n" else spelled(c) for c in text)


def drawn_name(point: Point, length: int) -> str:
    """A strategy's name in a figure, spelled out before it is shortened."""
    return shorten(drawable(full(point)), length)


def spelled(character: str) -> str:
    """A character's name between colons.

    >>> spelled("\N{FOX FACE}"), spelled("\ufe0f")
    (':fox face:', '')
    """
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return ""
    name = unicodedata.name(character, f"u+{ord(character):04x}").lower()
    return f":{name}:"
