"""The prepared store's items as the tensors that a model is built from."""

import numpy as np
import torch

from fusefront.baselines.contract import Field, ItemTable, Schema
from fusefront.datasets.manifest import StoredSchema
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.events import kinds_of
from fusefront.harness.data.spectrum import same_spectrum


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


def item_table(
    store: PreparedDataset,
    *,
    shuffle: tuple[str, ...] = (),
    randomize: tuple[str, ...] = (),
    seed: int = 0,
) -> ItemTable:
    """All items with their vectors in float32 [items + 1, d] a modality; the vectors of modalities
    named in `shuffle` are dealt to other items, those of `randomize` are random ones of the same
    spectrum."""
    items = store.items
    vectors = {name: store.vectors(name) for name in store.manifest.schema_.modalities}
    present = np.array(items.present, bool)
    for name in shuffle:
        column = list(vectors).index(name)
        having = np.flatnonzero(present[:, column])
        dealt = np.random.default_rng([seed, column]).permutation(having)
        vectors[name] = vectors[name].copy()
        vectors[name][having] = vectors[name][dealt]
    for name in randomize:
        column = list(vectors).index(name)
        having = np.flatnonzero(present[:, column])
        rows = np.array(vectors[name], np.float32)
        rows[having] = same_spectrum(rows[having], [seed, 1, column])
        vectors[name] = rows
    return ItemTable(
        {name: torch.from_numpy(np.array(rows, np.float32)) for name, rows in vectors.items()},
        torch.from_numpy(present),
        torch.from_numpy(np.array(items.fields, np.int64)),
        torch.from_numpy(np.array(items.numbers, np.float32)),
        torch.from_numpy(np.array(items.in_train, bool)),
        torch.from_numpy(np.array(items.impressions, np.int64)),
        torch.from_numpy(np.array(items.clicks, np.int64)),
    )
