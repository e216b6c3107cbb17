"""Loss and calibration from logits: logloss, normalised entropy, ECE and its curve, temperature."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fusefront.harness.statistics.auc import Codes, Floats, Labels, RowInfluence, Scores, TieGroups
from fusefront.harness.statistics.rows import Axis

BINS = 15


class Curve(NamedTuple):
    """Calibration in bins of equal mass, lowest scores first; B bins, empty ones left out."""

    rows: Floats  # [B]
    predicted: Floats  # [B] mean predicted probability
    observed: Floats  # [B] share of positives
    se: Floats  # [B] standard error of observed - predicted, rows clustered


class CalibrationError(NamedTuple):
    """Expected calibration error of one score vector."""

    value: float
    rows: Floats  # [N] influences
    chance: float  # what a perfectly calibrated model would show: the upward bias at most
    curve: Curve


def share_intervals(curve: Curve) -> tuple[Floats, Floats]:
    """95 % interval [B], [B] of each bin's share of positives (Wilson 1927, clustered rows).

    The rows count as the smaller number of independent ones whose share would err by `se`: that
    holds where a bin has few positives, or none, and observed +- 1.96 se would be too short.
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
    """Negative log likelihood [n] of each row in nats, from logits [n]: nothing is clipped."""
    z = logits.astype(np.float64)
    return np.maximum(z, 0.0) - z * label + np.log1p(np.exp(-np.abs(z)))


def logloss(losses: Floats) -> RowInfluence:
    """Mean of losses [n], in nats."""
    value = float(losses.mean())
    return RowInfluence(value, (losses - value) / len(losses))


def normalised_entropy(losses: Floats, label: Labels) -> RowInfluence:
    """Mean of losses [n] over the loss of the constant click rate (He et al. 2014); 1 - RIG."""
    rate = float(label.mean())
    if rate in (0.0, 1.0):
        return RowInfluence(float("nan"), np.zeros(len(label)))
    entropy = -rate * np.log(rate) - (1 - rate) * np.log1p(-rate)
    value = float(losses.mean()) / entropy
    slope = np.log((1 - rate) / rate)  # of the entropy in the rate
    rows = losses - losses.mean() - value * slope * (label - rate)
    return RowInfluence(value, rows / (entropy * len(label)))


def predicted_over_clicked(logits: Scores, label: Labels) -> RowInfluence:
    """PCOC of logits [n]: clicks that were predicted over those that came; 1 is calibrated, nan
    without any."""
    clicks = int(label.sum())
    if clicks == 0:
        return RowInfluence(float("nan"), np.zeros(len(label)))
    chance = special.expit(logits.astype(np.float64))
    value = float(chance.sum()) / clicks
    return RowInfluence(value, (chance - value * label) / clicks)


def equal_mass_bins(groups: TieGroups, bins: int = BINS) -> NDArray[np.int64]:
    """First place of each bin in the order of the scores, [B]; rows of one score share a bin."""
    ends = np.cumsum(groups.size)
    middle = ends - groups.size / 2
    number = np.minimum((middle * bins / len(groups.order)).astype(np.int64), bins - 1)
    return (ends - groups.size)[np.flatnonzero(np.diff(number, prepend=-1))]


def calibration_error(
    logits: Scores, groups: TieGroups, first: NDArray[np.int64], clusters: Axis
) -> CalibrationError:
    """ECE = sum over bins of |sum of (p - y)| / N of logits [N], with the clustered error of each
    bin.

    `groups` are the rows in the order of the scores, `first` where the bins begin there.
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
    """Standard error of the mean of each bin; rows of a cluster go together."""
    ends = np.append(first[1:], len(centred))
    se = np.zeros(len(first))
    for number, (start, end) in enumerate(zip(first, ends, strict=True)):
        sums = np.bincount(code[start:end], centred[start:end])
        se[number] = np.sqrt(np.dot(sums, sums)) / (end - start)
    se *= np.sqrt(clusters / max(clusters - 1, 1))
    return se


def fit_temperature(logits: Scores, label: Labels) -> float:
    """The T > 0 for which logits [n] / T have the least logloss (Guo et al. 2017); 1 if none
    exists.

    Newton's method on 1 / T, where the loss is convex, in units of the largest logit: at first no
    probability is so near 0 or 1 that the loss seems flat.
    """
    z, y = logits.astype(np.float64), label.astype(np.float64)
    largest = float(np.abs(z).max(initial=0.0))
    if largest == 0:
        return 1.0
    z, inverse = z / largest, 1.0
    for _ in range(100):
        p = special.expit(inverse * z)
        slope, bend = float(np.dot(p - y, z)), float(np.dot(p * (1 - p), z * z))
        if not bend > 0:
            return 1.0
        step = slope / bend
        # steps are halved at most to an eighth or grown to the eightfold: Newton may overshoot
        inverse, before = float(np.clip(inverse - step, inverse / 8, inverse * 8)), inverse
        if abs(inverse - before) <= 1e-10 * before:
            return largest / inverse
    return 1.0
