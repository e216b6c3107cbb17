"""Splits entries by key into files and gathers their results in order of rows, in bounded
memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
BLOCK = 1 << 19  # rows that are gathered at once
_MOST_BITS = 10


def parts_of(entries: int, part: int) -> int:
    """How many leading bits of the keys separate parts, so that a part has at most about `part`
    entries."""
    bits = 0
    while entries >> bits > part and bits < _MOST_BITS:
        bits += 1
    return bits


class KeyPart:
    """The records of some of the keys, in a file that is deleted once it was used."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path, self.dtype = path, dtype
        self.size = path.stat().st_size // dtype.itemsize

    def read(self) -> NDArray[Any]:
        """All of its records [n], in the order in which they came."""
        return np.fromfile(self.path, self.dtype)


class KeyParts:
    """Records [n] of one dtype with a field `key`, appended to 2 ** bits files by their keys."""

    def __init__(self, folder: Path, dtype: np.dtype[Any], bits: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.dtype, self.bits = folder, dtype, bits

    def add(self, records: NDArray[Any]) -> None:
        """Append a block of records [n]; the order of rows is kept in each part."""
        part = (records["key"] >> np.uint64(64 - self.bits)).astype(np.uint16)
        if self.bits == 0:
            part = np.zeros(len(records), np.uint16)
        order = np.argsort(part, kind="stable")
        ends = np.cumsum(np.bincount(part, minlength=1 << self.bits))
        begin, records = 0, records[order]
        for number, end in enumerate(ends.tolist()):
            if end > begin:
                with self._path(number).open("ab") as file:
                    file.write(records[begin:end].view(np.uint8).data)
            begin = end

    def __iter__(self) -> Iterator[KeyPart]:
        """One part after the other; its file is deleted before the next."""
        for number in range(1 << self.bits):
            path = self._path(number)
            if path.exists():
                yield KeyPart(path, self.dtype)
                path.unlink()

    def _path(self, number: int) -> Path:
        return self.folder / f"part.{number}"


class Gathered:
    """Sums of `width` columns for each of `rows` rows, from results that come in any order."""

    def __init__(self, folder: Path, rows: int, dtype: np.dtype[Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rows, self.dtype = folder, rows, dtype

    def add(self, row: Ints, values: NDArray[np.int64] | NDArray[np.float64]) -> None:
        """Add `values` [n, width] to the sums of rows [n], in ascending order."""
        edges = np.arange(0, self.rows + BLOCK, BLOCK)
        ends = np.searchsorted(row, edges)
        for number in range(len(edges) - 1):
            begin, end = int(ends[number]), int(ends[number + 1])
            if end > begin:
                records = np.empty(end - begin, self.dtype)
                records["row"], records["values"] = row[begin:end], values[begin:end]
                with self._path(number).open("ab") as file:
                    file.write(records.view(np.uint8).data)

    def __iter__(self) -> Iterator[NDArray[np.int64] | NDArray[np.float64]]:
        """All sums [rows, width], block by block; what they were made of is deleted."""
        width, kind = self.dtype["values"].shape[0], self.dtype["values"].base
        for number, first in enumerate(range(0, self.rows, BLOCK)):
            count = min(BLOCK, self.rows - first)
            out, path = np.zeros((width, count), kind), self._path(number)
            if path.exists():
                records = np.fromfile(path, self.dtype)
                path.unlink()
                at = records["row"] - first
                for column in range(width):
                    np.add.at(out[column], at, np.ascontiguousarray(records["values"][:, column]))
            yield out.T

    def _path(self, number: int) -> Path:
        return self.folder / f"block.{number}"
