"""Fields by the values of their columns; columns that are left out, and why."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import polars as pl

from fusefront.datasets.proposing.draft import Guess, Value, Word
from fusefront.datasets.proposing.files.tables import SampledTable, quoted
from fusefront.datasets.proposing.roles import is_vector
from fusefront.datasets.proposing.times import is_moment

FEW = 1000  # distinct values of a category
NO_FIELDS = {"split", "row_id", "row", "index", "", "__index_level_0__"}
_SEPARATORS = ("|", ";", "^", ",")
_SIDE_BY_SIDE = 8  # so many columns of fractions named x_0, x_1, ... are a vector
_FLAG = ("has_", "_present")


class Fields(NamedTuple):
    """The fields of a table, and column -> why it is none."""

    guesses: list[Guess]
    left_out: dict[str, str]


def guess_fields(
    table: SampledTable, used: Collection[str], leak: Callable[[pl.Series], str] | None = None
) -> Fields:
    """A guess for every column that can be a field; `leak` says why a column must not be one."""
    guesses, left_out = [], {}
    wide = _vectors(table)
    for name in table.columns:
        if name in used or name.lower() in NO_FIELDS:
            continue
        column = table.frame[name]
        if why := (leak(column) if leak else "") or wide.get(name, ""):
            left_out[name] = why
            continue
        value, why = field_of(column)
        if value is None:
            left_out[name] = why
        else:
            guesses.append(Guess({"column": name, **value}, "by its values", (name,)))
    return Fields(guesses, left_out)


def field_of(column: pl.Series) -> tuple[dict[str, Value] | None, str]:
    """What kind of field a column is, or why it is none."""
    values = column.drop_nulls()
    if not len(values):
        return None, "no values"
    if values.dtype.is_nested():
        return _of_lists(values)
    distinct = values.n_unique()
    if distinct < 2:
        return None, "always the same value"
    if values.dtype == pl.Boolean:
        flag = column.name.startswith(_FLAG[0]) or column.name.endswith(_FLAG[1])
        return (None, "a flag") if flag else ({"type": Word("category")}, "")
    if values.dtype.is_temporal() or is_moment(column):
        return None, "a time"
    few = distinct <= min(FEW, max(2, len(values) // 2))
    if values.dtype == pl.String:
        return _of_text(values, few=few)
    if values.dtype.is_float() and distinct > 20:
        return {"type": Word("number")}, ""
    if not (values.dtype.is_numeric() or values.dtype in (pl.Categorical, pl.Enum)):
        return None, f"{values.dtype} is no field"
    return ({"type": Word("category")}, "") if few else (None, f"{distinct:,} whole numbers: ids?")


def _of_text(values: pl.Series, *, few: bool) -> tuple[dict[str, Value] | None, str]:
    text = values.cast(pl.String)
    for mark in _SEPARATORS:
        share = text.str.contains(mark, literal=True).mean()
        if isinstance(share, float) and share > 0.2 and _shared(text, mark):
            return {"type": Word("categories"), "separator": mark}, ""
    if few:
        return {"type": Word("category")}, ""
    return None, f"{text.n_unique():,} different texts"


def _shared(text: pl.Series, separator: str) -> bool:
    """Whether lists of different lengths share values between rows."""
    lists = text.str.strip_chars("[]() ").str.split(separator)
    words = lists.explode().str.strip_chars(" '\"")
    longest = int(words.str.len_chars().max() or 0)  # type: ignore[arg-type]
    varied = lists.list.len().n_unique() > 1
    if separator == ",":  # as in "New York, NY" and "(0,10]": lists have more forms than words
        interval = text.str.contains(r"^(\[.*\)|\(.*\])$").any()
        varied &= not interval and text.n_unique() > words.n_unique()
    return varied and longest <= 60 and words.n_unique() <= min(FEW, len(words) // 3)


def _of_lists(values: pl.Series) -> tuple[dict[str, Value] | None, str]:
    kind = values.dtype
    if not isinstance(kind, pl.List | pl.Array) or kind.inner.is_nested():
        return None, "nested values"
    if is_vector(kind):
        return None, "vectors"
    flat = values.explode().drop_nulls()
    if len(flat) and flat.n_unique() <= min(FEW, max(2, len(flat) // 2)):
        return {"type": Word("categories")}, ""
    return None, "lists of many values"


def _vectors(table: SampledTable) -> dict[str, str]:
    """Columns of fractions side by side: a vector that is better kept in an npy file."""
    stems: dict[str, list[str]] = {}
    for name, kind in table.frame.schema.items():
        stem = name.rstrip("0123456789")
        if kind.is_float() and stem != name:
            stems.setdefault(stem, []).append(name)
    return {
        name: f"{len(names)} columns {stem}* look like a vector: save it as npy"
        for stem, names in stems.items()
        if len(names) >= _SIDE_BY_SIDE
        for name in names
    }


def notes_of(table: SampledTable, left_out: dict[str, str]) -> list[str]:
    """A comment a reason: the columns of a table that are not proposed."""
    by_reason: dict[str, list[str]] = {}
    for name, why in left_out.items():
        by_reason.setdefault(why, []).append(name)
    lines = []
    for why, names in by_reason.items():
        listed = ", ".join(map(quoted, names[:6])) + (", ..." if len(names) > 6 else "")
        lines.append(f"{table.name}, column {listed}: {why}; left out")
    return lines
