"""Histories that are given in a column, as rows of the item tables."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.column_kinds import whole_numbers
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.lists import Ragged, clean_keys, newest_of
from fusefront.datasets.spec import DatasetSpec, History


class Histories(NamedTuple):
    """Ragged rows: row i has length[i] of the values, newest last."""

    values: NDArray[np.int32]
    length: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64]) -> "Histories":
        """The histories of rows [k], in the order given."""
        start = np.cumsum(self.length) - self.length
        length = self.length[rows]
        shift = np.repeat(start[rows] - (np.cumsum(length) - length), length)
        return Histories(self.values[np.arange(int(length.sum())) + shift], length)

    def newest(self, most: int) -> "Histories":
        """The last `most` values of each row."""
        if self.length.max(initial=0) <= most:
            return self
        places = newest_of(self.length, most)
        return Histories(self.values[places], np.minimum(self.length, most))


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
    keys = clean_keys(frame, spec.history, path, first, tally)
    if written_out(frame, spec.history) and not items.is_text:
        keys = Ragged(_numbers(keys, path, str(spec.history.column), first), keys.length)
    longest = spec.history.max_length
    if spec.items.unknown == "refuse":  # else unknown items are dropped first, then the oldest
        return _look_up(keys.newest(longest), spec, items, path, first, tally)
    return _look_up(keys, spec, items, path, first, tally).newest(longest)


def newest_keys(
    frame: pl.DataFrame, history: History, path: Path, first: int, tally: Tally
) -> Ragged:
    """Item keys without padding, the newest `max_length` of every row, newest last."""
    return clean_keys(frame, history, path, first, tally).newest(history.max_length)


def _look_up(
    keys: Ragged, spec: DatasetSpec, items: KeyIndex, path: Path, first: int, tally: Tally
) -> Histories:
    column, flat, length = str(spec.history.column), keys.keys, keys.length
    if not len(flat):  # of any type
        return Histories(np.zeros(0, np.int32), length)
    row = keys.row
    values = items.rows(flat, path, column)
    unknown = np.flatnonzero(values == 0)
    what = f"history entries name no item of {items.name} and are left out"
    tally.add("history.unknown_item", len(unknown), len(values), what)
    if not len(unknown):
        return Histories(values, length)
    if spec.items.unknown == "refuse":
        at = int(unknown[0])
        raise broken(
            path,
            f"the history holds {flat[at]!r}, no item of {items.name}",
            "add the item, set items.unknown: drop, or use history from: padded",
            column=column,
            row=first + int(row[at]),
        )
    known = values > 0
    return Histories(values[known], np.bincount(row[known], minlength=len(length)))


def written_out(frame: pl.DataFrame, history: History) -> bool:
    """Whether the keys are cut from text, so that numbers are text as well."""
    if history.column is None:
        return False
    kinds = {frame.schema[name] for name in history.columns(frame.columns)}
    return bool(kinds & {pl.String, pl.Categorical, pl.Enum})


def _numbers(entries: Ragged, path: Path, column: str, first: int) -> pl.Series:
    keys = entries.keys
    cast = whole_numbers(keys)
    bad = (cast.is_null() & keys.is_not_null()).arg_true()
    if len(bad):
        at = int(bad[0])
        raise broken(
            path,
            f"the history holds {keys[at]!r}, expected integer item keys",
            "check history.separator, or write the keys as the items have them",
            column=column,
            row=first + int(entries.row[at]),
        )
    return cast
