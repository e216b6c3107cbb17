"""Vectors one row off are found by clicks or by fields; honest vectors never are, nor useless
ones."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.finding import Finding
from fusefront.datasets.audit.report import audit
from fusefront.datasets.audit.rows import sample_users
from fusefront.datasets.audit.shifted import SHIFTS, check_shifted, of_clicks, of_fields, projected
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS, WIDTH = 12_000, 300, 400, 16


def world(
    folder: Path, seed: int, *, roll: int = 0, taste: float = 2.0, **spec: Any
) -> PreparedDataset:
    """Users who click what is near their taste, items of 20 kinds, vectors that show both."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 20, ITEMS)
    latent = random.standard_normal((20, 4))[kind] + 0.7 * random.standard_normal((ITEMS, 4))
    user = random.integers(0, USERS, ROWS)
    item = random.integers(0, ITEMS, ROWS)
    liking = random.standard_normal((USERS, 4)) / 2
    logit = taste * (liking[user] * latent[item]).sum(1) - 0.5
    vectors = latent @ random.standard_normal((4, WIDTH)) + 0.5 * random.standard_normal(
        (ITEMS, WIDTH)
    )
    folder.mkdir(exist_ok=True)
    log = {
        "u": user,
        "i": item + 1,
        "y": (random.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(np.int64),
        "t": 1_600_000_000 + 60 * np.arange(ROWS),
    }
    pl.DataFrame(log).write_parquet(folder / "log.parquet")
    pl.DataFrame({"i": np.arange(1, ITEMS + 1), "g": kind}).write_parquet(folder / "items.parquet")
    np.save(folder / "text.npy", np.roll(vectors, roll, axis=0).astype(np.float32))
    raw = {
        "name": "shop",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": 20},
        "items": {"path": "items.parquet", "key": "i", "fields": [{"column": "g"}]},
        "modalities": {"text": {"path": "text.npy", "keyed_by": "row"}},
        "split": {"by": "time", "valid": 0.1, "test": 0.2},
        **spec,
    }
    return prepare(parse_spec(raw, "spec"), folder, folder / "out")


def shifted(store: PreparedDataset) -> list[Finding]:
    return check_shifted(store, sample_users(store))


NO_FIELDS = {"items": {"path": "items.parquet", "key": "i"}}
NO_HISTORY = {"history": {"from": "none"}}


@pytest.mark.parametrize("roll", [1, -1])
@pytest.mark.parametrize("evidence", ["clicks", "the field 'g'"])
def test_vectors_one_row_off_are_severe(tmp_path: Path, roll: int, evidence: str) -> None:
    store = world(tmp_path, 1, roll=roll, **(NO_FIELDS if evidence == "clicks" else NO_HISTORY))
    finding = {entry.name: entry for entry in audit(store).findings}["shifted_vectors.text"]
    assert finding.severity == "severe"
    assert finding.numbers["shift"] == roll  # row i + roll has the vector of item i
    assert evidence in finding.title
    assert ("after" if roll > 0 else "before") in finding.title


@pytest.mark.parametrize("seed", range(20))
def test_honest_vectors_are_never_shifted(tmp_path: Path, seed: int) -> None:
    assert shifted(world(tmp_path, seed)) == []


@pytest.mark.parametrize("seed", range(3))
def test_vectors_that_say_nothing_are_never_shifted(tmp_path: Path, seed: int) -> None:
    store = world(tmp_path, seed, taste=0.0)
    noise = np.random.default_rng(seed).standard_normal((ITEMS + 1, WIDTH))
    np.save(store.path / "items" / "modality_text.npy", noise.astype(np.float32))
    assert shifted(PreparedDataset(store.path, store.manifest)) == []


def test_a_catalogue_in_the_order_of_its_kinds_is_not_shifted(tmp_path: Path) -> None:
    """Neighbours are alike there: the row beside fits nearly as well, never far better."""
    store = world(tmp_path, 2)
    order = 1 + np.argsort(store.items.fields[1:, 0], kind="stable")
    for name in ("modality_text", "fields"):
        table = np.load(store.path / "items" / f"{name}.npy")
        table[1:] = table[order]
        np.save(store.path / "items" / f"{name}.npy", table)
    assert shifted(PreparedDataset(store.path, store.manifest)) == []


def test_rows_that_lack_a_vector_are_left_out(tmp_path: Path) -> None:
    some = np.arange(ITEMS) % 5 == 0
    honest = world(tmp_path / "honest", 3)
    path = tmp_path / "honest" / "text.npy"
    vectors = np.load(path)
    vectors[some] = 0
    np.save(path, vectors)
    assert shifted(honest) == []
    store = world(tmp_path / "off", 3, roll=1)
    vectors = np.load(store.path / "items" / "modality_text.npy")
    present = np.load(store.path / "items" / "present.npy")
    vectors[1:][some], present[1:][some] = 0, False
    np.save(store.path / "items" / "modality_text.npy", vectors)
    np.save(store.path / "items" / "present.npy", present)
    (finding,) = shifted(PreparedDataset(store.path, store.manifest))
    assert finding.numbers["shift"] == 1


def test_the_evidence_is_that_of_plain_loops(tmp_path: Path) -> None:
    store = world(tmp_path, 4)
    own = projected(store, "text", np.arange(1, ITEMS + 1)).astype(np.float64)
    tables = [own.astype(np.float32)] * (1 + len(SHIFTS))
    first = next(iter(of_clicks(store, tables)))
    split, values = store.split("train"), store.history_values
    clicks, shown = store.items.clicks, store.items.impressions
    rate = (clicks + 10 * clicks.sum() / shown.sum()) / (shown + 10)
    pasts = [
        values[start : start + length][-20:]
        for start, length in zip(split.history_start, split.history_length, strict=True)
    ]
    middle = sum(own[past].sum(0) for past in pasts) / sum(map(len, pasts))
    by_item, by_user = np.zeros(ITEMS + 1), {}
    for request, past in enumerate(pasts):
        for row in range(split.row_start[request], split.row_start[request + 1]):
            item = split.item[row]
            others = past[past != item]
            if not len(others):
                continue
            likeness = (own[others].mean(0) - middle) @ own[item]
            term = (float(split.label[row]) - rate[item]) * likeness
            user = int(split.group[request])
            by_item[item] += term
            by_user[user] = by_user.get(user, 0.0) + term
    sums = [by_item, np.array(list(by_user.values()))]
    z = min((s.sum() / np.sqrt((s**2).sum()) for s in sums), key=abs)
    assert first.own == pytest.approx(z, rel=1e-3)  # one block: the middle is that of all
    assert first.better == 0.0

    code = store.items.fields[:, 0]
    terms = np.zeros(ITEMS + 1)
    for item in range(1, ITEMS + 1):
        alike = np.flatnonzero((code == code[item]) & (np.arange(ITEMS + 1) != item))
        terms[item] = own[alike].mean(0) @ own[item] if len(alike) else 0.0
    z = terms.sum() / np.sqrt((terms**2).sum()) / np.sqrt(2)
    assert next(iter(of_fields(store, tables))).own == pytest.approx(z, rel=1e-4)
