"""The past events of a bucket's users, and the part of them that each request has as its
history."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.raw.history import Histories

Ints = NDArray[np.int64]
Kinds = NDArray[np.uint8]


@dataclass(frozen=True)
class Past:
    """Events of a bucket in order of (user, time)."""

    items: NDArray[np.int32]  # [P]
    kinds: Kinds | None  # [P]
    keys: Ints  # [P] sorted: user * times + rank of the time
    begin: Ints  # [G] key of the request's user
    query: Ints  # [G] key of the request's user and time: the past is strictly before it


@dataclass(frozen=True)
class Ready:
    """Distinct histories of a bucket, and which of them each request has."""

    lists: Histories
    kinds: Kinds | None  # of every value of the lists
    of: Ints  # [G]


class Slices(NamedTuple):
    """Values, their kinds if they are told apart, and where each request's history lies in them."""

    values: NDArray[np.int32]  # [V]
    kinds: Kinds | None  # [V]
    start: Ints  # [G]
    length: Ints  # [G]


def log_slices(past: Past, items: NDArray[np.bool_] | None, longest: int) -> Slices:
    """The newest `longest` events strictly before each request.

    `items` [n + 1] keeps some items only (item-cold splits hide the cold ones from train).
    """
    keys, values, kinds = past.keys, past.items, past.kinds
    if items is not None:
        keep = items[values]
        keys, values = keys[keep], values[keep]
        kinds = None if kinds is None else kinds[keep]
    end = np.searchsorted(keys, past.query)
    length = np.minimum(end - np.searchsorted(keys, past.begin), longest)
    return Slices(values, kinds, end - length, length)


def ready_slices(past: Ready, items: NDArray[np.bool_] | None) -> Slices:
    """Histories that are given as lists, without the items that `items` [n + 1] hides."""
    lists, kinds = past.lists, past.kinds
    if items is not None:
        keep = items[lists.values]
        row = np.repeat(np.arange(len(lists.length)), lists.length)
        lists = Histories(lists.values[keep], np.bincount(row[keep], minlength=len(lists.length)))
        kinds = None if kinds is None else kinds[keep]
    start = np.cumsum(lists.length) - lists.length
    return Slices(lists.values, kinds, start[past.of], lists.length[past.of])
