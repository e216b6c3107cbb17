"""Lines for modalities: npy files, list columns of numbers, and raw pictures and texts as a hint."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from fusefront.datasets.proposing.tables import ARRAYS, Found, Table, quoted
from fusefront.datasets.raw.vectors import npy_rows

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
IDS = re.compile(r"_(ids|keys)$")
RAW = "needs an encoder, see docs/datasets.md"


def modality_lines(files: list[Path], root: Path, found: Found) -> list[str]:
    """`modalities:` and its lines; what cannot be used is a comment that says why."""
    names = _Names()
    ids = {IDS.sub("", path.stem): path for path in files if IDS.search(path.stem)}
    arrays = [p for p in files if p.suffix.lower() in ARRAYS and not IDS.search(p.stem)]
    lines = [_array(path, ids.get(path.stem), found, names) for path in arrays]
    if found.items is not None:
        lines += _columns(found.items, found.item_key, names)
    lines += _pictures(root, found, names)
    usable = any(not line.lstrip().startswith("#") for line in lines)
    return ["modalities:", *lines] if usable else lines


def rows_of_vectors(files: list[Path], found: Found) -> Path | None:
    """The npy whose row k can be item k: the log's keys are whole numbers below its rows."""
    keys = found.log.head[found.item]
    if not keys.dtype.is_integer() or found.items is not None:
        return None
    largest = keys.max()
    for path in files:
        if path.suffix.lower() in ARRAYS and not IDS.search(path.stem):
            shape = np.load(path, mmap_mode="r").shape
            if len(shape) == 2 and isinstance(largest, int) and largest < shape[0]:
                return path
    return None


class _Names:
    """Short names that are not taken yet."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def of(self, stem: str) -> str:
        """The first word of a name, or all of it where that is taken."""
        whole = re.sub(r"[^A-Za-z0-9_]", "_", stem)[:48]
        short = whole.split("_")[0]
        name = short if short and short not in self.taken else whole
        self.taken.add(name)
        return name


def _array(path: Path, ids: Path | None, found: Found, names: _Names) -> str:
    array = npy_rows(path) if _is_matrix(path) else None
    if array is None:
        return f"  # {path.name}: no matrix of numbers; left out"
    rows = found.items.rows if found.items else len(array)
    if ids is None and len(array) != rows:
        return f"  # {path.name}: shape {array.shape}, not one row an item; left out"
    step = 1 << 14
    if not all(np.isfinite(array[i : i + step]).all() for i in range(0, len(array), step)):
        return f"  # {path.name}: holds infinite or missing values; mend it, then add it"
    name = names.of(path.stem)
    columns = found.items.types if found.items else {}
    flag = next((c for c in (f"has_{name}", f"{name}_present") if c in columns), None)
    keyed = f"ids: {quoted(ids.name)}" if ids else "keyed_by: row"
    present = f", present: {quoted(flag)}" if flag else ""
    why = f"{array.shape[1]} columns, " + (f"keys in {ids.name}" if ids else "one row an item")
    return f"  {name}: {{path: {quoted(path.name)}, {keyed}{present}}}  # guess: {why}"


def _is_matrix(path: Path) -> bool:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return False
    return isinstance(array, np.ndarray) and array.ndim == 2 and array.dtype.kind in "fiu"


def _columns(items: Table, key: str, names: _Names) -> Iterator[str]:
    """List columns of numbers; columns of sentences, as a hint."""
    for column, kind in items.types.items():
        if column == key:
            continue
        written = quoted(column)
        if "list" in kind and ("float" in kind or "double" in kind or "half" in kind):
            yield f"  {names.of(column)}: {{column: {written}}}  # guess: a list column of numbers"
        elif items.head.schema[column] == pl.String and _sentences(items.head[column]):
            yield f"  # {names.of(column)}: {{column: {written}, encode: text}}  # guess: {RAW}"


def _sentences(column: pl.Series) -> bool:
    text = column.drop_nulls()
    spaces = text.str.contains(" ", literal=True).mean() if len(text) else None
    return (
        isinstance(spaces, float)
        and spaces > 0.5
        and text.n_unique() > len(text) / 2
        and not (text.str.contains("|", literal=True).mean() or 0.0) > 0.2  # type: ignore[operator]
    )


def _pictures(root: Path, found: Found, names: _Names) -> Iterator[str]:
    """Folders of pictures named by the item key."""
    if found.items is None:
        return
    keys = set(found.items.head[found.item_key].cast(pl.String).to_list())
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        pictures = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES]
        named = [path for path in pictures if path.stem in keys]
        if named:
            pattern = quoted(f"{folder.name}/{{key}}{named[0].suffix}")
            yield (
                f"  # {names.of(folder.name)}: {{path: {pattern}, encode: image}}  "
                f"# guess: {len(named):,} pictures; {RAW}"
            )
