"""Events of histories whose kinds are told apart: how many kinds, and a batch's distinct ones."""

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Events
from fusefront.datasets.store import PreparedDataset

Ints = NDArray[np.int64]


def kinds_of(store: PreparedDataset) -> int:
    """How many kinds of events the histories tell apart; 0 where they hold one."""
    history = store.manifest.history
    return 0 if store.history_kinds is None or history is None else len(history.kinds)


def distinct_events(history: Ints, kinds: Ints, items: int, most: int) -> Events:
    """Histories [R, L] of indices into `items` items, kinds [R, L] up to `most`, as distinct
    events."""
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
