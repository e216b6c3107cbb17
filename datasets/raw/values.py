"""The one encoder of raw values, used by prepare and by serving: text, numbers and lists.

Both convert a column to the same texts or numbers here. They differ only in where the texts are
looked up: in code books that grow while preparing, or in finished vocabularies when serving.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.column_kinds import BOOLEANS, Kind, inner
from fusefront.datasets.raw.files import broken
from fusefront.datasets.spec import FieldSpec

_TEXT = pl.col("text")
_ENTRY = pl.element()
_QUOTED = r"\s*'(?:[^'\\]|\\.)*'\s*|\s*\"(?:[^\"\\]|\\.)*\"\s*"


def texts(column: pl.Series, kind: Kind, path: Path) -> pl.Series:
    """One text a value, null where absent; refuses types that have no text form.

    Dates print with as many digits as they need, in UTC if they have a zone, so that files with
    other units or zones agree. NaN is absent; booleans of a text file print as typed ones do.
    """
    if column.dtype.is_nested():
        raise broken(
            path,
            f"got {column.dtype}, expected one value a row",
            "declare the field as type: categories, or name another column",
            column=column.name,
        )
    if column.dtype == pl.String:
        return column.str.to_lowercase() if inner(kind) == BOOLEANS else column
    if isinstance(column.dtype, pl.Datetime):
        zone = column.dtype.time_zone
        utc = column.dt.convert_time_zone("UTC") if zone else column
        return utc.dt.strftime("%Y-%m-%d %H:%M:%S%.f" + ("+00:00" if zone else ""))
    if column.dtype.is_float():
        column = column.set(column == 0, 0.0).fill_nan(None)  # -0 is 0
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        raise broken(
            path,
            f"got {column.dtype} that is no text",
            "store text, numbers or dates",
            column=column.name,
        ) from None


def split_text(column: pl.Series, separator: str) -> pl.Series:
    """Lists that were written as text, entries trimmed; an entry without a text is "".

    Brackets and quotes go where they enclose the whole; between quotes a separator is text. Nothing
    but blanks is an empty list; null stays null.

    >>> split_text(pl.Series(["Action, Drama (TV)", "['it, too', 'b']", " ", None]), ",").to_list()
    [['Action', 'Drama (TV)'], ['it, too', 'b'], [], None]
    """
    text = column.cast(pl.String).str.strip_chars()
    part = re.escape(separator)
    between = rf"[\])]\s*{part}\s*[\[(]"
    enclosed = rf"(?s)^(\[.*\]|\([^()]*{part}[^()]*\))$"  # "(none)" is a value, "(none,)" a tuple
    wrapped = _TEXT.str.contains(enclosed) & ~_TEXT.str.contains(between)
    inside = _TEXT.str.slice(1, _TEXT.str.len_chars() - 2).str.strip_chars()
    bare = pl.when(wrapped).then(inside.str.strip_suffix(separator)).otherwise(_TEXT)
    cut = bare.str.split(separator)
    if len(separator) == 1:
        listed = bare.str.extract_all(f"{_QUOTED}|[^{re.escape(separator)}]+")
        cut = pl.when(wrapped & _TEXT.str.contains("['\"]")).then(listed).otherwise(cut)
    cut = pl.when(bare == "").then(pl.lit([], pl.List(pl.String))).otherwise(cut)
    quotes = _ENTRY.str.contains(r"(?s)^('.*'|\".*\")$")
    plain = pl.when(quotes).then(_ENTRY.str.slice(1, _ENTRY.str.len_chars() - 2)).otherwise(_ENTRY)
    lists = text.to_frame("text").select(cut.list.eval(_ENTRY.str.strip_chars()).alias("cut"))
    return lists.select(pl.col("cut").list.eval(plain)).to_series().alias(column.name)


class Cells(NamedTuple):
    """The values of a field: texts [V] in order of the rows, `row` and `place` of each [V]."""

    texts: pl.Series
    row: NDArray[np.int64]
    place: NDArray[np.int64]


def cells(field: FieldSpec, column: pl.Series, kind: Kind, path: Path) -> Cells:
    """The values of a categorical field in a chunk; nulls, blanks and repeats within a list are
    left out."""
    if field.type == "category":
        row = np.arange(len(column))
        return Cells(texts(column, kind, path), row, np.zeros(len(column), np.int64))
    if field.separator is not None and column.dtype == pl.String:
        column = split_text(column, field.separator)
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if not isinstance(column.dtype, pl.List) or column.dtype.inner.is_nested():
        raise broken(
            path,
            f"got {column.dtype}, expected a list or text with a separator",
            "set 'separator', or declare the field as type: category",
            column=field.column,
        )
    length = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = texts(column.drop_nulls().explode(empty_as_null=False), inner(kind), path)
    there = (flat.is_not_null() & (flat.str.len_bytes() > 0)).fill_null(value=False)
    row = np.repeat(np.arange(len(length)), length)[there.to_numpy()]
    count = np.bincount(row, minlength=len(length))
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return Cells(flat.filter(there), row, place)


def table(codes: NDArray[np.int32], values: Cells, rows: int, columns: int) -> NDArray[np.int32]:
    """Codes [V] of the cells as a table [rows, columns], 0 = none; values beyond the columns are
    dropped."""
    out = np.zeros((rows, columns), np.int32)
    within = values.place < columns
    out[values.row[within], values.place[within]] = codes[within]
    return out


def number(
    column: pl.Series,
    path: Path,
    first: int,
    otherwise: str = "declare the field as type: category",
) -> NDArray[np.float64]:
    """A numeric column as float64 [n], NaN where absent; infinite and unreadable values are
    refused.

    Blank text is absent, as a csv has it that quotes everything.

    `otherwise` is what to do with a column that is no number; `first` is the file's row of the
    first value.
    """
    if column.dtype == pl.String:
        bare = column.str.strip_chars()
        cast = bare.cast(pl.Float64, strict=False)
        bad = (cast.is_null() & (bare != "").fill_null(value=False)).arg_true()
        if len(bad):
            raise broken(
                path,
                f"got {column[int(bad[0])]!r}, expected a number",
                f"fix the value, or {otherwise}",
                column=column.name,
                row=first + int(bad[0]),
            )
        column = cast
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise broken(
            path,
            f"got {column.dtype}, expected numbers",
            otherwise,
            column=column.name,
        )
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    infinite = np.flatnonzero(np.isinf(values))
    if len(infinite):
        raise broken(
            path,
            f"got {values[infinite[0]]}",
            "replace it with a number, or null for absent",
            column=column.name,
            row=first + int(infinite[0]),
        )
    return values
