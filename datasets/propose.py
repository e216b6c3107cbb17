"""`init`: look at a folder's tables and arrays and propose a commented spec; every guess is marked."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.reading import columns_of, count_rows, is_parquet, stream

SAMPLE = 20_000
TABLES, ARRAYS = (".parquet", ".pq", ".csv", ".tsv"), (".npy",)
USER = re.compile(r"^(user|uid|member|customer|visitor|reviewer)_?(id|key|idx)?$", re.IGNORECASE)
ITEM = re.compile(
    r"^(item|iid|movie|product|video|article|ad|doc|news|goods|parent)_?(id|key|idx|asin)?$|^asin$",
    re.IGNORECASE,
)
LABEL = re.compile(r"^(label|is_?click(ed)?|click(ed|s)?|y|target|rating|liked?)$", re.IGNORECASE)
TIME = re.compile(r"^(ts|t|time(_?stamp)?|date(_?time)?|event_?time)$", re.IGNORECASE)
REQUEST = re.compile(r"^(request|impression|session|query)_?(id|key)?$", re.IGNORECASE)
HISTORY = re.compile(r"(hist|seq)", re.IGNORECASE)
FEW = 1000  # distinct values of a category


class Table(NamedTuple):
    """A table's name, rows, column types and first rows."""

    path: Path
    name: str
    rows: int
    types: dict[str, str]
    head: pl.DataFrame

    def first(self, pattern: re.Pattern[str]) -> str | None:
        """The first column whose name fits."""
        return next((name for name in self.types if pattern.search(name)), None)


def propose(paths: Sequence[Path]) -> str:
    """YAML text for a person to edit; DataContractError where no interaction log is found."""
    root, files = _files(paths)
    tables = [_table(path, root) for path in files if path.suffix.lower() in TABLES]
    log = _log(tables, root)
    lines = [
        f"# Proposed from {len(files)} files; lines marked 'guess' want a look.",
        *_interactions(log),
    ]
    items = _items_table(tables, log)
    users = _users_table(tables, log, items)
    lines += _history(log)
    lines += _fields("candidate_fields", log, _roles(log))
    if users is not None:
        lines += _users(users, log)
    lines += _items(items, log)
    lines += _modalities(files, root, items)
    lines += _rest(log)
    return "\n".join(lines) + "\n"


def _files(paths: Sequence[Path]) -> tuple[Path, list[Path]]:
    for path in paths:
        if not path.exists():
            raise DataContractError(f"{path}: not there; give a folder or files that exist")
    folders = [path for path in paths if path.is_dir()]
    root = folders[0] if len(paths) == 1 and folders else Path(paths[0]).parent
    found = [path for path in paths if path.is_file()]
    for folder in folders:
        found += sorted(path for path in folder.iterdir() if path.is_file())
    known = [path for path in found if path.suffix.lower() in (*TABLES, *ARRAYS)]
    if not known:
        raise DataContractError(f"{root}: no parquet, csv or npy file; give the folder of the data")
    return root, known


def _table(path: Path, root: Path) -> Table:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    types = columns_of(path, separator)
    head = next(iter(stream(path, list(types), SAMPLE, separator))).head(SAMPLE)
    if not is_parquet(path):
        head = head.with_columns(_typed(head[name]) for name in head.columns)
        types = {name: str(head.schema[name]).lower() for name in head.columns}
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return Table(path, name, count_rows(path, separator), types, head)


def _typed(column: pl.Series) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    return column if numbers.null_count() > column.null_count() else numbers.alias(column.name)


def _log(tables: list[Table], root: Path) -> Table:
    found = [table for table in tables if table.first(USER) and table.first(ITEM)]
    if not found:
        seen = "; ".join(f"{table.name}: {', '.join(list(table.types)[:8])}" for table in tables)
        raise DataContractError(
            f"{root}: no table has a user and an item column; rename them user_id and item_id, or "
            f"write the spec by hand (seen: {seen or 'no table'})"
        )
    return max(found, key=lambda table: table.rows)


def _interactions(log: Table) -> list[str]:
    roles = {key: name for key, name in _roles(log).items() if key != "history" and name}
    columns = ", ".join(f"{key}: {json.dumps(name)}" for key, name in roles.items())
    name = re.sub(r"[^A-Za-z0-9_-]", "_", log.path.parent.resolve().name) or "data"
    lines = [
        f"name: {name}  # guess: the folder's name",
        f"interactions: {{path: {json.dumps(log.name)}}}  # guess: {log.rows:,} rows, the largest with user and item",
        f"columns: {{{columns}}}  # guess: by their names",
    ]
    if label := roles.get("label"):
        condition = _positive(log.head[label])
        if condition:
            lines.append(f"label: {{positive_when: {condition}}}  # guess: what counts as a click")
    else:
        lines.append(
            "negatives: {per_positive: 4, draw: uniform}  # guess: no label column, so every row is a positive"
        )
    return lines


def _roles(log: Table) -> dict[str, str | None]:
    scalar = {name: kind for name, kind in log.types.items() if "list" not in kind}
    trimmed = log._replace(types=scalar)
    history = next(
        (name for name, kind in log.types.items() if "list" in kind and HISTORY.search(name)), None
    )
    roles = {"user": USER, "item": ITEM, "label": LABEL, "timestamp": TIME, "request": REQUEST}
    return {key: trimmed.first(pattern) for key, pattern in roles.items()} | {"history": history}


def _positive(label: pl.Series) -> str | None:
    values = label.drop_nulls().unique().sort()
    if set(values.to_list()) <= {0, 1}:
        return None
    top = float(values.max())  # type: ignore[arg-type]
    edge = 4.0 if top <= 5 else float(label.median())  # type: ignore[arg-type]
    return json.dumps(f">= {edge:g}")


def _history(log: Table) -> list[str]:
    roles = _roles(log)
    if roles["history"]:
        return [
            f"history: {{from: list, column: {json.dumps(roles['history'])}, max_length: 50}}  # guess: a list column of item keys"
        ]
    if roles["timestamp"]:
        return [
            "history: {from: log, max_length: 50}  # guess: earlier positives of the user, strictly before the row"
        ]
    return ["history: {from: none}  # guess: neither a history column nor timestamps"]


def _items_table(tables: list[Table], log: Table) -> Table | None:
    key = _roles(log)["item"]
    others = [t for t in tables if t is not log and key in t.types and not t.first(USER)]
    unique = [t for t in others if t.head[str(key)].n_unique() == t.head.height]
    return max(unique, key=lambda table: table.rows, default=None)


def _users_table(tables: list[Table], log: Table, items: Table | None) -> Table | None:
    key = _roles(log)["user"]
    others = [t for t in tables if t is not log and t is not items and key in t.types]
    return next((t for t in others if not t.first(ITEM)), None)


def _users(users: Table, log: Table) -> list[str]:
    key = str(_roles(log)["user"])
    head = [f"users:  # guess: {users.rows:,} rows with the log's user key"]
    fields = _listed(users, {key}, "    ")
    return [
        *head,
        f"  path: {json.dumps(users.name)}",
        f"  key: {json.dumps(key)}",
        *(["  fields:", *fields] if fields else []),
    ]


def _items(items: Table | None, log: Table) -> list[str]:
    if items is None:
        return ["items: {keys: log}  # guess: no table of items, so the log's own keys"]
    key = str(_roles(log)["item"])
    flags = {name for name, kind in items.types.items() if "bool" in kind} | {"row", "index"}
    fields = _listed(items, {key} | flags, "    ")
    lines = [
        f"items:  # guess: {items.rows:,} rows with the log's item key",
        f"  path: {json.dumps(items.name)}",
        f"  key: {json.dumps(key)}",
    ]
    return [*lines, *(["  fields:", *fields] if fields else [])]


def _fields(key: str, table: Table, roles: dict[str, str | None]) -> list[str]:
    listed = _listed(table, {name for name in roles.values() if name} | {"split", "row_id"}, "  ")
    return [f"{key}:", *listed] if listed else []


def _listed(table: Table, taken: set[str], indent: str) -> list[str]:
    lines = []
    for name, kind in table.types.items():
        if name in taken or "list" in kind or "bool" in kind:
            continue
        field = _field(table.head[name])
        if field:
            lines.append(
                f"{indent}- {{column: {json.dumps(name)}, {field}}}  # guess: by its values"
            )
    return lines


def _field(column: pl.Series) -> str | None:
    values = column.drop_nulls()
    if not len(values):
        return None
    distinct = values.n_unique()
    if values.dtype == pl.String:
        split = values.str.contains("|", literal=True).mean()
        if isinstance(split, float) and split > 0.2:
            return 'type: categories, separator: "|"'
        return "type: category" if distinct <= min(FEW, len(values) // 2) else None
    if values.dtype.is_float() and distinct > 20:
        return "type: number"
    return "type: category" if distinct <= min(FEW, max(2, len(values) // 2)) else None


def _modalities(files: list[Path], root: Path, items: Table | None) -> list[str]:
    lines: list[str] = []
    taken: set[str] = set()
    for path in files:
        if path.suffix.lower() in ARRAYS:
            lines += _array(path, root, items, taken)
    if items is not None:
        for name, kind in items.types.items():
            if "list" in kind and ("float" in kind or "double" in kind or "half" in kind):
                lines.append(
                    f"  {_named(name, taken)}: {{column: {json.dumps(name)}}}  # guess: a list column of numbers"
                )
    return (
        ["modalities:", *lines]
        if any(not line.lstrip().startswith("#") for line in lines)
        else lines
    )


def _array(path: Path, root: Path, items: Table | None, taken: set[str]) -> list[str]:
    array = np.load(path, mmap_mode="r")
    if array.ndim != 2 or items is None or len(array) != items.rows:
        return [f"  # {path.name}: shape {array.shape}, not one row an item; left out"]
    step = 1 << 14
    if not all(np.isfinite(array[i : i + step]).all() for i in range(0, len(array), step)):
        return [f"  # {path.name}: holds infinite or missing values; mend it, then add it"]
    name = _named(path.stem, taken)
    flag = next((c for c in (f"has_{name}", f"{name}_present") if c in items.types), None)
    present = f", present: {flag}" if flag else ""
    where = path.relative_to(root).as_posix()
    return [
        f"  {name}: {{path: {json.dumps(where)}, keyed_by: row{present}}}  # guess: {array.shape[1]} columns, one row an item"
    ]


def _named(stem: str, taken: set[str]) -> str:
    """The first word of a file's name, or all of it where that is taken."""
    whole = re.sub(r"[^A-Za-z0-9_]", "_", stem)[:48]
    short = whole.split("_")[0]
    name = short if short and short not in taken else whole
    taken.add(name)
    return name


def _rest(log: Table) -> list[str]:
    if "split" in log.types:
        split = "{by: given, column: split}  # guess: a column named split"
    elif _roles(log)["timestamp"]:
        split = "{by: time, valid: 0.1, test: 0.2}  # guess: the newest rows are the test"
    else:
        split = "{by: user, valid: 0.1, test: 0.2}  # guess: no timestamps, so users apart"
    return [f"split: {split}", "cluster: user  # guess: what the intervals treat as independent"]
