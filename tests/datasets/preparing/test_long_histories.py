"""Histories of 10,000 on few rows: the memory they need is what is planned, and every entry is
kept."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing.budget import RowBytes, plan
from fusefront.datasets.preparing.history_widths import history_entries
from fusefront.datasets.raw.log_records import Part
from fusefront.datasets.spec import DatasetSpec, History, parse_spec
from fusefront.datasets.table_text import COMMAS

ROWS, ITEMS, LONGEST = 300, 400, 10_000
PARTS = ("train", "valid", "test")


def write(folder: Path, form: str) -> list[list[int]]:
    """300 rows with histories of 0, some hundred, or 10,000 entries; as lists or as text."""
    rng = np.random.default_rng(0)
    lengths = np.where(np.arange(ROWS) % 3 == 0, LONGEST + 5, rng.integers(0, 700, ROWS))
    lists = [rng.integers(1, ITEMS + 1, length).tolist() for length in lengths]
    log = {
        "u": rng.integers(0, 25, ROWS).tolist(),
        "i": rng.integers(1, ITEMS + 1, ROWS).tolist(),
        "y": rng.integers(0, 2, ROWS).tolist(),
    }
    texts = [" ".join(map(str, entries)) for entries in lists]
    frame = pl.DataFrame(log | {"h": lists if form == "list" else texts})
    frame.write_parquet(folder / "log.parquet")
    frame.select("u", "i", "y", h=pl.Series(texts)).write_csv(folder / "log.csv")
    pl.DataFrame({"i": np.arange(1, ITEMS + 1)}).write_parquet(folder / "items.parquet")
    return lists


def spec(form: str, longest: int, name: str = "log.parquet") -> DatasetSpec:
    history: dict[str, Any] = {"from": "list", "column": "h", "max_length": longest}
    if form == "text":
        history["separator"] = " "
    return parse_spec(
        {
            "name": "long",
            "interactions": {"path": name},
            "columns": {"user": "u", "item": "i", "label": "y"},
            "history": history,
            "items": {"path": "items.parquet", "key": "i"},
            "split": {"by": "user", "valid": 0.2, "test": 0.2},
        },
        "test",
    )


@pytest.mark.parametrize(
    ("form", "longest", "name"),
    [
        ("list", LONGEST, "log.parquet"),
        ("list", 1_700, "log.parquet"),
        ("text", LONGEST, "log.parquet"),
        ("text", LONGEST, "log.csv"),
    ],
)
def test_long_histories_of_few_rows_are_kept_whole(
    tmp_path: Path, form: str, longest: int, name: str
) -> None:
    lists, lines = write(tmp_path, form), list[str]()
    store = prepare(
        spec(form, longest, name),
        tmp_path,
        tmp_path / "out",
        max_memory=1 << 30,
        progress=lines.append,
    )
    assert "300 rows; memory at most 1.0 GiB" in lines[0]
    count = 0
    for part in PARTS:
        split = store.split(part)
        for r in range(len(split.group)):
            start, length = int(split.history_start[r]), int(split.history_length[r])
            entries = store.history_values[start : start + length].tolist()
            for n in range(int(split.row_start[r]), int(split.row_start[r + 1])):
                assert entries == lists[int(split.row_id[n])][-longest:]
                count += 1
    assert count == ROWS


def test_the_plan_asks_for_the_rows_there_are() -> None:
    record = 100
    alone = plan(0, RowBytes(record), 0, None).peak
    for longest in (1_700, 10_000):
        budget = plan(300, RowBytes(record, 8 * longest, 4 * longest), 0, None)
        assert budget.bits == 0
        assert budget.peak - alone < 300 * longest * (8 * 6 + 4 * 9) + 300 * record * 20
    negatives = plan(300, RowBytes(record * 1001), 0, None)  # per_positive: 1000
    assert negatives.peak - alone < 300 * record * 1001 * 16
    with pytest.raises(SpecError, match=r"--max-memory 300.0 MiB is too little: 9 items"):
        plan(300, RowBytes(record, 80_000, 400_000), 9, 300 << 20)


def test_many_long_histories_are_cut_into_small_chunks_and_buckets() -> None:
    """A million rows of 10,000 entries: each bucket and chunk fits, as 14 bits of users allow."""
    budget = plan(1_000_000, RowBytes(100, 80_000, 40_000), 0, 4 << 30)
    assert budget.peak <= 4 << 30
    assert budget.chunk_rows * 80_100 * 6 <= 1 << 30
    assert (1_000_000 >> budget.bits) * 40_100 * 9 <= 0.6 * (4 << 30)


def test_entries_of_a_row_are_known_before_it_is_read(tmp_path: Path) -> None:
    lists = write(tmp_path, "list")
    mean = sum(map(len, lists)) / ROWS
    history = History.model_validate({"from": "list", "column": "h", "max_length": LONGEST})
    parquet = Part(tmp_path / "log.parquet", None, COMMAS)
    bounds = history_entries([parquet], [ROWS], history)
    assert mean <= bounds.read <= mean + 2  # an empty list counts as an entry
    assert bounds.newest == bounds.read
    text = history_entries([Part(tmp_path / "log.csv", None, COMMAS)], [ROWS], history)
    assert mean <= text.read < 3 * mean  # bytes over two
    short = history.model_copy(update={"max_length": 50})
    assert history_entries([parquet], [ROWS], short).newest == 50
    none = History.model_validate({"from": "log"})
    assert history_entries([parquet], [ROWS], none) == (1, 1)
