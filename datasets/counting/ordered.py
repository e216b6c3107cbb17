"""Sorts records on disk by some of their fields, and reads them slice by slice in bounded
memory."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Records = NDArray[Any]
_MARKS = 1 << 10  # of a run: with more runs than that, slices grow beyond a block


class Cut(NamedTuple):
    """The first record of a slice: its values, its run, and its place there."""

    values: tuple[int, ...]
    run: int
    place: int


class OrderedRecords:
    """Sorted runs of records [n] of one dtype in one file; `by` names the fields of the order.

    Records that are equal in these fields keep their order of arrival. A run and a slice have at
    most `block` records.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], by: Sequence[str], block: int) -> None:
        self.path, self.dtype, self.by, self.block = path, dtype, list(by), block
        self.stride = max(1, block // _MARKS)
        self.starts = [0]  # of every run, then the number of records
        self.marks: list[Records] = []  # for each run the values of every `stride`-th record

    def __len__(self) -> int:
        return self.starts[-1]

    def add(self, records: Records) -> None:
        """Append records [n], as a run or several."""
        with self.path.open("ab") as file:
            for begin in range(0, len(records), self.block):
                file.write(self._run(records[begin : begin + self.block]).view(np.uint8).data)

    def sort_file(self) -> None:
        """Make runs of what the file holds, in its place."""
        count = self.path.stat().st_size // self.dtype.itemsize
        with self.path.open("r+b") as file:
            for begin in range(0, count, self.block):
                run = self._run(self._read(begin, min(begin + self.block, count)))
                file.seek(begin * self.dtype.itemsize)
                file.write(run.view(np.uint8).data)

    def __iter__(self) -> Iterator[Records]:
        """All records in order, slice by slice; can be iterated several times."""
        begins = self.starts[:-1]
        for ends in [*map(self._places, self._cuts()), self.starts[1:]]:
            parts = [self._read(a, b) for a, b in zip(begins, ends, strict=True) if b > a]
            if parts:
                yield self._sorted(np.concatenate(parts))
            begins = ends

    def _run(self, records: Records) -> Records:
        run = self._sorted(records)
        self.starts.append(len(self) + len(run))
        self.marks.append(run[self.by][:: self.stride].copy())
        return run

    def _sorted(self, records: Records) -> Records:
        return records[np.lexsort([records[name] for name in reversed(self.by)])]

    def _read(self, begin: int, end: int) -> Records:
        offset = begin * self.dtype.itemsize
        return np.fromfile(self.path, self.dtype, end - begin, offset=offset)

    def _cuts(self) -> list[Cut]:
        """Cuts so many marks apart that no slice is too large, whichever runs its records come
        from."""
        if len(self.marks) < 2:
            return []
        cuts = sorted(
            Cut(values, run, self.starts[run] + self.stride * number)
            for run, marks in enumerate(self.marks)
            for number, values in enumerate(marks.tolist())
        )
        apart = self.block if self.stride == 1 else self.block // self.stride - len(self.marks)
        return cuts[max(1, apart) :: max(1, apart)]

    def _places(self, cut: Cut) -> list[int]:
        """Where each run has its first record that is not before the cut."""
        return [
            cut.place if run == cut.run else self._place(cut, run) for run in range(len(self.marks))
        ]

    def _place(self, cut: Cut, run: int) -> int:
        """The place of the cut in a run: records equal to the cut are before it in earlier runs,
        after it in later ones."""
        bisect = bisect_right if run < cut.run else bisect_left
        mark = bisect(self.marks[run], cut.values, key=_values)
        begin = self.starts[run] + self.stride * max(0, mark - 1)
        window = self._read(begin, min(begin + self.stride, self.starts[run + 1]))
        return begin + bisect(window[self.by], cut.values, key=_values) if mark else begin


def _values(record: Any) -> tuple[int, ...]:
    values: tuple[int, ...] = record.tolist()
    return values
