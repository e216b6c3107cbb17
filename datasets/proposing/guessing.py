"""The tables of a folder to a draft of its spec."""

import re
from collections import Counter
from pathlib import Path

import polars as pl

from fusefront.datasets.proposing.draft import OPEN, Draft, Guess, TableGuess, Value, Word
from fusefront.datasets.proposing.fields import Fields, guess_fields, notes_of
from fusefront.datasets.proposing.files.folder import Folder
from fusefront.datasets.proposing.files.tables import SampledTable
from fusefront.datasets.proposing.history import guess_history, history_columns
from fusefront.datasets.proposing.labels import LabelGuess, guess_label, positives
from fusefront.datasets.proposing.padding import KeyTexts
from fusefront.datasets.proposing.requests import guess_request
from fusefront.datasets.proposing.roles import KeyedTable, Roles, vector_columns
from fusefront.datasets.proposing.scores import leak
from fusefront.datasets.proposing.splits import guess_split, train_past
from fusefront.datasets.proposing.times import Timestamp, guess_timestamp
from fusefront.datasets.proposing.vectors import Array, find_arrays, find_vectors, row_of_item
from fusefront.datasets.raw.whole_table import WholeTable


def guess_draft(folder: Folder, roles: Roles, unread: dict[str, str]) -> Draft:
    """Every part of the spec by names and values; nothing is tried yet."""
    log, user, item = roles.log, roles.keys.user, roles.keys.item
    timestamp = guess_timestamp(log, [user, item])
    moment = timestamp.column
    used = [user, item, *([moment] if moment else [])]
    split = guess_split(roles, used, moment)
    used += split.columns
    label = guess_label(log, used)
    used += [name for name in (label.column, label.constant) if name]
    request = guess_request(log, user, moment, used)
    used += [request.column] if request.column else []
    keys = _keys(roles, folder.root)
    history = guess_history(log, keys, used, user, moment, label, train_past(roles, split))
    past = history_columns(log, used)
    positive = positives(log, label)
    not_fields = {*used, *history.columns, *past, *timestamp.others, *request.left_out}
    fields = guess_fields(log, not_fields, lambda column: leak(column, positive))
    notes: dict[str, str] = {}
    arrays, ids = find_arrays(folder, notes)
    rows = row_of_item(arrays, roles, ids)
    vectors = find_vectors(folder, roles, arrays, ids, rows)
    users = _side(roles.users, folder.root, "with the log's user key")
    items = _items(roles, rows, folder.root)
    left_out = fields.left_out | request.left_out
    left_out |= dict.fromkeys(timestamp.others, "a time as well")
    left_out |= {n: "a history of other values" for n in past if n not in history.columns}
    unused = unread | folder.unused | roles.notes | notes | vectors.notes
    count = len(folder.arrays) + sum(len(parts.paths) for parts in folder.tables)
    return Draft(
        name=re.sub(r"[^A-Za-z0-9_-]", "_", folder.root.resolve().name).lstrip("_-")[:64] or "data",
        interactions=_interactions(roles, folder.root, moment),
        columns=_columns(roles, label, timestamp, request.column),
        label=_label(label),
        negatives=_negatives(label),
        history=history,
        candidate_fields=fields.guesses,
        users=users[0] if users else None,
        items=items[0] if isinstance(items, tuple) else items,
        modalities=vectors.modalities,
        hints=vectors.hints,
        split=split.guess,
        notes=[
            *notes_of(log, left_out),
            *(users[1] if users else []),
            *(items[1] if isinstance(items, tuple) else []),
            *(f"{name}: {why}" for name, why in unused.items()),
        ],
        head=f"Proposed from {count} files; check the lines marked 'guess'.",
    )


def _keys(roles: Roles, root: Path) -> KeyTexts:
    """The item keys of the sampled log, and those of the whole table of items."""
    log = Counter(roles.log.frame[roles.keys.item].drop_nulls().cast(pl.String).to_list())
    if roles.items is None:
        return KeyTexts(log, None)
    table, key = roles.items
    column = table.frame[key]
    if not table.whole:
        whole = WholeTable(table.parts.paths, table.parts.text)
        texts = (part.frame[key].cast(pl.String).to_list() for part in whole.files([key]))
        return KeyTexts(log, {text for of_file in texts for text in of_file})
    return KeyTexts(log, set(column.cast(pl.String).to_list()))


def _interactions(roles: Roles, root: Path, moment: str | None) -> Guess:
    log = roles.log
    if roles.splits:
        value: dict[str, Value] = {}
        for split in ("train", "valid", "test"):
            table = roles.splits.get(split)
            value[split] = _paths(table, root) if table else OPEN
        guess = Guess(value | _written(log), "the log comes split")
        if lacking := [split for split, path in value.items() if path is OPEN]:
            guess.open(
                f"there is no file of {' or '.join(lacking)} rows: cut one off, or write 'path' "
                "with all files and split by time or user"
            )
        return guess
    why = f"{log.rows:,} rows, the largest with user and item"
    if len(log.parts.paths) > 1:
        why = f"{log.rows:,} rows in {len(log.parts.paths)} parts, in the order of their names"
    guess = Guess({"path": _paths(log, root), **_written(log)}, why)
    if rivals := [table for table in roles.rivals if _apart(log, table, moment)]:
        names = sorted({log.name, *(table.name for table in rivals)})
        guess.open(
            f"{', '.join(names)} have the same columns; list in the order of time all whose rows "
            "belong to the log",
            "path",
        )
    return guess


def _apart(log: SampledTable, other: SampledTable, moment: str | None) -> bool:
    """Whether a log of the same columns may be another part: it has no row of the same times."""
    if moment is None:
        return True
    times, others = log.frame[moment].drop_nulls(), other.frame[moment].drop_nulls()
    if times.dtype != others.dtype or not len(times) or not len(others):
        return True
    low, high = times.min(), times.max()
    return bool(others.min() > high or others.max() < low)  # type: ignore[operator]


def _paths(table: SampledTable, root: Path) -> Value:
    names = table.names(root)
    return names[0] if len(names) == 1 else [*names]


def _written(table: SampledTable) -> dict[str, Value]:
    """How a text file is written, where that is not the default."""
    text = table.parts.text
    value: dict[str, Value] = {"separator": text.separator} if text.separator != "," else {}
    return value | ({"names": [*text.names]} if text.names else {})


def _columns(roles: Roles, label: LabelGuess, timestamp: Timestamp, request: str | None) -> Guess:
    columns = {"user": roles.keys.user, "item": roles.keys.item, "label": label.column}
    columns |= {"timestamp": timestamp.column, "request": request}
    value: dict[str, Value] = {role: name for role, name in columns.items() if name is not None}
    why = "by names and values"
    if timestamp.column is not None:
        why += f"; {timestamp.column!r} is {timestamp.why}" if timestamp.others else ""
    guess = Guess(value, why, tuple(name for name in columns.values() if name is not None))
    for role, doubt in roles.keys.doubt.items():
        guess.open(doubt, role)
    if label.column_doubt:
        guess.open(label.column_doubt, "label")
    if timestamp.doubt:
        guess.open(timestamp.doubt, "timestamp")
    return guess


def _label(label: LabelGuess) -> Guess | None:
    if label.column is None or not (label.condition or label.condition_doubt):
        return None
    guess = Guess({"positive_when": label.condition or OPEN}, label.why, (label.column,))
    if label.condition_doubt:
        guess.open(label.condition_doubt, "positive_when")
    return guess


def _negatives(label: LabelGuess) -> Guess | None:
    if label.column is not None:
        return None
    return Guess({"per_positive": 4, "draw": Word("uniform")}, label.why)


def _side(side: KeyedTable | None, root: Path, why: str) -> tuple[TableGuess, list[str]] | None:
    """`users` or `items`, and the columns that are left out."""
    if side is None:
        return None
    table, key = side
    head = Guess({"path": _paths(table, root), "key": key, **_written(table)}, "", (key,))
    files = len(table.parts.paths)
    head.why = f"{table.rows:,} rows {f'in {files} parts ' if files > 1 else ''}{why}"
    fields: Fields = guess_fields(table, {key, *vector_columns(table)})
    return TableGuess(head, fields.guesses), notes_of(table, fields.left_out)


def _items(roles: Roles, rows: Array | None, root: Path) -> tuple[TableGuess, list[str]] | Guess:
    if roles.items is not None:
        side = _side(roles.items, root, "with one item each")
        assert side is not None
        return side
    if rows is not None:
        why = f"item k is row k of {rows.name}, from 0 on"
        return Guess({"keys": Word("rows")}, why)
    return Guess({"keys": Word("log")}, "no table of items, so the log's own keys")
