"""The input of an exported scorer: ids and contexts of R requests with K candidates each; needs
NumPy alone."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Feed = dict[str, Array]  # input name -> array, see `FeedShape.arrays`

HISTORIES = ("history", "history_kinds", "history_mask")  # [R, L], padded on the left
IDS = (*HISTORIES, "candidates")
CONTEXTS = ("request_ids", "request_numbers", "candidate_ids", "candidate_numbers")


class FeedShape(NamedTuple):
    """The columns of the contexts; a context without columns is no input of the graph."""

    request_ids: int = 0
    request_numbers: int = 0
    candidate_ids: int = 0
    candidate_numbers: int = 0
    max_history: int = 0
    history_kinds: int = 0  # kinds of events that histories tell apart

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "FeedShape":
        """The shape that `_asdict` wrote."""
        return cls(**{name: int(value[name]) for name in cls._fields if name in value})

    def arrays(self, requests: int, candidates: int, history: int) -> Feed:
        """A feed of zeros: history int64 [R, L] of item rows (0 = padding, left), history_mask bool
        [R, L], candidates int64 [R, K], request_ids int64 [R, C], candidate_ids int64 [R, K, C],
        numbers float32. If kinds are told apart, history_kinds int64 [R, L] (0 = none). Places
        outside the mask must hold row 0 of kind 0, because some scorers read no mask."""
        lead = {"request": (requests,), "candidate": (requests, candidates)}
        feed: Feed = {
            "history": np.zeros((requests, history), np.int64),
            "history_mask": np.zeros((requests, history), np.bool_),
            "candidates": np.zeros((requests, candidates), np.int64),
        }
        if self.history_kinds:
            feed["history_kinds"] = np.zeros((requests, history), np.int64)
        for name in CONTEXTS:
            if columns := getattr(self, name):
                side, kind = name.split("_")
                dtype = np.int64 if kind == "ids" else np.float32
                feed[name] = np.zeros((*lead[side], columns), dtype)
        return feed


def joined(feeds: Sequence[Feed]) -> Feed:
    """Several feeds with equally many candidates as one; histories are padded on the left to the
    longest."""
    longest = max(feed["history"].shape[1] for feed in feeds)
    return {
        name: np.concatenate(
            [
                np.pad(feed[name], ((0, 0), (longest - feed[name].shape[1], 0)))
                if name in HISTORIES
                else feed[name]
                for feed in feeds
            ]
        )
        for name in feeds[0]
    }
