"""Names of strategies, which come from studies and may contain any characters."""

import unicodedata

from fusefront.reports.evidence import Point
from fusefront.reports.words.phrase import Name

LABEL_LENGTH = 26  # in figures
SENTENCE_LENGTH = 72


def shorten(text: str, length: int) -> str:
    """Shorten in the middle, so that names with a common prefix stay different; control characters
    are dropped.

    >>> shorten("abcdefghij", 7), shorten("abc", 7)
    ('abcd…ij', 'abc')
    """
    text = " ".join("".join(c if shown(c) else " " for c in text).split()) or "(no name)"
    if len(text) <= length:
        return text
    tail = (length - 1) // 3
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def shown(character: str) -> bool:
    """Whether a character draws something; joiners, right-to-left marks, variants do not."""
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return False
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def label(point: Point, length: int = LABEL_LENGTH) -> Name:
    """Short name for figures and cells."""
    return Name(shorten(point.label or point.strategy, length))


def described(point: Point) -> Name:
    """Long name for sentences."""
    return Name(shorten(point.description or point.label or point.strategy, SENTENCE_LENGTH))


def full(point: Point) -> Name:
    """The whole name, whatever its length."""
    return Name(shorten(point.label or point.strategy, 10_000))
