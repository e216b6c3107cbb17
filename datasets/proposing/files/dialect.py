"""Detects how a text table is written, from its first lines: separator, and whether it has a
header."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.table_text import TableText

_HEAD = 1 << 17  # bytes that are looked at
_LINES = 60
_SEPARATORS = (",", "\t", ";", "|")
_DATA = re.compile(r"^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$|^\d{4}-\d{2}-\d{2}([ T].*)?$")
_RANGE = 4  # so many columns named 0, 1, 2, ... are names, not values


class Dialect(NamedTuple):
    """How the file is written and its columns; `problem` is why it is no table that can be read."""

    text: TableText = TableText()
    width: int = 0
    problem: str = ""


def dialect_of(path: Path) -> Dialect:
    """The separator that cuts all lines alike; columns are named c1, c2, ... if the first line is
    data."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not a character that the block cuts
            return Dialect(problem=f"byte {error.start} is not UTF-8; save it as UTF-8")
        text = head[: error.start].decode("utf-8-sig")
    if "\0" in text or not text.strip():
        return Dialect(problem="empty, or no text")
    if len(head) == _HEAD:
        text = text[: text.rfind("\n") + 1]
    rows = {mark: _rows(text, mark) for mark in _SEPARATORS}
    first = "\t" if path.suffix.lower() == ".tsv" else ","
    fit = [mark for mark in _SEPARATORS if _alike(rows[mark])]
    if not fit and all("::" in line for line in text.splitlines()[:_LINES]):
        return Dialect(problem="'::' between the values is not read; write one character")
    best = max(fit, key=lambda mark: (len(rows[mark][0]), mark == first), default=first)
    if not rows[best]:
        return Dialect(problem="no table of text")
    width = len(rows[best][0])
    names = () if has_header(rows[best]) else tuple(f"c{k + 1}" for k in range(width))
    return Dialect(TableText(best, names), width)


def _rows(text: str, separator: str) -> list[list[str]]:
    try:
        lines = csv.reader(text.splitlines(keepends=True), delimiter=separator)
        rows = [[cell.strip() for cell in row] for row in lines if row]
    except csv.Error:
        return []
    return rows[:_LINES]


def _alike(rows: list[list[str]]) -> bool:
    """Whether nearly all lines have as many values as the first, and more than a single one."""
    if not rows or len(rows[0]) < 2:
        return False
    widths = Counter(map(len, rows))
    return widths[len(rows[0])] >= 0.9 * len(rows)


def has_header(rows: list[list[str]]) -> bool:
    """Whether the first line holds names.

    It does not if it has numbers above numbers and no word above numbers, or if a word of it occurs
    again below.

    >>> has_header([["user", "item"], ["1", "2"]]), has_header([["1", "2"], ["1", "3"]])
    (True, False)
    """
    first, rest = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    if not rest or first == [str(k) for k in range(max(_RANGE, len(first)))]:
        return True
    below = list(zip(*rest, strict=True))
    numbers = [all(_DATA.match(cell) for cell in column if cell) for column in below]
    is_data = [_DATA.match(cell) is not None for cell in first]
    if any(data and number for data, number in zip(is_data, numbers, strict=True)):
        headings = (not data and cell for data, cell in zip(is_data, first, strict=True))
        return any(name and number for name, number in zip(headings, numbers, strict=True))
    return not any(cell and cell in column for cell, column in zip(first, below, strict=True))
