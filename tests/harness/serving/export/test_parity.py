"""The gate before a latency counts, on errors of known size; feeds against the store."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from fusefront.baselines.contract import Baseline, Events
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher
from fusefront.harness.data.tables import schema_of
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.serving.export import parity
from fusefront.harness.serving.export.online import eager_logits
from fusefront.harness.serving.export.parity import (
    batch_feed,
    check_exact,
    check_reduced,
    score_split,
    split_feeds,
)
from fusefront.harness.serving.export.request import Feed, FeedShape
from fusefront.harness.training.build import build_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import LONGEST, predict


@pytest.fixture(scope="module")
def model(ragged: PreparedDataset) -> Baseline:
    spec = RunSpec(ragged.name, ragged.fingerprint, "early_fusion", {}, {}, 0)
    return build_model(spec, ragged, load_parts([])).eval()


def eager(model: Baseline) -> Any:
    codes = encode_table(model, 45)
    return codes, lambda feed: eager_logits(model, codes, feed)


@pytest.mark.parametrize(("off", "passed"), [(0.0, True), (3.9e-5, True), (4.2e-5, False)])
def test_float32_is_within_a_hundred_thousandth_of_a_probability(
    ragged: PreparedDataset, model: Baseline, off: float, passed: bool
) -> None:
    """Near a logit of 0 a probability moves by a quarter of the logit."""
    codes, exact = eager(model)
    observed: list[tuple[int, int, int]] = []

    def shifted(feed: Feed) -> np.ndarray:
        observed.append((*feed["candidates"].shape, feed["history"].shape[1]))
        logits = exact(feed)
        worst = np.abs(logits) == np.abs(logits).min()
        return np.asarray(logits + off * worst, np.float32)

    outcome = check_exact(shifted, model, codes, schema_of(ragged))
    assert observed == [(1, 1, 64), (3, 7, 11), (4, 512, 64)]
    assert outcome.passed is passed
    assert outcome.auc_change is None
    assert outcome.max_difference == pytest.approx(off / 4, rel=0.05, abs=1e-9)
    if passed:
        assert outcome.reason == ""
    else:
        assert outcome.reason == "probabilities differ by 1.0e-05 (at most 1e-05)"


def recorded(model: Baseline, store: PreparedDataset, *splits: str) -> tuple[Any, Any]:
    codes = encode_table(model, 45)
    logits = [predict(model, codes, store, split) for split in splits]
    return np.concatenate(logits), np.concatenate([store.split(s).label for s in splits])


@pytest.mark.parametrize("rows", [100, 151, 152, 400, 20_000])
def test_reduced_precision_is_held_to_the_change_of_auc(
    ragged: PreparedDataset, model: Baseline, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Rounded logits: their AUC on validation, and on train too where that is short."""
    monkeypatch.setattr(parity, "ROWS", rows)
    codes, exact = eager(model)
    outcome = check_reduced(
        lambda feed: np.round(exact(feed), 1), model, codes, schema_of(ragged), ragged
    )
    valid, label = recorded(model, ragged, "valid")
    if rows > 151:
        valid, label = recorded(model, ragged, "valid", "train")
    change = roc_auc_score(label, np.round(valid, 1)) - roc_auc_score(label, valid)
    assert abs(change) > 1e-4
    assert outcome.auc_change == pytest.approx(change, abs=1e-6)
    assert outcome.passed is False
    assert outcome.reason == f"AUC changes by {change:+.1e} (at most 1e-04)"
    assert 0.001 < outcome.max_difference < 0.0126  # half of a tenth, a quarter of that
    fine = check_reduced(lambda feed: 2 * exact(feed), model, codes, schema_of(ragged), ragged)
    assert (fine.passed, fine.reason) == (True, "")  # the same order
    assert fine.auc_change == pytest.approx(0.0, abs=1e-12)


def test_the_change_may_be_as_large_as_its_limit(
    ragged: PreparedDataset, model: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes, exact = eager(model)

    def rounded(feed: Feed) -> np.ndarray:
        return np.round(exact(feed), 1)

    change = check_reduced(rounded, model, codes, schema_of(ragged), ragged).auc_change
    assert change is not None
    for limit, passed in ((abs(change), True), (0.999 * abs(change), False)):
        monkeypatch.setattr(parity, "AUC_TOLERANCE", limit)
        again = check_reduced(rounded, model, codes, schema_of(ragged), ragged)
        assert again.passed is passed


def test_a_split_is_scored_in_its_order_by_whole_batches(
    ragged: PreparedDataset, model: Baseline
) -> None:
    _, exact = eager(model)
    expected, _ = recorded(model, ragged, "train")
    np.testing.assert_allclose(score_split(exact, ragged, "train"), expected, atol=1e-5)
    sizes = [len(rows) for _, rows in split_feeds(ragged, "train", batch_rows=100)]
    assert len(sizes) == 5
    assert sum(sizes) == 495
    first = score_split(exact, ragged, "train", 1)
    np.testing.assert_allclose(first, expected[: len(first)], atol=1e-5)
    for feed, _ in split_feeds(ragged, "train", longest=4):
        assert feed["candidates"].shape[1] == 4


def test_a_batch_is_a_feed_of_item_rows(ragged: PreparedDataset) -> None:
    batch = Batcher(ragged, "train", 512).batch(np.array([5, 2, 31]))
    feed = batch_feed(batch)
    assert feed["history"].tolist() == batch.items[batch.history].tolist()
    assert feed["history_mask"].tolist() == batch.history_mask.tolist()
    assert feed["candidates"].tolist() == batch.items[batch.candidates].tolist()
    assert feed["request_ids"].tolist() == batch.request_context.ids.tolist()
    assert feed["request_numbers"].tolist() == batch.request_context.numbers.tolist()
    assert feed["candidate_ids"].tolist() == batch.candidate_context.ids.tolist()
    assert feed["candidate_numbers"].tolist() == batch.candidate_context.numbers.tolist()
    assert "history_kinds" not in feed
    empty = batch_feed(Batcher(ragged, "train", 512).batch(np.array([2])))  # no history at all
    assert empty["history"].tolist() == [[0]]
    assert empty["history_mask"].tolist() == [[False]]
    bare = batch._replace(request_context=batch.request_context._replace(ids=batch.labels[:, :0]))
    assert "request_ids" not in batch_feed(bare)
    context = batch.candidate_context
    bare = batch._replace(candidate_context=context._replace(ids=context.ids[..., :0]))
    assert {*feed} - {*batch_feed(bare)} == {"candidate_ids"}


def test_an_empty_feed_has_the_columns_of_its_shape() -> None:
    shape = FeedShape(2, 0, 1, 3, 10, 4)
    feed = shape.arrays(5, 7, 6)
    assert {name: (part.shape, part.dtype) for name, part in feed.items()} == {
        "history": ((5, 6), np.int64),
        "history_mask": ((5, 6), np.bool_),
        "candidates": ((5, 7), np.int64),
        "history_kinds": ((5, 6), np.int64),
        "request_ids": ((5, 2), np.int64),
        "candidate_ids": ((5, 7, 1), np.int64),
        "candidate_numbers": ((5, 7, 3), np.float32),
    }
    assert not any(part.any() for part in feed.values())
    assert set(FeedShape().arrays(1, 1, 1)) == {"history", "history_mask", "candidates"}
    assert FeedShape.from_json(shape._asdict()) == shape
    assert FeedShape.from_json({"candidate_ids": "4", "other": 1}) == FeedShape(candidate_ids=4)


def test_a_probability_may_differ_by_the_limit_itself(
    ragged: PreparedDataset, model: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes, exact = eager(model)

    def shifted(feed: Feed) -> np.ndarray:
        return np.asarray(exact(feed) + 0.01, np.float32)

    worst = check_exact(shifted, model, codes, schema_of(ragged)).max_difference
    for limit, passed in ((worst, True), (0.999 * worst, False)):
        monkeypatch.setattr(parity, "TOLERANCE", limit)
        assert check_exact(shifted, model, codes, schema_of(ragged)).passed is passed
    assert (parity.ROWS, parity.CALIBRATION_ROWS) == (20_000, 8_000)


def cut(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Batches of a few rows instead of one of 2,048."""
    monkeypatch.setattr(
        parity, "split_feeds", lambda store, split: split_feeds(store, split, batch_rows=rows)
    )


def test_feeds_are_as_long_as_a_model_scores_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """About 2,048 rows, in requests of the candidates that predictions are made of."""
    calls: list[object] = []

    class Batches:
        def __init__(self, store: object, split: str, longest: int) -> None:
            calls.append((store, split, longest))

        def batches(self, rows: int) -> list[object]:
            calls.append(rows)
            return []

    monkeypatch.setattr(parity, "Batcher", Batches)
    assert list(split_feeds(cast(Any, "store"), "valid")) == []
    assert calls == [("store", "valid", LONGEST), 2048]


def ends(store: PreparedDataset, split: str) -> list[int]:
    """Rows up to the end of each batch; requests are not cut."""
    sizes = [len(rows) for _, rows in split_feeds(store, split, batch_rows=100)]
    return np.cumsum(sizes).tolist()


def test_scoring_stops_after_the_batch_that_has_the_rows(
    ragged: PreparedDataset, model: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_, every = ends(ragged, "train")
    cut(monkeypatch, 100)
    _, exact = eager(model)
    expected, _ = recorded(model, ragged, "train")
    cases = (
        (1, first), (first - 1, first), (first, first), (first + 1, second), (np.inf, every)
    )  # fmt: skip
    for most, count in cases:
        scored = score_split(exact, ragged, "train", most)
        np.testing.assert_allclose(scored, expected[:count], atol=1e-5)


@pytest.mark.parametrize("more", [-150, 0, 1, 98])
def test_train_adds_only_the_rows_that_validation_lacks(
    ragged: PreparedDataset, model: Baseline, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    """More or fewer rows than validation has."""
    every = len(ragged.split("valid").label)
    counts = (
        next((end for end in ends(ragged, "valid") if end >= every + more), every),
        next(end for end in ends(ragged, "train") if end >= more) if more > 0 else 0,
    )
    cut(monkeypatch, 100)
    monkeypatch.setattr(parity, "ROWS", every + more)
    codes, exact = eager(model)
    outcome = check_reduced(
        lambda feed: np.round(exact(feed), 1), model, codes, schema_of(ragged), ragged
    )
    parts = [recorded(model, ragged, split) for split in ("valid", "train")]
    logits = np.concatenate([part[0][:n] for part, n in zip(parts, counts, strict=True)])
    label = np.concatenate([part[1][:n] for part, n in zip(parts, counts, strict=True)])
    change = roc_auc_score(label, np.round(logits, 1)) - roc_auc_score(label, logits)
    assert outcome.auc_change == pytest.approx(change, abs=1e-6)


@pytest.mark.parametrize("rows", [0, 1])
def test_rows_of_one_label_or_none_have_no_auc_to_change(
    ragged: PreparedDataset, model: Baseline, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    def first(logits: object, store: object, split: str, most: int) -> np.ndarray:
        return np.zeros(rows if split == "valid" else 0, np.float32)

    monkeypatch.setattr(parity, "score_split", first)
    codes, exact = eager(model)
    outcome = check_reduced(exact, model, codes, schema_of(ragged), ragged)
    assert outcome == (True, 0.0, None, "")


def test_a_batch_of_events_feeds_the_kind_of_each(ragged: PreparedDataset) -> None:
    batch = Batcher(ragged, "train", 512).batch(np.array([5, 2, 31]))
    shape = batch.history.shape
    place = torch.arange(shape.numel()).reshape(shape) % 4
    events = Events(torch.arange(4), torch.tensor([0, 2, 1, 3]), place)
    fed = batch_feed(batch._replace(events=events))
    assert fed["history_kinds"].tolist() == [[(0, 2, 1, 3)[int(at)] for at in row] for row in place]
    nothing = Batcher(ragged, "train", 512).batch(np.array([2]))
    bare = batch_feed(nothing._replace(events=events._replace(place=place[:1, :0])))
    assert bare["history_kinds"].tolist() == [[0]]
