"""The content of a folder: tables of one file or several parts, arrays, and files that are not
read."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.allowed import NOTHING, Allowed, Guard
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.proposing.files.dialect import dialect_of
from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.reading import columns_of
from fusefront.datasets.table_text import COMMAS, TableText

PARQUET, TEXT, LOOSE_TEXT = (
    (".parquet", ".pq"),
    (".csv", ".tsv"),
    (".txt", ".data", ".dat", ".tab", ".inter"),
)
ARRAYS = (".npy",)
PICTURES = (".jpg", ".jpeg", ".png", ".webp")
IDS = re.compile(r"(^|[_.-])(ids?|keys?|index)$", re.IGNORECASE)
_OURS = (".yaml", ".yml", ".md", ".html", ".pdf", ".py", ".ipynb", ".sh", ".crc")
_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z")
_DIGITS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\d+")
_PARTITION = re.compile(r"^[^=]+=[^=]*$")  # Hive writes the folder day=2021-03-04
_STORE = "manifest.json"


class TableParts(NamedTuple):
    """Files that are one table, in order; `name` stands for all of them."""

    name: str  # relative to the data folder
    paths: tuple[Path, ...]
    text: TableText

    @property
    def stem(self) -> str:
        """The name without folders and suffix: that of the folder, where the files are parts."""
        return Path(self.name).name.split(".")[0]


class Folder(NamedTuple):
    """The files of a data set; `unused` says why the remaining files are not read."""

    root: Path
    tables: tuple[TableParts, ...]
    arrays: tuple[Path, ...]
    ids: tuple[Path, ...]  # text files of one column, named as keys
    unused: dict[str, str]


def look(paths: Sequence[Path], allowed: Allowed = NOTHING) -> Folder:
    """Sort the files of a folder, or some files of one folder; DataContractError if none is
    data."""
    root = _root(paths)
    listed = list(_files(root)) if root in paths else sorted(paths)
    unused = {
        f"{path.relative_to(root).as_posix()}/": "a folder in a folder; not looked into"
        for path in (_deeper(root) if root in paths else ())
    }
    guard = Guard(root, allowed)
    for path in listed:
        if path.suffix.lower() in (*PARQUET, *TEXT, *LOOSE_TEXT, *ARRAYS):
            guard.check(path)
    if odd := [path for path in listed if not path.name.isprintable()]:
        raise DataContractError(
            f"{root}: the file name {odd[0].name!a} cannot be written; rename it"
        )
    tables: dict[Path, TableText] = {}
    arrays, ids = [], []
    for path in listed:
        kind, name = path.suffix.lower(), path.relative_to(root).as_posix()
        if kind in ARRAYS:
            arrays.append(path)
        elif kind in PARQUET:
            tables[path] = COMMAS
        elif kind in (*TEXT, *LOOSE_TEXT):
            dialect = dialect_of(path)
            if dialect.width == 1 and IDS.search(path.stem):
                ids.append(path)
            elif dialect.problem or (dialect.width < 2 and kind in LOOSE_TEXT):
                unused[name] = dialect.problem or "no table"
            else:
                tables[path] = dialect.text
        elif kind not in (*_OURS, *PICTURES):
            unused[name] = f"packed; {kind[1:]} is not read" if kind in _PACKED else "not read"
    if not tables and not arrays:
        why = "".join(f"; {name}: {reason}" for name, reason in unused.items())
        raise DataContractError(
            f"{root}: no parquet, csv or npy file; give the folder of the data{why}"
        )
    return Folder(root, tuple(_joined(tables, root)), tuple(arrays), tuple(ids), unused)


def _root(paths: Sequence[Path]) -> Path:
    for path in paths:
        if not path.exists():
            raise DataContractError(f"{path}: not there; give a folder or files that exist")
    folders = {path if path.is_dir() else path.parent for path in paths}
    if len(folders) > 1:
        raise DataContractError(
            f"got files of {len(folders)} folders ({', '.join(sorted(map(str, folders)))}); a data "
            "set lies in one folder: give that"
        )
    return folders.pop()


def _files(root: Path, depth: int = 0) -> Iterator[Path]:
    """Files of a folder and its subfolders, in natural order; prepared stores are skipped."""
    entries = sorted(os.scandir(root), key=lambda entry: natural(entry.name))
    if depth and any(entry.name == _STORE for entry in entries):
        return
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_file():
            yield Path(root, entry.name)
        elif entry.is_dir() and (depth == 0 or (depth < 3 and _PARTITION.match(entry.name))):
            yield from _files(Path(root, entry.name), depth + 1)


def _deeper(root: Path) -> Iterator[Path]:
    """Folders that `_files` does not look into."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if folder.name.startswith((".", "_")) or (folder / _STORE).exists():
            continue
        inner = sorted(path for path in folder.iterdir() if path.is_dir())
        shown = [path for path in inner if not path.name.startswith((".", "_"))]
        yield from (p for p in shown if not _PARTITION.match(p.name) and not _is_store(p))


def _is_store(folder: Path) -> bool:
    """Whether it is, or holds, a store of ours."""
    return any(
        next(folder.glob(pattern), None) for pattern in (_STORE, f"*/{_STORE}", f"*/*/{_STORE}")
    )


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sorting key in which part-2 comes before part-10.

    >>> sorted(["part-10", "part-2"], key=natural)
    ['part-2', 'part-10']
    """
    words = re.split(r"(\d+)", name)
    return [(0, int(word), "") if word.isdigit() else (1, 0, word) for word in words]


def _joined(tables: dict[Path, TableText], root: Path) -> Iterator[TableParts]:
    """Tables; files of one folder whose names differ in numbers and whose columns agree are one."""
    groups: dict[tuple[Path, str, str], list[Path]] = {}
    for path in tables:
        home = path.parent
        while _PARTITION.match(home.name):
            home = home.parent
        pattern = (home, _DIGITS.sub("#", path.stem), path.suffix.lower())
        groups.setdefault(pattern, []).append(path)
    for (home, stem, suffix), paths in groups.items():
        is_part = home != root and stem.startswith("part-")
        if is_part or (len(paths) > 1 and "#" in stem and _same_columns(paths, tables)):
            name = home if is_part else home / f"{stem.replace('#', '*')}{suffix}"
            yield TableParts(name.relative_to(root).as_posix(), tuple(paths), tables[paths[0]])
        else:
            for path in paths:
                yield TableParts(path.relative_to(root).as_posix(), (path,), tables[path])


def _same_columns(paths: list[Path], tables: dict[Path, TableText]) -> bool:
    try:
        columns = [list(columns_of(path, tables[path])) for path in paths]
    except DataContractError:
        return False
    first, text = columns[0], tables[paths[0]]
    for path, have in zip(paths, columns, strict=True):
        if len(have) == len(first) and bool(tables[path].names) != bool(text.names):
            lacking, other = (path, paths[0]) if tables[path].names else (paths[0], path)
            raise broken(
                lacking,
                f"no header line, where {other.name} has one",
                "write the header into each part, or into none",
            )
    return all(have == first for have in columns)
