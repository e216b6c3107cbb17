"""Turns sums over the past into the numbers that a model takes; the only place with the
formulas."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.counting.plan import Number

Floats = NDArray[np.float64]
ROWS, POSITIVES, RESIDUAL = 0, 1, 2  # columns of a ledger's sums
_PARTS = 2.0**40  # parts of an error: the sum of four million errors fits into an int64
SURE = 1e-9  # rates are kept this far from 0 and 1 before taking log-odds


def number_of(number: Number, sums: Sequence[Floats], rate: float) -> Floats:
    """One number [n] from the sums [n, 2 or 3] of every ledger; `rate` is train's share of
    positives."""
    own, prior = number.sources[0]
    count = sums[own][:, ROWS]
    if number.kind == "n":
        return np.log1p(count)
    if number.kind == "residual":
        return sums[own][:, RESIDUAL] / (count + prior)
    smoothed: Floats = np.full(len(count), rate)
    for ledger, weight in reversed(number.sources):
        part = sums[ledger]
        smoothed = (part[:, POSITIVES] + weight * smoothed) / (part[:, ROWS] + weight)
    smoothed = np.clip(smoothed, SURE, 1 - SURE)
    return np.log(smoothed) - np.log1p(-smoothed)


def item_error(label: NDArray[np.uint8], item: Floats, prior: float, rate: float) -> Floats:
    """Label minus the rate that the row's item had, from the item's sums [n, 2] at that time."""
    shown, clicked = item[:, ROWS], item[:, POSITIVES]
    return label - (clicked + prior * rate) / (shown + prior)


def fixed(error: Floats) -> NDArray[np.int64]:
    """Errors [n] as integers in units of 2 ** -40, so that their sums do not depend on the
    order."""
    return np.round(error * _PARTS).astype(np.int64)


def unfixed(sums: Floats | NDArray[np.int64]) -> Floats:
    """Sums [n, 2 or 3] with fixed-point errors converted back to floats."""
    of_errors = sums.astype(np.float64)
    of_errors[:, RESIDUAL:] /= _PARTS
    return of_errors
