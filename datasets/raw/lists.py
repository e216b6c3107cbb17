"""Converts a history column to item keys: lists, padded lists, columns side by side, or text.

Entries that are no keys (null, NaN, blanks, padding) are removed and counted; a null is an empty
history.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.values import split_text
from fusefront.datasets.spec import History

NULL_WORDS = ("nan", "NaN", "null", "NULL", "None", "NaT", "<NA>", "\\N")
_EXACT = 2.0**53  # larger floats cannot represent every integer
_TEXT = pl.col("text")
_ENTRY = pl.element()


class Ragged(NamedTuple):
    """Row i has length[i] of the keys, in order."""

    keys: pl.Series
    length: NDArray[np.int64]
    at: NDArray[np.int64] | None = None  # where each stood among all entries, where that is wanted

    @property
    def row(self) -> NDArray[np.int64]:
        """[keys] the row of every key."""
        return np.repeat(np.arange(len(self.length)), self.length)

    @property
    def back(self) -> NDArray[np.int64]:
        """[keys] how far every key is from the end of its row; the last key has 0."""
        ends = np.repeat(np.cumsum(self.length), self.length)
        return ends - 1 - np.arange(len(self.keys))

    def keep(self, mask: NDArray[np.bool_]) -> "Ragged":
        """The keys where mask [keys] is True; the rows stay."""
        if mask.all():
            return self
        length = np.bincount(self.row[mask], minlength=len(self.length))
        return Ragged(self.keys.filter(pl.Series(mask)), length, self._at(mask))

    def newest(self, most: int) -> "Ragged":
        """The last `most` keys of each row."""
        if self.length.max(initial=0) <= most:
            return self
        places = newest_of(self.length, most)
        length = np.minimum(self.length, most)
        return Ragged(self.keys.filter(pl.Series(places)), length, self._at(places))

    def turned(self) -> "Ragged":
        """Every row in reverse order."""
        start = np.repeat(np.cumsum(self.length) - self.length, self.length)
        turned = start + self.back
        return Ragged(self.keys.gather(turned), self.length, self._at(turned))

    def _at(self, chosen: NDArray[Any]) -> NDArray[np.int64] | None:
        return None if self.at is None else self.at[chosen]

    def lists(self) -> pl.Series:
        """One list a row."""
        offsets = pa.array(np.append(0, np.cumsum(self.length)), pa.int64())
        column = pl.from_arrow(pa.LargeListArray.from_arrays(offsets, self.keys.to_arrow()))
        assert isinstance(column, pl.Series)
        return column.alias(self.keys.name)


def newest_of(length: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
    """[entries] bool: for rows of length [rows], stored one after the other, whether an entry is
    among the last `most` of its row."""
    turns = np.stack([np.maximum(length - most, 0), np.minimum(length, most)], axis=1)
    return np.repeat(np.tile([False, True], len(length)), turns.ravel())


def clean_keys(
    frame: pl.DataFrame,
    history: History,
    path: Path,
    first: int,
    tally: Tally,
    *,
    places: bool = False,
) -> Ragged:
    """Every row's item keys, newest last, however many; `first` is the file's row of the first.

    `places` keeps where each key stood among all entries of the column's lists.
    """
    lists = as_lists(_one_column(frame, history, path), history, path, first)
    absent = lists.is_null().to_numpy()
    tally.add(
        "history.null", int(absent.sum()), len(lists), "histories are null and count as empty"
    )
    length = lists.list.len().fill_null(0).to_numpy().astype(np.int64)
    keys = lists.drop_nulls().explode(empty_as_null=False)
    entries = Ragged(keys, length, np.arange(len(keys)) if places else None)
    if history.source == "padded":
        _check_width(length, absent, history, path, first)
    entries = _without(entries, _null(entries.keys), "history.null_entry", "null or blank", tally)
    if history.source == "padded":
        padding = _padding(entries.keys, history)
        entries = _without(entries, padding, "history.padding", "padding", tally)
    if history.newest == "first":
        entries = entries.turned()
    return entries._replace(keys=_whole(entries, history, path, first))


def _without(keys: Ragged, hit: pl.Series, key: str, what: str, tally: Tally) -> Ragged:
    """The keys without those marked by `hit`, which are counted."""
    sentence = f"history entries are {what} and left out"
    tally.add(key, int(hit.sum()), len(hit), sentence)
    return keys.keep(~hit.to_numpy())


def _one_column(frame: pl.DataFrame, history: History, path: Path) -> pl.Series:
    names = history.columns(frame.columns)
    if len(names) == 1 and "*" not in str(history.column):
        return frame[names[0]]
    try:
        return frame.select(pl.concat_list(names).alias(str(history.column))).to_series()
    except pl.exceptions.PolarsError:
        kinds = " and ".join(sorted({str(frame[name].dtype) for name in names}))
        fix = "store the columns of one history as one type"
        raise broken(path, f"columns of {kinds}", fix, column=history.column) from None


def as_lists(column: pl.Series, history: History, path: Path, first: int) -> pl.Series:
    """A column as one list a row, null where it is null; refused where it holds no lists."""
    if column.dtype == pl.Null:
        return pl.Series(column.name, [None] * len(column), pl.List(pl.Null))
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype == pl.String:
        return cut_text(column, history.separator, path, first)
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if not isinstance(column.dtype, pl.List) or column.dtype.inner.is_nested():
        raise broken(
            path,
            f"got {column.dtype}, expected a list of item keys",
            "store lists, or set history.separator for text",
            column=column.name,
        )
    if column.dtype.inner in (pl.Categorical, pl.Enum):
        return column.cast(pl.List(pl.String))
    return column


def cut_text(column: pl.Series, separator: str | None, path: Path, first: int) -> pl.Series:
    """Lists written as text, with or without brackets; without a separator, as JSON writes them.

    Within quotes and brackets a separator is text. Only blanks is an empty list.
    """
    texts = column.str.strip_chars().to_frame("text")
    listed = _TEXT.str.contains(r"(?s)^(\[.*\]|\(.*\))$")
    loose = texts.select(~(listed | (_TEXT == ""))).to_series().fill_null(value=False).arg_true()
    if separator is None and len(loose):
        raise broken(
            path,
            f"got {column.dtype} such as {column[int(loose[0])][:40]!r}, expected a list of item "
            "keys",
            "store lists, or set history.separator for text",
            column=column.name,
            row=first + int(loose[0]),
        )
    mark = separator or ","
    lists = split_text(column, mark)
    if mark.isspace():  # as many blanks as there are
        return lists.list.eval(_ENTRY.filter(_ENTRY != ""))
    return lists


def _null(keys: pl.Series) -> pl.Series:
    """Which keys are no value at all."""
    if keys.dtype.is_float():
        return keys.is_null() | keys.is_nan().fill_null(value=False)
    if keys.dtype != pl.String:
        return keys.is_null()
    bare = keys.str.strip_chars()
    return keys.is_null() | ((bare == "") | bare.is_in(NULL_WORDS)).fill_null(value=False)


def _padding(keys: pl.Series, history: History) -> pl.Series:
    value = pl.Series([history.padding]).cast(keys.dtype, strict=False)[0]
    if value is None:
        return pl.repeat(False, len(keys), eager=True)
    same: pl.Series = keys == value
    return same


def _whole(entries: Ragged, history: History, path: Path, first: int) -> pl.Series:
    """Floats that stand for integers, as they arise beside nulls, as integers."""
    keys = entries.keys
    if not keys.dtype.is_float():
        return keys
    numbers = keys.to_numpy().astype(np.float64)
    bad = np.flatnonzero((numbers != np.floor(numbers)) | ~(np.abs(numbers) < _EXACT))
    if len(bad):
        raise broken(
            path,
            f"the history holds {numbers[bad[0]]:g}, expected item keys",
            "store keys as integers or text",
            column=history.column,
            row=first + int(entries.row[bad[0]]),
        )
    return keys.cast(pl.Int64)


def _check_width(
    length: NDArray[np.int64],
    absent: NDArray[np.bool_],
    history: History,
    path: Path,
    first: int,
) -> None:
    """Refuses a padded history whose rows differ in width."""
    there = np.flatnonzero(~absent & (length > 0))
    ragged = there[length[there] != length[there[0]]] if len(there) else there
    if len(ragged):
        raise broken(
            path,
            f"{length[ragged[0]]} entries, the rows before had {length[there[0]]}",
            "a padded history has one width; use history from: list",
            column=history.column,
            row=first + int(ragged[0]),
        )
