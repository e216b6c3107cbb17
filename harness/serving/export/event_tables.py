"""Codes of events in a history: a row for each item and kind, or an item's row and a kind's vector.

Where the path from an item's tokens to its code is linear, the code of an event is the sum of both
(exact for items with the same slots). Whichever takes fewer bytes is stored; the sum is made
online.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.baselines.contract import ItemCodes, kinds_in

SLOT_BYTES = 8  # of the number that says which slots an item has
EXACT = 2e-6  # of a code, beside its own size: a float32 sum is no nearer


class SplitRows(NamedTuple):
    """code(i, k) = items[i] + kinds[slots[i] * (kinds + 1) + k]."""

    items: NDArray[np.float32]  # [n, C]
    kinds: NDArray[np.float32]  # [patterns * (kinds + 1), C]
    slots: NDArray[np.int32]  # [n] which slots the item has, as the number of the pattern


def slot_patterns(codes: ItemCodes) -> NDArray[np.int32]:
    """The slots that each item of a whole table has, as a number; [n]."""
    times = kinds_in(codes)
    there = [codes.history.present[::times], codes.candidate.present]
    present = np.concatenate([part.detach().cpu().numpy() for part in there], axis=1)
    return np.unique(present, axis=0, return_inverse=True)[1].ravel().astype(np.int32)


def split_rows(
    values: NDArray[np.float32], slots: NDArray[np.int32], times: int, row_bytes: int
) -> SplitRows | None:
    """Rows [n * times, C] of every event as sums; None where they are none, or take no fewer
    bytes."""
    codes = values.reshape(len(slots), times, -1)
    patterns = int(slots.max()) + 1
    first = np.unique(slots, return_index=True)[1]  # an item of each pattern
    added = codes[first].astype(np.float64) - codes[first, :1]
    kinds = added.astype(np.float32)
    for pattern in range(patterns):
        rows = codes[slots == pattern]
        off = np.abs(rows[:, :1] + kinds[pattern] - rows)
        if not (off <= EXACT * (1 + np.abs(rows))).all():
            return None
    sums = len(slots) * (row_bytes + SLOT_BYTES) + kinds.nbytes
    if sums >= len(values) * row_bytes:
        return None
    return SplitRows(codes[:, 0].copy(), kinds.reshape(patterns * times, -1), slots)


def alike_for_kinds(table: NDArray[np.bool_], times: int) -> NDArray[np.bool_] | None:
    """Presence [n * times, T] as one row an item, [n, T]; None where a kind changes it."""
    rows = table.reshape(-1, times, table.shape[1])
    return rows[:, 0].copy() if (rows == rows[:, :1]).all() else None
