"""Checks that numeric times have one unit: seconds together with milliseconds are refused."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.raw.files import broken

_FROM, _TO = 631_152_000, 4_102_444_800  # 1990 to 2100 in seconds
BANDS = {  # the ranges of times in each unit, which are far apart
    "yyyymmdd": (19_900_101, 21_001_231),
    "seconds": (_FROM, _TO),
    "yyyymmddhhmm": (199_001_010_000, 210_012_312_359),
    "milliseconds": (_FROM * 10**3, _TO * 10**3),
    "yyyymmddhhmmss": (19_900_101_000_000, 21_001_231_235_959),
    "microseconds": (_FROM * 10**6, _TO * 10**6),
    "nanoseconds": (_FROM * 10**9, _TO * 10**9),
}
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_NAMES = tuple(BANDS)
_EDGES = np.array([edge for low, high in BANDS.values() for edge in (low, high + 1)])
_FEW = 0.1  # a log with a larger share of rows outside all bands holds no dates


@dataclass
class Scale:
    """Counts in which unit the times of a log would be dates; `declared` is a key of UNITS."""

    declared: str | None = None
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(BANDS), np.int64))
    rows: int = 0
    _first: dict[int, tuple[Path, int, float]] = field(default_factory=dict)
    _column: str = ""

    def see(self, values: NDArray[Any], path: Path, column: str, first: int) -> None:
        """Take the times [n] of a chunk whose first row is row `first` of the file."""
        if not len(values):
            return
        self.rows, self._column = self.rows + len(values), column
        ends = _band(np.array([values.min(), values.max()]))
        alike = ends[0] == ends[1] >= 0  # both ends in one band, so all between are, too
        band = np.broadcast_to(ends[:1], len(values)) if alike else _band(values)
        for number in np.unique(band[band >= 0]).tolist():
            here = band == number
            at = int(np.argmax(here))
            self.counts[number] += int(here.sum())
            self._first.setdefault(number, (path, first + at, values[at].item()))

    def check(self) -> None:
        """Refuses a log with dates in two units, or in another unit than declared."""
        used = np.flatnonzero(self.counts)
        if not len(used) or self.rows - self.counts.sum() > _FEW * self.rows:
            return
        rare, common = used[np.argsort(self.counts[used], kind="stable")][[0, -1]].tolist()
        path, row, value = self._first[rare]
        content, fix = f"got {value}, a time in {_NAMES[rare]}", "write all times in one unit"
        if rare != common:
            other = self._first[common]
            content += (
                f", as in {self.counts[rare]:,} of {self.rows:,} rows, and {other[2]}, one in "
                f"{_NAMES[common]}, in row {other[1]} of {other[0].name}"
            )
        elif self.declared and _NAMES[rare] != UNITS[self.declared]:
            content += f", where columns.time_unit says {UNITS[self.declared]}"
            fix = "mend time_unit, or the times"
        else:
            return
        raise broken(path, content, fix, column=self._column, row=row)

    @property
    def unit(self) -> str:
        """A key of UNITS; "" if neither the spec nor the values tell."""
        if self.declared:
            return self.declared
        used = np.flatnonzero(self.counts)
        if len(used) != 1 or self.rows - self.counts.sum() > _FEW * self.rows:
            return ""
        return next((key for key, name in UNITS.items() if name == _NAMES[used[0]]), "")


def _band(values: NDArray[Any]) -> NDArray[np.int64]:
    """Number of the band that each value lies in, -1 for none."""
    place = np.searchsorted(_EDGES, values, side="right")
    return np.where(place % 2 == 1, place // 2, -1)
