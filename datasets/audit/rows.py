"""The rows of a store as the checks read them: in blocks, or all rows of a sample of users."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.store import PreparedDataset, Split

SPLITS = ("train", "valid", "test")
BLOCK_VALUES = 4_000_000  # history entries or rows looked at at once
SAMPLE_ROWS = 2_000_000

Longs = NDArray[np.int64]
Words = NDArray[np.uint64]


class RequestBlock(NamedTuple):
    """Requests first : last of a split and their rows."""

    split: Split
    first: int
    last: int
    owner: Longs  # [n] request of each row, from 0 at `first`
    rows: slice

    @property
    def start(self) -> Longs:
        """[requests] where each history begins among the split's history entries."""
        return np.asarray(self.split.history_start[self.first : self.last])

    @property
    def length(self) -> Longs:
        """[requests] entries of each history."""
        return np.asarray(self.split.history_length[self.first : self.last], np.int64)


def blocks(
    store: PreparedDataset, name: str, *, most_rows: int | None = None
) -> Iterator[RequestBlock]:
    """The split in blocks of bounded size; with `most_rows` evenly spaced blocks of about so
    many."""
    split = store.split(name)
    requests, rows = len(split.group), len(split.item)
    width = max(store.manifest.schema_.max_history, -(-rows // max(requests, 1)), 1)
    step = max(1, min(BLOCK_VALUES // width, 262_144))
    every = 1
    if most_rows is not None and rows > most_rows:
        step = max(1, min(step, requests // 64))
        every = -(-rows // most_rows)
    for first in range(0, requests, step * every):
        last = min(first + step, requests)
        edges = np.asarray(split.row_start[first : last + 1])
        owner = np.repeat(np.arange(last - first), np.diff(edges))
        yield RequestBlock(split, first, last, owner, slice(int(edges[0]), int(edges[-1])))


def histories(values: NDArray[np.int32], start: Longs, length: Longs) -> tuple[Longs, Longs, Longs]:
    """(item, request, distance from the newest), each [entries], of the histories in `values` that
    begin at start [requests] and have length [requests] entries."""
    request = np.repeat(np.arange(len(start)), length)
    ends = np.cumsum(length)
    place = np.arange(len(request)) - np.repeat(ends - length, length)
    items = values[np.repeat(start, length) + place].astype(np.int64)
    return items, request, np.repeat(length, length) - 1 - place


def mix(words: Words) -> Words:
    """SplitMix64 finaliser (Steele, Lea and Flood 2014) of words [n]: spreads every bit."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def fold(*parts: NDArray[np.generic]) -> Words:
    """One word for each row of several integer arrays [n]: [n]."""
    word = np.zeros(len(parts[0]), np.uint64)
    for part in parts:
        word = mix(word * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1) + part.astype(np.uint64))
    return word


def fold_columns(table: NDArray[np.generic]) -> Words:
    """One word for each row of an integer or float table [n, C]."""
    exact = np.ascontiguousarray(table)
    if exact.dtype == np.float32:
        exact = exact.view(np.int32)
    return fold(np.zeros(len(exact), np.uint64), *(exact[:, c] for c in range(exact.shape[1])))


class UserSample(NamedTuple):
    """All rows of some users, with what tells requests and rows apart."""

    rows: pl.DataFrame  # split, request, user, item, label, context, key; time where there is one
    requests: pl.DataFrame  # split, request, user, key, start, length; time
    share: float  # of the users
    timed: bool
    told_apart: bool  # False: a user's requests cannot be told apart (no times, one history)


def sample_users(store: PreparedDataset, *, most_rows: int = SAMPLE_ROWS) -> UserSample:
    """All users if the store has at most `most_rows` rows, else every m-th by hash."""
    total = sum(counts.rows for counts in store.manifest.counts.values())
    every = max(1, -(-total // most_rows))
    rows, requests = [], []
    for code, name in enumerate(SPLITS):
        for block in blocks(store, name):
            frames = _frames(store, code, block, every)
            requests.append(frames[0])
            rows.append(frames[1])
    timed = store.manifest.timestamps
    history = store.manifest.history  # past "train": one history for many requests of a user
    of_train = history is not None and history.past == "train"
    apart = timed or (store.manifest.schema_.max_history > 0 and not of_train)
    return UserSample(pl.concat(rows), pl.concat(requests), 1 / every, timed, apart)


def _frames(
    store: PreparedDataset, code: int, block: RequestBlock, every: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    split, rows = block.split, block.rows
    user = np.asarray(split.group[block.first : block.last])
    keep = np.flatnonzero(fold(user) % np.uint64(every) == 0)
    mask = np.zeros(len(user), bool)
    mask[keep] = True
    mine = mask[block.owner]
    owner = block.owner[mine]
    time = None if split.timestamp is None else np.asarray(split.timestamp[rows])
    past = _history_word(store, block.start[keep], block.length[keep])
    word = np.zeros(len(user), np.uint64)
    first_row = np.asarray(split.row_start[block.first : block.last]) - rows.start
    word[keep] = past if time is None else fold(time[first_row[keep]])
    key = fold(user, word)
    shared = {"split": np.uint8(code)}
    requests = pl.DataFrame(
        {
            "request": keep + block.first,
            "user": user[keep],
            "key": key[keep],
            "start": block.start[keep],
            "length": block.length[keep],
            **({} if time is None else {"time": time[first_row[keep]]}),
        }
    ).with_columns(**{name: pl.lit(value, pl.UInt8) for name, value in shared.items()})
    context = fold(
        fold_columns(split.candidate_ids[rows])[mine],
        fold_columns(split.candidate_numbers[rows])[mine],
    )
    lines = pl.DataFrame(
        {
            "request": owner + block.first,
            "user": user[owner],
            "key": key[owner],
            "item": np.asarray(split.item[rows])[mine],
            "label": np.asarray(split.label[rows])[mine],
            "context": context,
            **({} if time is None else {"time": time[mine]}),
        }
    ).with_columns(**{name: pl.lit(value, pl.UInt8) for name, value in shared.items()})
    return requests, lines


def _history_word(store: PreparedDataset, start: Longs, length: Longs) -> Words:
    """One word for each request's whole history, order included."""
    items, _, distance = histories(store.history_values, start, length)
    words = fold(items, distance)
    total = np.zeros(len(start), np.uint64)
    if len(words):
        filled = np.flatnonzero(length)
        total[filled] = np.add.reduceat(words, (np.cumsum(length) - length)[filled])
    return fold(total, length)
