"""Ranking metrics beside the AUC: average precision, AUC within groups, MRR and hit@1 in requests.

Influences are derivatives of the metric with respect to a row's or a unit's weight (the
infinitesimal jackknife, Efron 1982); each is checked against a numerical derivative.
"""

from typing import NamedTuple

import numpy as np

from fusefront.harness.statistics.auc import (
    Floats,
    Labels,
    RowInfluence,
    Scores,
    TieGroups,
    auc_by_group,
    spread,
)
from fusefront.harness.statistics.rows import Units


class UnitInfluence(NamedTuple):
    """The mean over informative units (those with both classes) and the influence of each unit on
    it."""

    value: float
    units: Floats  # [informative units]


def average_precision(groups: TieGroups) -> RowInfluence:
    """Area under the precision-recall steps (Davis & Goadrich 2006), as scikit-learn defines it."""
    n1 = int(groups.positive.sum())
    if n1 == 0:
        return RowInfluence(float("nan"), np.zeros(len(groups.order)))
    negative = groups.size - groups.positive
    above = (n1 - np.cumsum(groups.positive) + groups.positive).astype(np.float64)
    false = (int(negative.sum()) - np.cumsum(negative) + negative).astype(np.float64)
    at_or_above = above + false
    precision = above / at_or_above
    value = float(np.dot(groups.positive, precision)) / n1
    # a row changes the precision at every positive that is placed at or below it
    moved = groups.positive / at_or_above**2
    of_positive = (precision - value + np.cumsum(moved * false)) / n1
    of_negative = -np.cumsum(moved * above) / n1
    return RowInfluence(value, spread(groups, of_positive, of_negative))


def group_auc(scores: Scores, label: Labels, groups: Units) -> UnitInfluence:
    """The mean of the AUC of scores [n] over groups with both classes, weighted by their numbers of
    rows."""
    groups_auc = auc_by_group(scores, label, groups.code)
    if not len(groups_auc.auc):
        return UnitInfluence(float("nan"), groups_auc.auc)
    total = groups_auc.weight.sum()
    value = float(np.dot(groups_auc.weight, groups_auc.auc) / total)
    return UnitInfluence(value, groups_auc.weight * (groups_auc.auc - value) / total)


class RequestRanks(NamedTuple):
    """The place of the best-ranked positive in each of the Q informative requests."""

    above: Floats  # [Q] negatives with a higher score
    tied: Floats  # [Q] rows with its score
    tied_positive: Floats  # [Q] positives among these


def request_ranks(scores: Scores, label: Labels, requests: Units) -> RequestRanks:
    """Find the best-ranked positive of every request that has both classes; scores and labels are
    [n]."""
    ordered, positive = scores[requests.order], label[requests.order] > 0
    best = np.maximum.reduceat(np.where(positive, ordered, -np.inf), requests.start)
    reference = np.repeat(best, requests.size)
    equal = ordered == reference
    counts = (ordered > reference, equal, equal & positive)
    sums = [np.add.reduceat(c, requests.start, dtype=np.int64)[requests.both] for c in counts]
    return RequestRanks(*(s.astype(np.float64) for s in sums))


def hit_at_1(ranks: RequestRanks) -> UnitInfluence:
    """The share of requests whose top row is a positive; in expectation over random ties."""
    return mean_of_units(np.where(ranks.above == 0, ranks.tied_positive / ranks.tied, 0.0))


def reciprocal_rank(ranks: RequestRanks) -> UnitInfluence:
    """MRR: the mean of 1 / rank of the first positive; in expectation over random ties."""
    expected = np.zeros(len(ranks.above))
    alive = np.arange(len(ranks.above))
    left = np.ones(len(alive))  # probability that the places so far hold no positive
    place = 0
    while len(alive):
        above, tied, positive = (column[alive] for column in ranks)
        now = positive / (tied - place)  # reaches 1 where only positives are left
        expected[alive] += left * now / (above + place + 1)
        left = left * (1 - now)
        place += 1
        going = left > 0
        alive, left = alive[going], left[going]
    return mean_of_units(expected)


def mean_of_units(values: Floats) -> UnitInfluence:
    """The mean of one value for each informative unit [units]; nan without a unit."""
    if not len(values):
        return UnitInfluence(float("nan"), values)
    value = float(values.mean())
    return UnitInfluence(value, (values - value) / len(values))
