"""Words by hand for every place of an interval, best sets with planted winners."""

import numpy as np
import pytest

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.verdicts import ranks, read

MARGIN = 0.001


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        (0.0002, 0.0018, "better"),
        (0.0002, 0.0008, "better, by less than the margin"),
        (-0.0018, -0.0002, "worse"),
        (-0.0008, -0.0002, "worse, by less than the margin"),
        (-0.0008, 0.0008, "equivalent"),
        (-0.0008, 0.0018, "not worse by more than the margin"),
        (-0.0018, 0.0008, "not better by more than the margin"),
        (-0.0018, 0.0018, "cannot tell"),
        (0.0, 0.0018, "not worse by more than the margin"),  # an end at zero or at the margin
        (-0.001, 0.001, "cannot tell"),
        (float("nan"), 0.0018, "no verdict"),
        (-0.0018, float("nan"), "no verdict"),
    ],
)
def test_the_word_is_read_off_the_two_ends(low, high, word):
    assert read(low, high, MARGIN) == word
    assert read(-high, -low, MARGIN, higher=False) == word  # of a loss, less is better


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
