"""Finds the guess that a refusal by `prepare` is about, and marks it."""

import re
from typing import NamedTuple

from fusefront.datasets.proposing.draft import OPEN, Draft, Guess, TableGuess, Word, is_open
from fusefront.datasets.proposing.roles import Roles


class Trouble(NamedTuple):
    """The refusal by `prepare`: its sentence, its file and column, and whether it saw all rows or a
    sample."""

    sentence: str
    path: str | None  # relative to the data folder
    column: str | None
    whole: bool


def blame(draft: Draft, roles: Roles, trouble: Trouble) -> bool:
    """Mark the guess that was refused; False if it cannot be identified, or was marked before."""
    before = _state(draft)
    if not _modality(draft, trouble):
        _table(draft, trouble) or _log(draft, roles, trouble)
    return _state(draft) != before


def _state(draft: Draft) -> list[str]:
    return [f"{place}: {guess.value} {guess.unknown}" for place, guess in draft.guesses()]


def _modality(draft: Draft, trouble: Trouble) -> bool:
    """Vectors: by the modality's name in the sentence, its file, or its column."""
    quoted = re.search(r"modality '(\w+)'", trouble.sentence)
    items = _paths(draft.items)
    for name, guess in draft.modalities.items():
        value = guess.value if isinstance(guess.value, dict) else {}
        paths = [value.get("path"), value.get("ids")]
        files = [str(p) for path in paths for p in (path if isinstance(path, list) else [path])]
        own = trouble.path is not None and trouble.path in files
        column = trouble.column is not None and trouble.column in guess.columns
        if (
            (quoted is not None and quoted.group(1) == name)
            or own
            or (trouble.path in items and column and "path" not in value)
        ):
            guess.open(trouble.sentence, "path" if "path" in value else "column")
            return True
    return False


def _paths(table: TableGuess | Guess | None) -> list[str]:
    """The files of a table, one or several parts."""
    if not isinstance(table, TableGuess) or not isinstance(table.head.value, dict):
        return []
    path = table.head.value.get("path", [])
    return [str(name) for name in path] if isinstance(path, list) else [str(path)]


def _table(draft: Draft, trouble: Trouble) -> bool:
    """A field of the users or items, or the whole table."""
    for place, table in (("users", draft.users), ("items", draft.items)):
        if table is None or trouble.path is None or trouble.path not in _paths(table):
            continue
        assert isinstance(table, TableGuess)
        for guess in table.fields:
            if trouble.column in guess.columns and not guess.unknown:
                guess.open(trouble.sentence, "column")
                return True
        table.head.open(trouble.sentence, "key" if place == "items" else None)
        return True
    return False


def _log(draft: Draft, roles: Roles, trouble: Trouble) -> bool:
    """A column of the log by its role, else the split."""
    columns = draft.columns.value
    assert isinstance(columns, dict)
    names = {role: name for role, name in columns.items() if not is_open(name)}
    role = next((role for role, name in names.items() if name == trouble.column), None)
    of_history = trouble.column is not None and _is_history(draft, trouble.column)
    unknown_item = " is not in " in trouble.sentence or ", no item of " in trouble.sentence
    items = draft.items
    head = items.head.value if isinstance(items, TableGuess) else None
    of_items = (role == "item" or of_history) and unknown_item
    if of_items and isinstance(head, dict) and "unknown" not in head:
        head["unknown"] = Word("drop")
        return True
    if of_history:
        draft.history.open(trouble.sentence)
    elif role == "timestamp" and "time_format" in trouble.sentence:
        columns["time_format"] = OPEN
        draft.columns.open(trouble.sentence)
    elif role == "label" and draft.label is not None:
        draft.label.open(trouble.sentence, "positive_when")
    elif role is not None:
        draft.columns.open(trouble.sentence, role)
    elif trouble.column is not None and draft.split.columns == (trouble.column,):
        draft.split.open(trouble.sentence)
    elif fields := [g for g in draft.candidate_fields if trouble.column in g.columns]:
        for guess in fields:
            guess.open(trouble.sentence, "column")
    elif trouble.column is None and trouble.sentence.startswith("split"):
        if not trouble.whole:
            return False
        draft.split.open(trouble.sentence)
    else:
        return False
    return True


def _is_history(draft: Draft, column: str) -> bool:
    value = draft.history.value
    return column in draft.history.columns or (
        isinstance(value, dict) and value.get("column") == column
    )
