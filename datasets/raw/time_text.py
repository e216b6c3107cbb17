"""Times written as text: one format for the whole log, never guessed row by row."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from fusefront.datasets.raw.files import broken

_CLOCKS = ("", " %H:%M:%S%.f", " %H:%M", "T%H:%M:%S%.f", "T%H:%M", " %I:%M:%S %p", " %I:%M %p")
ZONE = r"(Z|[+-]\d{2}:?\d{2}|[+-]\d{2}| UTC)"
_SHAPES = {  # day and month look alike: only the whole column can tell them apart
    "year first": re.compile(r"^\d{4}([-/.])\d{1,2}\1\d{1,2}([ T]|$)|^\d{8}[ T]"),
    "year last": re.compile(r"^\d{1,2}([-/.])\d{1,2}\1\d{4}([ T]|$)"),
}
_ZONED = re.compile(rf"\d{{1,2}}:\d{{2}}.*{ZONE}$")
_NUMBERS = r"^\s*(\d{1,2})[-/.](\d{1,2})[-/.]\d{4}(?:[ T]|\s*$)"
_ADVICE = "write ISO 8601, or say how they are written in columns.time_format"


@dataclass(frozen=True)
class Way:
    """How a column writes its times: the formats that may occur together."""

    name: str
    formats: tuple[str, ...]


def way_of(column: pl.Series, path: Path, first: int, *, day_first: bool | None) -> Way:
    """The format of a chunk's first value; `day_first` if the whole column has shown it."""
    row = int(column.is_not_null().arg_max() or 0)
    value = str(column[row]).strip()
    zoned = _ZONED.search(value) is not None
    if _SHAPES["year first"].match(value):
        mark = value[4] if not value[4].isdigit() else ""
        return _way("ISO 8601" if mark == "-" else "year first", f"%Y{mark}%m{mark}%d", zoned)
    if _SHAPES["year last"].match(value) and day_first is not None:
        mark = value[2] if not value[2].isdigit() else value[1]
        order = ("%d", "%m", "%Y") if day_first else ("%m", "%d", "%Y")
        return _way("the day first" if day_first else "the month first", mark.join(order), zoned)
    raise broken(
        path,
        f"got {value!r}, expected a time",
        "write seconds, milliseconds or ISO 8601, the same in every row, or say how they are "
        'written in columns.time_format, such as "%d %b %Y"',
        column=column.name,
        row=first + row,
    )


def _way(name: str, day: str, zoned: bool) -> Way:
    clocks = [clock for clock in _CLOCKS if clock] if zoned else _CLOCKS
    ends = ("%#z", " %#z", " UTC") if zoned else ("",)
    name += " with a zone" if zoned else " without a zone"
    return Way(name, tuple(day + clock + end for clock in clocks for end in ends))


def parse_times(column: pl.Series, way: Way, path: Path, first: int) -> pl.Series:
    """Datetimes in milliseconds (UTC where there is a zone); text of another way is refused."""
    text = column.str.strip_chars()
    parsed = pl.repeat(None, len(text), dtype=pl.Datetime("ms"), eager=True).alias(column.name)
    for form in way.formats:
        missing = parsed.is_null()
        if not missing.any():
            break
        times = _read(text.set(parsed.is_not_null(), None), form, path)
        parsed = parsed.zip_with(parsed.is_not_null(), times)
    early = (parsed.dt.year() < 1000).fill_null(value=False)  # %Y reads "21" as the year 21
    bad = (parsed.is_null() | early).arg_true()
    if len(bad):
        at = int(bad[0])
        raise broken(
            path,
            f"got {column[at]!r}, expected times in {way.name}, as before",
            _ADVICE,
            column=column.name,
            row=first + at,
        )
    return parsed


def _read(text: pl.Series, form: str, path: Path) -> pl.Series:
    try:
        read = text.str.to_datetime(form, strict=False, time_unit="ms", ambiguous="earliest")
    except pl.exceptions.PolarsError as error:
        reason = str(error).split("\n")[0][:120]
        raise broken(
            path,
            f"the time_format {form!r} cannot be used ({reason})",
            "write it as strftime does",
            column=text.name,
        ) from None
    return read.dt.replace_time_zone(None) if read.dtype != pl.Datetime("ms") else read


def is_year_last(column: pl.Series) -> bool:
    """Whether a text column begins with days and months in an order that must be found out."""
    values = column.drop_nulls().head(1).str.strip_chars()
    return len(values) == 1 and _SHAPES["year last"].match(str(values[0])) is not None


def find_day_first(chunks: Iterable[tuple[pl.Series, Path, int]]) -> bool:
    """Whether days come before months, judged by the numbers above 12 in the whole column.

    `chunks` are (values, file, row of the first value). Refused if no number tells, or if both
    places have such numbers.
    """
    above: list[tuple[Path, int, str] | None] = [None, None]  # the first number above 12 in each
    start: tuple[Path, int, str, str] | None = None
    for column, path, first in chunks:
        if start is None and len(column):
            start = (path, first, str(column[0]), column.name)
        for place in (0, 1):
            numbers = column.str.extract(_NUMBERS, place + 1).cast(pl.Int32)
            rows = (numbers > 12).fill_null(value=False).arg_true()
            if len(rows) and above[place] is None:
                above[place] = (path, first + int(rows[0]), str(column[int(rows[0])]))
    days, months = above
    if (days is None) != (months is None):
        return days is not None
    assert start is not None
    if days is None or months is None:
        raise broken(
            start[0],
            f"got {start[2]!r}, and no row tells whether the day or the month comes first",
            'say it in columns.time_format, such as "%d/%m/%Y" or "%m/%d/%Y"',
            column=start[3],
            row=start[1],
        )
    raise broken(
        months[0],
        f"got {months[2]!r}, and {days[2]!r} in row {days[1]} of {days[0].name}: the day comes "
        "first in some rows and the month in others",
        "write all times in one way",
        column=start[3],
        row=months[1],
    )
