"""The kind of a column (text, integers, ...), decided once for all files, chunks and splits.

A typed file (parquet) declares its kinds. A text file (csv) does not: its column counts as
integers, fractions or booleans only if every value prints back exactly as written. '007', '1e3',
'+5', ' 7' and ids of more than 63 bits make it text. Files that disagree are refused.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.files import broken

Kind: TypeAlias = str
Role = Literal["key", "history", "value", "time", "label", "number"]

WHOLE, FRACTIONS, NARROW = "whole numbers", "fractions", "fractions of 32 bits"
BOOLEANS, TEXT, NOTHING = "booleans", "text", "nothing"
DAYS, DATES, ZONED = "days", "dates", "dates with a zone"
LISTS = "lists of "
NUMBERS = (WHOLE, FRACTIONS, NARROW)


def kind_of(dtype: pl.DataType) -> Kind:
    """The kind of a typed column; a rare type is named as Polars names it."""
    if isinstance(dtype, pl.List | pl.Array):
        return LISTS + kind_of(dtype.inner)  # type: ignore[arg-type]
    if isinstance(dtype, pl.Datetime):
        return ZONED if dtype.time_zone else DATES
    if dtype.is_integer():
        return WHOLE
    plain = {
        pl.Float64: FRACTIONS,
        pl.Float32: NARROW,
        pl.Boolean: BOOLEANS,
        pl.String: TEXT,
        pl.Categorical: TEXT,
        pl.Enum: TEXT,
        pl.Date: DAYS,
        pl.Null: NOTHING,
    }
    return next((kind for known, kind in plain.items() if dtype == known), str(dtype))


def whole_numbers(text: pl.Series) -> pl.Series:
    """Text as int64 where it prints back as it stood, else null.

    >>> whole_numbers(pl.Series(["7", "-1", "007", "+5", "7.0", " 7", None])).to_list()
    [7, -1, None, None, None, None, None]
    """
    cast = text.cast(pl.Int64, strict=False)
    return cast.set((cast.cast(pl.String) != text).fill_null(value=False), None)


def inner(kind: Kind) -> Kind:
    """The kind of a list's entries; of any other kind itself."""
    return kind.removeprefix(LISTS)


class ColumnKind(NamedTuple):
    """The kind of one column in one file; `row` and `value` show it where the file has no types."""

    path: Path
    column: str
    kind: Kind
    typed: bool
    row: int = 0
    value: str | None = None


@dataclass
class KindEvidence:
    """What the texts of a column look like, and where each form was first found."""

    path: Path
    column: str
    first: dict[Kind, tuple[int, str]] = field(default_factory=dict)

    def look(self, column: pl.Series, row: NDArray[np.int64]) -> None:
        """Take in a chunk whose values are in the rows `row` [values] of the file; nulls are
        ignored."""
        if TEXT in self.first:
            return  # nothing can make it less
        rest = pl.DataFrame({"text": column.cast(pl.String)}).with_columns(row=row)
        rest = rest.drop_nulls()
        for kind, alike in _LOOKS:
            if not rest.height:
                return
            looks = rest.select(alike.fill_null(value=False)).to_series()
            self._note(kind, rest.filter(looks))
            rest = rest.filter(~looks)
        self._note(TEXT, rest)

    def _note(self, kind: Kind, rows: pl.DataFrame) -> None:
        if rows.height and kind not in self.first:
            self.first[kind] = (int(rows["row"][0]), str(rows["text"][0]))

    def survey(self) -> ColumnKind:
        """The kind of the whole column of this file."""
        kinds = set(self.first) - {NOTHING}
        if TEXT in kinds or kinds == {WHOLE, FRACTIONS}:
            row, value = self.first.get(TEXT) or self.first[FRACTIONS]
            return ColumnKind(self.path, self.column, TEXT, False, row, value)
        shown = [
            ColumnKind(self.path, self.column, kind, False, *self.first[kind])
            for kind in sorted(kinds, key=lambda kind: self.first[kind][0])
        ]
        if len(shown) > 1:  # 0, 1 and True in one column: written in two ways
            raise clash("values", shown[0], shown[1])
        return shown[0] if shown else ColumnKind(self.path, self.column, NOTHING, False)


_TEXT = pl.col("text")
_LOOKS: tuple[tuple[Kind, pl.Expr], ...] = (
    (WHOLE, _TEXT.cast(pl.Int64, strict=False).cast(pl.String) == _TEXT),
    (BOOLEANS, _TEXT.str.to_lowercase().is_in(["true", "false"])),
    (FRACTIONS, _TEXT.cast(pl.Float64, strict=False).cast(pl.String) == _TEXT),
)


def agreed(parts: Sequence[ColumnKind], role: Role, noun: str) -> Kind:
    """The one kind of a column over all its files; text files take the kind of a typed one.

    `noun` names the values in the message: "users", "item keys".
    """
    parts = [part for part in parts if part.kind != NOTHING]
    typed = [part for part in parts if part.typed]
    for part in typed[1:]:
        if _as(part.kind, role) != _as(typed[0].kind, role):
            raise clash(noun, typed[0], part)
    loose = [part for part in parts if not part.typed]
    if typed:
        expected = _as(typed[0].kind, role)
        for part in loose:
            if expected != TEXT and _as(part.kind, role) != expected:
                raise clash(noun, typed[0], part)
        return _widest(typed + loose, role)
    if any(part.kind == TEXT for part in loose):
        return TEXT
    for part in loose[1:]:
        if _as(part.kind, role) != _as(loose[0].kind, role):
            raise clash(noun, loose[0], part)
    return _widest(loose, role) if loose else NOTHING


def _as(kind: Kind, role: Role) -> Kind:
    """One name for kinds that mean the same in a role."""
    if role in ("number", "label") and kind in NUMBERS:
        return "numbers"
    if role == "time" and kind in (FRACTIONS, NARROW):
        return FRACTIONS
    return DATES if role == "time" and kind == DAYS else kind


def _widest(parts: Iterable[ColumnKind], role: Role) -> Kind:
    kinds = {part.kind for part in parts}
    if TEXT in kinds:
        return TEXT
    if len(kinds) > 1 and kinds <= set(NUMBERS):
        return FRACTIONS
    return _as(kinds.pop(), role) if len(kinds) > 1 or role == "time" else kinds.pop()


def clash(noun: str, before: ColumnKind, after: ColumnKind) -> DataContractError:
    """The error for two files, or two rows of one file, that disagree."""
    shown = f" ({after.value[:40]!r})" if after.value is not None else ""
    if before.column != after.column:
        where = f"column {before.column!r} of {before.path.name} holds {before.kind}"
    elif before.path == after.path:
        value = str(before.value)[:40]
        where = f"those before (row {before.row}, {value!r}) are {before.kind}"
    else:
        where = f"those of {before.path.name} are {before.kind}"
    return broken(
        after.path,
        f"{noun} are {after.kind}{shown}, {where}",
        "store them as one type in every file",
        column=after.column,
        row=after.row,
    )


def conform(column: pl.Series, kind: Kind, path: Path, first: int) -> pl.Series:
    """A column of later rows converted to `kind`, that of the data set; refused if it does not fit.

    Text is accepted if it prints back as a value of the kind, and integers where fractions are
    expected. `first` is the file's row of the first value.
    """
    actual = kind_of(column.dtype)
    if actual == kind or column.null_count() == len(column) or inner(actual) == NOTHING:
        return column
    base, expected = inner(actual), inner(kind)
    if (base == actual) == (expected == kind):
        if expected in (FRACTIONS, NARROW) and base in (WHOLE, FRACTIONS):
            dtype: pl.DataType = pl.Float64() if expected == FRACTIONS else pl.Float32()
            return column.cast(dtype if base == actual else pl.List(dtype))
        if base == actual == TEXT:
            return _written(column, kind, path, first)
    raise broken(
        path,
        f"holds {actual}, expected {kind} as in the data set",
        "cast it",
        column=column.name,
        row=first,
    )


def _written(column: pl.Series, kind: Kind, path: Path, first: int) -> pl.Series:
    """Text that stands for values of a kind, as a text file has them."""
    alike = dict(_LOOKS).get(FRACTIONS if kind == NARROW else kind, pl.lit(value=False))
    bad = column.to_frame("text").select((~alike).fill_null(value=True) & _TEXT.is_not_null())
    rows = bad.to_series().arg_true()
    if len(rows):
        raise broken(
            path,
            f"got {column[int(rows[0])]!r}, expected {kind} as in the data set",
            "write the values as the data set has them",
            column=column.name,
            row=first + int(rows[0]),
        )
    return column
