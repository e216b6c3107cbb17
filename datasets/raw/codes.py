"""Categories to integers: provisional codes while streaming, final codes from the train split."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.files import broken
from fusefront.datasets.spec import FieldSpec

MOST_SLICES = 1000  # values of a slice


def as_text(column: pl.Series, path: Path) -> pl.Series:
    """The column as text; refused where its type has no text."""
    if column.dtype.is_nested():
        raise broken(
            path,
            f"got {column.dtype}, expected one value a row",
            "declare the field as type: categories, or name another column",
            column=column.name,
        )
    try:
        return column.cast(pl.String)
    except pl.exceptions.PolarsError:
        raise broken(
            path,
            f"got {column.dtype} that is no text",
            "store text, numbers or dates",
            column=column.name,
        ) from None


class Codebook:
    """Gives every distinct text a code from 1 on, in order of appearance; null and "" are 0."""

    def __init__(self) -> None:
        self.values: list[str] = [""]
        self._frame = pl.DataFrame(schema={"value": pl.String, "code": pl.Int32})

    def codes(self, column: pl.Series) -> NDArray[np.int32]:
        """Codes of every entry, [n]."""
        text = pl.DataFrame({"value": column.cast(pl.String)})
        fresh = text.unique(maintain_order=True).join(self._frame, on="value", how="anti")
        fresh = fresh.filter(pl.col("value").is_not_null() & (pl.col("value") != "")).sort("value")
        if fresh.height:
            start = len(self.values)
            new = fresh.with_columns(
                pl.Series("code", np.arange(start, start + fresh.height, dtype=np.int32))
            )
            self._frame = pl.concat([self._frame, new])
            self.values += fresh["value"].to_list()
        found = text.join(self._frame, on="value", how="left", maintain_order="left")
        return found["code"].fill_null(0).to_numpy().astype(np.int32)


class Vocabulary(NamedTuple):
    """Final codes of one field: values[k] has code k + 1; `of` maps provisional to final codes."""

    values: tuple[str, ...]
    of: NDArray[np.int32]

    @property
    def size(self) -> int:
        return len(self.values) + 1


def finish(book: Codebook, seen: NDArray[np.int64]) -> Vocabulary:
    """Keep the values that train has (seen[code] > 0), numbers in numeric order, then text."""
    codes = [code for code in range(1, len(book.values)) if code < len(seen) and seen[code]]
    codes.sort(key=lambda code: natural(book.values[code]))
    of = np.zeros(len(book.values), np.int32)
    of[codes] = np.arange(1, len(codes) + 1)
    return Vocabulary(tuple(book.values[code] for code in codes), of)


def natural(text: str) -> tuple[int, float, str]:
    """A sorting key: numbers in numeric order, then text."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


class Encoded(NamedTuple):
    """Codes [n, columns of the categorical fields], numbers [n, numeric fields] with NaN = absent."""

    codes: NDArray[np.int32]
    numbers: NDArray[np.float64]


class FieldEncoder:
    """The fields of one side (item, request, candidate): columns of a table to arrays."""

    def __init__(self, fields: tuple[FieldSpec, ...]) -> None:
        self.fields = fields
        self.categorical = tuple(field for field in fields if field.type != "number")
        self.numeric = tuple(field for field in fields if field.type == "number")
        self.books = [Codebook() for _ in self.categorical]

    @property
    def columns(self) -> list[str]:
        return [field.column for field in self.fields]

    @property
    def widths(self) -> list[int]:
        """Columns of each categorical field."""
        return [field.max_values if field.type == "categories" else 1 for field in self.categorical]

    def encode(self, frame: pl.DataFrame, path: Path, first: int) -> Encoded:
        """Encode a chunk; `first` is the row of its first line in the file, for messages."""
        rows = frame.height
        codes = [
            _codes(field, book, frame[field.column], path, first)
            for field, book in zip(self.categorical, self.books, strict=True)
        ]
        numbers = [number(frame[field.column], path, first) for field in self.numeric]
        return Encoded(
            np.concatenate(codes, axis=1) if codes else np.zeros((rows, 0), np.int32),
            np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0)),
        )


def _codes(
    field: FieldSpec, book: Codebook, column: pl.Series, path: Path, first: int
) -> NDArray[np.int32]:
    if field.type == "category":
        return book.codes(as_text(column, path))[:, None]
    if field.separator is not None and column.dtype == pl.String:
        column = column.str.split(field.separator)
    if not isinstance(column.dtype, pl.List | pl.Array) or column.dtype.inner.is_nested():
        raise broken(
            path,
            f"got {column.dtype}, expected a list or text with a separator",
            "set 'separator', or declare the field as type: category",
            column=field.column,
        )
    lists = column.cast(pl.List(pl.String)).fill_null([])
    length = lists.list.len().to_numpy().astype(np.int64)
    flat = lists.explode(empty_as_null=False)
    values = book.codes(flat)
    row = np.repeat(np.arange(len(length)), length)
    place = np.arange(len(values)) - np.repeat(np.cumsum(length) - length, length)
    keep = place < field.max_values
    out = np.zeros((len(length), field.max_values), np.int32)
    out[row[keep], place[keep]] = values[keep]
    return out


def slice_codes(book: Codebook, column: pl.Series, path: Path, name: str) -> NDArray[np.int16]:
    """Codes of a slice column; a column with too many values is no slice."""
    codes = book.codes(as_text(column, path))
    if len(book.values) > MOST_SLICES:
        raise broken(
            path,
            f"slice {name!r} has more than {MOST_SLICES:,} values",
            "name a column with few values, or bin it first",
            column=column.name,
        )
    return codes.astype(np.int16)


def number(
    column: pl.Series,
    path: Path,
    first: int,
    otherwise: str = "declare the field as type: category",
) -> NDArray[np.float64]:
    """A numeric column as float64, NaN where absent; infinite and unreadable values are refused.

    `otherwise` is what to do with a column that is no number.
    """
    if column.dtype == pl.String:
        cast = column.str.strip_chars().cast(pl.Float64, strict=False)
        bad = (cast.is_null() & column.is_not_null()).arg_true()
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
