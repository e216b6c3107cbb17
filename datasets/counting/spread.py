"""Columns of files in bounded memory: entries apart by key, their results back in order of rows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class KeyParts:
    """Records [n] of one dtype with a field `key`, appended to 2 ** bits files by their keys."""

    def __init__(self, folder: Path, dtype: np.dtype[Any], bits: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.dtype, self.bits = folder, dtype, bits

    def add(self, records: NDArray[Any]) -> None:
        """Append a block; the order of rows is kept in each part."""
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

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """One part after the other; its file is deleted once it was read."""
        for number in range(1 << self.bits):
            path = self._path(number)
            if path.exists():
                records = np.fromfile(path, self.dtype)
                path.unlink()
                yield records

    def _path(self, number: int) -> Path:
        return self.folder / f"part.{number}"


class Gathered:
    """Sums of `width` columns for each of `rows` rows, from results that come in any order."""

    def __init__(self, folder: Path, rows: int, width: int, block: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rows, self.width, self.block = folder, rows, width, block
        self.dtype = np.dtype([("row", "<i8"), ("values", "<f8", (width,))])

    def add(self, row: Ints, values: NDArray[np.float64]) -> None:
        """Add `values` [n, width] to the sums of rows [n], in ascending order."""
        edges = np.arange(0, self.rows + self.block, self.block)
        ends = np.searchsorted(row, edges)
        for number in range(len(edges) - 1):
            begin, end = int(ends[number]), int(ends[number + 1])
            if end > begin:
                records = np.empty(end - begin, self.dtype)
                records["row"], records["values"] = row[begin:end], values[begin:end]
                with self._path(number).open("ab") as file:
                    file.write(records.view(np.uint8).data)

    def write(self, target: Path) -> None:
        """All sums [rows, width] to a raw file, block by block."""
        with target.open("wb") as file:
            for number, first in enumerate(range(0, self.rows, self.block)):
                count = min(self.block, self.rows - first)
                out, path = np.zeros((count, self.width)), self._path(number)
                if path.exists():
                    records = np.fromfile(path, self.dtype)
                    path.unlink()
                    at = records["row"] - first
                    for column in range(self.width):
                        part = records["values"][:, column]
                        out[:, column] = np.bincount(at, part, count)
                file.write(out.data)

    def _path(self, number: int) -> Path:
        return self.folder / f"block.{number}"
