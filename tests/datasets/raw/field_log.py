"""A log with one more column of any type, and what a store keeps of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, ITEMS, USERS = 240, 12, 15
PARTS = ("train", "valid", "test")
FIELDS = {"candidate_fields": [{"column": "c"}]}


def log(**columns: Sequence[Any]) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    base: dict[str, Any] = {
        "u": rng.integers(0, USERS, ROWS),
        "i": rng.integers(0, ITEMS, ROWS),
        "y": rng.integers(0, 2, ROWS),
        "t": np.arange(ROWS) + 1_600_000_000,
    }
    return pl.DataFrame(base | {name: pl.Series(values) for name, values in columns.items()})


def prepared(folder: Path, **changes: Any) -> PreparedDataset:
    raw: dict[str, Any] = {
        "name": "kinds",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": 4},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }
    return prepare(parse_spec(raw | changes, "test"), folder, folder / "out")


def in_two(folder: Path, first: pl.DataFrame, other: pl.DataFrame) -> dict[str, Any]:
    """A log in two files, as the spec names them."""
    first.write_parquet(folder / "one.parquet")
    other.write_parquet(folder / "other.parquet")
    return {"interactions": {"path": ["one.parquet", "other.parquet"]}}


def stored_values(store: PreparedDataset, field: str = "c", side: str = "candidate") -> list[Any]:
    """The text of one candidate field for every row of the log, None where it has code 0."""
    words = dict(store.vocabulary(side, field).iter_rows())
    of = {}
    for name in PARTS:
        split = store.split(name)
        for row, code in zip(
            split.row_id.tolist(), split.candidate_ids[:, 0].tolist(), strict=True
        ):
            of[row] = words.get(code)
    return [of[row] for row in sorted(of)]
