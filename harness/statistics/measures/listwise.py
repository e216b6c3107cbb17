"""Metrics of the first k places of a request: expected NDCG and recall if ties are ordered at
random."""

import numpy as np

from fusefront.harness.statistics.auc import Floats, Labels, Scores, ordered_bits
from fusefront.harness.statistics.measures.ranking import UnitInfluence, mean_of_units
from fusefront.harness.statistics.rows import Units

PLACES = 10  # the default k


class TopPlaces:
    """The rows of every request sorted by score and cut where the score changes."""

    def __init__(self, scores: Scores, label: Labels, requests: Units) -> None:
        key = requests.code.astype(np.uint64) << np.uint64(33)
        key |= (~ordered_bits(scores)).astype(np.uint64) << np.uint64(1)
        key |= (label > 0).astype(np.uint64)
        key.sort()
        positive = (key & np.uint64(1)).astype(np.int64)
        key >>= np.uint64(1)
        ends = np.append(np.flatnonzero(key[1:] != key[:-1]), len(key) - 1)
        self.size = np.diff(ends, prepend=-1)  # [T] rows of each group of ties
        self.positive = np.diff(np.cumsum(positive)[ends], prepend=0)  # [T]
        self.request = (key[ends] >> np.uint64(32)).astype(np.int64)  # [T]
        first = np.cumsum(requests.size) - requests.size  # [U] of the sorted rows
        self.above = ends + 1 - self.size - first[self.request]  # [T] rows of the request above
        self.requests = requests
        self.positives = self._summed(self.positive)  # [U]

    def ndcg(self, k: int) -> UnitInfluence:
        """Mean over the requests with both classes of the gain in the first k places over the best
        possible gain."""
        longest = int(self.requests.size.max())
        discount = np.zeros(longest + 1)
        places = min(k, longest)
        discount[1 : places + 1] = 1 / np.log2(np.arange(places) + 2)
        best = np.cumsum(discount)  # [longest + 1] the best gain of 0, 1, ... positives
        spread = (best[self.above + self.size] - best[self.above]) / self.size
        gain = self._summed(self.positive * spread)
        both = self.requests.both
        return mean_of_units(gain[both] / best[self.positives[both].astype(np.int64)])

    def recall(self, k: int) -> UnitInfluence:
        """Mean over the requests with both classes of the share of their positives in the first k
        places."""
        inside = np.clip((k - self.above) / self.size, 0.0, 1.0)
        both = self.requests.both
        return mean_of_units(self._summed(self.positive * inside)[both] / self.positives[both])

    def _summed(self, values: Floats) -> Floats:
        """[U] the sum of the values of each request."""
        sums = np.bincount(self.request, values, len(self.requests.size))
        return np.asarray(sums, np.float64)
