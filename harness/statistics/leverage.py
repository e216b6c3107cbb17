"""What each cluster adds to a metric's error, had it been left out; and how many clusters count.

A cluster with a large share of the rows pulls the metric towards itself, so its influence is too
small by what it leaves the others (the jackknife CV3 of Bell & McCaffrey 2002). Effective clusters
as in Carter, Schnepel & Steigerwald 2017. docs/statistics.md has the coverage with and without.
"""

from typing import Literal

import numpy as np

from fusefront.harness.statistics.auc import Floats, Labels, RowInfluence, Scores, auc_by_group
from fusefront.harness.statistics.rows import Axis

Lever = Literal["classes", "rows", "units"]  # what a cluster's share is a share of


def cluster_shares(axis: Axis, lever: Lever) -> Floats:
    """[size] share of each cluster in what the metric is made of; they add to 1.

    Raises:
        ValueError: the axis does not say how many each cluster has.
    """
    if lever == "classes":
        positive, negative = _classes(axis)
        return (positive + negative) / 2
    counts = axis.rows if lever == "rows" else axis.units
    if counts is None:
        raise ValueError(f"got an axis without {lever}, expected how many each cluster has")
    return np.asarray(counts / max(float(counts.sum()), 1.0), np.float64)


def effective_clusters(axis: Axis, lever: Lever) -> float:
    """How many equal clusters would tell as much of the variance, at most those of each class."""
    square = float((cluster_shares(axis, lever) ** 2).sum())
    return min(float(axis.mc), 1 / square) if square > 0 else 0.0


def cluster_sums(
    axis: Axis, influence: Floats, lever: Lever | None, within: Floats | None = None
) -> Floats:
    """Influences [units] summed in clusters [size], as leaving each of them out would show.

    `within` is the AUC within each of the axis's large clusters less the AUC of all; without
    `lever` the plain sums.
    """
    if axis.chosen is not None:
        influence = influence[axis.chosen] * axis.scale
    summed = np.bincount(axis.code, influence, axis.size).astype(np.float64)
    return summed if lever is None else left_out(axis, summed, lever, within)


def left_out(axis: Axis, summed: Floats, lever: Lever, within: Floats | None = None) -> Floats:
    """`cluster_sums` of influences that are summed in the clusters [size] already."""
    if axis.size < 2:
        return summed
    summed = summed.copy()
    if lever == "classes":
        positive, negative = _classes(axis)
        if within is not None and axis.large is not None:
            large = axis.large.cluster
            summed[large] -= positive[large] * negative[large] * within
        left = (1 - positive) * (1 - negative)
    else:
        left = 1 - cluster_shares(axis, lever)
    known = left > 1e-9  # else the cluster is all there is, and no interval is given
    left = np.where(known, left, 1.0)
    result: Floats = (axis.size - 1) / axis.size * summed / left
    return result


def within_large(axis: Axis, scores: Scores, label: Labels, theta: float) -> Floats | None:
    """[large] AUC within each large cluster of the axis less `theta`, of scores and labels [n];
    None without such clusters."""
    large = axis.large
    if large is None or np.isnan(theta):
        return None
    aucs = auc_by_group(scores[large.rows], label[large.rows], large.code)
    within = np.zeros(len(large.cluster))
    within[aucs.group] = aucs.auc - theta
    return within


def auc_sums(axis: Axis, auc: RowInfluence, scores: Scores, label: Labels) -> Floats:
    """[size] `cluster_sums` of an AUC of scores and labels [n]: exact for every cluster, the large
    ones with their own AUC."""
    within = within_large(axis, scores, label, auc.value)
    return cluster_sums(axis, auc.rows, "classes", within)


def _classes(axis: Axis) -> tuple[Floats, Floats]:
    """[size] share of all positives and of all negatives that each cluster has."""
    if axis.positive is None or axis.rows is None:
        raise ValueError("got an axis without classes, expected one of rows with labels")
    negative = axis.rows - axis.positive
    n1, n0 = max(float(axis.positive.sum()), 1.0), max(float(negative.sum()), 1.0)
    return axis.positive / n1, negative / n0
