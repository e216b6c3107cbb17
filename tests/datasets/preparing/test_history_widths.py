"""How long histories are said to be by files of every form, counted by hand."""

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fusefront.datasets.preparing.history_widths import Entries, history_entries
from fusefront.datasets.raw.log_records import Part
from fusefront.datasets.spec import History
from fusefront.datasets.table_text import COMMAS


def history(column: str = "h", source: str = "list", longest: int = 50) -> History:
    return History.model_validate({"from": source, "column": column, "max_length": longest})


def part(path: Path) -> Part:
    return Part(path, None, COMMAS)


def lists(folder: Path, name: str, *groups: list[int]) -> Part:
    """A parquet of two list columns: `h` of these lengths, one row group each, and longer `hh`."""
    path = folder / name
    schema = pa.schema({"h": pa.list_(pa.int64()), "hh": pa.list_(pa.int64())})
    with pq.ParquetWriter(path, schema) as file:
        for lengths in groups:
            columns = [[[7] * n for n in lengths], [[7] * 40 for _ in lengths]]
            file.write_table(pa.table(columns, schema=schema))
    return part(path)


def test_the_row_group_with_the_longest_lists_of_any_file_counts(tmp_path: Path) -> None:
    first = lists(tmp_path, "one.parquet", [3, 3], [8, 10], [1])
    two = lists(tmp_path, "two.parquet", [4, 5, 5])
    assert history_entries([first], [5], history()) == Entries(9, 9)
    assert history_entries([two, first], [3, 5], history()) == Entries(9, 9)
    assert history_entries([two], [3], history()) == Entries(5, 5)  # 14 entries of 3 rows
    assert history_entries([first, two], [5, 3], history(longest=4)) == Entries(9, 4)


def test_columns_side_by_side_are_counted(tmp_path: Path) -> None:
    for count in (2, 3):
        path = tmp_path / f"wide{count}.parquet"
        pl.DataFrame({"u": [1], **{f"h{k}": [k] for k in range(count)}}).write_parquet(path)
        padded = history("h*", "padded")
        assert history_entries([part(path)], [1], padded) == Entries(count, count)


def test_text_has_an_entry_each_two_bytes_in_csv_and_an_unknown_number_in_parquet(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"x" * 120)
    assert history_entries([part(path)], [10], history()) == Entries(6, 6)
    assert history_entries([part(path)], [0], history()) == Entries(60, 50)
    text = tmp_path / "text.parquet"
    pl.DataFrame({"h": ["1 2"]}).write_parquet(text)
    assert history_entries([part(text)], [1], history()) == Entries(200, 50)


def test_without_entries_or_a_column_one_is_planned(tmp_path: Path) -> None:
    path = tmp_path / "empty.parquet"
    pl.DataFrame({"h": pl.Series([], dtype=pl.List(pl.Int64))}).write_parquet(path)
    assert history_entries([part(path)], [0], history()) == Entries(1, 1)
    none = History.model_validate({"from": "none"})
    assert history_entries([part(path)], [np.int64(0)], none) == Entries(1, 1)
