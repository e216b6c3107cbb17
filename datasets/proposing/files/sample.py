"""Samples rows from all over a table in bounded time; small tables are read as a whole."""

from pathlib import Path
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.reading import columns_of, is_parquet, stream
from fusefront.datasets.table_text import TableText

WHOLE = 60_000  # rows; a table with at most so many is read as a whole
ROWS = 20_000  # of a larger one
_RUNS = 20  # runs of neighbouring rows, since rows of a request or user are adjacent
_DEEP = 400_000  # rows of a row group that are passed over at most
_WHOLE_BYTES = 1 << 24  # of text
_BYTES = 1 << 22  # of the sample of text
_UNPACKED = 1 << 27  # bytes of a parquet's values, likewise
_SAMPLE_BYTES = 1 << 26


class FileSample(NamedTuple):
    """Rows of one file: the frame, and a file of the same kind that holds just them."""

    frame: pl.DataFrame
    path: Path
    whole: bool


def take(path: Path, text: TableText, scratch: Path) -> FileSample:
    """Sample one file; what is copied goes to `scratch`. DataContractError if it is not
    readable."""
    columns = list(columns_of(path, text))
    try:
        copy = _parquet(path, scratch) if is_parquet(path) else _text(path, text, scratch)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).split("\n")[0][:160].rstrip(".")
        raise broken(path, f"cannot be read ({reason})", "copy it again") from None
    try:
        frame = _read(copy, columns, text)
    except DataContractError:
        if copy == path or is_parquet(path):
            raise
        copy = _head(path, scratch)  # a stretch began inside a quoted value
        frame = _read(copy, columns, text)
    if frame is None:
        raise broken(path, "no rows", "export it again, or leave it out")
    return FileSample(frame, copy, copy == path)


def _read(path: Path, columns: list[str], text: TableText) -> pl.DataFrame | None:
    chunks = list(stream(path, columns, ROWS, text))
    frame = pl.concat(chunks) if chunks else None
    return frame if frame is not None and frame.height else None


def _parquet(path: Path, scratch: Path) -> Path:
    with pq.ParquetFile(path) as file:
        rows = file.metadata.num_rows
        groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
        unpacked = sum(group.total_byte_size for group in groups)
        if rows <= WHOLE and unpacked <= _UNPACKED:
            return path
        run = max(8, min(ROWS, rows * _SAMPLE_BYTES // max(1, unpacked)) // _RUNS)
        starts = [(rows - run) * k // (_RUNS - 1) for k in range(_RUNS)]  # from first row to last
        batches, start = [], 0
        for group, size in enumerate(group.num_rows for group in groups):
            here = [row - start for row in starts if start <= row < start + size]
            if here:
                batches += _runs(file, group, here, run, min(size, _DEEP))
            start += size
        table = pa.Table.from_batches(batches, schema=file.schema_arrow)
    pq.write_table(table, scratch / path.name)
    return scratch / path.name


def _runs(
    file: pq.ParquetFile, group: int, starts: list[int], run: int, deep: int
) -> list[pa.RecordBatch]:
    """Stretches of a row group: those that start at `wanted`, moved into its first `deep` rows."""
    last = max(starts) + 1
    places = {min(row, row * deep // last) // run for row in starts}
    stretches = []
    for number, batch in enumerate(file.iter_batches(run, row_groups=[group], use_threads=False)):
        if number in places:
            stretches.append(batch)
        if number >= max(places):
            break
    return stretches


def _text(path: Path, text: TableText, scratch: Path) -> Path:
    size = path.stat().st_size
    if size <= _WHOLE_BYTES:
        return path
    run, copy = _BYTES // _RUNS, scratch / path.name
    with path.open("rb") as file, copy.open("wb") as out:
        if not text.names:
            out.write(file.readline())
        begin = file.tell()
        for k in range(_RUNS):
            file.seek(begin + (size - begin - run) * k // (_RUNS - 1))
            if k:
                file.readline()
            block = file.read(run) + file.readline()
            out.write(block if block.endswith(b"\n") else block + b"\n")
    return copy


def _head(path: Path, scratch: Path) -> Path:
    """The first lines, up to one after which no quote is open."""
    copy = scratch / path.name
    with path.open("rb") as file:
        block = file.read(_BYTES)
    lines = block.splitlines(keepends=True)[:-1]
    while lines and sum(line.count(b'"') for line in lines) % 2:
        lines.pop()
    copy.write_bytes(b"".join(lines))
    return copy
