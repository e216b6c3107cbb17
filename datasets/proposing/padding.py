"""Finds the value that fills empty places of a history, by where it occurs and whether it is an
item."""

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.lists import NULL_WORDS

FILLERS = ("0", "-1", "<pad>", "[PAD]", "<PAD>", "PAD", "pad", "padding", "0.0", "-1.0")
_SURE = 5.0  # so many expected and none there: less than 1 % by chance
_OFTEN, _MANY = 0.02, 0.1  # share of the rows that begin or end with it; with an unusual filler


class TextLists(NamedTuple):
    """Lists of text: row i has length[i] of the values; None for what `prepare` takes as null."""

    values: NDArray[np.object_]
    length: NDArray[np.int64]

    def without(self, padding: str | None) -> list[list[str]]:
        """The lists, padding and nulls left out."""
        ends = np.cumsum(self.length)
        rows = zip(ends - self.length, ends, strict=True)
        return [
            [v for v in self.values[start:end].tolist() if v is not None and v != padding]
            for start, end in rows
        ]


def ragged(lists: pl.Series) -> TextLists:
    """A column of lists of text; a null list is empty."""
    if isinstance(lists.dtype, pl.Array):
        lists = lists.arr.to_list()
    length = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = lists.drop_nulls().explode(empty_as_null=False)
    bare = flat.str.strip_chars()
    values = bare.set((bare == "") | bare.is_in(NULL_WORDS), None)
    return TextLists(np.array(values.to_list(), object), length)


class KeyTexts(NamedTuple):
    """Item keys as text: those that rows of the log are about, and those of the table of items."""

    log: Counter[str]
    table: Collection[str] | None

    def known(self, value: str) -> bool:
        """Whether the value is an item."""
        return value in self.log or (self.table is not None and value in self.table)

    def share(self, values: NDArray[np.object_]) -> float:
        """Share of the values [n] that are items, fillers aside; 0 where there are only fillers."""
        counts = Counter(v for v in values.tolist() if v is not None and v not in FILLERS)
        total = sum(counts.values())
        return sum(n for v, n in counts.items() if self.known(v)) / total if total else 0.0


class Padding(NamedTuple):
    """The filling value (None: there is none), the reason, and what speaks against it."""

    value: str | None
    why: str = ""
    doubt: str = ""


class _Places(NamedTuple):
    """Where a value stands: rows that begin or end with it, entries between others, entries."""

    begins: int
    ends: int
    between: int
    all: int


def find_padding(lists: TextLists, keys: KeyTexts) -> Padding:
    """What fills lists of one width; lists that differ in width have none."""
    rows = int((lists.length > 0).sum())
    fixed = rows > 1 and len(np.unique(lists.length[lists.length > 0])) == 1
    for value in _candidates(lists, keys):
        at = _places(lists, value)
        at_ends = max(at.begins, at.ends)
        if at_ends < _OFTEN * rows and keys.known(value):
            continue
        if value not in FILLERS and (at.between or at_ends < _MANY * rows):
            continue
        if fixed:
            return _of_width(value, at, lists, keys, rows)
        if not keys.known(value) and at.all:
            return Padding(
                None,
                doubt=f"{at.all:,} entries are {value!r}, which is no item, in lists of differing "
                "length: say from: list and write them without it, or name the column with the "
                "history",
            )
    return Padding(None)


def _candidates(lists: TextLists, keys: KeyTexts) -> list[str]:
    """Fillers that are there, then what is no item but begins or ends many rows."""
    values = Counter(value for value in lists.values.tolist() if value is not None)
    there = [filler for filler in FILLERS if filler in values]
    common = [v for v, n in values.most_common(3) if not keys.known(v) and n > _OFTEN * len(values)]
    return list(dict.fromkeys([*(v for v in there if not keys.known(v)), *common, *there]))


def _of_width(value: str, at: _Places, lists: TextLists, keys: KeyTexts, rows: int) -> Padding:
    """Lists of one width that hold a filler: padding, an item, or either."""
    width = int(lists.length.max())
    shown = value
    end = "at the start" if at.begins >= at.ends else "at the end"
    if not keys.known(value):
        return Padding(value, f"lists of {width} with {shown} where no item is")
    share = keys.log[value] / max(1, keys.log.total())
    inner = len(lists.values) - (at.all - at.between)
    if share == 0 and at.between == 0:
        why = f"lists of {width} with {shown} {end} only; no row of the log is about item {shown}"
        return Padding(value, why)
    if at.between == 0 and share * inner >= _SURE:
        why = (
            f"lists of {width} with {shown} {end} only, though item {shown} has {share:.1%} of the "
            "log"
        )
        return Padding(value, why)
    edges = max(at.begins, at.ends)
    if at.between and edges <= 3 * max(share, at.between / max(1, inner)) * rows + 3:
        return Padding(None)  # it occurs at the ends as often as elsewhere
    return Padding(
        value,
        doubt=f"{shown} stands {end} of {edges:,} of {rows:,} lists of {width}, and is an item as "
        "well; write which value is no item, or use from: list if each is one",
    )


def _places(lists: TextLists, value: str) -> _Places:
    """Counts over all rows; a row of nothing else begins and ends with it."""
    begins = ends = between = total = 0
    stop = np.cumsum(lists.length)
    for start, end in zip(stop - lists.length, stop, strict=True):
        row = lists.values[start:end] == value
        if not row.any():
            continue
        others = np.flatnonzero(~row)
        total += int(row.sum())
        begins, ends = begins + bool(row[0]), ends + bool(row[-1])
        if len(others):
            between += int(row[others[0] : others[-1] + 1].sum())
    return _Places(begins, ends, between, total)
