"""Clicks per 1,000 impressions in the top k, from logged requests reordered by a strategy's scores.

Only logged candidates are ranked, and a click counts wherever it was shown. The number compares
orders of the same lists; it does not predict the clicks of new lists (there is no position model).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.decision.inputs import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Log:
    """Logged rows of the test split, grouped by request; only requests with at least two rows."""

    label: Floats  # [N] 0 or 1
    request: Ints  # [N] 0 .. R - 1, ascending
    cluster: Ints  # [R] codes 0 .. m - 1 of the independent clusters
    keep: NDArray[np.bool_]  # [N] which of the original rows are replayed

    @property
    def requests(self) -> int:
        """The number of replayed requests, R."""
        return len(self.cluster)


def open_log(label: NDArray[np.uint8], request: Ints, cluster: Ints) -> Log:
    """The log of rows [N] in store order; `cluster` is given for each row.

    Raises:
        ValueError: the rows of a request are not adjacent.
    """
    _, code, count = np.unique(request, return_inverse=True, return_counts=True)
    keep = count[code] >= 2
    order_ok = bool((np.diff(code) >= 0).all())
    if not order_ok:
        raise ValueError("got rows of a request apart, expected the store's row order")
    _, first, code = np.unique(request[keep], return_index=True, return_inverse=True)
    _, group = np.unique(cluster[keep], return_inverse=True)
    return Log(label[keep].astype(np.float64), code.astype(np.int64), group[first], keep)


def clicks_in_top(log: Log, score: Floats, k: int) -> Floats:
    """Clicks among the k highest scores of each request [R]; `score` is [N] over the kept rows.

    Ties at position k count by their expected share, so that a constant score means a random order.
    """
    order = np.lexsort((-score, log.request))
    request, value, label = log.request[order], score[order], log.label[order]
    start = np.searchsorted(request, np.arange(log.requests))
    rank = np.arange(len(request)) - np.repeat(start, np.diff(start, append=len(request)))
    fresh = np.ones(len(request), dtype=bool)
    fresh[1:] = (request[1:] != request[:-1]) | (value[1:] != value[:-1])
    at = np.flatnonzero(fresh)
    size = np.diff(at, append=len(request))
    share = np.clip((k - rank[at]) / size, 0.0, 1.0)
    weight = label * np.repeat(share, size)
    return np.asarray(np.bincount(request, weight, minlength=log.requests), np.float64)


def shown(log: Log, k: int) -> Floats:
    """Impressions of each request [R]: k, or the number of logged candidates if that is smaller."""
    return np.minimum(np.bincount(log.request, minlength=log.requests), k).astype(np.float64)


def per_thousand(log: Log, score: Floats, k: int) -> tuple[float, Floats]:
    """Clicks per 1,000 impressions and the influence of each cluster [m] on it (a ratio of
    sums)."""
    clicks, impressions = clicks_in_top(log, score, k), shown(log, k)
    rate = clicks.sum() / impressions.sum()
    influence = (clicks - rate * impressions) / impressions.sum()
    return 1000 * float(rate), np.asarray(np.bincount(log.cluster, 1000 * influence), np.float64)
