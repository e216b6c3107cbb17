"""Exact AUC and its influence values against scikit-learn, torchmetrics and plain loops."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import binary_auroc

from fusefront.harness.statistics.auc import (
    auc_by_group,
    auc_influence,
    exact_auc,
    ordered_bits,
    tie_groups,
)


def brute_force(scores, label):
    """Share of (positive, negative) pairs that are in order, ties half."""
    high, low = scores[label > 0], scores[label == 0]
    won = (high[:, None] > low).sum() + 0.5 * (high[:, None] == low).sum()
    return won / (len(high) * len(low))


def structural_components(scores, label):
    """V10 of every positive and V01 of every negative by their definition (DeLong 1988)."""
    high, low = scores[label > 0].astype(float), scores[label == 0].astype(float)
    order = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    return order.mean(1), order.mean(0)


def sample(seed, rows=400, rate=0.3, levels=None):
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < rate).astype(np.uint8)
    label[:2] = 0, 1
    scores = (rng.normal(size=rows) + 0.7 * label).astype(np.float32)
    if levels:
        scores = (np.round(scores * levels) / levels).astype(np.float32)
    return scores, label


@pytest.mark.parametrize("levels", [None, 10, 1])
@pytest.mark.parametrize("seed", range(5))
def test_auc_equals_pairs_sklearn_and_torchmetrics(seed, levels):
    scores, label = sample(seed, levels=levels)
    expected = brute_force(scores, label)
    assert exact_auc(scores, label) == pytest.approx(expected, abs=1e-14)
    assert auc_influence(tie_groups(scores, label)).value == pytest.approx(expected, abs=1e-14)
    assert roc_auc_score(label, scores) == pytest.approx(expected, abs=1e-12)
    # torchmetrics squashes scores outside [0, 1] in float32, which may merge neighbours: give it
    # ranks
    unit = (np.unique(scores, return_inverse=True)[1] / len(scores)).astype(np.float32)
    theirs = binary_auroc(torch.from_numpy(unit), torch.from_numpy(label.astype(np.int64)))
    assert float(theirs) == pytest.approx(expected, abs=1e-6)


def test_auc_is_exact_at_one_positive_in_ten_thousand():
    rng = np.random.default_rng(0)
    label = np.zeros(400_000, np.uint8)
    label[rng.choice(len(label), 40, replace=False)] = 1
    # click probabilities this small are crowded: many scores tie
    scores = np.round(np.log(1e-4) + 0.2 * rng.normal(size=len(label)) + 0.1 * label, 3)
    scores = scores.astype(np.float32)
    expected = roc_auc_score(label, scores.astype(np.float64))
    assert exact_auc(scores, label) == pytest.approx(expected, abs=1e-13)
    assert auc_influence(tie_groups(scores, label)).value == pytest.approx(expected, abs=1e-13)
    assert expected == pytest.approx(brute_force(scores, label), abs=1e-13)


def test_neighbouring_floats_are_told_apart():
    low = np.float32(-9.21)
    scores = np.array([low, np.nextafter(low, np.float32(0))], np.float32)
    assert exact_auc(scores, np.array([0, 1], np.uint8)) == 1.0


def test_both_zeros_are_one_score():
    scores = np.array([-0.0, 0.0], np.float32)
    assert exact_auc(scores, np.array([1, 0], np.uint8)) == 0.5


def test_bits_are_in_the_order_of_the_floats():
    values = np.float32([-3e38, -1.5, -1e-45, 0.0, 1e-45, 2.0, 3e38])
    assert (np.diff(ordered_bits(values).astype(np.int64)) > 0).all()


@pytest.mark.parametrize("levels", [None, 3])
def test_influence_gives_delongs_variance(levels):
    scores, label = sample(3, levels=levels)
    v10, v01 = structural_components(scores, label)
    expected = v10.var() / len(v10) + v01.var() / len(v01)
    influence = auc_influence(tie_groups(scores, label)).rows
    assert (influence**2).sum() == pytest.approx(expected, rel=1e-10)
    assert influence.sum() == pytest.approx(0, abs=1e-13)


def test_influence_gives_delongs_covariance_of_two_scores():
    (a, label), (b, _) = sample(4), sample(5, levels=4)
    b = (b + a).astype(np.float32)
    parts = [structural_components(s, label) for s in (a, b)]
    expected = sum(
        np.cov(parts[0][k], parts[1][k], ddof=0)[0, 1] / len(parts[0][k]) for k in (0, 1)
    )
    rows = [auc_influence(tie_groups(s, label)).rows for s in (a, b)]
    assert rows[0] @ rows[1] == pytest.approx(expected, rel=1e-9)


def test_influence_is_the_derivative_in_a_rows_weight():
    scores, label = sample(6, rows=80, levels=4)
    influence = auc_influence(tie_groups(scores, label)).rows
    step = 1e-5
    for row in range(0, 80, 7):
        weight = np.ones(80)
        weight[row] += step
        up = roc_auc_score(label, scores, sample_weight=weight)
        weight[row] -= 2 * step
        down = roc_auc_score(label, scores, sample_weight=weight)
        assert influence[row] == pytest.approx((up - down) / (2 * step), abs=1e-8)


def test_one_class_has_no_auc():
    scores = np.float32([1, 2])
    for label in (np.ones(2, np.uint8), np.zeros(2, np.uint8)):
        assert np.isnan(exact_auc(scores, label))
        influence = auc_influence(tie_groups(scores, label))
        assert np.isnan(influence.value)
        assert influence.rows.tolist() == [0.0, 0.0]


def test_all_ties_are_a_half():
    scores, label = np.zeros(50, np.float32), (np.arange(50) % 3 == 0).astype(np.uint8)
    result = auc_influence(tie_groups(scores, label))
    assert result.value == 0.5
    assert (result.rows == 0).all()


@pytest.mark.parametrize("levels", [None, 2])
def test_auc_of_every_group_equals_sklearn(levels):
    scores, label = sample(7, rows=3000, levels=levels)
    group = np.random.default_rng(1).integers(0, 400, 3000).astype(np.int32)
    result = auc_by_group(scores, label, group)
    expected = {}
    for code in range(400):
        inside = group == code
        if 0 < label[inside].sum() < inside.sum():
            expected[code] = (roc_auc_score(label[inside], scores[inside]), inside.sum())
    assert result.group.tolist() == list(expected)
    np.testing.assert_allclose(result.auc, [auc for auc, _ in expected.values()], atol=1e-12)
    assert result.weight.tolist() == [rows for _, rows in expected.values()]
