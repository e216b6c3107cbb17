"""Codes of events in a history: one row for each pair of item and kind, or an item's row plus a
kind's vector.

If the path from an item's tokens to its code is linear, the code of an event is the sum of both
(exact for items with the same slots). The form that takes fewer bytes is stored; the sum is
computed online.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.baselines.contract import ItemCodes, kinds_in

SLOT_BYTES = np.dtype(np.int64).itemsize  # bytes of the number that encodes an item's slots
EXACT = 2e-6  # error of a float32 sum, relative to a code's size


class SplitRows(NamedTuple):
    """code(i, k) = items[i] + kinds[slots[i] * (kinds + 1) + k]."""

    items: NDArray[np.float32]  # [n, C]
    kinds: NDArray[np.float32]  # [patterns * (kinds + 1), C]
    slots: NDArray[np.int32]  # [n] the number of the item's pattern of slots


def slot_patterns(codes: ItemCodes) -> NDArray[np.int32]:
    """[n] for each item of the whole table: the slots that it has, encoded as a number."""
    times = kinds_in(codes)
    there = [codes.history.present[::times], codes.candidate.present]
    present = np.concatenate([part.detach().cpu().numpy() for part in there], axis=1)
    return np.unique(present, axis=0, return_inverse=True)[1].ravel().astype(np.int32)


def split_rows(
    values: NDArray[np.float32], slots: NDArray[np.int32], times: int, row_bytes: int
) -> SplitRows | None:
    """The rows [n * times, C] of all events as sums; None if they are not sums, or if sums take as
    many bytes."""
    codes = values.reshape(len(slots), times, values.shape[1])
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
    return SplitRows(codes[:, 0].copy(), np.concatenate(kinds), slots)


def alike_for_kinds(table: NDArray[np.bool_], times: int) -> NDArray[np.bool_] | None:
    """Presence [n * times, T] as one row an item, [n, T]; None if it depends on the kind."""
    rows = table.reshape(len(table) // times, times, table.shape[1])
    return rows[:, 0].copy() if (rows == rows[:, :1]).all() else None
