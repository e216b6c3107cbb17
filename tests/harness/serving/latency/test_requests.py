"""Requests as they arrive and as a graph gets them, by plain loops over the store; who leads a
bench."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.harness.serving.export.request import joined
from fusefront.harness.serving.latency.plan import BenchPlan
from fusefront.harness.serving.latency.requests import Arrived, Lookup, draw


def arrived(store: PreparedDataset, who: int, rows: list[int]) -> Arrived:
    """The request `who` of test with the items and contexts of some rows of test."""
    split, key_of = store.split("test"), dict(store.item_keys().select("row", "key").iter_rows())
    return Arrived(
        who,
        np.array([key_of[int(split.item[row])] for row in rows]),
        (
            np.array(split.request_ids[who], np.int64),
            np.array(split.request_numbers[who], np.float32),
        ),
        (
            np.array([split.candidate_ids[row] for row in rows], np.int64),
            np.array([split.candidate_numbers[row] for row in rows], np.float32),
        ),
    )


def same(request: Arrived, expected: Arrived) -> None:
    assert request.who == expected.who
    np.testing.assert_array_equal(request.keys, expected.keys)
    for part, right in zip(
        (*request.request, *request.candidates),
        (*expected.request, *expected.candidates),
        strict=True,
    ):
        assert part.dtype == right.dtype
        np.testing.assert_array_equal(part, right)


def test_users_and_rows_are_drawn_evenly_and_contexts_come_with_their_row(
    ragged: PreparedDataset,
) -> None:
    split = ragged.split("test")
    drawn = draw(ragged, split, 5, np.random.default_rng(3), count=40)
    rng = np.random.default_rng(3)
    users, rows = rng.integers(0, 17, 40), rng.integers(0, 183, (40, 5))
    assert len(drawn) == 40
    for request, who, chosen in zip(drawn, users.tolist(), rows.tolist(), strict=True):
        same(request, arrived(ragged, who, chosen))
    assert len(draw(ragged, split, 1, np.random.default_rng(0))) == 1000


def test_a_feed_is_the_newest_history_and_the_rows_of_the_keys(ragged: PreparedDataset) -> None:
    split = ragged.split("test")
    lookup = Lookup.of(ragged, split)
    assert lookup.max_history == 10
    for who in range(17):
        start, length = int(split.history_start[who]), int(split.history_length[who])
        history = [int(i) for i in ragged.history_values[start : start + length]][-10:]
        feed = lookup.feed(arrived(ragged, who, [who, 50, 7]))
        assert lookup.history(who).tolist() == history
        assert lookup.history_kinds(who) is None
        assert feed["history"].tolist() == [history or [0]]
        assert feed["history_mask"].tolist() == [[True] * len(history) or [False]]
        assert feed["candidates"].tolist() == [[int(split.item[row]) for row in (who, 50, 7)]]
        assert feed["request_ids"].tolist() == [split.request_ids[who].tolist()]
        assert feed["candidate_numbers"].tolist() == [
            split.candidate_numbers[[who, 50, 7]].tolist()
        ]
        assert "history_kinds" not in feed


def test_a_history_is_cut_to_the_newest(ragged: PreparedDataset) -> None:
    whole = Lookup.of(ragged, ragged.split("test"))
    short = Lookup(
        whole.values,
        (whole.values % 5).astype(np.uint8),
        whole.start,
        np.where(np.arange(17) == 2, 0, whole.length).astype(np.int32),
        3,
        whole.row_of,
    )
    for who in range(17):
        expected = [] if who == 2 else whole.history(who).tolist()[-3:]
        assert short.history(who).tolist() == expected
        feed = short.feed(arrived(ragged, who, [0]))
        assert feed["history_kinds"].tolist() == [[item % 5 for item in expected] or [0]]
        assert feed["history"].shape == feed["history_mask"].shape == feed["history_kinds"].shape


def test_an_unknown_key_is_row_nothing_and_an_empty_side_is_left_out(
    ragged: PreparedDataset,
) -> None:
    lookup = Lookup.of(ragged, ragged.split("test"))
    request = arrived(ragged, 4, [9, 9])
    none = (np.zeros(0, np.int64), request.request[1])
    feed = lookup.feed(request._replace(keys=np.array([-7, request.keys[0]]), request=none))
    assert feed["candidates"][0, 0] == 0
    assert feed["candidates"][0, 1] == ragged.split("test").item[9]
    assert "request_ids" not in feed
    assert "request_numbers" in feed


def test_requests_at_once_are_padded_on_the_left(ragged: PreparedDataset) -> None:
    lookup = Lookup.of(ragged, ragged.split("test"))
    feeds = [lookup.feed(arrived(ragged, who, [who, 3])) for who in (0, 1, 4, 7)]
    whole = joined(feeds)
    width = max(feed["history"].shape[1] for feed in feeds)
    assert min(feed["history"].shape[1] for feed in feeds) < width
    for row, feed in enumerate(feeds):
        length = feed["history"].shape[1]
        assert (
            whole["history"][row].tolist() == [0] * (width - length) + feed["history"][0].tolist()
        )
        assert whole["history_mask"][row].tolist() == [False] * (width - length) + [True] * length
        for name in ("candidates", "request_ids", "request_numbers", "candidate_ids"):
            assert whole[name][row].tolist() == feed[name][0].tolist()


@pytest.fixture
def study(ragged: PreparedDataset, tmp_path: Path) -> StudyFolder:
    """Records of runs by their AUC on validation; nothing is trained."""
    shutil.copytree(ragged.path, tmp_path / "prepared")
    auc = {"today": 0.9, "a": 0.6, "b": 0.8, "shuffled": 0.99, "c": 0.7}
    cells = [
        Cell(
            name,
            "control" if name == "shuffled" else "strategy",
            RunSpec(ragged.name, ragged.fingerprint, name, {}, {"epochs": 1}, 0),
        )
        for name in auc
    ]
    for cell in cells:
        path = tmp_path / "runs" / ragged.name / cell.strategy / cell.spec.run_id
        path.mkdir(parents=True)
        summary = {"run_id": cell.spec.run_id, "valid_auc": auc[cell.strategy]}
        (path / "summary.json").write_text(json.dumps(summary))
    folder = tmp_path / "studies" / "s"
    folder.mkdir(parents=True)
    spec = {"name": "s", "dataset": "d.yaml", "baseline": "today"}
    spec |= {"strategies": {name: {} for name in auc}}  # type: ignore[dict-item]
    (folder / "study.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    matrix = {"dataset": ragged.name, "fingerprint": ragged.fingerprint, "store": "prepared"}
    rows: dict[str, Any] = {"cells": [cell.to_json() for cell in cells]}
    (folder / "matrix.json").write_text(json.dumps({**matrix, **rows}))
    return find_study("s", tmp_path)


def test_a_bench_draws_every_k_once_and_names_who_matters(
    study: StudyFolder, ragged: PreparedDataset
) -> None:
    runs = study.completed()
    plan = BenchPlan.make(study, runs, (7, 2), 4, seed=5)
    assert list(plan.requests) == [2, 4, 7]
    rng, split = np.random.default_rng(5), ragged.split("test")
    for k in (2, 4, 7):  # one stream of draws, the smallest first
        for request, expected in zip(plan.requests[k], draw(ragged, split, k, rng), strict=True):
            same(request, expected)
    assert (plan.decide_at, plan.baseline) == (4, "today")
    assert plan.leaders == ("b", "c")  # the best two strategies beside today's; no control
    lengths = [min(int(split.history_length[r.who]), 10) for r in plan.requests[4]]
    assert plan.mean_history == pytest.approx(np.mean(lengths))
    assert list(BenchPlan.make(study, runs, (4, 2), 4, seed=5).requests) == [2, 4]
    others = [run for run in runs if run.strategy not in ("today", "b")]
    fallen = BenchPlan.make(study, others, (1,), 1, seed=5)
    assert (fallen.baseline, fallen.leaders) == ("a", ("c", "a"))
