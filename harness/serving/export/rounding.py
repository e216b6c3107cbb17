"""Weights in int8, rounded together so that their products change as little as possible.

Inputs are rounded one at a time, those with the largest mean square first. The error of each
rounding is compensated by the inputs that are not rounded yet (Frantar, Ashkboos, Hoefler &
Alistarh 2022, after the optimal brain surgeon of Hassibi & Stork 1993). The graph gets no new node.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAMPING = 0.01  # share of the inputs' mean sum of squares, added so that the matrix has an inverse


class Rounded(NamedTuple):
    """Weights [in, out] as integers times a scale a column [out]."""

    integers: NDArray[np.int8]
    column: Floats

    @property
    def weights(self) -> Floats:
        """[in, out] the values that the integers stand for."""
        return self.integers * self.column


def nearest(weights: Floats) -> Rounded:
    """Every weight of [in, out] to the nearest of its column's 127 steps to either side."""
    column = np.maximum(np.abs(weights).max(0) / 127, 1e-12)
    return Rounded(np.round(weights / column).astype(np.int8), column)


def rounded(weights: Floats, rows: Floats) -> Rounded:
    """Weights [in, out] rounded together, or by `nearest` where that changes the products less.

    The rounding is fitted on every second of `rows` [n, in] and compared with `nearest` on the
    others: with few or similar rows it can fit those rows only.
    """
    plain = nearest(weights)
    basis, control = rows[::2], rows[1::2]
    together = Rounded(_together(weights, plain.column, basis), plain.column)
    better = _moved(weights, together, control) < _moved(weights, plain, control)
    return together if better else plain


def _moved(weights: Floats, by: Rounded, rows: Floats) -> float:
    """How far the products of `rows` [n, in] with the weights [in, out] move: the root of the sum
    of squares."""
    return float(np.linalg.norm(rows @ (by.weights - weights)))


def _together(weights: Floats, column: Floats, rows: Floats) -> NDArray[np.int8]:
    """Integers [in, out] whose products with `rows` [n, in] are close to those of the weights."""
    square = rows.T @ rows
    power = np.diag(square).copy()
    square[np.diag_indices(len(square))] += max(DAMPING * float(power.mean()), 1e-12)
    order = np.argsort(-power, kind="stable")
    left = weights[order]
    # row i: how the inputs after i compensate an error at i, with those before i fixed
    upper = np.linalg.cholesky(np.linalg.inv(square[np.ix_(order, order)])).T
    integers = np.empty(weights.shape, np.int8)
    for place, source in enumerate(order):
        steps = np.clip(np.round(left[place] / column), -127, 127)
        integers[source] = steps
        lost = (left[place] - steps * column) / upper[place, place]
        left[place + 1 :] -= np.outer(upper[place, place + 1 :], lost)
    return integers
