"""Streams tables: logs in chunks of bounded size, items and users as a whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fusefront.datasets.raw.column_kinds import LISTS, NOTHING, TEXT, Kind, kind_of
from fusefront.datasets.raw.delimited import column_names, count_lines, stream_text
from fusefront.datasets.raw.files import broken, refuse_twice
from fusefront.datasets.table_text import COMMAS, TableText

_PARQUET = (".parquet", ".pq")


def is_parquet(path: Path) -> bool:
    """By its name: anything else is read as delimited text."""
    return path.suffix.lower() in _PARQUET


def columns_of(path: Path, text: TableText = COMMAS) -> dict[str, str]:
    """Column names and type names of a table, from its header alone (or the names given)."""
    if is_parquet(path):
        if text.names:
            raise broken(path, "names for a parquet file, which has its own", "remove 'names'")
        with _parquet(path) as file:
            return {field.name: str(field.type) for field in file.schema_arrow}
    return dict.fromkeys(column_names(path, text), "string")


def require(path: Path, needed: Sequence[str], text: TableText = COMMAS) -> dict[str, str]:
    """The table's columns, after checking that the needed ones exist."""
    have = columns_of(path, text)
    for name in needed:
        if name not in have:
            raise broken(
                path, f"column {name!r} is missing", f"the file has {', '.join(list(have)[:30])}"
            )
    return have


def count_rows(path: Path, text: TableText = COMMAS) -> int:
    """Rows of a parquet file; of a text file its lines, less the header if it has one."""
    if is_parquet(path):
        with _parquet(path) as file:
            return int(file.metadata.num_rows)
    return max(1, count_lines(path) - (not text.names))


def stream(
    path: Path, columns: Sequence[str], rows: int, text: TableText = COMMAS
) -> Iterator[pl.DataFrame]:
    """Chunks of at most about `rows` rows with the wanted columns; text columns stay text."""
    names = list(dict.fromkeys(columns))
    require(path, names, text)
    if is_parquet(path):
        yield from _stream_parquet(path, names, rows)
    else:
        yield from stream_text(path, names, rows, text)


def read_table(path: Path, columns: Sequence[str], text: TableText = COMMAS) -> pl.DataFrame:
    """A table of items or users whole, the wanted columns only."""
    names = list(dict.fromkeys(columns))
    require(path, names, text)
    if is_parquet(path):
        parts = list(_stream_parquet(path, names, 1 << 16))
        table = pl.concat(parts) if parts else pl.DataFrame(schema=names)
    else:
        parts = list(stream_text(path, names, 1 << 16, text))
        table = pl.concat(parts) if parts else pl.DataFrame(schema=names)
    if table.height == 0:
        raise broken(path, "a header without rows", "export it again")
    return table


def _stream_parquet(path: Path, names: list[str], rows: int) -> Iterator[pl.DataFrame]:
    with _parquet(path) as file:
        try:
            for batch in file.iter_batches(batch_size=rows, columns=names, use_threads=False):
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield _plain(frame.select(names))
        except (pa.ArrowException, OSError) as error:
            _refuse_parquet(path, error)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Dictionary columns replaced by their texts, also within lists."""
    for name, dtype in frame.schema.items():
        kind = kind_of(dtype)
        if kind == TEXT and dtype != pl.String:
            frame = frame.with_columns(pl.col(name).cast(pl.String))
        elif kind == LISTS + TEXT:
            frame = frame.with_columns(pl.col(name).cast(pl.List(pl.String)))
    return frame


def typed_columns(path: Path, names: Sequence[str]) -> dict[str, Kind]:
    """The kinds of a parquet file's columns, from its footer; a column without any value has no
    kind."""
    kinds = {}
    with _parquet(path) as file:
        empty = set(_without_values(file.metadata))
        for name in dict.fromkeys(names):
            if name in empty:
                kinds[name] = NOTHING
                continue
            try:
                column = pl.from_arrow(pa.schema([file.schema_arrow.field(name)]).empty_table())
            except (pl.exceptions.PolarsError, pa.ArrowException, ValueError) as error:
                reason = str(error).split("\n")[0][:120].rstrip(".")
                raise broken(
                    path,
                    f"got {file.schema_arrow.field(name).type} ({reason})",
                    "store numbers, text or dates",
                    column=name,
                ) from None
            assert isinstance(column, pl.DataFrame)
            kinds[name] = kind_of(column[name].dtype)
    return kinds


def _without_values(footer: pq.FileMetaData) -> Iterator[str]:
    """Columns that are null in every row, where the footer says so."""
    for place in range(footer.num_columns):
        chunks = [
            footer.row_group(group).column(place)
            for group in range(footer.num_row_groups)
            if footer.row_group(group).num_rows
        ]
        known = [chunk.statistics for chunk in chunks if chunk.statistics is not None]
        nulls = sum(part.null_count for part in known if part.has_null_count)
        flat = "." not in footer.row_group(0).column(place).path_in_schema if chunks else False
        if flat and len(known) == len(chunks) and nulls == footer.num_rows:
            yield chunks[0].path_in_schema


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        _refuse_parquet(path, error)
    refuse_twice(path, file.schema_arrow.names)
    return file


def _refuse_parquet(path: Path, error: Exception) -> NoReturn:
    reason = str(error).split("\n")[0][:160].rstrip(".")
    cure = "it is truncated or damaged: copy it again"
    if "lists to be of size" in reason:  # arrays of a fixed size, some of them null
        cure = f"pyarrow reads it from 26 on, this is {pa.__version__}: update it"
    raise broken(path, f"not a readable parquet file ({reason})", cure) from None
