"""The correlation that equal seeds (same data order) give strategies; one estimate pooled
over all."""

import numpy as np

from fusefront.harness.statistics.joint import Floats

_MOST = 0.95


def pooled_correlation(values: Floats) -> float:
    """The correlation of the strategies' seed effects, from values [S, n]; in [0, .95], 0 if
    unknown.

    One standard error is subtracted: with few strategies or seeds the plain estimate makes
    intervals too short (coverage .91 with two strategies instead of .95), this one by at most .006
    (docs/statistics.md).
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
