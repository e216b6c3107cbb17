"""A small data set with gaps, ragged requests and an empty history, on which any model can be
built."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from fusefront.baselines.contract import (
    Baseline,
    Context,
    Events,
    Field,
    ItemTable,
    Parts,
    RequestBatch,
    Schema,
)

ITEMS, HISTORY = 300, 16
LENGTHS, CANDIDATES = (16, 3, 0, 8, 9, 1), (7, 5, 7, 1, 3, 6)
SCHEMA = Schema(
    ITEMS,
    {"text": 20, "image": 24, "audio": 16},
    (Field("tags", 9, 3), Field("shop", 5)),
    2,
    (Field("device", 5),),
    1,
    (Field("position", 9),),
    1,
    HISTORY,
)


class Scene(NamedTuple):
    """The data that a model is built from, and one batch of it."""

    schema: Schema
    items: ItemTable
    batch: RequestBatch

    def model(
        self, kind: type[Baseline], settings: Mapping[str, object], parts: Parts, seed: int = 0
    ) -> Baseline:
        """The model on these data, in float64, so that comparisons are exact."""
        return kind.build(self.schema, self.items, settings, parts, seed).double()


def make_items(schema: Schema, generator: torch.Generator) -> ItemTable:
    """Random items; about a fifth of the vectors is missing, and about a tenth of the items is not
    in train."""
    n = schema.items + 1
    present = torch.rand(n, len(schema.modalities), generator=generator) > 0.2
    in_train = torch.rand(n, generator=generator) > 0.1
    present[0], in_train[0] = False, False
    columns = [
        torch.randint(0, field.size, (n, field.columns), generator=generator)
        for field in schema.item_fields
    ]
    return ItemTable(
        {
            name: torch.randn(n, width, generator=generator) * present[:, [m]]
            for m, (name, width) in enumerate(schema.modalities.items())
        },
        present,
        torch.cat(columns, -1) if columns else torch.zeros(n, 0, dtype=torch.long),
        torch.randn(n, schema.item_numbers, generator=generator),
        in_train,
        torch.randint(1, 50, (n,), generator=generator),
        torch.randint(0, 2, (n,), generator=generator),
    )


def make_context(
    fields: tuple[Field, ...], numbers: int, lead: tuple[int, ...], generator: torch.Generator
) -> Context:
    """Random ids and numbers with the leading axes `lead`."""
    ids = [torch.randint(0, f.size, (*lead, f.columns), generator=generator) for f in fields]
    return Context(
        torch.cat(ids, -1) if ids else torch.zeros(*lead, 0, dtype=torch.long),
        torch.randn(*lead, numbers, generator=generator).double(),
    )


def make_batch(schema: Schema, generator: torch.Generator) -> RequestBatch:
    """Six requests with up to seven candidates and histories of 16 to 0 items."""
    items = torch.randperm(schema.items, generator=generator)[:120] + 1
    items = torch.cat([torch.zeros(1, dtype=torch.long), items])
    requests, length, width = len(LENGTHS), schema.max_history, max(CANDIDATES)
    real = torch.tensor(LENGTHS).clamp(max=length).unsqueeze(-1)
    history_mask = torch.arange(length) >= length - real
    candidate_mask = torch.arange(width) < torch.tensor(CANDIDATES).unsqueeze(-1)
    history = torch.randint(1, len(items), (requests, length), generator=generator)
    candidates = torch.randint(1, len(items), (requests, width), generator=generator)
    labels = torch.randint(0, 2, (requests, width), generator=generator).double()
    history = history * history_mask
    row_ids = torch.arange(requests * width).view(requests, width)
    return RequestBatch(
        items,
        history,
        history_mask,
        candidates * candidate_mask,
        candidate_mask,
        candidate_mask.flatten().nonzero().squeeze(-1),
        make_context(schema.request_fields, schema.request_numbers, (requests,), generator),
        make_context(
            schema.candidate_fields, schema.candidate_numbers, (requests, width), generator
        ),
        labels * candidate_mask,
        row_ids.masked_fill(~candidate_mask, -1),
        torch.arange(requests),
        make_events(schema, history, history_mask, generator),
    )


def make_events(
    schema: Schema, history: Tensor, mask: Tensor, generator: torch.Generator
) -> Events | None:
    """A random kind for every entry of the histories [R, L]; None if the schema has no kinds."""
    if not schema.history_kinds:
        return None
    kinds = schema.history_kinds + 1
    drawn = torch.randint(0, kinds, history.shape, generator=generator) * mask
    pairs = torch.cat([torch.zeros(1, dtype=torch.long), (history * kinds + drawn).flatten()])
    distinct, place = torch.unique(pairs, return_inverse=True)
    return Events(distinct // kinds, distinct % kinds, place[1:].view(history.shape))


def make_scene(schema: Schema = SCHEMA, seed: int = 0) -> Scene:
    """The items and a batch of a schema, drawn by `seed`."""
    generator = torch.Generator().manual_seed(seed)
    return Scene(schema, make_items(schema, generator), make_batch(schema, generator))


def as_rows(batch: RequestBatch) -> RequestBatch:
    """The same rows, each as a request with one candidate."""
    requests = batch.rows // batch.candidates.shape[1]

    def each(x: Tensor) -> Tensor:
        return x.flatten(0, 1)[batch.rows].unsqueeze(1)

    ones = torch.ones(len(batch.rows), 1, dtype=torch.bool)
    return RequestBatch(
        batch.items,
        batch.history[requests],
        batch.history_mask[requests],
        each(batch.candidates),
        ones,
        torch.arange(len(batch.rows)),
        Context(*(part[requests] for part in batch.request_context)),
        Context(*(each(part) for part in batch.candidate_context)),
        each(batch.labels),
        each(batch.row_ids),
        batch.groups[requests],
        batch.events and batch.events._replace(place=batch.events.place[requests]),
    )
