"""Intervals of the AUC of trained models, against DeLong's errors and by leaving clusters out."""

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from fusefront.harness.statistics.auc import auc_influence, tie_groups
from fusefront.harness.statistics.leverage import auc_sums
from fusefront.harness.statistics.rows import row_axis
from fusefront.harness.statistics.trained_auc import auc_ends, change_ends, trained_auc


def rows(seed: int, count: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    """Scores and labels; a positive scores one standard deviation higher."""
    rng = np.random.default_rng(seed)
    label = (rng.random(count) < 0.4).astype(np.uint8)
    return (rng.standard_normal(count) + label).astype(np.float32), label


def placements(scores: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's parts: for each positive the share of negatives below it, and the reverse."""
    above = scores[label == 1][:, None] > scores[label == 0][None]
    return above.mean(1), above.mean(0)


def delong(*parts: np.ndarray) -> float:
    return float(np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)))


def test_the_ends_of_an_auc_are_delongs_on_the_logit_scale() -> None:
    """Each row its own cluster; 3,000 clusters make the t quantile the normal one."""
    scores, label = rows(0)
    whole = auc_ends(trained_auc(scores, label, np.arange(len(label))))
    auc = roc_auc_score(label, scores)
    half = stats.norm.ppf(0.975) * delong(*placements(scores, label)) / (auc * (1 - auc))
    assert whole.value == pytest.approx(auc, abs=1e-12)
    assert whole.clusters == 3_000
    assert whole.low == pytest.approx(special.expit(special.logit(auc) - half), abs=2e-4)
    assert whole.high == pytest.approx(special.expit(special.logit(auc) + half), abs=2e-4)
    assert whole.high - whole.low > 0.03  # a hundred times the tolerance


def test_the_ends_of_a_change_are_delongs_of_two_scores() -> None:
    scores, label = rows(1)
    blurred = scores + np.random.default_rng(2).standard_normal(len(label)).astype(np.float32)
    cluster = np.arange(len(label))
    change = change_ends(trained_auc(blurred, label, cluster), trained_auc(scores, label, cluster))
    value = roc_auc_score(label, blurred) - roc_auc_score(label, scores)
    both = zip(placements(blurred, label), placements(scores, label), strict=True)
    half = stats.norm.ppf(0.975) * delong(*(a - b for a, b in both))
    assert (change.value, change.clusters) == (pytest.approx(value, abs=1e-12), 3_000)
    assert value < -0.05
    assert change.low == pytest.approx(value - half, abs=2e-4)
    assert change.high == pytest.approx(value + half, abs=2e-4)


@pytest.mark.parametrize("auc", [0.0, 1.0])
def test_an_auc_at_its_bound_has_no_ends(auc: float) -> None:
    label = np.tile(np.array([0, 1], np.uint8), 50)
    ends = auc_ends(trained_auc(label + np.float32(0), label, np.arange(100)))
    worst = auc_ends(trained_auc(1 - label - np.float32(0), label, np.arange(100)))
    bound = ends if auc else worst
    assert (bound.value, bound.clusters) == (auc, 100)
    assert np.isnan([bound.low, bound.high]).all()


def test_few_clusters_have_an_auc_without_ends() -> None:
    scores, label = rows(3, 200)
    few = auc_ends(trained_auc(scores, label, np.arange(200) % 3))
    assert (few.value, few.clusters) == (pytest.approx(roc_auc_score(label, scores)), 3)
    assert np.isnan([few.low, few.high]).all()


@pytest.mark.parametrize("rare", [0, 1])
def test_one_row_of_a_class_is_all_of_its_share(rare: int) -> None:
    """The rest as leaving a cluster out changes the AUC; without that one row there is none."""
    scores, _ = rows(4, 60)
    label = np.full(60, 1 - rare, np.uint8)
    label[7] = rare
    cluster = np.arange(60) // 3
    axis, auc = row_axis(cluster, label), auc_influence(tie_groups(scores, label))
    sums = auc_sums(axis, auc, scores, label)
    for code in range(20):
        left = cluster != code
        change = (
            auc.value - roc_auc_score(label[left], scores[left])
            if len(set(label[left])) > 1
            else 0.0
        )
        expected = change * 19 / 20  # no pair is left without that row
        assert sums[code] == pytest.approx(expected, abs=1e-12)
    assert np.abs(sums).max() > 1e-3
