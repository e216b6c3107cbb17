"""Worlds of known truth as tensors, and a plain training loop: nothing of the harness."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from fusefront.baselines.contract import (
    Baseline,
    Context,
    Field,
    ItemTable,
    Parts,
    RequestBatch,
    Schema,
    gather,
)
from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.synthetic.generator import make_chunks
from fusefront.datasets.synthetic.latents import vectors
from fusefront.datasets.synthetic.truth import build_source
from fusefront.datasets.synthetic.worlds import find_world
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS

PARTS = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS)
BATCH = 128  # requests


class Split(NamedTuple):
    history: Tensor  # [R, L] item rows
    candidates: Tensor  # [R, K]
    group: Tensor  # [R, 1] request context, from 1
    variant: Tensor  # [R, K, 1] candidate context, from 1
    labels: Tensor  # [R, K]
    truth: Tensor  # [R, K]


class WorldData(NamedTuple):
    schema: Schema
    items: ItemTable
    splits: Mapping[str, Split]


def load_world(
    name: str, *, seed: int = 0, train: int = 8_000, valid: int = 2_000, test: int = 8_000
) -> WorldData:
    """A world drawn in memory, ids unseen in train marked so."""
    source = build_source(find_world(name), seed)
    world, latents = source.world, source.latents
    splits = {}
    for split, count in (("train", train), ("valid", valid), ("test", test)):
        chunks = list(make_chunks(source, split, count))
        join = lambda field: np.concatenate([getattr(chunk, field) for chunk in chunks])  # noqa: E731
        splits[split] = Split(
            torch.from_numpy(join("history").astype(np.int64)),
            torch.from_numpy(join("candidates").astype(np.int64)),
            torch.from_numpy(join("group").astype(np.int64) + 1).unsqueeze(-1),
            torch.from_numpy(join("variant").astype(np.int64) + 1).unsqueeze(-1),
            torch.from_numpy(join("label").astype(np.float32)),
            torch.from_numpy(join("p")),
        )
    count = len(latents.popularity)
    items = _items(
        splits["train"],
        count,
        {
            modality: torch.from_numpy(vectors(world, latents, seed, m))
            for m, modality in enumerate(world.modalities)
        },
        torch.from_numpy(latents.present),
    )
    widths = dict(zip(world.modalities, world.dims, strict=True))
    schema = Schema(count - 1, widths, (), 0, (Field("g", 5),), 0, (Field("v", 9),), 0, 16)
    return WorldData(schema, items, splits)


def _items(train: Split, count: int, content: dict[str, Tensor], present: Tensor) -> ItemTable:
    shown = torch.bincount(train.candidates.flatten(), minlength=count)
    clicked = torch.bincount(train.candidates.flatten(), train.labels.flatten().double(), count)
    in_train = shown > 0
    in_train[train.history.unique()] = True
    in_train[0] = False
    empty = torch.zeros(count, 0)
    return ItemTable(content, present, empty.long(), empty, in_train, shown, clicked.long())


def batches(split: Split, order: Tensor) -> Iterator[RequestBatch]:
    """Batches of requests in the given order; every candidate is real."""
    for chosen in order.split(BATCH):
        history, candidates = split.history[chosen], split.candidates[chosen]
        flat = torch.cat(
            [torch.zeros(1, dtype=torch.long), history.flatten(), candidates.flatten()]
        )
        items, index = flat.unique(return_inverse=True)
        size = history.numel()
        requests, width = candidates.shape
        numbers = torch.zeros(requests, 0)
        yield RequestBatch(
            items,
            index[1 : size + 1].view_as(history),
            history > 0,
            index[size + 1 :].view_as(candidates),
            candidates > 0,
            torch.arange(requests * width),
            Context(split.group[chosen], numbers),
            Context(split.variant[chosen], torch.zeros(requests, width, 0)),
            split.labels[chosen],
            torch.arange(requests * width).view(requests, width),
            chosen,
        )


def scores(model: Baseline, data: WorldData, split: str) -> np.ndarray:
    """Logits of a split from the code table, flat."""
    model.eval()
    with torch.no_grad():
        codes = model.encode_items(torch.arange(data.schema.items + 1))
        part = data.splits[split]
        order = torch.arange(len(part.history))
        found = [
            model.score(gather(codes, batch, batch.items)).logits.flatten()
            for batch in batches(part, order)
        ]
    return torch.cat(found).double().numpy()


def auc(model: Baseline, data: WorldData, split: str = "test") -> float:
    """AUC of a split by scikit-learn."""
    return float(
        roc_auc_score(data.splits[split].labels.flatten().numpy(), scores(model, data, split))
    )


def train(
    name: str,
    data: WorldData,
    settings: Mapping[str, object] | None = None,
    *,
    seed: int = 0,
    epochs: int = 4,
) -> Baseline:
    """AdamW at 1e-2 in one cycle, weight decay 1 (10 on id embeddings), best validation epoch kept."""
    model = BASELINES[name].build(data.schema, data.items, settings or {}, PARTS, seed)
    torch.manual_seed(seed)
    groups = [
        {"params": found, "weight_decay": 10.0 if role == "id_embedding" else 1.0}
        for role, found in model.parameter_roles().items()
        if found
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    requests = len(data.splits["train"].history)
    steps = -(-requests // BATCH) * epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1e-2, total_steps=steps, pct_start=0.1
    )
    best, state = -1.0, {}
    for _ in range(epochs):
        model.train()
        for batch in batches(data.splits["train"], torch.randperm(requests)):
            losses = model.losses(batch)
            optimizer.zero_grad()
            (losses.click + losses.auxiliary).backward()
            optimizer.step()
            schedule.step()
        found = auc(model, data, "valid")
        if found > best:
            best, state = found, {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(state)
    return model.eval()
