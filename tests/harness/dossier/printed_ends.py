"""Printed intervals read again, and the word that each says by the table below."""

import re

END = r"([<>] ?0|[+\u2212-]?(?:[\d,]*\.?\d+|\u221e))"
ENDS = re.compile(rf"\[{END}, ?{END}\]")
BY, ANY = "by less than the margin", "by more than the margin"


def number(text: str) -> float:
    """A printed end; one that only shows its side of zero lies just there."""
    text = text.replace("\u2212", "-").replace("\u221e", "inf").replace(",", "")
    if text[0] in "<>":
        return 1e-12 if text[0] == ">" else -1e-12
    return float(text)


def ends_of(text: str) -> tuple[float, float] | None:
    """The first interval in a text."""
    match = ENDS.search(text.replace("\u00a0", " "))
    return None if match is None else (number(match[1]), number(match[2]))


def word_of(low: float, high: float, margin: float) -> str:
    """The word of an interval."""
    small = high < margin and low > -margin
    if low > 0:
        return f"better, {BY}" if small else "better"
    if high < 0:
        return f"worse, {BY}" if small else "worse"
    if small:
        return "equivalent"
    if low > -margin:
        return f"not worse {ANY}"
    return f"not better {ANY}" if high < margin else "cannot tell"
