"""Delimited text: its header, its lines, and its rows in chunks."""

import csv
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv

from fusefront.datasets.raw.files import broken, refuse_twice
from fusefront.datasets.table_text import TableText

_NO_TEXT = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"PAR1": "parquet"}
_LONGEST = 1 << 20  # bytes of a first line


def count_lines(path: Path) -> int:
    """Line ends of either kind, and a last line without one."""
    feeds = returns = 0
    last = b""
    with path.open("rb") as raw:
        while block := raw.read(1 << 22):
            feeds, returns = feeds + block.count(b"\n"), returns + block.count(b"\r")
            last = block[-1:]
    return (feeds or returns) + (last not in (b"\n", b"\r"))


def column_names(path: Path, text: TableText) -> list[str]:
    """Names of the header line, without quotes and the blanks around them, or those given."""
    header = _header(path)
    try:
        line = next(csv.reader([header], delimiter=text.separator, skipinitialspace=True))
    except csv.Error as error:
        raise broken(
            path, f"the first line is no list of names ({error})", "check quotes and separator"
        ) from None
    names = [name.strip() for name in line]
    if text.names:
        return _given_names(path, names, text.names)
    refuse_twice(path, names)
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
        start = file.read(_LONGEST)
    for magic, kind in _NO_TEXT.items():
        if start.startswith(magic):
            raise broken(path, f"a {kind} file, not text", "unpack it, or name it by its kind")
    line = start.partition(b"\n")[0].partition(b"\r")[0]  # lines may end with CR alone
    if len(line) == _LONGEST:
        raise broken(path, "a first line over 1 MiB", "name a csv with a header line, or a parquet")
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise broken(path, f"byte {error.start} is not UTF-8", "save it as UTF-8", row=0) from None
    if "\0" in text or not text.strip():
        raise broken(path, "not a table of text", "name a csv with a header line, or a parquet")
    return text


def stream_text(path: Path, names: list[str], rows: int, text: TableText) -> Iterator[pl.DataFrame]:
    """Chunks of at most `rows` rows; every column is text, absent values are null."""
    have = column_names(path, text)
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
        first = 0
        for batch in reader:
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            _refuse_escapes(frame, path, first)
            first += frame.height
            frame = _without_blanks(frame)
            for start in range(0, frame.height, rows):
                yield frame.slice(start, rows)
    except pa.ArrowException as error:
        reason = str(error).split("\n")[0][:160].removeprefix("CSV parse error: ")
        raise broken(
            path, f"not a readable table ({reason})", "check quotes, separators and encoding there"
        ) from None


def _without_blanks(frame: pl.DataFrame) -> pl.DataFrame:
    """Blank values become null, also quoted ones, so that they do not turn numbers or booleans into
    text."""
    cleared = [
        column.set(column.str.strip_chars() == "", None)
        for column in frame.get_columns()
        if (column.str.starts_with(" ") | (column == "")).any()
    ]
    return frame.with_columns(cleared) if cleared else frame


def _refuse_escapes(frame: pl.DataFrame, path: Path, first: int) -> None:
    r"""Refuses "a\"b": the quote after the backslash would end the value."""
    for column in frame.get_columns():
        quoted = column.filter(column.str.ends_with('"').fill_null(value=False))
        escaped = quoted.filter(quoted.str.contains("\\", literal=True))
        if len(escaped):
            raise broken(
                path,
                f"got {escaped[0][:40]!r}, a quote behind a backslash",
                'write a quote inside quotes as ""',
                column=column.name,
                row=first + int((column == escaped[0]).arg_true()[0]),
            )
