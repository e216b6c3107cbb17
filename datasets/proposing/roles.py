"""Finds which table is the log, the items and the users, and which columns of the log are the
keys."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.proposing.files.folder import IDS
from fusefront.datasets.proposing.files.tables import SampledTable
from fusefront.datasets.spec import SPLIT_WORDS

USER = re.compile(
    r"^(user|uid|member|customer|client|visitor|reviewer)[ _.-]?(id|key|idx|no|number|hash)?$",
    re.IGNORECASE,
)
ITEM = re.compile(
    r"^(item|iid|movie|product|video|article|ad|doc|news|goods|sku|parent)[ _.-]?"
    r"(id|key|idx|no|number|asin)?$|^asin$"
    r"|^(photo|track|song|music|book|post|content|creative|note|business|recipe|app|listing|poi)"
    r"[ _.-]?(id|key|idx)$",
    re.IGNORECASE,
)
FEWEST = 20  # distinct keys of users or items, where no name tells
_FILMS = ("user_id", "item_id", "rating", "timestamp")  # of u.data, which has no header


class KeyColumns(NamedTuple):
    """Columns of the log; `doubt` says why the guess may be another column."""

    user: str
    item: str
    doubt: dict[str, str]  # user or item -> why


class KeyedTable(NamedTuple):
    """A table with one row a key."""

    table: SampledTable
    key: str


class Roles(NamedTuple):
    """The tables of a folder in their roles; `notes` says why the others are not read."""

    log: SampledTable
    splits: dict[
        str, SampledTable
    ]  # train, valid, test: those there are, where the log is cut by files
    rivals: tuple[SampledTable, ...]  # other candidates for the log: same columns, other names
    keys: KeyColumns
    items: KeyedTable | None
    users: KeyedTable | None
    vectors: tuple[KeyedTable, ...]  # vectors beside their item keys
    notes: dict[str, str]


def find_roles(tables: Sequence[SampledTable], root: Path, unread: dict[str, str]) -> Roles:
    """Sort the tables into roles; raises DataContractError if none has a user and an item
    column."""
    tables = [_with_headings(table) for table in tables]
    logs = [table for table in tables if table.first(USER) and table.first(ITEM)]
    logs = logs or _by_values(tables)
    if not logs:
        tables_read = [f"{table.name}: {', '.join(table.columns[:8])}" for table in tables]
        tables_read += [f"{name}: {why}" for name, why in unread.items()]
        raise DataContractError(
            f"{root}: no table has a user and an item column; rename them user_id and item_id, "
            "write the spec by hand, or name a published layout with --layout (seen: "
            f"{'; '.join(tables_read) or 'no table'})"
        )
    notes: dict[str, str] = {}
    splits = _splits(logs, notes)
    log = splits.get("train") or max(logs, key=lambda table: table.rows)
    parts = {id(table) for table in (log, *splits.values())}
    others = [table for table in tables if id(table) not in parts and table not in logs]
    keys = _keys(log, others)
    rivals = []
    for table in logs:
        if id(table) in parts or table.name in notes:
            continue
        notes[table.name] = "a log as well; not read"
        if table.columns == log.columns and not splits:
            rivals.append(table)
            notes[table.name] += ": add it to interactions.path if its rows belong to the log"
    items, vectors = _items(others, keys.item, notes)
    users = _users(others, keys.user, items, notes)
    roles = {id(side.table) for side in (items, users, *vectors) if side is not None}
    for table in others:
        if id(table) not in roles:
            why = "neither users nor items of the log; not read"
            if table.parts.text.names:
                why = "no header line; to read it as users or items give its columns 'names'"
            notes.setdefault(table.name, why)
    return Roles(log, splits, tuple(rivals), keys, items, users, vectors, notes)


def _with_headings(table: SampledTable) -> SampledTable:
    """u.data of MovieLens has no header, but its columns are known."""
    if table.parts.paths[0].name != "u.data" or len(table.parts.text.names) != len(_FILMS):
        return table
    text = table.parts.text._replace(names=_FILMS)
    frame = table.frame.rename(dict(zip(table.columns, _FILMS, strict=True)))
    return table._replace(parts=table.parts._replace(text=text), frame=frame)


def _by_values(tables: Sequence[SampledTable]) -> list[SampledTable]:
    """The largest table with two columns of repeated keys, and those that have its columns."""
    fit = [t for t in tables if len(_repeated(t)) > 1 and not _of_one_side(t)]
    fit.sort(key=lambda table: table.rows)
    return [table for table in fit if table.columns == fit[-1].columns]


def _of_one_side(table: SampledTable) -> bool:
    """Whether a table has one row a user, or one an item."""
    return any(table.unique(name) for pattern in (USER, ITEM) for name in table.all(pattern))


def _keys(log: SampledTable, others: Sequence[SampledTable]) -> KeyColumns:
    """By their names; else the item is what another table has once, the user what is left with the
    most distinct keys."""
    doubt: dict[str, str] = {}
    user = _named_key(log, USER, others, "user", doubt)
    item = _named_key(log, ITEM, others, "item", doubt)
    left = [name for name in _repeated(log) if name not in (user, item)]
    if item is None:
        once = [n for n in left if any(n in t.columns and t.unique(n) for t in others)]
        item = (once or left[-1:])[0]
        if not once or log.parts.text.names:
            doubt["item"] = _either(log, left)
    if user is None:
        left = [name for name in left if name != item]
        user = left[0]
        if len(left) > 1 or "item" in doubt:
            doubt["user"] = _either(log, [*left, item] if "item" in doubt else left)
    return KeyColumns(user, item, doubt)


def _either(log: SampledTable, names: Sequence[str]) -> str:
    header = "the file has no header line, and " if log.parts.text.names else ""
    listed = ", ".join(repr(name) for name in dict.fromkeys(names))
    return f"{header}{listed} hold keys that repeat; nothing tells which is which"


def _named_key(
    log: SampledTable,
    pattern: re.Pattern[str],
    others: Sequence[SampledTable],
    role: str,
    doubt: dict[str, str],
) -> str | None:
    """The column whose name fits; of several the one that another table has once."""
    names = log.all(pattern)
    if len(names) < 2:
        return names[0] if names else None
    once = [n for n in names if any(n in t.columns and t.unique(n) for t in others)]
    if once:
        return once[0]
    pairs = [log.frame.select(names[0], name).n_unique() for name in names[1:]]
    same = [log.frame[name].n_unique() for name in names]
    if any(count != max(pair, same[0]) for pair, count in zip(pairs, same[1:], strict=True)):
        doubt[role] = f"{', '.join(map(repr, names))} may each be the {role}"
    return names[0]


def _repeated(table: SampledTable) -> list[str]:
    """Columns of keys that many rows share, those with the most distinct first."""
    counts = {
        name: table.frame[name].n_unique()
        for name, kind in table.frame.schema.items()
        if kind == pl.String or kind.is_integer()
    }
    fit = [name for name, count in counts.items() if FEWEST <= count < 0.9 * table.frame.height]
    return sorted(fit, key=lambda name: -counts[name])


def _splits(logs: Sequence[SampledTable], notes: dict[str, str]) -> dict[str, SampledTable]:
    """The files of a log that comes split, by the words in their names; one each, at least two."""
    splits: dict[str, SampledTable] = {}
    for split, words in SPLIT_WORDS.items():
        matches = [t for t in logs if set(words) & set(re.split(r"[^a-z]+", t.name.lower()))]
        if len(matches) == 1:
            splits[split] = matches[0]
    if "train" not in splits:
        return {}
    for split, table in list(splits.items()):
        lacks = [name for name in splits["train"].columns if name not in table.columns]
        if lacks:
            notes[table.name] = f"the {split} rows lack {lacks[0]!r}, which train has; not read"
            del splits[split]
    return splits if len(splits) > 1 else {}


def _items(
    tables: Sequence[SampledTable], key: str, notes: dict[str, str]
) -> tuple[KeyedTable | None, tuple[KeyedTable, ...]]:
    """The table with one row an item, by the log's name of the key or one like it; and vectors."""
    fit: list[KeyedTable] = []
    for table in tables:
        own = key if key in table.columns else table.first(ITEM)
        if own is None or table.first(USER) or _only_ids(table):
            continue
        if table.unique(own):
            fit.append(KeyedTable(table, own))
        else:
            notes[table.name] = f"{own!r} repeats or is missing, so it is no table of items"
    if not fit:
        return None, ()
    items = max(fit, key=lambda side: (len(_plain(side)) > 1, side.key == key, side.table.rows))
    vectors = []
    for side in [side for side in fit if side is not items]:
        if vector_columns(side.table):
            vectors.append(side)
        else:
            why = f"items as well, but one table is read; join it by {side.key!r}"
            notes[side.table.name] = why
    return items, tuple(vectors)


def _only_ids(table: SampledTable) -> bool:
    """Whether a table holds nothing but the keys of vectors, as its name says."""
    return len(table.columns) == 1 and IDS.search(table.parts.stem) is not None


def _plain(side: KeyedTable) -> list[str]:
    return [name for name, kind in side.table.frame.schema.items() if not kind.is_nested()]


def vector_columns(table: SampledTable) -> list[str]:
    """Columns with a list of numbers a row."""
    return [name for name, kind in table.frame.schema.items() if is_vector(kind)]


def is_vector(kind: pl.DataType) -> bool:
    """Whether a column of this type holds lists of fractions."""
    return isinstance(kind, pl.List | pl.Array) and bool(kind.inner.is_float())


def _users(
    tables: Sequence[SampledTable], key: str, items: KeyedTable | None, notes: dict[str, str]
) -> KeyedTable | None:
    fit = []
    for table in tables:
        own = key if key in table.columns else table.first(USER)
        if own is None or (items is not None and table is items.table):
            continue
        if not table.unique(own):
            notes[table.name] = f"{own!r} repeats or is missing, so it is no table of users"
        else:
            fit.append(KeyedTable(table, own))
    for side in fit[1:]:
        notes[side.table.name] = f"users as well, but one table is read; join it by {side.key!r}"
    return fit[0] if fit else None
