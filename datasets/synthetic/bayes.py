"""The AUC of the best possible scorer, from the true click probability of every row."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def _auc(clicks: Floats, others: Floats, same_row: float) -> float:
    """From ties in ascending order: expected clicks and non-clicks, and sum p (1 - p)."""
    below = np.cumsum(others) - others
    won = float(np.sum(clicks * (below + others / 2))) - same_row / 2
    pairs = float(clicks.sum() * others.sum()) - same_row
    return won / pairs if pairs > 0 else float("nan")


def bayes_auc(p: Floats) -> float:
    """Expected AUC of ranking by `p` [N] over labels drawn from `p`; ties count one half.

    A row is never paired with itself, hence the terms in p (1 - p).

    >>> round(bayes_auc(np.array([0.0, 1.0, 1.0])), 3)
    1.0
    """
    p = np.sort(np.asarray(p, np.float64))
    if len(p) == 0:
        return float("nan")
    starts = np.flatnonzero(np.diff(p, prepend=-1.0))
    clicks = np.add.reduceat(p, starts)
    others = np.add.reduceat(1 - p, starts)
    return _auc(clicks, others, float(np.sum(p * (1 - p))))


class BayesBins:
    """The same, streamed: rows fall into bins of eta = logit(p), memory does not grow."""

    def __init__(self, bins: int = 65_536, limit: float = 16.0) -> None:
        self.limit = limit
        self.clicks = np.zeros(bins)
        self.others = np.zeros(bins)
        self.same_row = 0.0

    def add(self, p: Floats) -> None:
        """Take in rows with click probabilities p of any shape [...]."""
        p = np.asarray(p, np.float64).ravel()
        bins = len(self.clicks)
        inside = np.clip(p, 1e-12, 1 - 1e-12)
        eta = np.log(inside) - np.log1p(-inside)
        place = ((eta + self.limit) * (bins / (2 * self.limit))).clip(0, bins - 1).astype(np.int64)
        self.clicks += np.bincount(place, p, bins)
        self.others += np.bincount(place, 1 - p, bins)
        self.same_row += float(np.sum(p * (1 - p)))

    def auc(self) -> float:
        """AUC of the scorer that knows every row's click probability, over all rows taken in."""
        return _auc(self.clicks, self.others, self.same_row)
