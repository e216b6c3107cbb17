"""Stream tables: parquet and csv in chunks of bounded size, items and users whole."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from fusefront.datasets.raw.files import broken
from fusefront.datasets.table_text import COMMAS, TableText

_PARQUET = (".parquet", ".pq")
_NO_TEXT = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"PAR1": "parquet"}


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
    return dict.fromkeys(_column_names(path, text), "string")


def require(path: Path, wanted: Sequence[str], text: TableText = COMMAS) -> dict[str, str]:
    """The table's columns, after a check that the wanted ones are among them."""
    have = columns_of(path, text)
    for name in wanted:
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
    lines, last = 0, b""
    with path.open("rb") as raw:
        while block := raw.read(1 << 22):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return max(1, lines + (last != b"\n") - (not text.names))


def stream(
    path: Path, wanted: Sequence[str], rows: int, text: TableText = COMMAS
) -> Iterator[pl.DataFrame]:
    """Chunks of at most about `rows` rows with the wanted columns; text columns stay text."""
    names = list(dict.fromkeys(wanted))
    require(path, names, text)
    if is_parquet(path):
        yield from _stream_parquet(path, names, rows)
    else:
        yield from _stream_text(path, names, rows, text)


def read_table(path: Path, wanted: Sequence[str], text: TableText = COMMAS) -> pl.DataFrame:
    """A table of items or users whole, the wanted columns only."""
    names = list(dict.fromkeys(wanted))
    require(path, names, text)
    if is_parquet(path):
        parts = list(_stream_parquet(path, names, 1 << 16))
        table = pl.concat(parts) if parts else pl.DataFrame(schema=names)
    else:
        parts = list(_stream_text(path, names, 1 << 16, text))
        table = pl.concat(parts) if parts else pl.DataFrame(schema=names)
        table = table.with_columns(_numbers(table[name]) for name in names)
    if table.height == 0:
        raise broken(path, "a header without rows", "export it again")
    return table


def _numbers(column: pl.Series) -> pl.Series:
    """Text that is all integers, or all numbers, becomes numbers."""
    for kind in (pl.Int64, pl.Float64):
        cast = column.cast(kind, strict=False)
        if cast.null_count() == column.null_count() and _same_text(column, cast):
            return cast
    return column


def _same_text(text: pl.Series, numbers: pl.Series) -> bool:
    """Integers must print as they were written: "007" is a name, not seven."""
    if numbers.dtype != pl.Int64:
        return True
    return bool((numbers.cast(pl.String) == text).all())


def _stream_parquet(path: Path, names: list[str], rows: int) -> Iterator[pl.DataFrame]:
    with _parquet(path) as file:
        try:
            for batch in file.iter_batches(batch_size=rows, columns=names, use_threads=False):
                frame = pl.from_arrow(batch)
                assert isinstance(frame, pl.DataFrame)
                yield frame.select(names)
        except (pa.ArrowException, OSError) as error:
            _refuse_parquet(path, error)


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        _refuse_parquet(path, error)
    _refuse_twice(path, file.schema_arrow.names)
    return file


def _refuse_parquet(path: Path, error: Exception) -> NoReturn:
    reason = str(error).split("\n")[0][:160].rstrip(".")
    raise broken(
        path, f"not a readable parquet file ({reason})", "it is truncated or damaged: copy it again"
    ) from None


def _refuse_twice(path: Path, names: list[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise broken(path, f"column {twice[0]!r} appears twice", "rename one")


def _column_names(path: Path, text: TableText) -> list[str]:
    """Names of the header line, without quotes and the blanks around them, or those given."""
    line = next(csv.reader([_header(path)], delimiter=text.separator, skipinitialspace=True))
    names = [name.strip() for name in line]
    if text.names:
        return _given_names(path, names, text.names)
    _refuse_twice(path, names)
    return names


def _given_names(path: Path, line: list[str], names: tuple[str, ...]) -> list[str]:
    """The names for a file without a header, as many as its first line has values."""
    if len(line) != len(names):
        raise broken(
            path,
            f"{len(line)} values in the first line, {len(names)} names",
            "give 'names' one name a column, in order",
        )
    if line == list(names):
        raise broken(path, "the first line holds the names", "remove 'names': there is a header")
    return list(names)


def _header(path: Path) -> str:
    with path.open("rb") as file:
        line = file.readline(1 << 20)
    for magic, kind in _NO_TEXT.items():
        if line.startswith(magic):
            raise broken(path, f"a {kind} file, not text", "unpack it, or name it by its kind")
    try:
        text = line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise broken(path, f"byte {error.start} is not UTF-8", "save it as UTF-8", row=0) from None
    if "\0" in text or not text.strip():
        raise broken(path, "not a table of text", "name a csv with a header line, or a parquet")
    return text


def _stream_text(
    path: Path, names: list[str], rows: int, text: TableText
) -> Iterator[pl.DataFrame]:
    have = _column_names(path, text)
    block = max(1 << 16, min(1 << 26, rows * 64))
    try:
        reader = pyarrow.csv.open_csv(
            path,
            pyarrow.csv.ReadOptions(
                use_threads=False,
                block_size=block,
                column_names=have,
                skip_rows=0 if text.names else 1,
            ),
            pyarrow.csv.ParseOptions(delimiter=text.separator, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(have, pa.string()),
                include_columns=names,
                strings_can_be_null=True,
                null_values=["", "NA", "NaN", "nan", "null", "NULL"],
                quoted_strings_can_be_null=False,
            ),
        )
        for batch in reader:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            for start in range(0, frame.height, rows):
                yield frame.slice(start, rows)
    except pa.ArrowException as error:
        reason = str(error).split("\n")[0][:160].removeprefix("CSV parse error: ")
        raise broken(
            path, f"not a readable table ({reason})", "check quotes, separators and encoding there"
        ) from None
