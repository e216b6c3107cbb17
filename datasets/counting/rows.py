"""The rows of a store while it is made, block by block, with the columns that counters need."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.manifest import StoredField
from fusefront.datasets.raw.hashing import combine, mix
from fusefront.datasets.spec import SPLITS

BLOCK = 1 << 17
MOMENT = "moment"  # row/moment.npy: the time of the row's request, where the log names requests

Ints = NDArray[np.int64]
Codes = NDArray[np.int32]


class Place(NamedTuple):
    """Where the codes of a field lie: a side, and its columns there."""

    side: str
    columns: slice


class CountedRows(NamedTuple):
    """n rows of one split, in the store's order."""

    train: bool
    user: Ints  # [n] code of the user
    item: Codes  # [n] row of the item
    label: NDArray[np.uint8]  # [n]
    time: Ints  # [n]
    moment: Ints  # [n] time of the row's request: nothing from then on is known to the row
    source: Ints  # [n] place in the log, which orders rows of one time
    codes: dict[str, Codes]  # attribute -> [n, C], 0 = no value

    @property
    def size(self) -> int:
        """How many rows."""
        return len(self.item)

    def take(self, chosen: Ints | slice) -> "CountedRows":
        """The rows of the places chosen [k], in that order."""
        return CountedRows(
            self.train,
            self.user[chosen],
            self.item[chosen],
            self.label[chosen],
            self.time[chosen],
            self.moment[chosen],
            self.source[chosen],
            {name: codes[chosen] for name, codes in self.codes.items()},
        )


def places(fields: Mapping[str, tuple[StoredField, ...]]) -> dict[str, Place]:
    """attribute such as "item.genres" -> where its codes lie; `fields` of each side in order."""
    of = {}
    for side, stored in fields.items():
        start = 0
        for field in stored:
            of[f"{side}.{field.name}"] = Place(side, slice(start, start + field.columns))
            start += field.columns
    return of


def columns_of(key: tuple[str, ...], places: Mapping[str, Place]) -> int:
    """How many values of a key a row has at most."""
    columns = [places[part].columns for part in key if part in places]
    return math.prod(part.stop - part.start for part in columns)


def key_words(rows: CountedRows, key: tuple[str, ...]) -> tuple[Ints, NDArray[np.uint64]]:
    """(row [E], word [E]) of every value of a key; a row that lacks a part of it has none."""
    row = np.arange(rows.size)
    words = np.zeros(rows.size, np.uint64)
    for part in key:
        if part in ("user", "item"):
            value = rows.user if part == "user" else rows.item.astype(np.int64)
            words = combine(len(part), words, value[row].view(np.uint64))
            continue
        at, place = np.nonzero(rows.codes[part][row])
        code = rows.codes[part][row[at], place].astype(np.uint64)
        row, words = row[at], mix(words[at] ^ mix(code))
    return row, words


class StoredRows:
    """Rows of all splits in turn; `places` says where the attributes' codes are."""

    def __init__(self, folder: Path, places: Mapping[str, Place]) -> None:
        self.folder, self.places = folder, places
        self.lengths = {
            split: len(np.load(folder / split / "row" / "item.npy", mmap_mode="r"))
            for split in SPLITS
        }

    def __len__(self) -> int:
        return sum(self.lengths.values())

    @property
    def of_requests(self) -> bool:
        """Whether the log names requests, which begin before some of their rows."""
        return (self.folder / SPLITS[0] / "row" / f"{MOMENT}.npy").exists()

    def blocks(self, rows: int = BLOCK) -> Iterator[CountedRows]:
        """All of them, some at a time."""
        for split in SPLITS:
            for first in range(0, self.lengths[split], rows):
                yield self._block(split, first, min(first + rows, self.lengths[split]))

    def _block(self, split: str, first: int, last: int) -> CountedRows:
        folder, part = self.folder / split, slice(first, last)

        def read(name: str, chosen: slice = part) -> NDArray[Any]:
            # a new map each time, so that pages of earlier ones are freed
            return np.array(np.load(folder / f"{name}.npy", mmap_mode="r")[chosen])

        starts = np.load(folder / "request" / "row_start.npy", mmap_mode="r")
        edges = np.searchsorted(starts, [first, last - 1], side="right") - 1
        bounds = np.array(starts[edges[0] : edges[1] + 2])
        owner = np.searchsorted(bounds, np.arange(first, last), side="right") - 1
        requests = slice(int(edges[0]), int(edges[1]) + 1)
        item, time = read("row/item"), read("row/timestamp")
        own_moment = (folder / "row" / f"{MOMENT}.npy").exists()
        sides = {place.side for place in self.places.values()}
        tables = {}
        if "request" in sides:
            tables["request"] = read("request/context_ids", requests)[owner]
        if "candidate" in sides:
            tables["candidate"] = read("row/context_ids")
        if "item" in sides:
            fields = np.load(self.folder / "items" / "fields.npy", mmap_mode="r")
            tables["item"] = np.array(fields[item])
        return CountedRows(
            split == "train",
            read("request/group", requests)[owner],
            item,
            read("row/label"),
            time,
            read(f"row/{MOMENT}") if own_moment else time,
            read("row/row_id"),
            {name: tables[place.side][:, place.columns] for name, place in self.places.items()},
        )
