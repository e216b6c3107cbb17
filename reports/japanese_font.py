"""The Japanese font that ships, and the subset of it that a page needs."""

from base64 import b64encode
from functools import cache
from io import BytesIO
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

FONTS = Path(__file__).parent / "fonts"
FILES = {400: FONTS / "NotoSansJP-Regular.subset.otf", 600: FONTS / "NotoSansJP-Bold.subset.otf"}
INTER = FONTS / "Inter-Regular.subset.otf"  # the page's first font
FAMILY = "Noto Sans JP Subset"


def font_faces(text: str) -> str:
    """CSS with the glyphs that `text` needs beyond Inter's; "" where it needs none.

    Equal text gives equal bytes.
    """
    needed = {ord(c) for c in text} & _code_points(FILES[400]) - _code_points(INTER)
    return "".join(_face(weight, frozenset(needed)) for weight in FILES) if needed else ""


def _face(weight: int, needed: frozenset[int]) -> str:
    data = b64encode(_part(FILES[weight], needed)).decode()
    return (
        f'@font-face{{font-family:"{FAMILY}";font-weight:{weight};font-display:swap;'
        f"src:url(data:font/woff;base64,{data}) format('woff')}}"
    )


def _part(path: Path, needed: frozenset[int]) -> bytes:
    """A font with these code points alone, as WOFF: zlib, so that no other package is needed."""
    options = subset.Options()
    options.layout_features = ["halt"]
    options.recalc_timestamp = False
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=needed)
    content = BytesIO()
    with subset.load_font(str(path), options) as font:
        subsetter.subset(font)
        font.flavor = "woff"
        font.save(content)
    return content.getvalue()


@cache
def _code_points(path: Path) -> frozenset[int]:
    with TTFont(path) as font:
        return frozenset(font.getBestCmap())
