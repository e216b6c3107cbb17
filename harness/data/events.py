"""Events of histories whose kinds (click, cart, ...) are told apart: the number of kinds, and the
distinct events of a batch."""

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Events
from fusefront.datasets.store import PreparedDataset

Ints = NDArray[np.int64]


def kinds_of(store: PreparedDataset) -> int:
    """How many kinds of events the histories tell apart; 0 where all events are of one kind."""
    if store.history_kinds is None:
        return 0
    return len(store.manifest.history.kinds) if store.manifest.history else 0


def distinct_events(history: Ints, kinds: Ints, items: int, most: int) -> Events:
    """The distinct events of histories [R, L], which are indices into `items` items, with kinds
    [R, L] from 0 to `most`."""
    pair = history * (most + 1) + kinds
    present = np.zeros(items * (most + 1), bool)
    present[pair.ravel()] = True
    present[0] = True
    pairs = np.flatnonzero(present)  # (P,) sorted, pairs[0] == 0: padding
    place = np.zeros(len(present), np.int64)
    place[pairs] = np.arange(len(pairs))
    return Events(
        torch.from_numpy(pairs // (most + 1)),
        torch.from_numpy(pairs % (most + 1)),
        torch.from_numpy(place[pair]),
    )
