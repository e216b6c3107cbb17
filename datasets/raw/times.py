"""Timestamps as int64, in one unit over the whole log."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.files import broken, filled
from fusefront.datasets.raw.reading import stream
from fusefront.datasets.raw.time_scale import UNITS, Scale
from fusefront.datasets.raw.time_text import Way, find_day_first, is_year_last, parse_times, way_of
from fusefront.datasets.spec import Columns
from fusefront.datasets.table_text import TableText

Kind = Literal["whole numbers", "fractions", "dates"]


class Clock:
    """Reads times chunk by chunk; all files must write them in one way.

    Integers stay unchanged, dates become milliseconds, fractions thousandths. `time_format` and
    `time_unit` come from the spec; `day_first` says how to read text such as 03/04/2021.
    """

    def __init__(
        self,
        time_format: str | None = None,
        time_unit: str | None = None,
        *,
        day_first: bool | None = None,
        kind: Kind | None = None,
    ) -> None:
        self.kind = kind
        self.scale = Scale(time_unit)
        self.day_first = day_first
        self.way = Way(f"the format {time_format!r}", (time_format,)) if time_format else None
        self._declared = time_format is not None
        self._days = self._clocked = 0  # rows of text without and with a time of day

    def read(self, column: pl.Series, path: Path, first: int) -> NDArray[np.int64]:
        """The times [n] of a chunk whose first row is row `first` of the file, in ticks of
        `unit`."""
        column = filled(column, path, first)
        if _is_text(column):
            column = self._parsed(column.cast(pl.String), path, first)
        elif self._declared:
            raise broken(
                path,
                f"got {column.dtype}, where columns.time_format is for text",
                "remove time_format",
                column=column.name,
            )
        kind = _kind(column, path)
        self.kind = self.kind or kind
        if kind != self.kind:
            raise broken(
                path,
                f"times are {kind}, those before are {self.kind}",
                "write all times in one unit",
                column=column.name,
                row=first,
            )
        if kind == "dates":
            return self._dates(column, path)
        read = _thousandths if kind == "fractions" else _whole
        values = read(column, path, first)
        self.scale.see(column.to_numpy(), path, column.name, first)
        return values

    @property
    def unit(self) -> str:
        """The unit of the stored times: s, ms, us or ns; "" if nothing tells."""
        if self.kind == "dates":
            return "ms"
        units = ["", *UNITS]
        unit = self.scale.unit
        if self.kind != "fractions" or not unit:
            return unit
        return units[units.index(unit) + 1] if unit != "ns" else ""

    def _dates(self, column: pl.Series, path: Path) -> NDArray[np.int64]:
        if self.scale.declared:
            raise broken(
                path,
                "got dates, where columns.time_unit is for numbers",
                "remove time_unit",
                column=column.name,
            )
        return column.cast(pl.Datetime("ms")).to_physical().to_numpy().astype(np.int64)

    def _parsed(self, column: pl.Series, path: Path, first: int) -> pl.Series:
        """Text read as the first chunk was, so that chunks of any size agree."""
        kinds: dict[Kind, type[pl.DataType]] = {"whole numbers": pl.Int64, "fractions": pl.Float64}
        for kind, dtype in kinds.items() if self.way is None else ():
            cast = column.cast(dtype, strict=False)
            bad = cast.is_null()
            if self.kind in (None, kind) and not bad.any():
                return cast
            if self.kind == kind:
                _refuse(column, bad, path, first, f"expected {kind} as before")
        self.way = self.way or way_of(column, path, first, day_first=self.day_first)
        parsed = parse_times(column, self.way, path, first)
        if not self._declared:
            clocked = int(column.str.contains(":", literal=True).sum())
            self._clocked, self._days = self._clocked + clocked, self._days + len(column) - clocked
        return parsed

    def count_days(self, tally: Tally) -> None:
        """Count the rows with a day only, if other rows of the log have a time of day."""
        if self._days and self._clocked:
            what = "rows have a day and no time of day, unlike the others, and count as midnight"
            tally.add("time.day_alone", self._days, self._days + self._clocked, what)


def clock_of(
    parts: Sequence[tuple[Path, TableText]], columns: Columns, kind: Kind | None = None
) -> Clock:
    """The clock of a log whose column is of `kind`; the column is read first if 03/04/2021 could be
    read in two ways."""
    name, day_first = columns.timestamp, None
    if name is not None and columns.time_format is None:
        heads = (next(stream(path, [name], 1, text), None) for path, text in parts)
        texts = [head[name] for head in heads if head is not None and _is_text(head[name])]
        if any(is_year_last(head.cast(pl.String)) for head in texts):
            day_first = find_day_first(_texts(parts, name))
    return Clock(columns.time_format, columns.time_unit, day_first=day_first, kind=kind)


def _texts(
    parts: Sequence[tuple[Path, TableText]], name: str
) -> Iterator[tuple[pl.Series, Path, int]]:
    for path, text in parts:
        first = 0
        for frame in stream(path, [name], 1 << 17, text):
            if _is_text(frame[name]):
                yield frame[name].cast(pl.String), path, first
            first += frame.height


def _is_text(column: pl.Series) -> bool:
    return column.dtype in (pl.String, pl.Categorical, pl.Enum)


def _kind(column: pl.Series, path: Path) -> Kind:
    if isinstance(column.dtype, pl.Datetime | pl.Date):
        return "dates"
    if column.dtype.is_integer():
        return "whole numbers"
    if column.dtype.is_float():
        return "fractions"
    raise broken(
        path,
        f"got {column.dtype}, expected times",
        "store seconds, milliseconds or datetimes",
        column=column.name,
    )


def _whole(column: pl.Series, path: Path, first: int) -> NDArray[np.int64]:
    cast = column.cast(pl.Int64, strict=False)
    if cast.has_nulls():
        _refuse(column, cast.is_null(), path, first, "expected a time below 2^63")
    return cast.to_numpy()


def _thousandths(column: pl.Series, path: Path, first: int) -> NDArray[np.int64]:
    values = column.to_numpy()
    bad = np.flatnonzero(~np.isfinite(values) | (np.abs(values) > 9e15))
    if len(bad):
        row = first + int(bad[0])
        raise broken(path, f"got {values[bad[0]]}", "fix the time", column=column.name, row=row)
    return np.round(values * 1000).astype(np.int64)


def _refuse(column: pl.Series, bad: pl.Series, path: Path, first: int, expected: str) -> None:
    at = int(bad.arg_true()[0])
    raise broken(
        path,
        f"got {column[at]!r}, {expected}",
        "write seconds, milliseconds or ISO 8601, the same in every row",
        column=column.name,
        row=first + at,
    )
