"""Requests drawn from the test split: the history of one user and K candidates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.store import PreparedDataset, Split
from fusefront.harness.serving.export.request import Feed

DISTINCT = 1000  # requests for each K: enough for a realistic spread of ids in caches


class Arrived(NamedTuple):
    """A request as it arrives: its user, the keys of its items, and its contexts as codes."""

    who: int  # row of the history index
    keys: NDArray[Any]  # [K] item keys
    request: tuple[NDArray[np.int64], NDArray[np.float32]]
    candidates: tuple[NDArray[np.int64], NDArray[np.float32]]


@dataclass(frozen=True)
class Lookup:
    """What a server keeps beside the scorer: histories by user, item rows by key."""

    values: NDArray[np.int32]
    kinds: NDArray[np.uint8] | None  # as the values, if kinds of events are told apart
    start: NDArray[np.int64]
    length: NDArray[np.int32]
    max_history: int
    row_of: Mapping[Any, int]

    @classmethod
    def of(cls, store: PreparedDataset, split: Split) -> "Lookup":
        """The histories of a split's requests and the keys of all items."""
        keys = store.item_keys()
        return cls(
            np.asarray(store.history_values),
            store.history_kinds,
            np.asarray(split.history_start),
            np.asarray(split.history_length),
            store.manifest.schema_.max_history,
            dict(zip(keys["key"].to_list(), keys["row"].to_list(), strict=True)),
        )

    def history(self, who: int) -> NDArray[np.int64]:
        """The newest items of a user, newest last, [L]."""
        return self.values[self._newest(who)].astype(np.int64)

    def history_kinds(self, who: int) -> NDArray[np.int64] | None:
        """The kinds of the same events, [L]."""
        return None if self.kinds is None else self.kinds[self._newest(who)].astype(np.int64)

    def _newest(self, who: int) -> slice:
        end = int(self.start[who]) + int(self.length[who])
        return slice(end - min(int(self.length[who]), self.max_history), end)

    def feed(self, request: Arrived) -> Feed:
        """The graph's feed: keys become rows, the history is looked up. An unknown key becomes row
        0."""
        rows = self.row_of
        candidates = np.array([rows.get(key, 0) for key in request.keys.tolist()], np.int64)
        feed = _feed(self.history(request.who), candidates, request)
        kinds = self.history_kinds(request.who)
        if kinds is not None:
            feed["history_kinds"] = kinds[None] if len(kinds) else np.zeros((1, 1), np.int64)
        return feed


def _feed(history: NDArray[np.int64], candidates: NDArray[np.int64], request: Arrived) -> Feed:
    length = max(len(history), 1)  # an empty history is one masked place
    mask = np.ones((1, length), np.bool_) if len(history) else np.zeros((1, 1), np.bool_)
    feed: Feed = {
        "history": history[None] if len(history) else np.zeros((1, 1), np.int64),
        "history_mask": mask,
        "candidates": candidates[None],
    }
    parts = (
        ("request_ids", request.request[0]),
        ("request_numbers", request.request[1]),
        ("candidate_ids", request.candidates[0]),
        ("candidate_numbers", request.candidates[1]),
    )
    for name, part in parts:
        if part.shape[-1]:
            feed[name] = part[None]
    return feed


def draw(
    store: PreparedDataset,
    split: Split,
    candidates: int,
    rng: np.random.Generator,
    count: int = DISTINCT,
) -> list[Arrived]:
    """Requests with the user of a test request and K rows of the test split as candidates.

    Items are therefore as frequent as they were shown, and contexts come with their row.
    """
    row_keys = store.item_keys().sort("row")["key"].to_numpy()  # of rows 1, 2, ...
    users = rng.integers(0, len(split.group), count)
    rows = rng.integers(0, len(split.item), (count, candidates))
    item = np.asarray(split.item)
    drawn = []
    for who, chosen in zip(users.tolist(), rows, strict=True):
        drawn.append(
            Arrived(
                who,
                row_keys[item[chosen] - 1],
                (
                    np.asarray(split.request_ids[who], np.int64),
                    np.asarray(split.request_numbers[who], np.float32),
                ),
                (
                    np.asarray(split.candidate_ids[chosen], np.int64),
                    np.asarray(split.candidate_numbers[chosen], np.float32),
                ),
            )
        )
    return drawn
