"""Rows that the log gives no request: requests by user and time, against a plain loop."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec

ROWS = 400
NONES: dict[str, tuple[Any, Any]] = {
    "null": (None, None),
    "minus one": (-1, -1),
    "minus one as text": ("-1", -1),
    "minus one as a fraction": (-1.0, -1),
    "a word": ("none", "none"),
    "blank text": ("", None),
}


@pytest.mark.parametrize("name", NONES)
@pytest.mark.parametrize("history", ["log", "none"])
@pytest.mark.parametrize("timed", [True, False])
def test_rows_without_a_request_are_one_by_user_and_time(
    tmp_path: Path, name: str, history: str, timed: bool
) -> None:
    none, declared = NONES[name]
    rng = np.random.default_rng(4)
    kind = type(none) if none is not None else int
    user, time = rng.integers(0, 12, ROWS), np.sort(rng.integers(0, 90, ROWS))
    has_request = rng.random(ROWS) < 0.5
    ids = [kind(7 + k // 40) if has_request[k] else none for k in range(ROWS)]
    log = {"u": user, "i": rng.integers(0, 9, ROWS), "y": rng.integers(0, 2, ROWS), "t": time}
    pl.DataFrame(log | {"r": ids}).write_parquet(tmp_path / "log.parquet")
    columns: dict[str, Any] = {"user": "u", "item": "i", "label": "y", "request": "r"}
    columns |= {"timestamp": "t"} if timed else {}
    columns |= {"no_request": declared} if declared is not None else {}
    if history == "log" and not timed:
        history = "none"  # without times there is no earlier row
    raw = {
        "name": "requests",
        "interactions": {"path": "log.parquet"},
        "columns": columns,
        "history": {"from": history},
        "items": {"keys": "log"},
        "split": {"by": "user", "valid": 0.3, "test": 0.3},
    }
    store = prepare(parse_spec(raw, "test"), tmp_path, tmp_path / "out")
    expected: dict[Any, set[int]] = defaultdict(set)
    for row in range(ROWS):
        moment = time[row] if timed else row
        expected[(user[row], ids[row]) if has_request[row] else (user[row], "at", moment)].add(row)
    stored = set()
    for part in ("train", "valid", "test"):
        split = store.split(part)
        for begin, end in zip(split.row_start, split.row_start[1:], strict=False):
            stored.add(frozenset(split.row_id[begin:end].tolist()))
    assert stored == {frozenset(rows) for rows in expected.values()}
    loss = store.manifest.losses["rows.no_request"]
    assert (loss.count, loss.of) == (int((~has_request).sum()), ROWS)


def test_a_value_for_none_needs_the_column() -> None:
    raw = {
        "name": "requests",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "no_request": -1},
        "history": {"from": "none"},
        "items": {"keys": "log"},
        "split": {"by": "user"},
    }
    with pytest.raises(SpecError, match="'no_request' is a value of 'request'; name that column"):
        parse_spec(raw, "test")


@pytest.mark.parametrize("timed", [True, False])
def test_without_such_a_column_a_request_is_a_user_and_a_moment(
    tmp_path: Path, timed: bool
) -> None:
    rng = np.random.default_rng(8)
    user, time = rng.integers(0, 6, ROWS), np.sort(rng.integers(0, 90, ROWS))
    log = {"u": user, "i": rng.integers(0, 9, ROWS), "y": rng.integers(0, 2, ROWS), "t": time}
    pl.DataFrame(log).write_parquet(tmp_path / "log.parquet")
    raw = {
        "name": "requests",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y"} | ({"timestamp": "t"} if timed else {}),
        "history": {"from": "none"},
        "items": {"keys": "log"},
        "split": {"by": "user", "valid": 0.3, "test": 0.3},
    }
    store = prepare(parse_spec(raw, "test"), tmp_path, tmp_path / "out")
    expected: dict[Any, set[int]] = defaultdict(set)
    for row in range(ROWS):
        expected[user[row], time[row] if timed else row].add(row)
    stored = {
        frozenset(split.row_id[begin:end].tolist())
        for split in map(store.split, ("train", "valid", "test"))
        for begin, end in zip(split.row_start, split.row_start[1:], strict=False)
    }
    assert stored == {frozenset(rows) for rows in expected.values()}
