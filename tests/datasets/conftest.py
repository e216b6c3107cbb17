"""A store read back by plain loops, in the source's own words, for comparison with the source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

from fusefront.datasets.manifest import StoredField
from fusefront.datasets.store import PreparedDataset

SPLITS = ("train", "valid", "test")
Values = dict[str, object]


class StoredRow(NamedTuple):
    """One row of a split: what the store says of it, codes and standardised numbers undone."""

    split: str
    request: int
    user: int
    row: int
    item: object
    label: int
    time: int | None
    history: tuple[object, ...]
    of_request: Values
    of_candidate: Values
    slices: dict[str, str]


@dataclass(frozen=True)
class ReadBack:
    """Every row in order of the source log, and every item by its key."""

    rows: list[StoredRow]
    items: dict[object, Values]
    vectors: dict[str, dict[object, tuple[float, ...]]]  # modality -> items that have it

    def of(self, split: str) -> list[StoredRow]:
        return [row for row in self.rows if row.split == split]


def read_back(store: PreparedDataset) -> ReadBack:
    """The whole store as Python values."""
    keys = dict(store.item_keys().iter_rows())
    rows = [row for split in SPLITS for row in _rows(store, split, keys)]
    table, schema = store.items, store.manifest.schema_
    items = {
        key: _decoded(store, "item", schema.item_fields, table.fields[row])
        | _numbers(store, "item", schema.item_numbers, table.numbers[row])
        for row, key in keys.items()
    }
    vectors = {}
    for place, name in enumerate(schema.modalities):
        matrix = store.vectors(name)
        vectors[name] = {
            key: tuple(matrix[row].tolist())
            for row, key in keys.items()
            if table.present[row, place]
        }
    return ReadBack(sorted(rows, key=lambda row: row.row), items, vectors)


def _rows(store: PreparedDataset, name: str, keys: Mapping[int, object]) -> list[StoredRow]:
    split, schema = store.split(name), store.manifest.schema_
    rows = []
    for request in range(len(split.group)):
        start, length = int(split.history_start[request]), int(split.history_length[request])
        history = tuple(keys[int(row)] for row in store.history_values[start : start + length])
        of_request = _decoded(
            store, "request", schema.request_fields, split.request_ids[request]
        ) | _numbers(store, "request", schema.request_numbers, split.request_numbers[request])
        for at in range(int(split.row_start[request]), int(split.row_start[request + 1])):
            of_candidate = _decoded(
                store, "candidate", schema.candidate_fields, split.candidate_ids[at]
            ) | _numbers(store, "candidate", schema.candidate_numbers, split.candidate_numbers[at])
            slices = {
                part: store.manifest.slices[part].values[int(codes[at])]
                for part, codes in split.slices.items()
            }
            time = None if split.timestamp is None else int(split.timestamp[at])
            place = (int(split.group[request]), int(split.row_id[at]))
            shown = (keys[int(split.item[at])], int(split.label[at]), time)
            told = (history, of_request, of_candidate, slices)
            rows.append(StoredRow(name, request, *place, *shown, *told))
    return rows


def _decoded(
    store: PreparedDataset, side: str, fields: tuple[StoredField, ...], ids: np.ndarray
) -> Values:
    """Value of every field, None for code 0; a tuple of the values of a field of several columns."""
    values: Values = {}
    start = 0
    for field in fields:
        names = {0: None} | dict(store.vocabulary(side, field.name).iter_rows())
        codes = [int(code) for code in ids[start : start + field.columns]]
        start += field.columns
        told = [names[code] for code in codes]
        values[field.name] = told[0] if field.columns == 1 else tuple(t for t in told if t)
    return values


def _numbers(
    store: PreparedDataset, side: str, names: tuple[str, ...], stored: np.ndarray
) -> Values:
    scalings = store.manifest.numbers
    return {
        name: float(value) * scalings[f"{side}.{name}"].deviation + scalings[f"{side}.{name}"].mean
        for name, value in zip(names, stored, strict=True)
    }


@pytest.fixture
def readback() -> Callable[[PreparedDataset], ReadBack]:
    return read_back
