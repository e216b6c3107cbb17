"""PCOC, NDCG, recall and session AUC against scikit-learn and loops, ties included."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, roc_auc_score

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.judging.estimates import ends
from fusefront.harness.statistics.measures.calibration import predicted_over_clicked
from fusefront.harness.statistics.measures.listwise import TopPlaces
from fusefront.harness.statistics.measures.metrics import METRICS, Layout, measure
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.rows import RowTable, units
from fusefront.harness.statistics.score_source import MemorySource

NAMES = ("pcoc", "session_auc", "ndcg_at_10", "recall_at_10")


@pytest.fixture(scope="module")
def rows() -> RowTable:
    """Requests of 1 to 25 rows, not in order, many of one class."""
    rng = np.random.default_rng(3)
    request = np.repeat(np.arange(90) * 3 + 1, rng.integers(1, 26, 90))
    rng.shuffle(request)
    label = (rng.random(len(request)) < 0.15).astype(np.uint8)
    return RowTable(label, request // 7, request, request % 11, np.arange(len(request)))


@pytest.fixture(scope="module")
def scores(rows: RowTable) -> np.ndarray:
    rng = np.random.default_rng(4)
    return np.round(rng.standard_normal(len(rows.label)) + rows.label, 1).astype(np.float32)


def informative(rows: RowTable) -> list[np.ndarray]:
    masks = [rows.request == r for r in np.unique(rows.request)]
    return [mask for mask in masks if 0 < rows.label[mask].mean() < 1]


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_ndcg_is_scikit_learns(rows: RowTable, scores: np.ndarray, k: int) -> None:
    placed = TopPlaces(scores, rows.label, units(rows.request, rows.label))
    loop = [ndcg_score(rows.label[None, m], scores[None, m], k=k) for m in informative(rows)]
    mean = placed.ndcg(k)
    assert mean.value == pytest.approx(np.mean(loop), abs=1e-12)
    assert mean.units == pytest.approx((loop - np.mean(loop)) / len(loop), abs=1e-12)


@pytest.mark.parametrize("k", [1, 4, 10])
def test_recall_is_the_expectation_over_orders_of_ties(
    rows: RowTable, scores: np.ndarray, k: int
) -> None:
    placed = TopPlaces(scores, rows.label, units(rows.request, rows.label))
    loop = []
    for mask in informative(rows):
        label, score = rows.label[mask], scores[mask]
        inside = 0.0
        for value in score[label > 0]:
            above, tied = (score > value).sum(), (score == value).sum()
            inside += min(max((k - above) / tied, 0.0), 1.0)
        loop.append(inside / label.sum())
    assert placed.recall(k).value == pytest.approx(np.mean(loop), abs=1e-12)
    assert placed.recall(k).units.sum() == pytest.approx(0.0, abs=1e-12)


def test_session_auc_weighs_requests_by_their_rows(rows: RowTable, scores: np.ndarray) -> None:
    masks = informative(rows)
    loop = [roc_auc_score(rows.label[m], scores[m]) for m in masks]
    value = measure(Layout(rows), scores, ("session_auc",)).values["session_auc"].value
    weights = [m.sum() for m in masks]
    assert value == pytest.approx(np.average(loop, weights=weights), abs=1e-12)


def test_pcoc_and_its_derivatives(rows: RowTable, scores: np.ndarray) -> None:
    chance = 1 / (1 + np.exp(-scores.astype(float)))
    pcoc = predicted_over_clicked(scores, rows.label)
    assert pcoc.value == pytest.approx(chance.sum() / rows.label.sum(), rel=1e-12)
    for row in (0, 5, 9):
        weight = np.ones(len(chance))
        weight[row] += 1e-6
        moved = (weight @ chance) / (weight @ rows.label)
        assert pcoc.rows[row] == pytest.approx((moved - pcoc.value) / 1e-6, rel=1e-4)
    nothing = predicted_over_clicked(scores, np.zeros_like(rows.label))
    assert np.isnan(nothing.value)


def source_of(rows: RowTable, scores: np.ndarray) -> MemorySource:
    rng = np.random.default_rng(6)
    noisy = [
        {s: (scores + 0.2 * rng.standard_normal(len(scores))).astype(np.float32) for s in range(3)}
        for _ in range(2)
    ]
    return MemorySource(rows, dict(zip(("today", "rival"), noisy, strict=True)))


def test_all_are_measured_with_intervals_and_none_is_judged_where_best_is_in_the_middle(
    rows: RowTable, scores: np.ndarray
) -> None:
    assert set(NAMES) < set(METRICS)
    source = source_of(rows, scores)
    comparison = compare(source, Options("today", metrics=("auc", *NAMES), workers=1))
    for name in NAMES:
        estimate = comparison.row("rival").metrics[name]
        assert 0 < estimate.low < estimate.value < estimate.high, name
        gap = comparison.row("rival").differences[name]
        assert gap.low < gap.value < gap.high, name
    pcoc = comparison.row("rival").metrics["pcoc"]
    assert pcoc.high / pcoc.value == pytest.approx(pcoc.value / pcoc.low)
    with pytest.raises(UsageError, match="got metric 'pcoc' for verdicts"):
        compare(source, Options("today", metric="pcoc", metrics=("auc", "pcoc"), workers=1))


def test_the_interval_of_pcoc_holds_one_for_a_calibrated_model() -> None:
    rng = np.random.default_rng(0)
    count = 0
    for _ in range(150):
        user = np.repeat(np.arange(80), rng.integers(5, 40, 80))
        logit = (rng.standard_normal(len(user)) - 1).astype(np.float32)
        label = (rng.random(len(user)) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
        rows = RowTable(label, user, user, user, np.arange(len(user)))
        source = MemorySource(rows, {"a": {0: logit, 1: logit}})
        request = PanelRequest(Layout(rows), "test", ("pcoc",), workers=1)
        low, high = ends(collect(source, request).models["pcoc"], 0, "log")
        count += low <= 1 <= high
    assert 0.90 <= count / 150 <= 0.99
