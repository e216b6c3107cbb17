"""Modalities: npy files, list columns of numbers, and raw pictures and texts as a hint."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.proposing.columns import list_columns, pictures, sentences
from fusefront.datasets.proposing.draft import Guess, Value, Word
from fusefront.datasets.proposing.files.folder import IDS, Folder
from fusefront.datasets.proposing.names import Names, base
from fusefront.datasets.proposing.roles import Roles
from fusefront.datasets.raw.reading import columns_of, count_rows, is_parquet
from fusefront.datasets.raw.vectors import npy_rows

_BLOCKS, _BLOCK = 64, 1 << 12  # of rows that are looked at


class VectorGuess(NamedTuple):
    """The modalities, hints at raw input, and file -> why it is not read."""

    modalities: dict[str, Guess]
    hints: list[str]
    notes: dict[str, str]


class Array(NamedTuple):
    """A matrix of numbers, one row a key."""

    path: Path
    name: str  # relative to the data folder
    matrix: NDArray[Any]

    @property
    def rows(self) -> int:
        return int(self.matrix.shape[0])


def find_arrays(folder: Folder, notes: dict[str, str]) -> tuple[list[Array], list[Path]]:
    """(matrices of numbers, npy files of keys); what is neither is noted."""
    arrays, keys = [], []
    for path in folder.arrays:
        name = path.relative_to(folder.root).as_posix()
        if IDS.search(path.stem) and _is_keys(path):
            keys.append(path)
            continue
        try:
            arrays.append(Array(path, name, npy_rows(path)))
        except DataContractError as error:
            reason = str(error).replace(f"{path}: ", "")
            notes[name] = f"{reason}; left out"
    return arrays, keys


def _is_keys(path: Path) -> bool:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError):
        return False
    return isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in "iuUS"


def row_of_item(arrays: Sequence[Array], roles: Roles, ids: Sequence[Path]) -> Array | None:
    """The matrix whose row k can be item k: the log's keys are whole numbers below its rows."""
    keys = roles.log.frame[roles.keys.item].drop_nulls()
    if not keys.dtype.is_integer() or roles.items is not None or not len(keys):
        return None
    low, high = int(keys.min()), int(keys.max())  # type: ignore[arg-type]
    fit = [a for a in arrays if low >= 0 and high < a.rows and not _ids_of(a, ids, arrays)]
    return max(fit, key=lambda array: array.rows, default=None)


def find_vectors(
    folder: Folder,
    roles: Roles,
    arrays: Sequence[Array],
    keys: Sequence[Path],
    row_items: Array | None,
) -> VectorGuess:
    """A guess for each source of vectors that fits the items."""
    names, vectors = Names(), VectorGuess({}, [], {})
    ids = [*keys, *folder.ids, *_id_tables(roles, folder)]
    used: set[Path] = set()
    for array in arrays:
        beside = _ids_of(array, ids, arrays)
        used |= set(beside)
        guess = _array(array, beside, roles, row_items, folder)
        if isinstance(guess, str):
            vectors.notes[array.name] = guess
        else:
            _flag(guess, name := names.of(Path(array.name).stem), roles)
            vectors.modalities[name] = guess
    vectors.modalities.update(list_columns(roles, folder.root, names))
    vectors.hints.extend([*sentences(roles, names), *pictures(folder.root, roles, names)])
    for path in ids:
        if path not in used:
            name = path.relative_to(folder.root).as_posix()
            vectors.notes[name] = "keys, but of no npy file with as many rows"
    for path in used:
        roles.notes.pop(path.relative_to(folder.root).as_posix(), None)
    return vectors


def _id_tables(roles: Roles, folder: Folder) -> list[Path]:
    """Tables named as keys, such as ids.parquet."""
    names = {table.name for table in (roles.log, *roles.splits.values())}
    names |= {side.table.name for side in (roles.items, roles.users) if side}
    tables = [parts for parts in folder.tables if parts.name not in names and len(parts.paths) == 1]
    return [parts.paths[0] for parts in tables if IDS.search(parts.stem)]


def _ids_of(array: Array, ids: Sequence[Path], arrays: Sequence[Array]) -> list[Path]:
    """The files of keys that belong to a matrix: by its name, else those named for none, by
    rows."""
    stem = base(array.path.stem)
    own = [p for p in ids if p.parent == array.path.parent and base(IDS.sub("", p.stem)) == stem]
    if own:
        return own
    stems = {base(other.path.stem) for other in arrays}
    shared = [path for path in ids if base(IDS.sub("", path.stem)) not in stems]
    return [path for path in shared if _fits(path, array.rows)]


def _fits(path: Path, rows: int) -> bool:
    """Whether a file has so many keys; a text file may have a header line."""
    if path.suffix == ".npy":
        return len(np.load(path, mmap_mode="r")) == rows
    if is_parquet(path):
        return count_rows(path) == rows
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return len(lines) in (rows, rows + 1)


def _array(
    array: Array, ids: list[Path], roles: Roles, row_items: Array | None, folder: Folder
) -> Guess | str:
    """A modality, or why the matrix is left out."""
    if not _finite(array.matrix):
        return "holds infinite or missing values; mend it, then add it"
    width = f"{array.matrix.shape[1]} columns"
    value: dict[str, Value] = {"path": array.name}
    if ids:
        names = [path.relative_to(folder.root).as_posix() for path in ids]
        guess = Guess(value | {"ids": names[0]}, f"{width}, keys in {names[0]}")
        columns = _columns_of(ids[0], folder)
        if len(ids) > 1:
            guess.open(f"{', '.join(names)} may each hold its keys", "ids")
        elif len(columns) > 1 and (key := _key_name(roles)) not in columns:
            listed = ", ".join(map(repr, columns[:5]))
            guess.open(f"{names[0]} has the columns {listed}; call the keys {key!r}", "ids")
        elif not _fits(ids[0], array.rows):
            guess.open(f"{names[0]} has not one key for each of the {array.rows:,} rows", "ids")
        return guess
    guess = Guess(value | {"keyed_by": Word("row")}, f"{width}, one row an item")
    doubt = _row_doubt(array, roles, row_items)
    if doubt.endswith("left out"):
        return doubt
    if doubt:
        guess.open(doubt, "keyed_by")
    return guess


def _columns_of(path: Path, folder: Folder) -> list[str]:
    text = next((parts.text for parts in folder.tables if path in parts.paths), None)
    return list(columns_of(path, text)) if text is not None else []


def _key_name(roles: Roles) -> str:
    return roles.items.key if roles.items else roles.keys.item


def _row_doubt(array: Array, roles: Roles, row_items: Array | None) -> str:
    """What speaks against row k of the matrix being the k-th item."""
    shape = f"shape {array.matrix.shape}"
    if roles.items is None:
        return _log_doubt(array, roles, row_items)
    side = roles.items
    keys, rows = side.table.frame[side.key], side.table.rows
    if array.rows != rows:
        top = int(keys.max()) if keys.dtype.is_integer() else -1  # type: ignore[arg-type]
        if side.table.whole and array.rows == top + 1:
            return f"{shape} for {rows:,} items, the last of which is {top}: is row k item k?"
        if array.rows == rows + 1:
            return f"{shape} for {rows:,} items: is row 0 no item? Cut it off, or give 'ids'"
        return f"{shape}, not one row an item; left out"
    of_users = re.search(r"user|customer|member", array.name, re.IGNORECASE) is not None
    if of_users and roles.users is not None and roles.users.table.rows == rows:
        return f"{shape}, and named for users; left out"
    if side.table.whole and keys.dtype.is_integer():
        ordered = keys.is_sorted()
        if not ordered and sorted(keys.to_list()) == list(range(rows)):
            return f"is row k the item in line k of {side.table.name}, or the one with the key k?"
    return ""


def _log_doubt(array: Array, roles: Roles, row_items: Array | None) -> str:
    """Without a table of items: rows are those of the log's keys, in order."""
    shape = f"shape {array.matrix.shape}"
    if row_items is not None:
        return "" if array.rows == row_items.rows else f"{shape}, not one row an item; left out"
    keys = roles.log.frame[roles.keys.item].drop_nulls()
    if keys.dtype.is_integer() and roles.log.whole:
        distinct = keys.unique().sort()
        if len(distinct) == array.rows and distinct[0] == 1 and distinct[-1] == array.rows:
            return ""  # rows 0 to n - 1 are the keys 1 to n
    return f"{shape}, without keys and without a table of items: which row is which item?"


def _finite(matrix: NDArray[Any]) -> bool:
    """Whether the rows looked at, spread over all, hold numbers only."""
    starts = np.linspace(0, max(0, len(matrix) - _BLOCK), _BLOCKS).astype(int)
    if len(matrix) <= _BLOCKS * _BLOCK:
        starts = np.arange(0, len(matrix), _BLOCK)
    return all(np.isfinite(matrix[start : start + _BLOCK]).all() for start in starts.tolist())


def _flag(guess: Guess, name: str, roles: Roles) -> None:
    """A boolean column of the items that says who has the modality."""
    columns = roles.items.table.columns if roles.items else []
    flag = next((c for c in (f"has_{name}", f"{name}_present") if c in columns), None)
    if flag is not None and isinstance(guess.value, dict):
        guess.value["present"] = flag
