"""Seeds that strategies share (same data order): one correlation, pooled over all strategies."""

import numpy as np

from fusefront.harness.statistics.joint import Floats

_MOST = 0.95


def pooled_correlation(values: Floats) -> float:
    """Correlation of the strategies' seed effects, [S, n] -> number in [0, .95]; 0 if unknown.

    One standard error is taken off: the plain estimate makes intervals too short when strategies or
    seeds are few (coverage .91 with two strategies), this one by .006 at most (docs/statistics.md).
    """
    strategies, seeds = values.shape
    if strategies < 2 or seeds < 2 or not np.isfinite(values).all():
        return 0.0
    residual = values - values.mean(1, keepdims=True)
    square = float((residual**2).sum())
    if square == 0:
        return 0.0
    common = float((residual.sum(0) ** 2).sum())
    correlation = (common - square) / ((strategies - 1) * square)
    error = 1 / np.sqrt((strategies - 1) * (seeds - 1))
    return float(np.clip(correlation - error, 0.0, _MOST))
