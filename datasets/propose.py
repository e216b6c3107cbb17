"""`init`: look at a folder's tables and arrays and propose a commented spec; every guess is marked."""

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from fusefront.datasets.allowed import NOTHING, Allowed, Guard
from fusefront.datasets.proposing.history import guess_history
from fusefront.datasets.proposing.tables import Found, Table, data_files, find_tables, quoted
from fusefront.datasets.proposing.vectors import modality_lines, rows_of_vectors

LABEL = re.compile(r"^(label|is_?click(ed)?|click(ed|s)?|y|target|rating|liked?)$", re.IGNORECASE)
TIME = re.compile(r"^(ts|t|time(_?stamp)?|date(_?time)?|event_?time)$", re.IGNORECASE)
REQUEST = re.compile(r"^(request|impression|session|query)_?(id|key)?$", re.IGNORECASE)
NO_FIELDS = {"split", "row_id", "row", "index"}
NO_VECTORS = "# modalities:  # no vectors found; fusion needs some, see docs/datasets.md"
FEW = 1000  # distinct values of a category


def propose(paths: Sequence[Path], allowed: Allowed = NOTHING) -> str:
    """YAML text for a person to edit; DataContractError where no interaction log is found."""
    root, files = data_files(paths)
    guard = Guard(root, allowed)
    for path in files:
        guard.check(path)
    found = find_tables(files, root)
    log = found.log
    roles = {"user": found.user, "item": found.item}
    for role, pattern in (("label", LABEL), ("timestamp", TIME), ("request", REQUEST)):
        if name := log.first(pattern) or _by_values(log, role, set(roles.values())):
            roles[role] = name
    history = guess_history(log, roles.get("timestamp"))
    taken = {*roles.values(), *history.columns} | NO_FIELDS
    lines = [
        f"# Proposed from {len(files)} files; lines marked 'guess' want a look.",
        *_interactions(found, roles, root),
        f"history: {history.text}  # guess: {history.why}",
        *_section("candidate_fields:", _fields(log, taken, "  ")),
        *(_users(found.users, found.user) if found.users else []),
        *_items(found, files),
        *(modality_lines(files, root, found) or [NO_VECTORS]),
        f"split: {_split(found, roles)}",
        "cluster: user  # guess: what the intervals treat as independent",
    ]
    return "\n".join(lines) + "\n"


def _by_values(log: Table, role: str, taken: set[str]) -> str | None:
    """The only column of the log that can be the label (0 and 1) or the timestamp (dates)."""
    fits = {"label": _is_binary, "timestamp": _is_date}.get(role, lambda _: False)
    found = [name for name in log.types if name not in taken and fits(log.head[name])]
    return found[0] if len(found) == 1 else None


def _is_binary(column: pl.Series) -> bool:
    values = set(column.drop_nulls().unique().to_list()) if not column.dtype.is_nested() else {}
    return values in ({0, 1}, {False, True})


def _is_date(column: pl.Series) -> bool:
    return isinstance(column.dtype, pl.Datetime | pl.Date)


def _interactions(found: Found, roles: dict[str, str], root: Path) -> list[str]:
    log = found.log
    columns = ", ".join(f"{role}: {quoted(name)}" for role, name in roles.items())
    name = re.sub(r"[^A-Za-z0-9_-]", "_", root.resolve().name).lstrip("_-")[:64] or "data"
    if found.splits:
        where = ", ".join(f"{part}: {quoted(t.name)}" for part, t in found.splits.items())
        why = "the log comes split"
    else:
        where = f"path: {quoted(log.name)}"
        why = f"{log.rows:,} rows, the largest with user and item"
    if log.separator != ",":
        where += f", separator: {quoted(log.separator)}"
    lines = [
        f"name: {name}  # guess: the folder's name",
        f"interactions: {{{where}}}  # guess: {why}",
        f"columns: {{{columns}}}  # guess: by names and values",
    ]
    if "label" not in roles:
        why = "no label column, so every row is a positive"
        lines.append(f"negatives: {{per_positive: 4, draw: uniform}}  # guess: {why}")
    elif condition := _positive(log.head[roles["label"]]):
        lines.append(f"label: {{positive_when: {condition}}}  # guess: what counts as a click")
    return lines


def _positive(label: pl.Series) -> str | None:
    """A condition where the column does not hold 0 and 1: ratings from 4 on, else from the median."""
    values = label.drop_nulls().unique()
    if not values.dtype.is_numeric() or set(values.to_list()) <= {0, 1}:
        return None
    top = float(values.max())  # type: ignore[arg-type]
    edge = 4.0 if top <= 5 else float(label.median())  # type: ignore[arg-type]
    return quoted(f">= {edge:g}")


def _section(head: str, lines: list[str]) -> list[str]:
    return [head, *lines] if lines else []


def _table(key: str, table: Table, taken: set[str], why: str, column: str) -> list[str]:
    """The lines of `users` or `items`."""
    separator = [f"  separator: {quoted(table.separator)}"] if table.separator != "," else []
    return [
        f"{key}:  # guess: {table.rows:,} rows {why}",
        f"  path: {quoted(table.name)}",
        f"  key: {quoted(column)}",
        *separator,
        *_section("  fields:", _fields(table, taken | {column} | NO_FIELDS, "    ")),
    ]


def _users(users: Table, key: str) -> list[str]:
    return _table("users", users, set(), "with the log's user key", key)


def _items(found: Found, files: list[Path]) -> list[str]:
    if found.items is not None:
        return _table("items", found.items, set(), "with one item each", found.item_key)
    if matrix := rows_of_vectors(files, found):
        return [f"items: {{keys: rows}}  # guess: item k is row k of {matrix.name}, from 0 on"]
    return ["items: {keys: log}  # guess: no table of items, so the log's own keys"]


def _fields(table: Table, taken: set[str], indent: str) -> list[str]:
    lines = []
    for name, kind in table.types.items():
        if name in taken or "list" in kind or "bool" in kind:
            continue
        if field := _field(table.head[name]):
            lines.append(f"{indent}- {{column: {quoted(name)}, {field}}}  # guess: by its values")
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
    if not (values.dtype.is_numeric() or values.dtype in (pl.Categorical, pl.Enum)):
        return None
    return "type: category" if distinct <= min(FEW, max(2, len(values) // 2)) else None


def _split(found: Found, roles: dict[str, str]) -> str:
    if found.splits:
        return "{by: given}  # guess: a file a split"
    if "split" in found.log.types:
        return "{by: given, column: split}  # guess: a column named split"
    if "timestamp" in roles:
        return "{by: time, valid: 0.1, test: 0.2}  # guess: the newest rows are the test"
    return "{by: user, valid: 0.1, test: 0.2}  # guess: no timestamps, so users apart"
