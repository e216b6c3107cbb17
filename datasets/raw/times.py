"""Timestamps as int64, in one unit over the whole log."""

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.files import broken, filled

Kind = Literal["whole numbers", "fractions", "dates"]


class Clock:
    """Reads times chunk by chunk; all files must write them as the first chunk does.

    Whole numbers stay as they are, dates become milliseconds, fractions thousandths.
    """

    def __init__(self) -> None:
        self.kind: Kind | None = None

    def read(self, column: pl.Series, path: Path, first: int) -> NDArray[np.int64]:
        """The times of a chunk whose first row is row `first` of the file."""
        column = filled(column, path, first)
        if column.dtype == pl.String:
            column = self._parsed(column, path, first)
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
            return column.cast(pl.Datetime("ms")).to_physical().to_numpy().astype(np.int64)
        if kind == "fractions":
            return _thousandths(column, path, first)
        return _whole(column, path, first)

    def _parsed(self, column: pl.Series, path: Path, first: int) -> pl.Series:
        """Text as what the first chunk was, so that chunks of any size agree."""
        kinds = {"whole numbers": pl.Int64, "fractions": pl.Float64}
        for kind, dtype in kinds.items():
            cast = column.cast(dtype, strict=False)
            bad = cast.is_null()
            if self.kind in (None, kind) and not bad.any():
                return cast
            if self.kind == kind:
                _refuse(column, bad, path, first, f"expected {kind} as before")
        return _dates(column, path, first)


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


def _dates(column: pl.Series, path: Path, first: int) -> pl.Series:
    try:
        parsed = column.str.to_datetime(strict=False, time_unit="ms", ambiguous="earliest")
    except pl.exceptions.ComputeError:  # no format was recognised at all
        parsed = pl.Series(column.name, [None] * len(column), pl.Datetime("ms"))
    if parsed.has_nulls():
        _refuse(column, parsed.is_null(), path, first, "expected a time")
    return parsed


def _refuse(column: pl.Series, bad: pl.Series, path: Path, first: int, expected: str) -> None:
    at = int(bad.arg_true()[0])
    raise broken(
        path,
        f"got {column[at]!r}, {expected}",
        "write seconds, milliseconds or ISO 8601, the same in every row",
        column=column.name,
        row=first + at,
    )
