"""prepare against plain loops over the log: histories, splits, negatives, fields, fingerprint."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing.finish import Job
from fusefront.datasets.raw.reading import count_rows
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS = 1500, 40, 25
BASE = """
name: shop
interactions: {path: log.parquet}
columns: {user: u, item: i, label: y, timestamp: t}
history: {from: log, max_length: 4}
request_fields: [{column: g, type: category}]
candidate_fields: [{column: v, type: category}, {column: x, type: number}]
items: {path: items.parquet, key: i, fields: [{column: tags, type: categories, separator: "|"}]}
modalities: {text: {path: text.npy, keyed_by: row, present: has_text}}
split: {by: time, valid: 0.15, test: 0.2}
slices: [{name: cold, when: cold_item}, {name: where, column: g}]
"""
PARTS = ("train", "valid", "test")


def write(folder: Path, *, seed: int = 0) -> pl.DataFrame:
    """A log with repeated times, so that requests of several rows exist; keys are not row
    numbers."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, USERS, ROWS)
    log = pl.DataFrame(
        {
            "u": [f"user{k}" for k in user],
            "i": rng.integers(0, ITEMS, ROWS) * 7 + 3,
            "y": rng.integers(0, 2, ROWS),
            "t": np.sort(rng.integers(0, 400, ROWS)),
            "g": [("a", "b", "c")[k % 3] for k in user],
            "v": rng.choice(["p", "q", "r"], ROWS),
            "x": rng.normal(5, 3, ROWS),
        }
    )
    log.write_parquet(folder / "log.parquet")
    vectors = rng.standard_normal((ITEMS, 6)).astype(np.float32)
    there = [k % 5 != 0 for k in range(ITEMS)]
    pl.DataFrame(
        {
            "i": [k * 7 + 3 for k in range(ITEMS)],
            "tags": ["x|y" if k % 2 else "z" for k in range(ITEMS)],
            "has_text": there,
        }
    ).write_parquet(folder / "items.parquet")
    vectors[~np.array(there)] = np.nan
    np.save(folder / "text.npy", vectors)
    return log


def make(folder: Path, spec: str = BASE) -> PreparedDataset:
    (folder / "spec.yaml").write_text(spec, encoding="utf-8")
    return prepare(load_spec(folder / "spec.yaml"), folder, folder / "out")


def keys_of(store: PreparedDataset) -> list[Any]:
    frame = store.item_keys().sort("row")
    return [None, *frame["key"].to_list()]


def stored_rows(store: PreparedDataset, name: str) -> dict[int, tuple[Any, int, list[Any]]]:
    """row_id -> (item key, label, history of item keys)."""
    split, keys = store.split(name), keys_of(store)
    by_row = {}
    for r in range(len(split.group)):
        start, length = int(split.history_start[r]), int(split.history_length[r])
        history = [keys[k] for k in store.history_values[start : start + length]]
        for n in range(int(split.row_start[r]), int(split.row_start[r + 1])):
            by_row[int(split.row_id[n])] = (keys[split.item[n]], int(split.label[n]), history)
    return by_row


def past(log: pl.DataFrame, row: int, longest: int) -> list[Any]:
    """The user's positives strictly before the row, newest last, by a loop."""
    at = log.row(row, named=True)
    earlier = [
        other["i"]
        for other in log.iter_rows(named=True)
        if other["u"] == at["u"] and other["y"] == 1 and other["t"] < at["t"]
    ]
    return earlier[-longest:]


def test_every_row_is_stored_once_with_its_causal_history(tmp_path: Path) -> None:
    log = write(tmp_path)
    store = make(tmp_path)
    rows = {row: value for name in PARTS for row, value in stored_rows(store, name).items()}
    assert sorted(rows) == list(range(ROWS))
    for row in range(0, ROWS, 7):
        item, label, history = rows[row]
        assert item == log["i"][row]
        assert label == log["y"][row]
        assert history == past(log, row, 4)


def test_rows_of_a_request_share_user_and_history_and_stay_in_one_split(tmp_path: Path) -> None:
    log = write(tmp_path)
    store = make(tmp_path)
    several = 0
    for name in PARTS:
        split = store.split(name)
        for r in range(len(split.group)):
            ids = split.row_id[int(split.row_start[r]) : int(split.row_start[r + 1])]
            assert len({log["u"][int(n)] for n in ids}) == 1
            assert len({tuple(past(log, int(n), 4)) for n in ids[:3]}) == 1
            several += len(ids) > 1
    assert several > 50


def test_codes_are_those_of_train_and_numbers_are_standardised(tmp_path: Path) -> None:
    log = write(tmp_path)
    store = make(tmp_path)
    split = store.split("train")
    book = dict(store.vocabulary("candidate", "v").iter_rows())
    names = {int(code): value for code, value in book.items()}
    for n in range(0, len(split.item), 11):
        assert names[int(split.candidate_ids[n, 0])] == log["v"][int(split.row_id[n])]
    x = split.candidate_numbers[:, 0]
    assert float(x.mean()) == pytest.approx(0, abs=1e-3)
    assert float(x.std()) == pytest.approx(1, abs=1e-3)


def test_absent_vectors_are_zero_and_marked_whatever_the_file_held(tmp_path: Path) -> None:
    write(tmp_path)
    store = make(tmp_path)
    present, rows, keys = store.items.present[:, 0], store.vectors("text"), keys_of(store)
    raw = np.load(tmp_path / "text.npy")
    assert not present[0]
    for row in range(1, len(keys)):
        place = (keys[row] - 3) // 7
        assert present[row] == (place % 5 != 0)
        expected = raw[place] if present[row] else np.zeros(6)
        np.testing.assert_array_equal(rows[row], expected)


@pytest.mark.parametrize("by", ["user", "item_cold", "user_time", "random"])
def test_each_split_keeps_its_promise(tmp_path: Path, by: str) -> None:
    log = write(tmp_path)
    store = make(tmp_path, BASE.replace("by: time", f"by: {by}"))
    ids = {name: store.split(name).row_id.tolist() for name in PARTS}
    users = {name: {log["u"][n] for n in rows} for name, rows in ids.items()}
    items = {name: {log["i"][n] for n in rows} for name, rows in ids.items()}
    if by == "user":
        assert not users["train"] & users["test"]
        assert not users["valid"] & users["test"]
    if by == "item_cold":
        hidden = items["test"] - items["train"]
        assert len(hidden) >= round(0.2 * ITEMS) - 1
    if by == "user_time":
        last = {name: defaultdict(list) for name in PARTS}
        for name, rows in ids.items():
            for n in rows:
                last[name][log["u"][n]].append(log["t"][n])
        for user, times in last["train"].items():
            if user in last["test"]:
                assert max(times) <= min(last["test"][user])
    if by == "random":
        assert any("random" in warning for warning in store.manifest.warnings)


@pytest.mark.parametrize("draw", ["uniform", "popularity"])
def test_negatives_are_never_known_positives_nor_of_the_future(tmp_path: Path, draw: str) -> None:
    log = write(tmp_path).filter(pl.col("y") == 1)
    log.write_parquet(tmp_path / "log.parquet")
    spec = BASE.replace(", label: y", "") + f"negatives: {{per_positive: 2, draw: {draw}}}\n"
    store = make(tmp_path, spec)
    positives, first = defaultdict(set), {}
    for row in log.iter_rows(named=True):
        positives[row["u"]].add(row["i"])
        first.setdefault(row["i"], row["t"])
    keys, drawn = keys_of(store), 0
    for name in PARTS:
        split = store.split(name)
        assert split.timestamp is not None
        request = np.repeat(np.arange(len(split.group)), np.diff(split.row_start))
        user_of = {
            int(request[n]): log["u"][int(split.row_id[n])] for n in np.flatnonzero(split.label)
        }
        for n in np.flatnonzero(split.label == 0):
            item = keys[split.item[n]]
            drawn += 1
            assert item not in positives[user_of[int(request[n])]]
            assert first[item] < split.timestamp[n]
    assert drawn > log.height


def test_the_fingerprint_is_of_content_not_of_place_or_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    os.utime(tmp_path / "two" / "log.parquet", (1, 1))
    first, two = make(tmp_path / "one"), make(tmp_path / "two")
    assert first.fingerprint == two.fingerprint
    assert first.manifest.files == two.manifest.files
    vectors = bytearray((tmp_path / "two" / "text.npy").read_bytes())
    vectors[-1] ^= 1
    (tmp_path / "two" / "text.npy").write_bytes(bytes(vectors))
    assert make(tmp_path / "two").fingerprint != first.fingerprint


def test_small_memory_gives_the_same_store(tmp_path: Path) -> None:
    write(tmp_path)
    wide = make(tmp_path)
    spec = load_spec(tmp_path / "spec.yaml")
    tight = prepare(spec, tmp_path, tmp_path / "tight", max_memory=600 << 20)
    assert tight.manifest.files == wide.manifest.files


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_small_rows_are_close_to_the_vectors(tmp_path: Path, dtype: str) -> None:
    write(tmp_path)
    exact = make(tmp_path).vectors("text")
    small = make(tmp_path, BASE.replace("present: has_text", f"present: has_text, dtype: {dtype}"))
    assert small.items.vectors["text"].dtype == dtype
    np.testing.assert_allclose(
        small.vectors("text"), exact, atol=0.002 if dtype == "float16" else 0.02
    )


@pytest.mark.slow
def test_a_killed_prepare_leaves_nothing_half_done(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "spec.yaml").write_text(BASE, encoding="utf-8")
    program = str(Path(sys.executable).with_name("fusefront"))
    command = [program, "prepare", str(tmp_path / "spec.yaml"), "--out", str(tmp_path / "killed")]
    rng = random.Random(0)
    for _ in range(6):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.3, 1.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for store in (tmp_path / "killed" / "prepared").glob("*/*/manifest.json"):
            PreparedDataset.open(store.parent)  # complete, or not there
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    (store,) = (tmp_path / "killed" / "prepared").glob("*/*/manifest.json")
    assert PreparedDataset.open(store.parent).manifest.files == make(tmp_path).manifest.files


def test_a_store_that_lost_files_says_what_to_do_or_is_made_again(tmp_path: Path) -> None:
    write(tmp_path)
    store = make(tmp_path)
    (store.path / "items" / "present.npy").unlink()
    with pytest.raises(DataContractError, match=r"present\.npy: missing; delete the folder and"):
        make(tmp_path)
    (store.path / "manifest.json").unlink()
    assert make(tmp_path).manifest == store.manifest


def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(job: Job, *_: object) -> None:
        (job.folder / "half.npy").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(tmp_path)
    monkeypatch.setattr("fusefront.datasets.prepare.write_store", full)
    with pytest.raises(SpecError, match="no space left on device; free some"):
        make(tmp_path)
    assert not any((tmp_path / "out").iterdir())


def test_rows_of_a_text_file_are_counted_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    lines = [f"{k},{'x' * (k // 100)}" for k in range(5000)]
    path.write_text("\n".join(["a,b", *lines]), encoding="utf-8")
    assert count_rows(path) == 5000
    path.write_text("\n".join(["a,b", *lines, ""]), encoding="utf-8")
    assert count_rows(path) == 5000
