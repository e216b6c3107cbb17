"""Content search made ahead of a request: the same scorer, fed with what the search leaves.

A model that reads histories by content search alone (`composed` with the pooler `content_search`
at `item`) scores a candidate from the K items of the history that are most alike to it. Offline,
whenever a history changes: their places. Online every candidate is a request of its own whose
history is these K items, so that what is paid grows with K and not with L. Needs NumPy alone.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.serving.export.request import CONTEXTS, Array, Feed
from fusefront.harness.serving.export.scorer import Scorer

FILE = "search.npz"  # of a bundle
PLACES = "places"  # [R, K, k] of the history, -1 = none; beside a feed whose search was made
NEWER = np.float32(1e-7)  # an item one place newer is ahead by this, as in the graph


class SearchAhead(NamedTuple):
    """What histories are searched by."""

    ways: NDArray[np.float32]  # [n + 1, C] of items, compared by their product
    present: NDArray[np.bool_]  # [n + 1] items that a history may show
    nearest: int  # K

    @classmethod
    def read(cls, path: Path) -> "SearchAhead":
        """What `write` wrote."""
        with np.load(path) as file:
            return cls(file["ways"], file["present"], int(file["nearest"]))

    def write(self, path: Path) -> None:
        """One file, without pickles."""
        np.savez(path, ways=self.ways, present=self.present, nearest=np.array(self.nearest))

    def ahead(self, feed: Feed) -> Feed:
        """The feed with the places of its candidates' searches; unchanged where histories are no
        longer than K. Made before a request."""
        history, mask = feed["history"], feed["history_mask"]
        if history.shape[1] <= self.nearest:
            return feed
        ages = np.arange(history.shape[1], 0, -1, dtype=np.float32) * NEWER
        rows = []
        for request, items in enumerate(history):
            shown = mask[request] & self.present[items]
            alike = self.ways[feed["candidates"][request]] @ self.ways[items].T - ages  # [K, L]
            alike = np.where(shown, alike, -np.inf)
            place = np.argpartition(alike, -self.nearest)[:, -self.nearest :]
            rows.append(np.sort(np.where(shown[place], place, -1)))  # -1 on the left
        return feed | {PLACES: np.stack(rows)}


def searched(feed: Feed) -> Feed:
    """A feed with places as R x K requests of one candidate and K items each."""
    places: Array = feed[PLACES]
    requests, candidates, nearest = places.shape
    pairs = requests * candidates
    real = (places >= 0).reshape(pairs, nearest)
    items = np.take_along_axis(feed["history"][:, None], places, -1)  # -1 takes any: it is cleared
    result: Feed = {
        "history": items.reshape(pairs, nearest) * real,
        "history_mask": real,
        "candidates": feed["candidates"].reshape(pairs, 1),
    }
    for name in feed.keys() & {*CONTEXTS}:
        rows = feed[name]
        once = name.startswith("request")
        result[name] = (
            np.repeat(rows, candidates, 0) if once else rows.reshape(pairs, 1, rows.shape[-1])
        )
    return result


class SearchedScorer:
    """A scorer that takes feeds with and without places."""

    def __init__(self, scorer: Scorer, search: SearchAhead | None) -> None:
        self.scorer, self.search = scorer, search

    def select(self, feed: Feed) -> Feed:
        """The inputs of the graph and what was searched ahead, before the clock starts."""
        if self.search is None:
            return self.scorer.select(feed)
        names = {"history", "history_mask", "candidates", PLACES, *CONTEXTS}
        return {name: rows for name, rows in self.search.ahead(feed).items() if name in names}

    def logits(self, feed: Feed) -> NDArray[np.float32]:
        """Logits [R, K] of a feed."""
        return self.run(self.select(feed))[0]

    def run(self, feed: Feed) -> list[Array]:
        """Logits [R, K] of a selected feed."""
        if PLACES not in feed:
            return self.scorer.run(self.scorer.select(feed))
        logits = self.scorer.run(self.scorer.select(searched(feed)))[0]
        return [logits.reshape(feed["candidates"].shape)]
