"""The page's style sheet and script: the palette for both themes, the fonts inside."""

from base64 import b64encode
from pathlib import Path

from fusefront.reports.figures.style import PALETTE

HERE = Path(__file__).parent
WEIGHTS = {400: "Inter-Regular.subset.woff2", 600: "Inter-SemiBold.subset.woff2"}


def style_sheet() -> str:
    """CSS without external resources."""
    rules = (HERE / "templates" / "page.css").read_text(encoding="utf-8")
    fonts = "".join(_font(weight, name) for weight, name in WEIGHTS.items())
    light = "".join(f"--{role}:{pair.light};" for role, pair in PALETTE.items())
    dark = "".join(f"--{role}:{pair.dark};" for role, pair in PALETTE.items())
    themes = (
        f":root{{color-scheme:light dark;{light}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f"@media print{{:root{{{light}--paper:#fff;}}}}"
    )
    return fonts + themes + rules


def sort_script() -> str:
    """A script for the buttons in table heads; the page can be read without it."""
    return (HERE / "templates" / "sort.js").read_text(encoding="utf-8")


def _font(weight: int, name: str) -> str:
    data = b64encode((HERE / "fonts" / name).read_bytes()).decode()
    return (
        f"@font-face{{font-family:Inter;font-weight:{weight};font-display:swap;"
        f"src:url(data:font/woff2;base64,{data}) format('woff2')}}"
    )
