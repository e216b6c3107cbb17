"""Turns vocabulary values back into the raw values that they were read from, by the kind of their
column."""

from collections.abc import Sequence

import polars as pl

from fusefront.datasets.raw.column_kinds import (
    BOOLEANS,
    DATES,
    DAYS,
    FRACTIONS,
    LISTS,
    NARROW,
    WHOLE,
    ZONED,
    inner,
)
from fusefront.datasets.raw_rows import RawField

STAMP = "%Y-%m-%d %H:%M:%S%.f"


def raw_values(part: RawField, values: Sequence[Sequence[str | None]]) -> pl.Series:
    """One raw value a row; `values` has the texts of each row, None where there is none."""
    if part.field.type == "category":
        return typed(pl.Series([row[0] for row in values], dtype=pl.String), part.kind)
    texts = [[value for value in row if value is not None] for row in values]
    if not part.kind.startswith(LISTS):
        written = [_written(row, part.field.separator or ",") for row in texts]
        return pl.Series(written, dtype=pl.String)
    flat = typed(pl.Series([v for row in texts for v in row], dtype=pl.String), inner(part.kind))
    begin, lists = 0, []
    for row in texts:
        lists.append(flat[begin : begin + len(row)].to_list())
        begin += len(row)
    return pl.Series(lists, dtype=pl.List(flat.dtype))


def _written(values: Sequence[str], separator: str) -> str | None:
    """A list as text; values that hold the separator are quoted."""
    if not values:
        return None
    joined = separator.join(values)
    if not any(mark in value for value in values for mark in (separator, *"[]()\"'")):
        return joined
    if len(separator) > 1:
        return joined
    quoted = [f'"{value}"' if "'" in value else f"'{value}'" for value in values]
    return f"[{separator.join(quoted)}]"


def typed(text: pl.Series, kind: str) -> pl.Series:
    """Texts as a column of their kind; kinds without a text form stay text."""
    if kind == WHOLE:
        whole = text.cast(pl.Int64, strict=False)
        return whole if whole.null_count() == text.null_count() else text.cast(pl.UInt64)
    if kind == BOOLEANS:
        return text == "true"
    if kind == DATES:
        return text.str.to_datetime(STAMP)
    if kind == ZONED:
        naive = text.str.strip_suffix("+00:00").str.to_datetime(STAMP)
        return naive.dt.replace_time_zone("UTC")
    if kind == DAYS:
        return text.str.to_date("%Y-%m-%d")
    if kind == "Time":
        return text.str.to_time("%H:%M:%S%.f")
    if kind in (FRACTIONS, NARROW):
        return text.cast(pl.Float64).cast(pl.Float32 if kind == NARROW else pl.Float64)
    return text
