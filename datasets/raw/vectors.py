"""Sources of item vectors, as blocks of rows in the order of the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.raw.files import broken
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.npy import open_npy
from fusefront.datasets.raw.reading import columns_of, is_parquet, read_table
from fusefront.datasets.raw.whole_table import WholeTable
from fusefront.datasets.table_text import TableText

WIDEST = 1 << 16  # columns; a wider matrix is probably transposed


class VectorBlock(NamedTuple):
    """Vectors of the items `rows` (1 .. n), with the file and the row of each, for messages."""

    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    source: NDArray[np.int64]
    path: Path
    unknown: int = 0  # further rows read, whose key belongs to no item


def npy_rows(path: Path) -> NDArray[Any]:
    """An .npy matrix [n, D] of real numbers, memory-mapped."""
    array = open_npy(path)
    if array.ndim != 2 or array.shape[1] == 0:
        raise broken(path, f"shape {array.shape}", "expected a matrix [items, width]: reshape it")
    if array.dtype.kind not in "fiu":
        raise broken(path, f"type {array.dtype}", "expected real numbers: convert it")
    if array.shape[1] > WIDEST:
        raise broken(
            path,
            f"{array.shape[1]:,} columns, at most {WIDEST:,} are vectors",
            "transpose it: one row an item",
        )
    return array


def from_npy(
    paths: list[Path], items: KeyIndex, ids: Path | None, block: int
) -> Iterator[VectorBlock]:
    """Rows of one or several matrices, one after the other."""
    matrices = [npy_rows(path) for path in paths]
    for path, matrix in zip(paths, matrices, strict=True):
        if matrix.shape[1] != matrices[0].shape[1]:
            raise broken(
                path,
                f"width {matrix.shape[1]}, {paths[0].name} has {matrices[0].shape[1]}",
                "give every part of a modality one width",
            )
    total = sum(len(matrix) for matrix in matrices)
    target = _targets(paths[0], items, ids, total)
    first = 0
    for matrix, path in zip(matrices, paths, strict=True):
        for start in range(0, len(matrix), block):
            part = np.load(path, mmap_mode="r")[start : start + block]
            where = target[first + start : first + start + len(part)]
            keep = np.flatnonzero(where)
            with np.errstate(over="ignore"):  # becomes infinite, which is refused later
                vectors = np.asarray(part[keep], np.float32)
            away = len(where) - len(keep)
            yield VectorBlock(where[keep], vectors, start + keep.astype(np.int64), path, away)
        first += len(matrix)


def _targets(path: Path, items: KeyIndex, ids: Path | None, total: int) -> NDArray[np.int64]:
    """The item row of every matrix row; 0 = no item of the data set."""
    if ids is None:
        if total != len(items):
            raise broken(
                path,
                f"{total:,} rows, {items.name} has {len(items):,} items",
                "row k belongs to item k: write one row an item, or give 'ids'",
            )
        return np.arange(1, total + 1)
    keys = _read_ids(ids, total, items)
    if len(keys) != total:
        raise broken(ids, f"{len(keys):,} keys for {total:,} vectors", "write one key a vector")
    where = items.rows(keys, ids, keys.name).astype(np.int64)
    _refuse_twice(where, ids, keys)
    return where


def _refuse_twice(where: NDArray[np.int64], path: Path, keys: pl.Series) -> None:
    known = np.flatnonzero(where)
    order = known[np.argsort(where[known], kind="stable")]
    twice = np.flatnonzero(where[order][1:] == where[order][:-1])
    if len(twice):
        row = int(order[twice[0] + 1])
        raise broken(
            path,
            f"the key {keys[row]!r} was there before",
            "keep one vector an item",
            column=keys.name,
            row=row,
        )


def _read_ids(path: Path, total: int, items: KeyIndex) -> pl.Series:
    """The keys of `total` vectors, in order: of the one column, or of the one named as the item
    key.

    A csv may lack a header line, which is none of the items' keys; its keys are text, as
    everywhere.
    """
    key = items.column
    if path.suffix == ".npy":
        keys = open_npy(path, "save the keys again")
        if keys.ndim != 1 or keys.dtype.kind not in "iuU":
            raise broken(
                path, f"shape {keys.shape}, type {keys.dtype}", "expected one integer or text a row"
            )
        return pl.Series("ids", np.asarray(keys))
    if is_parquet(path):
        column = _key_column(path, list(columns_of(path)), key)
        return read_table(path, [column])[column]
    names = columns_of(path)
    if len(names) > 1:
        column = _key_column(path, list(names), key)
        return read_table(path, [column])[column]
    series = read_table(path, ["ids"], TableText(names=("ids",)))["ids"]
    header = len(series) == total + 1 and series[0] not in items
    return series[1:] if header else series


def _key_column(path: Path, names: list[str], key: str) -> str:
    if len(names) == 1 or key in names:
        return key if key in names else names[0]
    raise broken(
        path,
        f"columns {', '.join(names[:8])}, none of them {key!r}",
        f"name the column with the keys {key!r} as the items do, or keep it alone",
    )


def from_column(
    table: WholeTable, column: str, key: str | None, items: KeyIndex, block: int
) -> Iterator[VectorBlock]:
    """A list column: of the items' own table (key None), or of files with a key column."""
    columns = [column] if key is None else [key, column]
    width = 0
    where_of: dict[Path, list[NDArray[np.int64]]] = {}
    for part in table.chunks(columns, block):
        first, frame = part.first, part.frame
        where = (
            np.arange(part.start + 1, part.start + 1 + frame.height)
            if key is None
            else items.rows(frame[key], part.path, key, first).astype(np.int64)
        )
        where_of.setdefault(part.path, []).append(where)
        vectors = _list_matrix(frame[column], part.path, first, width)
        width = vectors.shape[1]
        if width:  # none of the items so far has a vector otherwise
            keep = np.flatnonzero(where)
            source, away = first + keep.astype(np.int64), len(where) - len(keep)
            yield VectorBlock(where[keep], vectors[keep], source, part.path, away)
    if key is None:
        return
    for path, parts in where_of.items():
        whole = np.concatenate(parts)
        _refuse_twice(whole, path, items.keys.gather(np.maximum(whole, 1) - 1).alias(key))


def _list_matrix(column: pl.Series, path: Path, first: int, width: int) -> NDArray[np.float32]:
    """Lists to [n, width], 0 = not known yet; a null list is an absent vector, all zeros."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if not isinstance(column.dtype, pl.List) or not column.dtype.inner.is_numeric():
        raise broken(
            path, f"got {column.dtype}", "expected a list of numbers an item", column=column.name
        )
    length = column.list.len().fill_null(0).to_numpy().astype(np.int64)
    filled = np.flatnonzero(length)
    if not width:
        width = int(length[filled[0]]) if len(filled) else 0
    ragged = np.flatnonzero((length != width) & (length != 0))
    if len(ragged):
        raise broken(
            path,
            f"{length[ragged[0]]} numbers, the rows before had {width}",
            "give all vectors one width, or null",
            column=column.name,
            row=first + int(ragged[0]),
        )
    flat = column.drop_nulls().explode(empty_as_null=False)
    if flat.has_nulls():
        row = first + int(column.list.eval(pl.element().is_null()).list.any().arg_true()[0])
        raise broken(path, "a null in a vector", "write a number", column=column.name, row=row)
    out = np.zeros((len(column), width), np.float32)
    if width:
        out[filled] = flat.cast(pl.Float32).to_numpy().reshape(-1, width)
    return out
