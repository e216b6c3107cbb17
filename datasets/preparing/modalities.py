"""Writes one modality after the other to items/modality_<name>.npy, checked, in the requested
type."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.allowed import NOTHING, Allowed
from fusefront.datasets.losses import Tally
from fusefront.datasets.preparing.encoded import EncodedModality
from fusefront.datasets.preparing.items import ItemFile
from fusefront.datasets.raw.column_kinds import TEXT
from fusefront.datasets.raw.files import NpyWriter, broken, find, write_npy
from fusefront.datasets.raw.values import texts
from fusefront.datasets.raw.vectors import VectorBlock, from_column, from_npy
from fusefront.datasets.raw.whole_table import WholeTable
from fusefront.datasets.spec import DatasetSpec, Modality

_BLOCK_BYTES = 1 << 24
_BLOCK_ROWS = 4096


class Stored(NamedTuple):
    """The result of writing a modality."""

    width: int
    present: NDArray[np.bool_]  # [n + 1]
    warnings: tuple[str, ...] = ()


def write_modality(
    folder: Path,
    data: Path,
    spec: DatasetSpec,
    name: str,
    items: ItemFile,
    tally: Tally,
    allowed: Allowed = NOTHING,
) -> Stored:
    """Stream the vectors of one modality into the store."""
    modality, count = spec.modalities[name], len(items.keys)
    declared = _declared(data, spec, modality, items)
    present = np.zeros(count + 1, bool)
    scratch = folder / "work" / f"{name}.f32"
    encoded = EncodedModality(data, spec, name, items, allowed) if modality.encode else None
    width = 0
    for block in encoded or _blocks(data, spec, name, items):
        what = f"vectors of {name} are of no item; left out"
        tally.add(
            f"modality.{name}.unknown_key", block.unknown, block.unknown + len(block.rows), what
        )
        width = width or block.vectors.shape[1]
        if block.vectors.shape[1] != width:  # only an encoder can do that
            raise broken(
                data,
                f"modality {name!r} became {block.vectors.shape[1]} wide after {width}",
                "the encoder must return one width",
            )
        valid = _checked(block, declared, modality, name)
        _refuse_twice(block.rows[valid], present, name, data, items)
        present[block.rows[valid]] = True
        _table(scratch, count + 1, width)[block.rows[valid]] = block.vectors[valid]
    if not present.any():
        raise broken(
            data,
            f"modality {name!r}: no item has a vector (all are zero, absent, or of unknown keys)",
            "check its files and keys, or remove it from the spec",
        )
    _finish(folder / "items", name, scratch, (count + 1, width), modality.dtype)
    sentences = encoded.absent.sentences(name, count) if encoded else []
    return Stored(width, present, tuple(sentences))


def _table(path: Path, rows: int, width: int) -> NDArray[np.float32]:
    """A table of zeros on disk, because rows arrive in the order of the source; it is mapped again
    for each block, so that written pages can leave memory."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.truncate(4 * rows * width)
    return np.memmap(path, np.float32, "r+", shape=(rows, width))


def _finish(items: Path, name: str, scratch: Path, shape: tuple[int, int], dtype: str) -> None:
    """The table in its final type; int8 rows are scaled to their largest component."""
    rows, width = shape
    step = max(1, _BLOCK_BYTES // (4 * width))
    scales = []
    with NpyWriter(items / f"modality_{name}.npy", dtype, width) as file:
        for start in range(0, rows, step):
            block = np.array(_table(scratch, rows, width)[start : start + step])
            if dtype == "int8":
                scale = np.abs(block).max(1) / 127
                scales.append(scale.astype(np.float32))
                block = np.rint(block / np.where(scale > 0, scale, 1)[:, None])
            file.append(block)
    if dtype == "int8":
        write_npy(items / f"scale_{name}.npy", np.concatenate(scales))
    scratch.unlink()


def _blocks(data: Path, spec: DatasetSpec, name: str, items: ItemFile) -> Iterator[VectorBlock]:
    """Blocks of vectors that already are in files."""
    modality = spec.modalities[name]
    paths = [find(data, path) for path in modality.files()]
    if modality.column is None:
        ids = find(data, modality.ids) if modality.ids else None
        yield from from_npy(paths, items.keys, ids, _BLOCK_ROWS)
        return
    if paths:
        source = WholeTable(tuple(paths), spec.items.text)
    elif items.table is not None:
        source = items.table
    else:
        raise broken(data, f"modality {name!r} has a column but there is no item file", "name it")
    yield from from_column(source, modality.column, modality.key, items.keys, _BLOCK_ROWS)


def _declared(
    data: Path, spec: DatasetSpec, modality: Modality, items: ItemFile
) -> NDArray[np.bool_] | None:
    """[n + 1] bool from the presence column; None without one."""
    if modality.present is None:
        return None
    if items.table is None:
        raise broken(data, f"'present: {modality.present}' needs an item file", "remove it")
    known = {"true": True, "1": True, "false": False, "0": False}
    there = [False]
    for part in items.table.files([modality.present]):
        column = texts(part.frame[modality.present], TEXT, part.path)
        for row, value in enumerate(column.fill_null("false").str.to_lowercase().to_list()):
            if value not in known:
                raise broken(
                    part.path,
                    f"got {value!r}, expected true or false",
                    "a presence column is boolean",
                    column=modality.present,
                    row=row,
                )
            there.append(known[value])
    return np.array(there)


def _refuse_twice(
    rows: NDArray[np.int64], present: NDArray[np.bool_], name: str, data: Path, items: ItemFile
) -> None:
    """Refuses an item that occurred in an earlier block or another file."""
    again = np.flatnonzero(present[rows])
    if len(again):
        key = items.keys.keys[int(rows[again[0]]) - 1]
        raise broken(
            data,
            f"modality {name!r} has two vectors of item {key!r}",
            "keep one vector an item over all its files",
        )


def _checked(
    block: VectorBlock,
    declared: NDArray[np.bool_] | None,
    modality: Modality,
    name: str,
) -> NDArray[np.int64]:
    """The places in the block of rows that are present; present rows must be finite."""
    there = np.ones(len(block.rows), bool) if declared is None else declared[block.rows]
    if declared is None and modality.zero_is_absent:
        there = (block.vectors != 0).any(1)  # NaN counts as something
    bad = np.flatnonzero(there & ~np.isfinite(block.vectors).all(1))
    if len(bad):
        at = int(bad[0])
        column = int(np.flatnonzero(~np.isfinite(block.vectors[at]))[0])
        raise broken(
            block.path,
            f"modality {name!r} holds {block.vectors[at, column]} at component {column}",
            "replace it, or make the row absent (all zeros, or false in the 'present' column)",
            column=modality.column or str(column),
            row=int(block.source[at]),
        )
    if modality.dtype == "float16" and (np.abs(block.vectors[there]) > 65504).any():
        raise broken(
            block.path, f"modality {name!r} exceeds the range of float16", "use dtype: float32"
        )
    return np.flatnonzero(there)
