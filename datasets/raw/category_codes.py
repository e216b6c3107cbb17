"""Categories to integers: provisional codes while streaming, final codes from the train split."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.losses import Tally
from fusefront.datasets.raw.column_kinds import TEXT, Kind
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.values import cells, number, table, texts
from fusefront.datasets.spec import FieldSpec

MOST_SLICES = 1000  # values of a slice


class Codebook:
    """Gives every distinct text a code from 1 on, in order of appearance; null and "" are 0."""

    def __init__(self) -> None:
        self.values: list[str] = [""]
        self._frame = pl.DataFrame(schema={"value": pl.String, "code": pl.Int32})

    def codes(self, column: pl.Series) -> NDArray[np.int32]:
        """Codes of every text, [n]."""
        text = pl.DataFrame({"value": column})
        fresh = text.unique(maintain_order=True).join(self._frame, on="value", how="anti")
        fresh = fresh.filter(pl.col("value").is_not_null() & (pl.col("value") != "")).sort("value")
        if fresh.height:
            start = len(self.values)
            new = fresh.with_columns(
                pl.Series("code", np.arange(start, start + fresh.height, dtype=np.int32))
            )
            self._frame = pl.concat([self._frame, new])
            self.values += fresh["value"].to_list()
        joined = text.join(self._frame, on="value", how="left", maintain_order="left")
        return joined["code"].fill_null(0).to_numpy().astype(np.int32)


class Vocabulary(NamedTuple):
    """The final codes of one field: values[k] has code k + 1; `of` maps provisional to final
    codes."""

    values: tuple[str, ...]
    of: NDArray[np.int32]

    @property
    def size(self) -> int:
        """The number of codes, including 0 for absent values."""
        return len(self.values) + 1


def finish(book: Codebook, counts: NDArray[np.int64]) -> Vocabulary:
    """Keep the values that train has (counts[code] > 0): numbers in numeric order, then texts."""
    codes = [code for code in range(1, len(book.values)) if code < len(counts) and counts[code]]
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


class EncodedFields(NamedTuple):
    """Codes [n, columns of the categorical fields], numbers [n, numeric fields] with
    NaN = absent."""

    codes: NDArray[np.int32]
    numbers: NDArray[np.float64]


class FieldEncoder:
    """The fields of one side (item, request, candidate): columns of a table to arrays.

    `kinds` holds the kind of each column, by its name.
    """

    def __init__(self, fields: tuple[FieldSpec, ...], kinds: Mapping[str, Kind]) -> None:
        self.fields = fields
        self.kinds = kinds
        self.categorical = tuple(field for field in fields if field.type != "number")
        self.numeric = tuple(field for field in fields if field.type == "number")
        self.books = [Codebook() for _ in self.categorical]
        self._beyond: dict[str, tuple[int, int]] = {}  # field -> values cut, values there

    def count_beyond(self, tally: Tally, side: str) -> None:
        """Count the values that a field's `max_values` left no column for."""
        for field in self.categorical:
            cut, there = self._beyond.get(field.label, (0, 0))
            what = f"values of {side}.{field.label} are beyond its max_values ({field.width})"
            tally.add(f"{side}.{field.label}.beyond", cut, there, f"{what} and are left out")

    @property
    def columns(self) -> list[str]:
        return [field.column for field in self.fields]

    @property
    def widths(self) -> list[int]:
        """Columns of each categorical field."""
        return [field.width for field in self.categorical]

    def encode(self, frame: pl.DataFrame, path: Path, first: int) -> EncodedFields:
        """Encode a chunk; `first` is the row of its first line in the file, for messages."""
        rows = frame.height
        codes = []
        for field, book in zip(self.categorical, self.books, strict=True):
            kind = self.kinds.get(field.column, TEXT)
            if field.type == "category":
                codes.append(book.codes(texts(frame[field.column], kind, path))[:, None])
                continue
            values = cells(field, frame[field.column], kind, path)
            codes.append(table(book.codes(values.texts), values, rows, field.width))
            cut, there = self._beyond.get(field.label, (0, 0))
            cut += int((values.place >= field.width).sum())
            self._beyond[field.label] = (cut, there + len(values.place))
        numbers = [number(frame[field.column], path, first) for field in self.numeric]
        return EncodedFields(
            np.concatenate(codes, axis=1) if codes else np.zeros((rows, 0), np.int32),
            np.stack(numbers, axis=1) if numbers else np.zeros((rows, 0)),
        )


def slice_codes(
    book: Codebook, column: pl.Series, kind: Kind, path: Path, name: str
) -> NDArray[np.int16]:
    """Codes [rows] of a slice column; a column with too many values is refused as no slice."""
    codes = book.codes(texts(column, kind, path))
    if len(book.values) > MOST_SLICES:
        raise broken(
            path,
            f"slice {name!r} has more than {MOST_SLICES:,} values",
            "name a column with few values, or bin it first",
            column=column.name,
        )
    return codes.astype(np.int16)
