"""Histories that come ready in a column: lists, padded blocks, or text."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.spec import DatasetSpec, History


class Histories(NamedTuple):
    """Ragged rows: row i has length[i] of the values, newest last."""

    values: NDArray[np.int32]
    length: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "Histories":
        """Some of the rows, in the order given."""
        start = np.cumsum(self.length) - self.length
        length = self.length[rows]
        shift = np.repeat(start[rows] - (np.cumsum(length) - length), length)
        return Histories(self.values[np.arange(int(length.sum())) + shift], length)


def read_histories(
    frame: pl.DataFrame,
    spec: DatasetSpec,
    items: KeyIndex,
    path: Path,
    first: int,
    tally: Tally,
) -> Histories | None:
    """The newest `max_length` items of every row's history column; None where it has none."""
    if spec.history.column is None:
        return None
    lists = item_lists(frame, spec.history, path, first)
    return _look_up(lists, spec, items, path, first, tally)


def item_lists(frame: pl.DataFrame, history: History, path: Path, first: int) -> pl.Series:
    """Lists of item keys without padding, the newest `max_length` of every row, newest last."""
    names = history.columns(frame.columns)
    column = frame[names[0]]
    if len(names) > 1:
        column = frame.select(pl.concat_list(names).alias(str(history.column))).to_series()
    lists = _as_lists(column, history, path)
    if history.source == "padded":
        _check_width(lists, history, path, first)
        padding = pl.lit(history.padding).cast(lists.dtype.inner, strict=False)  # type: ignore[attr-defined]
        real = pl.element().is_not_null() & pl.element().ne_missing(padding)
        kept = pl.col("h").list.eval(pl.element().filter(real))
        lists = lists.to_frame("h").select(kept).to_series()
    if history.newest == "first":
        return lists.list.head(history.max_length).list.reverse()
    return lists.list.tail(history.max_length)


def _look_up(
    lists: pl.Series, spec: DatasetSpec, items: KeyIndex, path: Path, first: int, tally: Tally
) -> Histories:
    column = str(spec.history.column)
    length = lists.list.len().to_numpy().astype(np.int64)
    flat = lists.explode(empty_as_null=False)
    row = np.repeat(np.arange(len(length)), length)
    if history_is_text(spec.history, flat) and not items.is_text:
        flat = _numbers(flat, path, column, first, row)
    values = items.rows(flat, path, column)
    unknown = np.flatnonzero(values == 0)
    what = f"history entries name no item of {items.path.name} and are left out"
    tally.add("history.unknown_item", len(unknown), len(values), what)
    if not len(unknown):
        return Histories(values, length)
    if spec.items.unknown == "refuse":
        at = int(unknown[0])
        raise broken(
            path,
            f"the history holds {flat[at]!r}, no item of {items.path.name}",
            "add the item, set items.unknown: drop, or use history from: padded",
            column=column,
            row=first + int(row[at]),
        )
    known = values > 0
    return Histories(values[known], np.bincount(row[known], minlength=len(length)))


def history_is_text(history: History, keys: pl.Series) -> bool:
    """Whether the keys were cut from text, where numbers are text as well."""
    return history.separator is not None and keys.dtype == pl.String


def _numbers(
    keys: pl.Series, path: Path, column: str, first: int, row: NDArray[np.int64]
) -> pl.Series:
    cast = keys.cast(pl.Int64, strict=False)
    bad = (cast.is_null() & keys.is_not_null()).arg_true()
    if len(bad):
        at = int(bad[0])
        raise broken(
            path,
            f"the history holds {keys[at]!r}, expected integer item keys",
            "check history.separator, or write the keys as the items have them",
            column=column,
            row=first + int(row[at]),
        )
    return cast


def _as_lists(column: pl.Series, history: History, path: Path) -> pl.Series:
    if column.dtype == pl.String and history.separator is not None:
        stripped = column.str.strip_chars("[]() \t")
        split = stripped.fill_null("").str.split(history.separator)
        bare = pl.element().str.strip_chars(" \t'\"")  # as in "['a', 'b']"
        trim = bare.filter(bare != "")
        return split.to_frame("h").select(pl.col("h").list.eval(trim)).to_series()
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if not isinstance(column.dtype, pl.List) or isinstance(column.dtype.inner, pl.List | pl.Array):
        raise broken(
            path,
            f"got {column.dtype}, expected a list of item keys",
            "store lists, or set history.separator for text",
            column=column.name,
        )
    return (
        column.fill_null(pl.Series([[]], dtype=column.dtype).item(0))
        if column.has_nulls()
        else column
    )


def _check_width(lists: pl.Series, history: History, path: Path, first: int) -> None:
    length = lists.list.len().to_numpy()
    ragged = np.flatnonzero(length != length[0]) if len(length) else length
    if len(ragged):
        raise broken(
            path,
            f"{length[ragged[0]]} entries, the row before had {length[0]}",
            "a padded history has one width; use history from: list",
            column=history.column,
            row=first + int(ragged[0]),
        )
