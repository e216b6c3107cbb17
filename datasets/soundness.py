"""Checks that the numbers of a store are possible: ranges, orders and lengths.

Hashes show what has changed; this check finds what no reader can use, so that nothing fails later.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import CURE, SplitCounts, StoredField
from fusefront.datasets.store import PreparedDataset, Split

Column = NDArray[np.generic]
_ROWS = 1 << 20


def check_values(store: PreparedDataset) -> None:
    """Read every integer column once, in blocks.

    Raises:
        DataContractError: a value is outside its range, or an array has another length or type than
            the manifest says; file, row and value are named.
    """
    values = store.path / "history" / "values.npy"
    _long(values, store.history_values, store.manifest.history_values)
    if store.history_kinds is not None and store.manifest.history is not None:
        kinds = store.path / "history" / "kind.npy"
        _long(kinds, store.history_kinds, store.manifest.history_values)
        _inside(kinds, store.history_kinds, 0, len(store.manifest.history.kinds))
    for name, counts in store.manifest.counts.items():
        _check_split(store, name, counts)
    _inside(values, store.history_values, 0, store.manifest.schema_.items)
    _check_items(store)


def _check_split(store: PreparedDataset, name: str, counts: SplitCounts) -> None:
    split, schema = store.split(name), store.manifest.schema_
    request, row = store.path / name / "request", store.path / name / "row"
    lengths: dict[Path, tuple[Column, int]] = {
        request / "history_start.npy": (split.history_start, counts.requests),
        request / "history_length.npy": (split.history_length, counts.requests),
        request / "group.npy": (split.group, counts.requests),
        request / "context_ids.npy": (split.request_ids, counts.requests),
        request / "context_numbers.npy": (split.request_numbers, counts.requests),
        request / "row_start.npy": (split.row_start, counts.requests + 1),
        row / "item.npy": (split.item, counts.rows),
        row / "label.npy": (split.label, counts.rows),
        row / "row_id.npy": (split.row_id, counts.rows),
        row / "context_ids.npy": (split.candidate_ids, counts.rows),
        row / "context_numbers.npy": (split.candidate_numbers, counts.rows),
    }
    optional = {"timestamp": split.timestamp, "truth": split.truth}
    lengths |= {
        row / f"{part}.npy": (a, counts.rows) for part, a in optional.items() if a is not None
    }
    lengths |= {row / f"slice_{part}.npy": (a, counts.rows) for part, a in split.slices.items()}
    for path, (array, length) in lengths.items():
        _long(path, array, length)
    _inside(row / "item.npy", split.item, 1, schema.items)
    _inside(row / "label.npy", split.label, 0, 1)
    _check_starts(request / "row_start.npy", split.row_start, counts.rows)
    _check_histories(store, request, split)
    _check_codes(request / "context_ids.npy", split.request_ids, schema.request_fields)
    _check_codes(row / "context_ids.npy", split.candidate_ids, schema.candidate_fields)
    for part, codes in split.slices.items():
        _inside(row / f"slice_{part}.npy", codes, 0, len(store.manifest.slices[part].values) - 1)


def _check_items(store: PreparedDataset) -> None:
    schema, items, folder = store.manifest.schema_, store.items, store.path / "items"
    tables: dict[str, Column] = {f"modality_{name}": a for name, a in items.vectors.items()}
    tables |= {f"scale_{name}": a for name, a in items.scales.items()}
    names = ("present", "fields", "numbers", "impressions", "clicks", "in_train")
    tables |= {name: getattr(items, name) for name in names}
    for name, array in tables.items():
        _long(folder / f"{name}.npy", array, schema.items + 1)
    for name, width in schema.modalities.items():
        if items.vectors[name].shape[1:] != (width,):
            content = f"shape {items.vectors[name].shape}, expected {width} columns"
            raise _unsound(folder / f"modality_{name}.npy", content)
    _check_codes(folder / "fields.npy", items.fields, schema.item_fields)
    for name in ("impressions", "clicks"):
        _inside(folder / f"{name}.npy", tables[name], 0, np.iinfo(np.int64).max)


def _check_histories(store: PreparedDataset, folder: Path, split: Split) -> None:
    longest, end = store.manifest.schema_.max_history, len(store.history_values)
    _inside(folder / "history_length.npy", split.history_length, 0, longest)
    _inside(folder / "history_start.npy", split.history_start, 0, end)
    for part in _parts(len(split.history_start)):
        ends = split.history_start[part] + np.asarray(split.history_length[part], np.int64)
        if len(ends) and ends.max() > end:
            row = part.start + int(ends.argmax())
            content = f"request {row}: its history ends at {ends.max()}, expected at most {end}"
            raise _unsound(folder / "history_start.npy", content)


def _check_starts(path: Path, start: NDArray[np.int64], rows: int) -> None:
    if start[0] != 0 or start[-1] != rows:
        raise _unsound(path, f"goes from {start[0]} to {start[-1]}, expected from 0 to {rows}")
    for part in _parts(len(start)):
        step = np.diff(start[part.start : part.stop + 1])
        if (step < 0).any():
            row = part.start + int(np.flatnonzero(step < 0)[0]) + 1
            raise _unsound(path, f"row {row}: {start[row]} comes after {start[row - 1]}")


def _check_codes(path: Path, codes: Column, fields: tuple[StoredField, ...]) -> None:
    width = sum(field.columns for field in fields)
    if codes.shape[1:] != (width,):
        raise _unsound(path, f"shape {codes.shape}, expected {width} columns")
    start = 0
    for field in fields:
        for column in range(start, start + field.columns):
            _inside(path, codes[:, column], 0, field.size - 1)
        start += field.columns


def _inside(path: Path, array: Column, low: int, high: int) -> None:
    if array.dtype.kind not in "iu":
        raise _unsound(path, f"type {array.dtype}, expected whole numbers")
    for part in _parts(len(array)):
        values = np.asarray(array[part])
        for row in (int(values.argmin()), int(values.argmax())):
            if not low <= int(values[row]) <= high:
                content = f"row {part.start + row}: {values[row]}, expected {low} to {high}"
                raise _unsound(path, content)


def _long(path: Path, array: Column, length: int) -> None:
    if array.ndim == 0 or len(array) != length:
        raise _unsound(path, f"shape {array.shape}, expected {length:,} rows")


def _parts(length: int) -> Iterator[slice]:
    return (slice(k, min(k + _ROWS, length)) for k in range(0, length, _ROWS))


def _unsound(path: Path, content: str) -> DataContractError:
    return DataContractError(
        f"{path}: {content}; the file was changed after it was written: {CURE}"
    )
