"""A table of items or users: one file, or several parts that are read in order as one table."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from fusefront.datasets.raw.column_kinds import Kind
from fusefront.datasets.raw.files import broken, find
from fusefront.datasets.raw.keys import KeyIndex, usable_keys
from fusefront.datasets.raw.reading import read_table, stream
from fusefront.datasets.table_text import TableText

_ROWS = 1 << 16  # of a file at a time


class TablePart(NamedTuple):
    """Rows of one file; the first is row `first` of the file and row `start` of the table."""

    path: Path
    first: int
    start: int
    frame: pl.DataFrame


class WholeTable(NamedTuple):
    """The files of a table, in order; row k is counted over all of them."""

    paths: tuple[Path, ...]
    text: TableText

    @property
    def name(self) -> str:
        """The file, or the first of several, for messages."""
        more = len(self.paths) - 1
        return self.paths[0].name + (f" and {more} more" if more else "")

    def files(self, columns: Sequence[str]) -> Iterator[TablePart]:
        """Every file as a whole, with the given columns; refused if none of them has a row."""
        if len(self.paths) == 1:  # its own reader reports that it has no rows
            yield TablePart(self.paths[0], 0, 0, read_table(self.paths[0], columns, self.text))
            return
        start = 0
        for path in self.paths:
            chunks = [
                part.frame for part in self._chunks(path, columns, 0, _ROWS) if len(part.frame)
            ]
            if chunks:
                frame = pl.concat(chunks)
                yield TablePart(path, 0, start, frame)
                start += frame.height
        if not start:
            raise broken(self.paths[0], f"{self.name} have no rows", "export them again")

    def chunks(self, columns: Sequence[str], rows: int) -> Iterator[TablePart]:
        """The table in chunks of at most about `rows` rows, none of which spans two files."""
        start = 0
        for path in self.paths:
            for part in self._chunks(path, columns, start, rows):
                yield part
                start += part.frame.height

    def _chunks(
        self, path: Path, columns: Sequence[str], start: int, rows: int
    ) -> Iterator[TablePart]:
        first = 0
        for frame in stream(path, columns, rows, self.text):
            yield TablePart(path, first, start + first, frame)
            first += frame.height

    def keys(self, column: str, kind: Kind) -> KeyIndex:
        """The index of a column of keys; each key may occur in one row of all files only."""
        keys, files = [], []
        for part in self.files([column]):
            of_file = usable_keys(part.frame[column], part.path, column, kind)
            keys.append(of_file.cast(pl.Int64) if of_file.dtype.is_integer() else of_file)
            files.append((part.start, part.path))
        return KeyIndex(pl.concat(keys), self.paths[0], column, kind, tuple(files))


def find_table(data: Path, names: str | tuple[str, ...], text: TableText) -> WholeTable:
    """The files of a table under the data folder; each must be there once."""
    paths = tuple(find(data, name) for name in ((names,) if isinstance(names, str) else names))
    return WholeTable(paths, text)
