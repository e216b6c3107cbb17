"""Returning users: who visits when, and how clicks extend a history."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fusefront.datasets.synthetic.latents import Ints

Longs = npt.NDArray[np.int64]


class Visits(NamedTuple):
    """Requests in order of time; those of one user form a chain."""

    root: Longs  # [R] position of the user's first request
    previous: Longs  # [R] position of the user's request before this one, -1 for the first
    rounds: list[Longs]  # positions of all first visits, of all second visits, ...


def chain(random: np.random.Generator, size: int, share: float) -> Visits:
    """A share of the requests is by the user of a random earlier request, so that active users
    become more active."""
    position = np.arange(size)
    earlier = (random.random(size) * position).astype(np.int64)
    root = np.where((random.random(size) < share) & (position > 0), earlier, position)
    while not np.array_equal(root, root[root]):
        root = root[root]
    order = np.argsort(root, kind="stable")
    opens = np.flatnonzero(np.diff(root[order], prepend=-1))
    lengths = np.diff(np.append(opens, size))
    rank = np.empty(size, np.int64)
    rank[order] = position - np.repeat(opens, lengths)
    previous = np.full(size, -1)
    previous[order[1:]] = np.where(rank[order[1:]] > 0, order[:-1], -1)
    by_rank = np.argsort(rank, kind="stable")
    rounds = np.split(by_rank, np.cumsum(np.bincount(rank))[:-1])
    return Visits(root, previous, rounds)


def follow(history: Ints, candidates: Ints, label: npt.NDArray[np.uint8]) -> Ints:
    """Histories [R, L] after a visit: clicked candidates join at the end, the oldest fall out."""
    longer = np.concatenate([history, np.where(label == 1, candidates, 0)], axis=1)
    zeros_first = np.argsort(longer > 0, axis=1, kind="stable")
    packed: Ints = np.take_along_axis(longer, zeros_first, axis=1)[:, -history.shape[1] :]
    return packed


def last_states(
    user: Longs, history: Ints, candidates: Ints, label: npt.NDArray[np.uint8]
) -> tuple[Longs, Ints]:
    """Each user of user [visits] once, with the history [users, length] after the user's last
    request; history [visits, length], candidates and label [visits, candidates]."""
    known, from_end = np.unique(user[::-1], return_index=True)
    last = len(user) - 1 - from_end
    return known, follow(history[last], candidates[last], label[last])
