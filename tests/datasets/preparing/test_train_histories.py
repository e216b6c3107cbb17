"""`history: from log` without times under a given split: the user's train positives, leave-one-out
in train."""

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.audit.report import audit, refuse_severe
from fusefront.datasets.audit.shortcuts import single_aucs
from fusefront.datasets.errors import SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import pipeline, train_past
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, USERS, ITEMS, DRAWN = 1_500, 60, 40, 3
PARTS = ("train", "valid", "test")
LENGTHS = (1, 5, 100)  # a user has about 6 train positives, some have 25


def spec(longest: int, **changes: Any) -> DatasetSpec:
    raw: dict[str, Any] = {
        "name": "untimed",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y"},
        "history": {"from": "log", "max_length": longest},
        "items": {"path": "items.parquet", "key": "i"},
        "split": {"by": "given", "column": "part"},
    }
    return parse_spec(raw | changes, "test")


def drawing(longest: int) -> DatasetSpec:
    columns = {"user": "u", "item": "i"}
    return spec(longest, columns=columns, negatives={"per_positive": DRAWN})


def write(folder: Path, *, positives: bool = False) -> pl.DataFrame:
    """Users of unlike activity, items that come back, users without any row in train."""
    rng = np.random.default_rng(0)
    user = (rng.random(ROWS) ** 2 * USERS).astype(int)
    label = np.ones(ROWS, int) if positives else (rng.random(ROWS) < 0.35).astype(int)
    log = pl.DataFrame(
        {
            "u": [f"user{k}" for k in user],
            "i": rng.integers(0, ITEMS, ROWS),
            "y": label,
            "part": rng.choice(PARTS, ROWS, p=[0.6, 0.2, 0.2]),
            "r": rng.integers(0, 4, ROWS),
        }
    )
    late = (pl.col("u") == "user3") & (pl.col("part") == "train")
    log = log.filter(~late)
    log.write_parquet(folder / "log.parquet")
    pl.DataFrame({"i": np.arange(ITEMS)}).write_parquet(folder / "items.parquet")
    return log


class Stored(NamedTuple):
    part: str
    request: int
    item: int
    label: int
    history: list[int]


def stored(store: PreparedDataset) -> dict[int, Stored]:
    """row id -> what the store has of the row."""
    keys, by_row = dict(store.item_keys().iter_rows()), {}
    for name in PARTS:
        split = store.split(name)
        for r in range(len(split.group)):
            start, length = int(split.history_start[r]), int(split.history_length[r])
            history = [keys[int(k)] for k in store.history_values[start : start + length]]
            for n in range(int(split.row_start[r]), int(split.row_start[r + 1])):
                item, label = keys[int(split.item[n])], int(split.label[n])
                by_row[int(split.row_id[n])] = Stored(name, r, item, label, history)
    return by_row


def train_positives(log: pl.DataFrame) -> dict[str, list[tuple[int, int]]]:
    """user -> (row, item) of the train positives in the order of the log."""
    by_user = defaultdict(list)
    for row, (user, item, label, part) in enumerate(log.select("u", "i", "y", "part").iter_rows()):
        if label and part == "train":
            by_user[user].append((row, item))
    return by_user


def without(clicks: list[tuple[int, int]], out: set[int], longest: int) -> list[int]:
    return [item for row, item in clicks if row not in out][-longest:]


@pytest.mark.parametrize("longest", LENGTHS)
def test_a_row_of_train_lacks_its_own_click_and_no_other_row_does(
    tmp_path: Path, longest: int
) -> None:
    log = write(tmp_path)
    by_user, store = train_positives(log), prepare(spec(longest), tmp_path, tmp_path / "out")
    by_row = stored(store)
    assert sorted(by_row) == list(range(log.height))
    assert not by_user["user3"]
    for row, (user, item, label, part) in enumerate(log.select("u", "i", "y", "part").iter_rows()):
        mine, actual = by_user[user], by_row[row]
        assert (actual.item, actual.label, actual.part) == (item, label, part)
        if part != "train":
            assert actual.history == [held_item for _, held_item in mine][-longest:]
        elif label:
            assert actual.history == without(mine, {row}, longest)
        else:
            same = [held_row for held_row, held_item in mine if held_item == item]
            one_of = same[:1] or [held_row for held_row, _ in mine]
            fitting = [without(mine, {candidate}, longest) for candidate in one_of] or [[]]
            assert actual.history in fitting
    assert max(len(mine) for mine in by_user.values()) > 20


@pytest.mark.parametrize("longest", LENGTHS)
def test_requests_are_rows_that_share_a_user_and_a_history(tmp_path: Path, longest: int) -> None:
    log = write(tmp_path)
    by_row = stored(prepare(spec(longest), tmp_path, tmp_path / "out"))
    together = defaultdict(set)
    for row, actual in by_row.items():
        together[actual.part, actual.request].add(row)
    for (part, _), rows in together.items():
        assert len({log["u"][row] for row in rows}) == 1
        assert len({tuple(by_row[row].history) for row in rows}) == 1
        clicks = [row for row in rows if log["y"][row]]
        mine = train_positives(log)[log["u"][next(iter(rows))]]
        if part == "train" and 0 < len(mine) <= longest:
            assert len(clicks) == 1  # a click and the rows that lack the same
    of_users = {
        (actual.part, log["u"][row]) for row, actual in by_row.items() if actual.part != "train"
    }
    assert len([key for key in together if key[0] != "train"]) == len(of_users)


@pytest.mark.parametrize("longest", [5, 100])
def test_drawn_rows_lack_the_click_they_were_drawn_for(tmp_path: Path, longest: int) -> None:
    log = write(tmp_path, positives=True)
    by_user = train_positives(log)
    store = prepare(drawing(longest), tmp_path, tmp_path / "out")
    by_row = stored(store)
    for row, actual in by_row.items():
        source = row if row < log.height else (row - log.height) // DRAWN
        user, part = log["u"][source], log["part"][source]
        out = {source} if part == "train" else set()
        assert (actual.part, actual.label) == (part, int(row < log.height))
        assert actual.history == without(by_user[user], out, longest)
        assert actual.request == by_row[source].request
    together = defaultdict(list)
    for row, actual in by_row.items():
        if actual.part == "train":
            together[actual.request].append(row)
    for rows in together.values():
        source = min(rows)
        assert source < log.height
        if len(by_user[log["u"][source]]) <= longest:  # else the older ones share a history
            assert all((row - log.height) // DRAWN == source for row in rows if row != source)
    refuse_severe(audit(store))


@pytest.mark.parametrize("longest", LENGTHS)
def test_a_request_that_the_log_names_lacks_all_its_clicks(tmp_path: Path, longest: int) -> None:
    log = write(tmp_path)
    columns = {"user": "u", "item": "i", "label": "y", "request": "r"}
    by_row = stored(prepare(spec(longest, columns=columns), tmp_path, tmp_path / "out"))
    by_user, clicks = train_positives(log), defaultdict(set)
    for row, (user, request, label, part) in enumerate(log.select("u", "r", "y", "part").rows()):
        if label and part == "train":
            clicks[user, request].add(row)
    for row, (user, request, part) in enumerate(log.select("u", "r", "part").iter_rows()):
        actual, mine = by_row[row], by_user[user]
        if part != "train":
            assert actual.history == without(mine, set(), longest)
        elif out := clicks[user, request]:
            assert actual.history == without(mine, out, longest)
        else:
            fitting = [without(mine, {candidate}, longest) for candidate, _ in mine] or [[]]
            assert actual.history in fitting
    for name in PARTS:
        requests = {
            (log["u"][row], log["r"][row]) for row, actual in by_row.items() if actual.part == name
        }
        assert len({actual.request for actual in by_row.values() if actual.part == name}) == len(
            requests
        )


def test_the_length_of_a_history_tells_nothing(tmp_path: Path) -> None:
    """Were only the clicks left out, a click's history would be the shorter one, user by user."""
    log = write(tmp_path)
    store = prepare(spec(100), tmp_path, tmp_path / "out")
    by_row, lengths = stored(store), defaultdict(set)
    for row, actual in by_row.items():
        if actual.part == "train":
            lengths[log["u"][row]].add(len(actual.history))
    assert all(len(sizes) == 1 for sizes in lengths.values())
    assert abs(single_aucs(store)["history length"] - 0.5) < 0.1


def test_the_manifest_and_the_audit_say_how(tmp_path: Path) -> None:
    write(tmp_path)
    store = prepare(spec(5), tmp_path, tmp_path / "out")
    assert store.manifest.history is not None
    assert store.manifest.history.past == "train"
    report = audit(store)
    refuse_severe(report)
    finding_of_train = {finding.name: finding for finding in report.findings}["history_of_train"]
    assert finding_of_train.severity == "note"
    assert (
        "the user's positives in train, in a row of train without its own" in finding_of_train.title
    )
    assert {"sibling rows", "repeated rows"} <= set(report.not_run)  # the history is no request
    none = prepare(spec(5, history={"from": "none"}), tmp_path, tmp_path / "out")
    assert none.manifest.history is not None
    assert none.manifest.history.past == "none"
    assert len(none.history_values) == 0
    assert "history_of_train" not in {finding.name for finding in audit(none).findings}


@pytest.mark.parametrize("negatives", [True, False])
def test_chunks_buckets_and_blocks_of_any_size_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, negatives: bool
) -> None:
    write(tmp_path, positives=negatives)
    dataset = drawing(5) if negatives else spec(5)
    whole = stored(prepare(dataset, tmp_path, tmp_path / "whole"))
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, 64, 3, 1, 1))
    monkeypatch.setattr(train_past, "_BLOCK", 7)
    assert stored(prepare(dataset, tmp_path, tmp_path / "parts")) == whole


@pytest.mark.parametrize("by", ["user", "random", "item_cold"])
def test_without_times_a_split_that_is_not_given_names_the_way_out(by: str) -> None:
    sentence = r"needs columns\.timestamp.*the user's train positives, which needs split by: given"
    with pytest.raises(SpecError, match=sentence):
        spec(5, split={"by": by})
