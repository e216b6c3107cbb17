"""Where a log keeps its histories: a list, a padded list, text, or padded columns side by side."""

import re
from typing import NamedTuple

import polars as pl

from fusefront.datasets.proposing.tables import Table, quoted

NAME = re.compile(r"(hist|seq)", re.IGNORECASE)
NUMBERED = re.compile(r"^(.*(?:hist|seq).*?)\d+$", re.IGNORECASE)
SEPARATORS = ("|", ";", ",", "^", " ")
LONGEST = 50


class Guess(NamedTuple):
    """A YAML value for `history`, why, and the log's columns that it takes."""

    text: str
    why: str
    columns: tuple[str, ...]


def guess_history(log: Table, timestamp: str | None) -> Guess:
    """A column's history before one that is made from the log, before none."""
    for name, kind in log.types.items():
        if "list" in kind and NAME.search(name):
            return _from_lists(name, log.head[name])
    if side_by_side := _numbered(log):
        return side_by_side
    for name in log.types:
        if log.head.schema[name] == pl.String and NAME.search(name):
            separator = _separator(log.head[name])
            text = f"{{from: list, column: {quoted(name)}, separator: {quoted(separator)}"
            return Guess(f"{text}, max_length: {LONGEST}}}", "item keys written as text", (name,))
    if timestamp:
        why = "earlier positives of the user, strictly before the row"
        return Guess(f"{{from: log, max_length: {LONGEST}}}", why, ())
    return Guess("{from: none}", "neither a history column nor timestamps", ())


def _from_lists(name: str, column: pl.Series) -> Guess:
    lists = column.arr.to_list() if isinstance(column.dtype, pl.Array) else column
    widths = lists.list.len().drop_nulls().unique()
    ends = pl.concat([lists.list.first(), lists.list.last()]).drop_nulls()
    zero = "0" if ends.dtype.is_numeric() else ""
    if len(widths) == 1 and (ends.cast(pl.String) == zero).any():
        why = f"lists of {widths[0]} with {zero or 'empty text'} where there is no item"
        padding = zero or quoted("")
        text = f"{{from: padded, column: {quoted(name)}, padding: {padding}"
        return Guess(f"{text}, max_length: {LONGEST}}}", why, (name,))
    text = f"{{from: list, column: {quoted(name)}, max_length: {LONGEST}}}"
    return Guess(text, "a list column of item keys, newest last", (name,))


def _numbered(log: Table) -> Guess | None:
    """Columns such as hist_1, hist_2, hist_3: one padded history."""
    stems: dict[str, list[str]] = {}
    for name in log.types:
        if found := NUMBERED.match(name):
            stems.setdefault(found.group(1), []).append(name)
    for stem, names in stems.items():
        if len(names) > 2:
            text = f"{{from: padded, column: {quoted(stem + '*')}, padding: 0"
            why = f"{len(names)} columns side by side, oldest first, 0 or nothing where no item is"
            return Guess(f"{text}, max_length: {max(LONGEST, len(names))}}}", why, tuple(names))
    return None


def _separator(column: pl.Series) -> str:
    text = column.drop_nulls().str.strip_chars("[]() ")
    shares = {mark: text.str.contains(mark, literal=True).sum() for mark in SEPARATORS}
    best = max(shares.values(), default=0)
    return next((mark for mark, share in shares.items() if share and share >= best / 2), " ")
