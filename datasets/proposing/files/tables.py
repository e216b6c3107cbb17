"""The tables of a folder: their rows in number and in sample, and the types of their columns."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import polars as pl

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.proposing.files.folder import Folder, TableParts
from fusefront.datasets.proposing.files.sample import take
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.reading import count_rows, is_parquet

_MOST_PARTS = 32  # parts that are looked into
_WORDS = re.compile(r"^[+-]?0\d|^\+")  # 007 and +7 are names


def quoted(text: str) -> str:
    """Text as YAML between double quotes, readable where it can be.

    >>> quoted("Preis, €")
    '"Preis, €"'
    """
    written = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in written)


class SampledTable(NamedTuple):
    """A table: `frame` holds a sample of its rows, csv columns in the type that they look like."""

    parts: TableParts
    rows: int
    frame: pl.DataFrame
    sampled: tuple[Path, ...]  # the parts that were looked into
    copies: tuple[Path, ...]  # of each of them a file with just the rows of the sample
    whole: bool  # the sample is all rows

    @property
    def name(self) -> str:
        return self.parts.name

    @property
    def columns(self) -> list[str]:
        return self.frame.columns

    def names(self, root: Path) -> list[str]:
        """The paths of its files, relative to the data folder."""
        return [path.relative_to(root).as_posix() for path in self.parts.paths]

    def first(self, pattern: re.Pattern[str]) -> str | None:
        """The first column of single values whose name fits."""
        return next(iter(self.all(pattern)), None)

    def all(self, pattern: re.Pattern[str]) -> list[str]:
        """The columns of single values whose names fit."""
        schema = self.frame.schema
        return [name for name in schema if pattern.search(name) and not schema[name].is_nested()]

    def unique(self, column: str) -> bool:
        """Whether the column names each row of the sample."""
        values = self.frame[column]
        return (
            not values.dtype.is_nested()
            and not values.has_nulls()
            and values.n_unique() == len(values)
        )


def read_tables(folder: Folder, scratch: Path) -> tuple[list[SampledTable], dict[str, str]]:
    """The tables that can be read, and why the others cannot."""
    tables, broken = [], {}
    for number, parts in enumerate(folder.tables):
        try:
            tables.append(_table(parts, scratch / str(number)))
        except DataContractError as error:
            broken[parts.name] = str(error).replace(f"{folder.root}/", "")
    return tables, broken


def _table(parts: TableParts, scratch: Path) -> SampledTable:
    count = len(parts.paths)
    places = sorted({k * (count - 1) // max(1, _MOST_PARTS - 1) for k in range(_MOST_PARTS)})
    samples = []
    places = [place for place in places if place < count]
    for place in places:
        home = scratch / str(place)
        home.mkdir(parents=True)
        samples.append(take(parts.paths[place], parts.text, home))
    frame = _stacked([sample.frame for sample in samples], parts)
    rows = sum(count_rows(path, parts.text) for path in parts.paths)
    whole = len(samples) == count and all(sample.whole for sample in samples)
    if not is_parquet(parts.paths[0]):
        frame = frame.with_columns(typed(frame[name]) for name in frame.columns)
        rows = frame.height if whole else rows  # quoted lines count once
    sampled = tuple(parts.paths[place] for place in places)
    return SampledTable(parts, rows, frame, sampled, tuple(s.path for s in samples), whole)


def _stacked(frames: list[pl.DataFrame], parts: TableParts) -> pl.DataFrame:
    try:
        return pl.concat(frames, how="vertical_relaxed")
    except pl.exceptions.PolarsError:
        raise broken(
            parts.name,
            f"columns of {len(parts.paths)} files that do not agree",
            "write all parts with the same columns and types",
        ) from None


def typed(column: pl.Series) -> pl.Series:
    """Text that is all numbers as numbers; what would not print back as it stands stays text."""
    if column.dtype != pl.String or column.str.contains(_WORDS.pattern).any():
        return column
    whole = column.cast(pl.Int64, strict=False)
    if whole.null_count() == column.null_count():
        return whole
    if column.str.contains(r"^\d{16,}$").any():
        return column
    numbers = column.cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == column.null_count() else column
