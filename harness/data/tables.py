"""The prepared store's items as the tensors that a model is built from."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusefront.baselines.contract import Field, ItemTable, Schema
from fusefront.datasets.manifest import StoredSchema
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.events import kinds_of
from fusefront.harness.data.spectrum import same_spectrum

Bools = NDArray[np.bool_]
Names = tuple[str, ...]


def schema_of(store: PreparedDataset) -> Schema:
    """What a model needs to know of the data before it is built: modalities, fields, sizes."""
    return schema_from(store.manifest.schema_, kinds_of(store))


def schema_from(schema: StoredSchema, kinds: int) -> Schema:
    """As `schema_of`, from the stored schema and how many kinds of events histories tell apart."""
    fields = {
        side: tuple(Field(field.name, field.size, field.columns) for field in listed)
        for side, listed in (
            ("item", schema.item_fields),
            ("request", schema.request_fields),
            ("candidate", schema.candidate_fields),
        )
    }
    return Schema(
        schema.items,
        dict(schema.modalities),
        fields["item"],
        len(schema.item_numbers),
        fields["request"],
        len(schema.request_numbers),
        fields["candidate"],
        len(schema.candidate_numbers),
        schema.max_history,
        kinds,
    )


class _Vectors(Mapping[str, Tensor]):
    """The vectors of each modality in float32 [items + 1, d], computed whenever they are looked up;
    most models keep something smaller."""

    def __init__(
        self, store: PreparedDataset, present: Bools, shuffle: Names, randomize: Names, seed: int
    ) -> None:
        self.store, self.present, self.seed = store, present, seed
        self.shuffle, self.randomize = shuffle, randomize
        self.names = list(store.manifest.schema_.modalities)

    def __getitem__(self, name: str) -> Tensor:
        column = self.names.index(name)
        having = np.flatnonzero(self.present[:, column])
        rows = np.array(self.store.vectors(name), np.float32)
        if name in self.shuffle:
            dealt = np.random.default_rng([self.seed, column]).permutation(having)
            rows[having] = rows[dealt]
        if name in self.randomize:
            rows[having] = same_spectrum(rows[having], [self.seed, 1, column])
        return torch.from_numpy(rows)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def item_table(
    store: PreparedDataset, *, shuffle: Names = (), randomize: Names = (), seed: int = 0
) -> ItemTable:
    """All items with their vectors in float32 [items + 1, d] a modality; the vectors of modalities
    named in `shuffle` are dealt to other items, those of `randomize` are random ones of the same
    spectrum."""
    items = store.items
    present = np.array(items.present, bool)
    mapped = {
        name: torch.from_numpy(_writable(rows))
        for name, rows in items.vectors.items()
        if name not in (*shuffle, *randomize) and rows.dtype in (np.float16, np.float32)
    }
    return ItemTable(
        _Vectors(store, present, shuffle, randomize, seed),
        torch.from_numpy(present),
        torch.from_numpy(np.array(items.fields, np.int64)),
        torch.from_numpy(np.array(items.numbers, np.float32)),
        torch.from_numpy(np.array(items.in_train, bool)),
        torch.from_numpy(np.array(items.impressions, np.int64)),
        torch.from_numpy(np.array(items.clicks, np.int64)),
        mapped,
    )


def _writable(rows: NDArray[Any]) -> NDArray[Any]:
    """The same pages of the store's file; whoever wrote to them would write to a copy, as tensors
    must allow."""
    assert isinstance(rows, np.memmap)
    assert rows.filename is not None
    return np.memmap(rows.filename, rows.dtype, "c", rows.offset, rows.shape)
