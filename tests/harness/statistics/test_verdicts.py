"""Adjusted p values against statsmodels, verdict rules, best sets with planted winners."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from fusefront.harness.statistics.joint import JointModel, Pair
from fusefront.harness.statistics.judging.verdicts import (
    benjamini_hochberg,
    decide,
    holm,
    is_equivalent,
    ranks,
)


@pytest.mark.parametrize("seed", range(5))
def test_adjusted_p_values_equal_statsmodels(seed):
    p = np.random.default_rng(seed).random(9) ** 3
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_comparisons_without_a_p_value_do_not_count():
    p = np.array([0.02, np.nan, 0.03])
    np.testing.assert_allclose(holm(p), [0.04, np.nan, 0.04])
    np.testing.assert_allclose(benjamini_hochberg(p), [0.03, np.nan, 0.03])
    assert np.isnan(holm(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("difference", "p", "equivalent", "higher", "word"),
    [
        (0.01, 0.01, False, True, "better"),
        (-0.01, 0.01, False, True, "worse"),
        (-0.01, 0.01, False, False, "better"),
        (0.01, 0.20, False, True, "cannot tell"),
        (0.01, 0.20, True, True, "equivalent"),
        (0.0001, 0.01, True, True, "equivalent"),
        (0.01, float("nan"), False, True, "no verdict"),
    ],
)
def test_verdicts_follow_the_rules(difference, p, equivalent, higher, word):
    pair = Pair(difference, 0.001, 9.0, difference - 0.002, difference + 0.002, p)
    assert decide(pair, p, equivalent, higher=higher, alpha=0.05) == word


def test_equivalence_needs_the_whole_interval_inside_the_margin():
    assert is_equivalent(Pair(0, 0.1, 9, -0.0009, 0.0009, 1), 0.001)
    assert not is_equivalent(Pair(0, 0.1, 9, -0.0011, 0.0009, 1), 0.001)
    assert not is_equivalent(Pair(0, np.nan, 9, np.nan, np.nan, np.nan), 0.001)


def model(theta, se=0.001):
    size = len(theta)
    K = np.eye(size) * se**2 / 2
    return JointModel(
        tuple("abcdef"[:size]),
        np.array(theta),
        np.full(size, 1e-12),
        np.full(size, 3),
        K,
        np.zeros(size),
        np.zeros((size, size)),
        10_000,
        10_000,
    )


def test_a_clear_winner_is_alone_in_the_best_set():
    standing = ranks(model([0.70, 0.80, 0.75]), higher=True)
    assert standing.in_best_set.tolist() == [False, True, False]
    assert standing.low.tolist() == standing.high.tolist() == [3, 1, 2]


def test_ties_share_their_ranks():
    standing = ranks(model([0.7000, 0.7005, 0.60]), higher=True)
    assert standing.in_best_set.tolist() == [True, True, False]
    assert standing.low.tolist() == [1, 1, 3]
    assert standing.high.tolist() == [2, 2, 3]


def test_lower_is_better_for_losses():
    standing = ranks(model([0.70, 0.80, 0.75]), higher=False)
    assert standing.in_best_set.tolist() == [True, False, False]
