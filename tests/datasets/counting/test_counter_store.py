"""A counter store is read as it was written, or refused in a sentence."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.counting.counter_store import CountedLog, CounterStore
from fusefront.datasets.counting.state import START, CounterState
from fusefront.datasets.errors import DataContractError

from .test_state import arrays, by_time

KINDS: list[object] = [
    {"of": "user"},
    {"residual": ["user", "item.genres"]},
    {"of": "item", "decay": "12h"},
]
LOGS = (CountedLog(name="a.parquet", sha256="0" * 64, rows=900),)


@pytest.fixture(scope="module")
def store(world: Any) -> Any:
    return world.store(KINDS)


@pytest.fixture
def folder(store: Any, tmp_path: Path) -> Path:
    state = CounterState(store.manifest.counters)
    state.count(by_time(store).take(slice(0, 900)))
    CounterStore("f00", state, LOGS).write(tmp_path)
    return tmp_path


def test_what_is_read_goes_on_as_what_was_written(store: Any, folder: Path) -> None:
    rows = by_time(store)
    state = CounterState(store.manifest.counters)
    state.count(rows.take(slice(0, 900)))
    again = CounterStore.open(folder)
    assert (again.fingerprint, again.logs) == ("f00", LOGS)
    assert (again.state.until, again.state.rows) == (state.until, 900)
    assert [each.ledger for each in again.state.ledgers] == [each.ledger for each in state.ledgers]
    for actual, expected in zip(arrays(again.state), arrays(state), strict=True):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
    for each in (state, again.state):
        each.count(rows.take(slice(900, 1000)))
    for actual, expected in zip(arrays(again.state), arrays(state), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_every_table_is_on_record_with_its_hash(folder: Path, store: Any) -> None:
    facts = json.loads((folder / "counters.json").read_text())
    assert (facts["kind"], facts["format"], facts["rows"]) == ("fusefront-counters", 1, 900)
    count = len(store.manifest.counters.plan.ledgers)
    names = [f"ledger_{place}.parquet" for place in range(count)]
    assert list(facts["tables"]) == names
    assert sorted(path.name for path in folder.iterdir()) == ["counters.json", *names]
    for name, digest in facts["tables"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    columns = [pl.read_parquet_schema(folder / name).names() for name in names]
    assert {len(each) for each in columns} == {4, 5}  # a ledger of residuals has one more
    assert columns[-1] == ["key", "time", "rows", "positives", "residual"]


def test_a_fresh_store_has_counted_nothing(store: Any, tmp_path: Path) -> None:
    empty = CounterStore.empty("f00", store.manifest.counters)
    assert (empty.state.until, empty.state.rows, empty.logs) == (START, 0, ())
    assert START < -(10**18)  # before any time in nanoseconds
    empty.write(tmp_path)
    assert CounterStore.open(tmp_path).state.until == START


def changed(folder: Path, **facts: object) -> None:
    path = folder / "counters.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def other_bytes(folder: Path) -> None:
    path = folder / "ledger_0.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


DAMAGES = {
    "a table changed": (other_bytes, "ledger_0.parquet: missing or changed since it was written"),
    "a table gone": (lambda f: (f / "ledger_1.parquet").unlink(), "missing or changed"),
    "another kind": (lambda f: changed(f, kind="other"), "no counter store that this version"),
    "a newer format": (lambda f: changed(f, format=2), "no counter store that this version reads"),
    "no object": (lambda f: (f / "counters.json").write_text("[]"), "no counter store that this"),
    "no JSON": (lambda f: (f / "counters.json").write_text("{"), "counters.json: unreadable ("),
    "a key gone": (lambda f: changed(f, rows="many"), "counters.json: unreadable ("),
    "tables gone": (lambda f: changed(f, tables={}), "lists other tables than its counters need"),
    "before all time": (lambda f: changed(f, until=START - 1), "lists other tables than"),
    "gone": (lambda f: (f / "counters.json").unlink(), "no counter store; `fusefront counters"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_sentence(folder: Path, damage: str) -> None:
    spoil, sentence = DAMAGES[damage]
    spoil(folder)
    with pytest.raises(DataContractError) as refusal:
        CounterStore.open(folder)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_table_outside_the_folder_is_not_read(folder: Path) -> None:
    facts = json.loads((folder / "counters.json").read_text())
    (folder.parent / "away").mkdir()
    (folder / "ledger_0.parquet").rename(folder.parent / "away" / "ledger_0.parquet")
    tables = {
        f"../away/{name}" if name == "ledger_0.parquet" else name: digest
        for name, digest in facts["tables"].items()
    }
    changed(folder, tables=tables)
    with pytest.raises(DataContractError, match="missing or changed"):
        CounterStore.open(folder)
