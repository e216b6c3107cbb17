"""Loss and calibration from logits: log loss, normalised entropy, ECE with its curve,
temperature."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fusefront.harness.statistics.auc import Codes, Floats, Labels, RowInfluence, Scores, TieGroups
from fusefront.harness.statistics.rows import Axis

BINS = 15


class Curve(NamedTuple):
    """Calibration in B bins of equal numbers of rows, lowest scores first; empty bins are
    left out."""

    rows: Floats  # [B]
    predicted: Floats  # [B] mean predicted probability
    observed: Floats  # [B] share of positives
    se: Floats  # [B] standard error of observed - predicted, rows clustered


class CalibrationError(NamedTuple):
    """The expected calibration error (ECE) of one score vector."""

    value: float
    rows: Floats  # [N] influences
    chance: float  # ECE of a perfectly calibrated model: the largest upward bias
    curve: Curve


def share_intervals(curve: Curve) -> tuple[Floats, Floats]:
    """95 % interval [B], [B] of each bin's share of positives (Wilson 1927 for clustered rows).

    The number of rows is replaced by the number of independent rows whose share would have the
    error `se`, if that is smaller. This also holds where a bin has few positives or none, where
    observed +- 1.96 se would be too short.
    """
    z2 = special.ndtri(0.975) ** 2
    spread = curve.observed * (1 - curve.observed)
    with np.errstate(divide="ignore", invalid="ignore"):
        independent = np.where(spread > 0, spread / curve.se**2, curve.rows)
    rows = np.minimum(independent, curve.rows)
    middle = (curve.observed + z2 / (2 * rows)) / (1 + z2 / rows)
    half = np.sqrt(z2 * spread / rows + (z2 / (2 * rows)) ** 2) / (1 + z2 / rows)
    return middle - half, middle + half


def row_losses(logits: Scores, label: Labels) -> Floats:
    """Negative log likelihood [n] of each row in nats, from logits [n] without clipping."""
    z = logits.astype(np.float64)
    return np.maximum(z, 0.0) - z * label + np.log1p(np.exp(-np.abs(z)))


def logloss(losses: Floats) -> RowInfluence:
    """The mean of losses [n] in nats."""
    value = float(losses.mean())
    return RowInfluence(value, (losses - value) / len(losses))


def normalised_entropy(losses: Floats, label: Labels) -> RowInfluence:
    """The mean of losses [n] over the loss of a constant click rate (He et al. 2014); equals 1 -
    RIG."""
    rate = float(label.mean())
    if rate in (0.0, 1.0):
        return RowInfluence(float("nan"), np.zeros(len(label)))
    entropy = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
    value = float(losses.mean()) / entropy
    slope = np.log((1 - rate) / rate)  # of the entropy in the rate
    rows = losses - losses.mean() - value * slope * (label - rate)
    return RowInfluence(value, rows / (entropy * len(label)))


def predicted_over_clicked(logits: Scores, label: Labels) -> RowInfluence:
    """PCOC of logits [n]: predicted clicks over observed clicks; 1 is calibrated, nan without a
    click."""
    clicks = int(label.sum())
    if clicks == 0:
        return RowInfluence(float("nan"), np.zeros(len(label)))
    chance = special.expit(logits.astype(np.float64))
    value = float(chance.sum()) / clicks
    return RowInfluence(value, (chance - value * label) / clicks)


def equal_mass_bins(groups: TieGroups, bins: int = BINS) -> NDArray[np.int64]:
    """The first place of each bin [B] in the order of the scores; rows with equal scores share a
    bin."""
    ends = np.cumsum(groups.size)
    middle = ends - groups.size / 2
    number = (middle * bins / len(groups.order)).astype(np.int64)  # below `bins`
    return (ends - groups.size)[np.flatnonzero(np.diff(number, prepend=-1))]


def calibration_error(
    logits: Scores, groups: TieGroups, first: NDArray[np.int64], clusters: Axis
) -> CalibrationError:
    """ECE = sum over bins of |sum of (p - y)| / N of logits [N], with the clustered error of each
    bin.

    `groups` are the rows in the order of the scores; `first` [B] are the places where bins begin.
    """
    total = len(logits)
    size = np.diff(first, append=total)
    probability = special.expit(logits[groups.order].astype(np.float64))
    gap = probability - groups.label
    summed = np.add.reduceat(gap, first)
    value = float(np.abs(summed).sum()) / total
    rows = np.empty(total)
    rows[groups.order] = (gap * np.repeat(np.sign(summed), size) - value) / total
    predicted = np.add.reduceat(probability, first) / size
    gap -= np.repeat(summed / size, size)
    se = _clustered_se(gap, first, clusters.code[groups.order], clusters.size)
    curve = Curve(size.astype(np.float64), predicted, predicted - summed / size, se)
    return CalibrationError(value, rows, float(np.sqrt(2 / np.pi) * (size @ se)) / total, curve)


def _clustered_se(centred: Floats, first: NDArray[np.int64], code: Codes, clusters: int) -> Floats:
    """Standard error of the mean of each bin [B]; rows of a cluster are dependent."""
    se = np.zeros(len(first))
    for number, (start, end) in enumerate(pairwise([*first, len(centred)])):
        sums = np.bincount(code[start:end], centred[start:end])
        se[number] = np.sqrt(np.dot(sums, sums)) / (end - start)
    se *= np.sqrt(clusters / max(clusters - 1, 1))
    return se


def fit_temperature(logits: Scores, label: Labels) -> float:
    """The T > 0 with the least log loss of logits [n] / T (Guo et al. 2017); 1 if there is none.

    Newton's method on 1 / T, in which the loss is convex, scaled by the largest logit: at the start
    no probability is so near to 0 or 1 that the loss seems flat.
    """
    z, y = logits.astype(np.float64), label.astype(np.float64)
    if not z.any():
        return 1.0
    largest = float(np.abs(z).max())
    z, inverse = z / largest, 1.0
    for _ in range(100):
        p = special.expit(inverse * z)
        slope, bend = float(np.dot(p - y, z)), float(np.dot(p * (1 - p), z * z))
        if not bend > 0:
            return 1.0
        step = slope / bend
        # a step changes 1 / T by a factor between 1/8 and 8, since Newton may overshoot
        inverse, before = float(np.clip(inverse - step, inverse / 8, inverse * 8)), inverse
        if abs(inverse - before) <= 1e-10 * before:
            return largest / inverse
    return 1.0
