"""One modality after the other to items/modality_<name>.npy, checked, in the type asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.encoders import encode_images, encode_texts
from fusefront.datasets.preparing.items import ItemFile
from fusefront.datasets.raw.files import NpyWriter, broken, find, write_npy
from fusefront.datasets.raw.reading import read_table
from fusefront.datasets.raw.vectors import Block, from_column, from_npy
from fusefront.datasets.spec import DatasetSpec, Modality

_BLOCK_BYTES = 1 << 24


class Stored(NamedTuple):
    width: int
    present: NDArray[np.bool_]  # [n + 1]


def write_modality(
    folder: Path, data: Path, spec: DatasetSpec, name: str, items: ItemFile
) -> Stored:
    """Stream the vectors of one modality into the store."""
    modality, count = spec.modalities[name], len(items.keys)
    declared = _declared(data, spec, modality, items)
    scratch: NDArray[np.float32] | None = None
    present = np.zeros(count + 1, bool)
    target = folder / "items" / f"modality_{name}.npy"
    table = None
    for block in _blocks(data, spec, name, items):
        if table is None:
            table = _table(folder, name, count, block.vectors.shape[1])
        kept = _checked(block, declared, modality, name, data, items)
        present[block.rows[kept]] = True
        table[block.rows[kept]] = block.vectors[kept]
    if table is None:
        raise broken(data, f"modality {name!r} has no vectors", "remove it from the spec")
    width = table.shape[1]
    del scratch
    _finish(target, folder / "work" / f"{name}.f32", table, modality.dtype, folder, name)
    return Stored(width, present)


def _table(folder: Path, name: str, count: int, width: int) -> NDArray[np.float32]:
    """A zeroed table on disk: rows arrive in the order of the source."""
    path = folder / "work" / f"{name}.f32"
    path.parent.mkdir(exist_ok=True)
    return np.memmap(path, np.float32, "w+", shape=(count + 1, width))


def _finish(
    target: Path,
    scratch: Path,
    table: NDArray[np.float32],
    dtype: str,
    folder: Path,
    name: str,
) -> None:
    rows, width = table.shape
    step = max(1, _BLOCK_BYTES // (4 * width))
    scales = []
    with NpyWriter(target, dtype, width) as file:
        for start in range(0, rows, step):
            block = np.array(
                np.memmap(scratch, np.float32, "r", shape=(rows, width))[start : start + step]
            )
            if dtype == "int8":
                scale = np.abs(block).max(1) / 127
                scales.append(scale.astype(np.float32))
                block = np.rint(block / np.where(scale > 0, scale, 1)[:, None])
            file.append(block)
    if dtype == "int8":
        write_npy(folder / "items" / f"scale_{name}.npy", np.concatenate(scales))
    scratch.unlink()


def _blocks(data: Path, spec: DatasetSpec, name: str, items: ItemFile) -> Iterator[Block]:
    modality = spec.modalities[name]
    if modality.encode is not None:
        yield from _encoded(data, spec, modality, items)
        return
    paths = [find(data, path) for path in modality.files()]
    if modality.column is None:
        ids = find(data, modality.ids) if modality.ids else None
        yield from from_npy(paths, items.keys, ids, 4096)
        return
    if not paths:
        if items.path is None:
            raise broken(
                data, f"modality {name!r} has a column but there is no item file", "name it"
            )
        paths = [items.path]
    for path in paths:
        yield from from_column(
            path, modality.column, modality.key, items.keys, spec.items.separator, 4096
        )


def _declared(
    data: Path, spec: DatasetSpec, modality: Modality, items: ItemFile
) -> NDArray[np.bool_] | None:
    """[n + 1] from the presence column, if there is one."""
    if modality.present is None:
        return None
    if items.path is None:
        raise broken(data, f"'present: {modality.present}' needs an item file", "remove it")
    column = read_table(items.path, [modality.present], spec.items.separator)[modality.present]
    if column.dtype == column.dtype.__class__ and column.has_nulls():
        column = column.fill_null(value=0)
    values = column.cast(str).str.to_lowercase().to_list()
    known = {"true": True, "1": True, "false": False, "0": False}
    for row, value in enumerate(values):
        if value not in known:
            raise broken(
                items.path,
                f"got {value!r}, expected true or false",
                "a presence column is boolean",
                column=modality.present,
                row=row,
            )
    return np.array([False, *(known[value] for value in values)])


def _checked(
    block: Block,
    declared: NDArray[np.bool_] | None,
    modality: Modality,
    name: str,
    data: Path,
    items: ItemFile,
) -> NDArray[np.int64]:
    """Places in the block of the rows that are present; a present row must be finite."""
    there = np.ones(len(block.rows), bool) if declared is None else declared[block.rows]
    if declared is None and modality.zero_is_absent:
        there = (block.vectors != 0).any(1)  # NaN counts as something
    finite = np.isfinite(block.vectors).all(1)
    bad = np.flatnonzero(there & ~finite)
    if len(bad):
        at = int(bad[0])
        column = int(np.flatnonzero(~np.isfinite(block.vectors[at]))[0])
        source = data / modality.files()[0] if modality.files() else items.path or data
        raise broken(
            source,
            f"modality {name!r} holds {block.vectors[at, column]} at component {column}",
            "replace it, or make the row absent (all zeros, or false in the 'present' column)",
            column=modality.column or str(column),
            row=int(block.source[at]),
        )
    if modality.dtype == "float16" and (np.abs(block.vectors[there]) > 65504).any():
        raise broken(
            data / (modality.files() or ("",))[0],
            f"modality {name!r} exceeds the range of float16",
            "use dtype: float32",
        )
    return np.flatnonzero(there)


def _encoded(data: Path, spec: DatasetSpec, modality: Modality, items: ItemFile) -> Iterator[Block]:
    """Raw text or image files, through an encoder that is installed here."""
    if modality.encode == "text":
        if items.path is None:
            raise broken(data, "encode: text needs an item file", "name it in items.path")
        column = read_table(items.path, [str(modality.column)], spec.items.separator)
        texts = column[str(modality.column)].cast(str).fill_null("").to_list()
        rows = np.array([row for row, text in enumerate(texts) if text.strip()], np.int64)
        for start in range(0, len(rows), 256):
            some = rows[start : start + 256]
            yield Block(
                some + 1, encode_texts([texts[row] for row in some], modality.encoder), some
            )
        return
    pattern = str(modality.path)
    paths = [data / pattern.replace("{key}", str(key)) for key in items.keys.keys]
    rows = np.array([row for row, path in enumerate(paths) if path.is_file()], np.int64)
    if not len(rows):
        raise broken(data / pattern, "no image of any item is there", "check the pattern")
    for start in range(0, len(rows), 64):
        some = rows[start : start + 64]
        yield Block(some + 1, encode_images([paths[row] for row in some], modality.encoder), some)
