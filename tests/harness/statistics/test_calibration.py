"""Losses, ECE and temperature against scikit-learn, scipy and plain loops."""

import numpy as np
import pytest
from scipy import optimize, special
from sklearn.metrics import log_loss

from fusefront.harness.statistics.auc import tie_groups
from fusefront.harness.statistics.measures.calibration import (
    BINS,
    calibration_error,
    equal_mass_bins,
    fit_temperature,
    logloss,
    normalised_entropy,
    row_losses,
)
from fusefront.harness.statistics.rows import row_axis


def sample(seed, rows=3000, slope=1.0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=rows) - 1
    label = (rng.random(rows) < special.expit(truth)).astype(np.uint8)
    return (slope * truth).astype(np.float32), label, rng.integers(0, rows // 5, rows)


def test_logloss_equals_sklearn():
    logits, label, _ = sample(0)
    expected = log_loss(label, special.expit(logits.astype(np.float64)))
    assert logloss(row_losses(logits, label)).value == pytest.approx(expected, rel=1e-12)


def test_extreme_logits_are_not_clipped():
    losses = row_losses(np.float32([1e4, -1e4, 1e4]), np.uint8([0, 1, 1]))
    assert losses.tolist() == [1e4, 1e4, 0.0]


def test_normalised_entropy_of_the_base_rate_is_one():
    _, label, _ = sample(1)
    constant = np.full(len(label), special.logit(label.mean()), np.float32)
    result = normalised_entropy(row_losses(constant, label), label)
    assert result.value == pytest.approx(1.0, abs=1e-6)


def test_influence_on_normalised_entropy_is_its_derivative():
    logits, label, _ = sample(2, rows=50)
    losses = row_losses(logits, label)

    def weighted(weight):
        rate = np.average(label, weights=weight)
        return np.average(losses, weights=weight) / special.entr([rate, 1 - rate]).sum()

    influence = normalised_entropy(losses, label).rows
    for row in range(50):
        weight = np.ones(50)
        weight[row] += 1e-6
        up = weighted(weight)
        weight[row] -= 2e-6
        assert influence[row] == pytest.approx((up - weighted(weight)) / 2e-6, abs=1e-8)


def by_loop(logits, label, cluster):
    """ECE, curve and clustered errors by the definition, distinct scores."""
    order = np.argsort(logits)
    p = special.expit(logits.astype(np.float64))
    total, rows = 0.0, []
    places = np.minimum(((np.arange(len(p)) + 0.5) * BINS / len(p)).astype(int), BINS - 1)
    clusters = len(np.unique(cluster))
    for number in range(BINS):
        inside = order[places == number]
        gap = p[inside] - label[inside]
        total += abs(gap.sum())
        sums = {}
        for row, value in zip(inside, gap - gap.mean(), strict=True):
            sums[cluster[row]] = sums.get(cluster[row], 0.0) + value
        se = np.sqrt(sum(v**2 for v in sums.values()) * clusters / (clusters - 1)) / len(inside)
        rows.append((p[inside].mean(), label[inside].mean(), se))
    return total / len(p), np.array(rows)


def test_ece_and_its_curve_equal_a_plain_loop():
    logits, label, cluster = sample(3, slope=1.6)
    expected, rows = by_loop(logits, label, cluster)
    groups = tie_groups(logits, label)
    result = calibration_error(logits, groups, equal_mass_bins(groups), row_axis(cluster, label))
    assert result.value == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(result.curve.predicted, rows[:, 0], atol=1e-12)
    np.testing.assert_allclose(result.curve.observed, rows[:, 1], atol=1e-12)
    np.testing.assert_allclose(result.curve.se, rows[:, 2], rtol=1e-9)
    assert result.rows.sum() == pytest.approx(0, abs=1e-12)


def test_rows_of_one_score_share_a_bin():
    logits = np.float32([0] * 90 + [1] * 10)
    label = (np.arange(100) % 4 == 0).astype(np.uint8)
    groups = tie_groups(logits, label)
    assert len(equal_mass_bins(groups)) == 2


@pytest.mark.parametrize("slope", [0.3, 1.0, 2.5])
def test_temperature_is_what_minimises_the_loss(slope):
    logits, label, _ = sample(4, slope=slope)
    expected = optimize.minimize_scalar(
        lambda t: row_losses((logits / t).astype(np.float32), label).mean(),
        bounds=(0.05, 20),
        method="bounded",
        options={"xatol": 1e-9},
    ).x
    assert fit_temperature(logits, label) == pytest.approx(expected, rel=1e-3)
    assert fit_temperature(logits, label) == pytest.approx(slope, rel=0.15)


def test_scores_against_the_labels_have_no_temperature():
    logits = np.float32([1, -1] * 50)
    assert fit_temperature(logits, (logits < 0).astype(np.uint8)) == 1.0
    assert fit_temperature(np.zeros(100, np.float32), (logits < 0).astype(np.uint8)) == 1.0
    sure = (logits > 0).astype(np.uint8)  # the loss falls without end
    assert fit_temperature(logits, sure) == 1.0
