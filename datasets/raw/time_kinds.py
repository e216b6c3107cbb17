"""The kind of a column of times over all files: integers, fractions, dates with or without a
zone."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.column_kinds import (
    DATES,
    DAYS,
    FRACTIONS,
    NARROW,
    NOTHING,
    WHOLE,
    ZONED,
    ColumnKind,
    Kind,
    clash,
)
from fusefront.datasets.raw.time_text import ZONE
from fusefront.datasets.raw.times import Kind as ClockKind

_TEXT = pl.col("text")
_LOOKS: tuple[tuple[Kind, pl.Expr], ...] = (
    (WHOLE, _TEXT.cast(pl.Int64, strict=False).is_not_null()),
    (FRACTIONS, _TEXT.cast(pl.Float64, strict=False).is_not_null()),
    (ZONED, _TEXT.str.contains(rf"\d{{1,2}}:\d{{2}}.*{ZONE}$")),
    (DATES, _TEXT.is_not_null()),
)


@dataclass
class TimeEvidence:
    """What the times of a text column look like, and where each form was first found.

    Text that is no time counts as a date here; reading the times refuses it later.
    """

    path: Path
    column: str
    first: dict[Kind, tuple[int, str]] = field(default_factory=dict)

    def look(self, column: pl.Series, row: NDArray[np.int64]) -> None:
        """Take in a chunk whose values are in the rows `row` [values] of the file; nulls say
        nothing."""
        rest = pl.DataFrame({"text": column.cast(pl.String).str.strip_chars()})
        rest = rest.with_columns(row=row).drop_nulls()
        for kind, alike in _LOOKS:
            if not rest.height:
                return
            looks = rest.select(alike.fill_null(value=False)).to_series()
            if looks.any() and kind not in self.first:
                at = int(looks.arg_true()[0])
                self.first[kind] = (int(rest["row"][at]), str(rest["text"][at]))
            rest = rest.filter(~looks)

    def survey(self) -> ColumnKind:
        """The kind of the whole column of this file; whole numbers among fractions are
        fractions."""
        first = dict(self.first)
        if FRACTIONS in first:
            first.pop(WHOLE, None)
        shown = [
            ColumnKind(self.path, self.column, kind, False, *first[kind])
            for kind in sorted(first, key=lambda kind: first[kind][0])
        ]
        if len(shown) > 1:
            raise clash("times", shown[0], shown[1])
        return shown[0] if shown else ColumnKind(self.path, self.column, NOTHING, False)


def clock_kind(kind: Kind) -> ClockKind | None:
    """What the clock reads a column of `kind` as; None where there is nothing to read as times."""
    kinds: dict[Kind, ClockKind] = {
        WHOLE: "whole numbers",
        FRACTIONS: "fractions",
        NARROW: "fractions",
        DATES: "dates",
        DAYS: "dates",
        ZONED: "dates",
    }
    return kinds.get(kind)
