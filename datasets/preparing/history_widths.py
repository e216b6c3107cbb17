"""Estimates how many entries histories have from the files' metadata, without reading them."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from fusefront.datasets.raw.log_records import Part
from fusefront.datasets.raw.reading import columns_of, is_parquet
from fusefront.datasets.spec import History

_UNKNOWN = 4  # times max_length, if a file does not tell how long its texts are
_LEAST = 2  # bytes of an entry in text, its separator included


class Entries(NamedTuple):
    """The mean number of entries a row, in the part of the log that has the most."""

    read: int
    newest: int  # of the newest max_length


def history_entries(parts: Iterable[Part], rows: Iterable[int], history: History) -> Entries:
    """Upper bounds for the history column of `parts` of `rows` rows; 1 and 1 without a column."""
    if history.column is None:
        return Entries(1, 1)
    bounds = [_bound(part, count, history) for part, count in zip(parts, rows, strict=True)]
    unknown = _UNKNOWN * history.max_length
    read = max(unknown if bound is None else math.ceil(bound) for bound in bounds)
    return Entries(max(1, read), max(1, min(history.max_length, read)))


def _bound(part: Part, rows: int, history: History) -> float | None:
    have = columns_of(part.path, part.text)
    names = history.columns(have)
    if len(names) > 1:
        return len(names)
    if not is_parquet(part.path):
        return part.path.stat().st_size / max(rows, 1) / _LEAST
    return _of_lists(part.path, names[0]) if "list" in have.get(names[0], "") else None


def _of_lists(path: Path, column: str) -> float:
    """The mean length of the lists in the row group with the longest ones."""
    with pq.ParquetFile(path) as file:
        whole = file.metadata
        most = 0.0
        for number in range(whole.num_row_groups):
            group = whole.row_group(number)
            for place in range(group.num_columns):
                part = group.column(place)
                if part.path_in_schema.startswith(f"{column}."):
                    most = max(most, part.num_values / max(group.num_rows, 1))
        return most
