"""Cluster influences as leaving each cluster out would show them, and the effective number of
clusters.

A cluster with a large share of the rows pulls the metric towards itself, so its plain influence is
too small (hence the jackknife CV3 of Bell & McCaffrey 2002). Effective clusters as in Carter,
Schnepel & Steigerwald 2017. docs/statistics.md has the coverage with and without.
"""

from typing import Literal

import numpy as np

from fusefront.harness.statistics.auc import Floats, Labels, RowInfluence, Scores, auc_by_group
from fusefront.harness.statistics.rows import Axis

Lever = Literal["classes", "rows", "units"]  # what the shares of clusters are counted in


def cluster_shares(axis: Axis, lever: Lever) -> Floats:
    """[size] the share of each cluster in the metric's rows, classes or units; the shares sum to 1.

    Raises:
        ValueError: the axis does not have the counts of its clusters.
    """
    if lever == "classes":
        positive, negative = _classes(axis)
        return (positive + negative) / 2
    counts = axis.rows if lever == "rows" else axis.units
    if counts is None:
        raise ValueError(f"got an axis without {lever}, expected how many each cluster has")
    return np.asarray(counts / max(float(counts.sum()), 1.0), np.float64)


def effective_clusters(axis: Axis, lever: Lever) -> float:
    """The number of equal clusters with as much information on the variance; at most those with
    each class."""
    square = float((cluster_shares(axis, lever) ** 2).sum())
    return min(float(axis.mc), 1 / square) if square > 0 else 0.0


def cluster_sums(
    axis: Axis, influence: Floats, lever: Lever | None, within: Floats | None = None
) -> Floats:
    """Influences [units] summed within clusters [size], corrected to what leaving each cluster out
    would show.

    `within` is the AUC within each of the axis's large clusters minus the AUC of all rows. Without
    `lever` the sums are not corrected.
    """
    if axis.chosen is not None:
        influence = influence[axis.chosen] * axis.scale
    summed = np.bincount(axis.code, influence, axis.size).astype(np.float64)
    return summed if lever is None else left_out(axis, summed, lever, within)


def left_out(axis: Axis, summed: Floats, lever: Lever, within: Floats | None = None) -> Floats:
    """The correction of `cluster_sums` for influences that are summed within clusters [size]
    already."""
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
    known = left > 1e-9  # else there is only this cluster, and no interval
    left = np.where(known, left, 1.0)
    result: Floats = (axis.size - 1) / axis.size * summed / left
    return result


def within_large(axis: Axis, scores: Scores, label: Labels, theta: float) -> Floats | None:
    """[large] the AUC within each large cluster of the axis minus `theta`; scores and labels are
    [n]. None without such clusters."""
    large = axis.large
    if large is None or np.isnan(theta):
        return None
    aucs = auc_by_group(scores[large.rows], label[large.rows], large.code)
    within = np.zeros(len(large.cluster))
    within[aucs.group] = aucs.auc - theta
    return within


def auc_sums(axis: Axis, auc: RowInfluence, scores: Scores, label: Labels) -> Floats:
    """[size] `cluster_sums` for an AUC of scores and labels [n]; exact for every cluster, since
    large ones enter with their own AUC."""
    within = within_large(axis, scores, label, auc.value)
    return cluster_sums(axis, auc.rows, "classes", within)


def _classes(axis: Axis) -> tuple[Floats, Floats]:
    """The share of all positives [size] and of all negatives [size] in each cluster."""
    if axis.positive is None or axis.rows is None:
        raise ValueError("got an axis without classes, expected one of rows with labels")
    negative = axis.rows - axis.positive
    n1, n0 = max(float(axis.positive.sum()), 1.0), max(float(negative.sum()), 1.0)
    return axis.positive / n1, negative / n0
