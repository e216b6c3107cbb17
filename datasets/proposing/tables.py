"""The tables of a folder, and which of them is the log, the items, the users."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.reading import columns_of, count_rows, is_parquet, stream
from fusefront.datasets.table_text import TableText

SAMPLE = 20_000
TABLES, ARRAYS = (".parquet", ".pq", ".csv", ".tsv"), (".npy",)
USER = re.compile(
    r"^(user|uid|member|customer|client|visitor|reviewer)[ _.-]?(id|key|idx|no|number)?$",
    re.IGNORECASE,
)
ITEM = re.compile(
    r"^(item|iid|movie|product|video|article|ad|doc|news|goods|sku|parent)[ _.-]?"
    r"(id|key|idx|no|number|asin)?$|^asin$",
    re.IGNORECASE,
)
FEWEST = 20  # distinct keys of users or items, where no name tells
SPLIT_FILES = {
    "train": ("train",),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test",),
}


def quoted(text: str) -> str:
    """Text as YAML between double quotes, readable where it can be.

    >>> quoted("Preis, €")
    '"Preis, €"'
    """
    written = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in written)


class Table(NamedTuple):
    """A table's name, rows, column types and first rows."""

    path: Path
    name: str  # relative to the data folder
    rows: int
    types: dict[str, str]
    head: pl.DataFrame
    separator: str

    def first(self, pattern: re.Pattern[str]) -> str | None:
        """The first column of single values whose name fits."""
        plain = (name for name, kind in self.types.items() if "list" not in kind)
        return next((name for name in plain if pattern.search(name)), None)


class Found(NamedTuple):
    """The folder's tables in their roles."""

    log: Table
    splits: dict[str, Table]  # train, valid, test where the log is three files, else empty
    items: Table | None
    item_key: str  # of the items
    users: Table | None
    user: str  # columns of the log
    item: str


def data_files(paths: Sequence[Path]) -> tuple[Path, list[Path]]:
    """(data folder, its tables and arrays) of a folder or of files in one folder."""
    for path in paths:
        if not path.exists():
            raise DataContractError(f"{path}: not there; give a folder or files that exist")
    folders = {path if path.is_dir() else path.parent for path in paths}
    if len(folders) > 1:
        raise DataContractError(
            f"got files of {len(folders)} folders ({', '.join(sorted(map(str, folders)))}); a data "
            "set lies in one folder: give that"
        )
    root = folders.pop()
    listed = sorted(root.iterdir()) if root in paths else list(paths)
    known = [p for p in listed if p.is_file() and p.suffix.lower() in (*TABLES, *ARRAYS)]
    if odd := [path for path in known if not path.name.isprintable()]:
        raise DataContractError(
            f"{root}: the file name {odd[0].name!a} cannot be written; rename it"
        )
    if not known:
        raise DataContractError(f"{root}: no parquet, csv or npy file; give the folder of the data")
    return root, known


def find_tables(files: Sequence[Path], root: Path) -> Found:
    """Sort the tables into roles; DataContractError where none has a user and an item column."""
    tables = [_read(path, root) for path in files if path.suffix.lower() in TABLES]
    logs = [table for table in tables if table.first(USER) and table.first(ITEM)]
    logs = logs or _by_values(tables)
    if not logs:
        seen = "; ".join(f"{table.name}: {', '.join(list(table.types)[:8])}" for table in tables)
        raise DataContractError(
            f"{root}: no table has a user and an item column; rename them user_id and item_id, "
            f"write the spec by hand, or name a published layout with --layout (seen: "
            f"{seen or 'no table'})"
        )
    splits = _splits(logs)
    log = splits.get("train") or max(logs, key=lambda table: table.rows)
    others = [table for table in tables if table is not log and table not in logs]
    user, item = _keys(log, others)
    items, key = _items(others, item)
    users = [table for table in others if user in table.types and table is not items]
    return Found(log, splits, items, key, users[0] if users else None, user, item)


def _by_values(tables: Sequence[Table]) -> list[Table]:
    """The largest table with two columns of repeated keys: no name tells which is the log."""
    found = [table for table in tables if len(_repeated(table)) > 1]
    return sorted(found, key=lambda table: table.rows)[-1:]


def _keys(log: Table, others: Sequence[Table]) -> tuple[str, str]:
    """(user, item): by their names; else the item is what another table has once, the user what is
    left with the most distinct keys."""
    named = log.first(USER), log.first(ITEM)
    left = [name for name in _repeated(log) if name not in named]
    once = [name for name in left if any(_once(table, name) for table in others)]
    item = named[1] or (once or left[-1:])[0]
    user = named[0] or next(name for name in left if name != item)
    return user, item


def _repeated(table: Table) -> list[str]:
    """Columns of keys that many rows share, those with the most distinct first."""
    counts = {
        name: table.head[name].n_unique()
        for name in table.types
        if table.head.schema[name] == pl.String or table.head.schema[name].is_integer()
    }
    fit = [name for name, count in counts.items() if FEWEST <= count < 0.9 * table.head.height]
    return sorted(fit, key=lambda name: -counts[name])


def _once(table: Table, name: str) -> bool:
    return name in table.types and table.head[name].n_unique() == table.head.height


def _read(path: Path, root: Path) -> Table:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    text = TableText(separator)
    types = columns_of(path, text)
    head = next(iter(stream(path, list(types), SAMPLE, text)), None)
    if head is None:
        raise DataContractError(f"{path}: no rows; export it again, or leave it out")
    head = head.head(SAMPLE)
    if not is_parquet(path):
        head = head.with_columns(_typed(head[name]) for name in head.columns)
        types = {name: str(head.schema[name]).lower() for name in head.columns}
    name = path.relative_to(root).as_posix()
    return Table(path, name, count_rows(path, text), types, head, separator)


def _typed(column: pl.Series) -> pl.Series:
    """Text that is all numbers as numbers, whole ones as integers."""
    for kind in (pl.Int64, pl.Float64):
        numbers = column.cast(kind, strict=False)
        if numbers.null_count() == column.null_count():
            return numbers
    return column


def _splits(logs: list[Table]) -> dict[str, Table]:
    """The three files of a log that comes split, by their names."""
    found = {}
    for split, stems in SPLIT_FILES.items():
        named = [table for table in logs if table.path.stem.lower() in stems]
        if len(named) != 1:
            return {}
        found[split] = named[0]
    return found


def _items(tables: list[Table], key: str) -> tuple[Table | None, str]:
    """The largest table with one row an item, and its key: the log's name of it, or one like it."""
    found = []
    for table in tables:
        own = key if key in table.types else table.first(ITEM)
        if own and not table.first(USER) and table.head[own].n_unique() == table.head.height:
            found.append((own == key, table.rows, table, own))
    if not found:
        return None, key
    _, _, table, own = max(found, key=lambda one: one[:2])
    if not is_parquet(table.path):  # vectors are matched to the rows, so count them
        rows = sum(f.height for f in stream(table.path, [own], SAMPLE, TableText(table.separator)))
        table = table._replace(rows=rows)
    return table, own
