"""The AUC of the true probabilities themselves: no model can do better in expectation."""

import numpy as np
from numpy.typing import NDArray


def bayes_auc(truth: NDArray[np.float64]) -> float:
    """Expected AUC of ranking rows by their true click probability, exact with ties.

    With P = sum p and Q = sum (1 - p) per group of equal p, in rising order:
    AUC = [sum P (Q_below + Q / 2) - sum p (1 - p) / 2] / [sum p * sum (1 - p) - sum p (1 - p)].
    """
    values, count = np.unique(truth, return_counts=True)
    positive, negative = values * count, (1 - values) * count
    below = np.cumsum(negative) - negative
    own = float((values * (1 - values) * count).sum())
    total = float(positive.sum()) * float(negative.sum()) - own
    if total <= 0:
        return float("nan")
    return (float((positive * (below + negative / 2)).sum()) - own / 2) / total
