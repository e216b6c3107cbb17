"""How well one number ranks the rows."""

import numpy as np
from numpy.typing import NDArray


def auc(label: NDArray[np.uint8], score: NDArray[np.float64]) -> float:
    """Area under the ROC curve, ties one half.

    >>> auc(np.array([0, 1, 1], np.uint8), np.array([0.1, 0.1, 0.9]))
    0.75
    """
    _, code, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # mean rank of each distinct score
    positives = int(label.sum())
    others = len(label) - positives
    won = float(rank[code[label == 1]].sum()) - positives * (positives + 1) / 2
    return won / (positives * others)
