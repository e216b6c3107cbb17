"""Type scale, palette and markers, all in one place."""

from typing import NamedTuple

# Pixels on screen; one figure point is one CSS pixel at the figure's nominal width.
WIDE, NARROW = 960, 344
LABEL, NOTE = 13.5, 12.0  # the only two text sizes of a figure
LABEL_NARROW, NOTE_NARROW = 12.0, 11.0
BAND_ALPHA = 0.14


class Ink(NamedTuple):
    """One colour role in both themes."""

    light: str
    dark: str


# Every light value occurs once, so that a figure drawn in light can be re-inked by its hex codes.
PALETTE: dict[str, Ink] = {
    "paper": Ink("#fffefb", "#14171b"),
    "ink": Ink("#1c1f23", "#eceae5"),
    "soft": Ink("#595f68", "#a9aeb6"),  # notes, ticks, what lost: AA on paper and on veil
    "hair": Ink("#c9c8c2", "#444a52"),  # axis lines, table rules
    "mist": Ink("#e7e6e0", "#2a2f35"),  # grid
    "veil": Ink("#f3f2ed", "#1c2025"),  # beyond the limit
    "accent": Ink("#0a5aa8", "#6cb2f5"),  # the decision; compressed interaction; the frontier
    "early": Ink("#b35c00", "#eb9a45"),
    "late": Ink("#00795f", "#3fbf9f"),
    "published": Ink("#a3337f", "#e58bc6"),
    "control": Ink("#6e737b", "#8f959d"),
    "other": Ink("#75690b", "#cdbb55"),
    "bad": Ink("#b3261e", "#ff8f86"),  # a leak or a failed gate only
    "warn": Ink("#8a5200", "#e3a94f"),  # a close call; a page that only supposes
    "band": Ink("#0b5ba9", "#6db3f6"),  # the accent, drawn at BAND_ALPHA
    "lasso": Ink("#1d2024", "#edebe6"),  # hull of the equivalent group
    "off": Ink("#83888f", "#6c727a"),  # over the limit; an interval that holds zero
}
FAMILIES = ("compressed", "early", "late", "published", "control", "other")
HUE = {family: family for family in FAMILIES} | {"compressed": "accent"}
MARKER = {
    "compressed": "o",
    "early": "s",
    "late": "D",
    "published": "^",
    "control": "X",
    "other": "P",
}
SIZE = {"o": 8.2, "s": 7.2, "D": 7.0, "^": 8.6, "X": 7.8, "P": 8.0}


def family_of(name: str) -> str:
    """A family that has a hue and a marker; what is not known is drawn as other."""
    return name if name in FAMILIES else "other"


def ink(role: str) -> str:
    """The colour to draw with, always the light one; `reink` makes the other versions."""
    return PALETTE[role].light


def hue(family: str) -> str:
    """Colour of a family, light."""
    return ink(HUE[family_of(family)])


def marker(family: str) -> str:
    """Matplotlib marker of a family."""
    return MARKER[family_of(family)]


def reink(svg: str, theme: str) -> str:
    """Swap the palette's hex codes: theme is light, dark, or css for variables (inlined SVG)."""
    for role, pair in PALETTE.items():
        new = {"light": pair.light, "dark": pair.dark, "css": f"var(--{role})"}[theme]
        svg = svg.replace(pair.light, new)
    return svg


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(colour: str, other: str) -> float:
    """Contrast ratio of two colours, 1 .. 21 (WCAG 2.2).

    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    bright, dim = sorted((luminance(colour), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)
