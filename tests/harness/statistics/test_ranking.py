"""Average precision, group AUC, MRR and hit@1 against scikit-learn, permutations and
derivatives."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fusefront.harness.statistics.auc import tie_groups
from fusefront.harness.statistics.measures.ranking import (
    average_precision,
    group_auc,
    hit_at_1,
    reciprocal_rank,
    request_ranks,
)
from fusefront.harness.statistics.rows import contiguous, unit_axis, units


def sample(seed, rows=300, levels=None):
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < 0.3).astype(np.uint8)
    scores = (rng.normal(size=rows) + 0.7 * label).astype(np.float32)
    if levels:
        scores = (np.round(scores * levels) / levels).astype(np.float32)
    return scores, label


@pytest.mark.parametrize("levels", [None, 5, 1])
def test_average_precision_equals_sklearn(levels):
    scores, label = sample(0, levels=levels)
    result = average_precision(tie_groups(scores, label))
    assert result.value == pytest.approx(average_precision_score(label, scores), abs=1e-12)
    assert result.rows.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("levels", [None, 2])
def test_influence_on_average_precision_is_its_derivative(levels):
    scores, label = sample(1, rows=60, levels=levels)
    influence = average_precision(tie_groups(scores, label)).rows
    step = 1e-5
    for row in range(60):
        weight = np.ones(60)
        weight[row] += step
        up = average_precision_score(label, scores, sample_weight=weight)
        weight[row] -= 2 * step
        down = average_precision_score(label, scores, sample_weight=weight)
        assert influence[row] == pytest.approx((up - down) / (2 * step), abs=1e-8)


def test_average_precision_of_one_click_and_of_none():
    scores = np.array([0.3, 0.9, 0.5, 0.3], np.float32)
    label = np.array([0, 0, 1, 0], np.uint8)
    assert average_precision(tie_groups(scores, label)).value == 0.5  # the second of the order
    none = average_precision(tie_groups(scores, np.zeros(4, np.uint8)))
    assert np.isnan(none.value)
    assert none.rows.tolist() == [0.0] * 4


def test_group_auc_is_the_mean_over_users_weighted_by_rows():
    scores, label = sample(2, rows=2000, levels=6)
    user = np.random.default_rng(3).integers(0, 300, 2000)
    aucs, weights = [], []
    for code in np.unique(user):
        inside = user == code
        if 0 < label[inside].sum() < inside.sum():
            aucs.append(roc_auc_score(label[inside], scores[inside]))
            weights.append(inside.sum())
    result = group_auc(scores, label, units(user, label))
    assert result.value == pytest.approx(np.average(aucs, weights=weights), abs=1e-12)
    assert len(result.units) == len(aucs)
    assert result.units.sum() == pytest.approx(0, abs=1e-12)


def expected_by_permutation(scores, label):
    """MRR and hit@1 of one request, averaged over every order of its ties."""
    ranks, hits, count = 0.0, 0.0, 0
    for order in permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in pairwise(order)):
            first = next(place for place, row in enumerate(order) if label[row])
            ranks, hits, count = ranks + 1 / (first + 1), hits + (first == 0), count + 1
    return ranks / count, hits / count


@pytest.mark.parametrize("seed", range(4))
def test_request_metrics_are_expectations_over_random_ties(seed):
    rng = np.random.default_rng(seed)
    request = np.repeat(np.arange(40), 5)
    scores = rng.integers(0, 3, 200).astype(np.float32)
    label = (rng.random(200) < 0.35).astype(np.uint8)
    expected = [
        expected_by_permutation(scores[request == r], label[request == r])
        for r in range(40)
        if 0 < label[request == r].sum() < 5
    ]
    shuffled = rng.permutation(200)  # rows of a request need not lie together
    of = units(request[shuffled], label[shuffled])
    ranks = request_ranks(scores[shuffled], label[shuffled], of)
    mrr, hit = np.mean(expected, axis=0)
    assert reciprocal_rank(ranks).value == pytest.approx(mrr, abs=1e-12)
    assert hit_at_1(ranks).value == pytest.approx(hit, abs=1e-12)
    assert len(reciprocal_rank(ranks).units) == len(expected)


def test_without_a_mixed_request_there_is_no_request_metric():
    scores, label = np.float32([1, 2, 3]), np.uint8([0, 1, 1])
    ranks = request_ranks(scores, label, units(np.arange(3), label))
    assert np.isnan(reciprocal_rank(ranks).value)
    assert np.isnan(hit_at_1(ranks).value)


def test_units_within_clusters_are_clustered_and_others_stand_alone():
    label = np.uint8([0, 1, 0, 1, 0, 1, 0, 1])
    request = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    user = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    inside = unit_axis(units(request, label), user)
    assert inside.code.tolist() == [0, 0, 1, 1]
    across = unit_axis(units(user, label), request)
    assert across.size == 2


def test_codes_are_contiguous_whatever_the_values():
    for values in ([5, -2, 5, 10**12], [3, 3], [0]):
        codes, count = contiguous(np.array(values))
        assert codes.tolist() == np.unique(values, return_inverse=True)[1].tolist()
        assert count == len(set(values))
