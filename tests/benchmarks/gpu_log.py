"""A generated log of any length at the MMCTR shape, as a prepared store has it, in memory.

Items by a power law, histories of 26 to 64, one candidate a request. Users prefer some of 40 kinds
of items, which the vectors tell with noise: clicks can be learned from history and vectors.
"""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from generated_batches import EXPONENT, HISTORY

from fusefront.baselines.contract import Field, ItemTable, Schema
from fusefront.datasets.store import PreparedDataset

KINDS, WIDTH, TAGS = 40, 128, 11_000


def planted(items: int, seed: int = 0) -> tuple[Schema, ItemTable, np.ndarray[Any, Any]]:
    """Schema and items, and each item's kind [items + 1]."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, KINDS, items + 1)
    present = torch.ones(items + 1, 2, dtype=torch.bool)
    present[0] = False
    centres = rng.normal(0, 1, (2, KINDS, WIDTH)).astype(np.float32)
    noise = rng.normal(0, 2, (2, items + 1, WIDTH)).astype(np.float32)
    vectors = {
        name: torch.from_numpy(centres[m][kind] + noise[m])
        for m, name in enumerate(("text", "image"))
    }
    schema = Schema(
        items,
        {"text": WIDTH, "image": WIDTH},
        (Field("tags", TAGS, 5),),
        0,
        (),
        0,
        (Field("likes", 11), Field("views", 11)),
        0,
        HISTORY,
    )
    shown = torch.ones(items + 1, dtype=torch.long)
    tags = torch.from_numpy(rng.integers(0, TAGS, (items + 1, 5)))
    table = ItemTable(
        vectors, present, tags, torch.zeros(items + 1, 0), present[:, 0].clone(), shown, shown
    )
    return schema, table, kind


def log_of(schema: Schema, kind: np.ndarray[Any, Any], requests: dict[str, int]) -> PreparedDataset:
    """So many requests a split, one row each."""
    rng = np.random.default_rng(1)
    items, total = schema.items, sum(requests.values())
    share = np.arange(1, items + 1, dtype=float) ** -EXPONENT
    bounds = np.cumsum(share) / share.sum()
    length = rng.integers(26, HISTORY + 1, total)
    start = np.cumsum(length) - length
    values = np.searchsorted(bounds, rng.random(int(length.sum()))).clip(max=items - 1) + 1
    candidate = np.searchsorted(bounds, rng.random(total)).clip(max=items - 1) + 1
    liked = np.add.reduceat(
        (kind[values] == np.repeat(kind[candidate], length)).astype(float), start
    )
    score = 1.5 * np.log1p(liked) - 2.5 + 0.5 * rng.normal(size=KINDS)[kind[candidate]]
    label = (rng.random(total) < 1 / (1 + np.exp(-score))).astype(np.uint8)
    splits, begin = {}, 0
    for name, count in requests.items():
        part = slice(begin, begin + count)
        begin += count
        splits[name] = SimpleNamespace(
            history_start=start[part],
            history_length=length[part].astype(np.int32),
            row_start=np.arange(count + 1),
            group=np.arange(count),
            request_ids=np.zeros((count, 0), np.int32),
            request_numbers=np.zeros((count, 0), np.float32),
            item=candidate[part].astype(np.int32),
            label=label[part],
            row_id=np.arange(count),
            candidate_ids=rng.integers(0, 11, (count, 2)).astype(np.int32),
            candidate_numbers=np.zeros((count, 0), np.float32),
        )
    manifest = SimpleNamespace(
        schema_=SimpleNamespace(items=items, max_history=HISTORY), history=None
    )
    store = SimpleNamespace(
        split=splits.__getitem__,
        history_values=values.astype(np.int32),
        history_kinds=None,
        manifest=manifest,
    )
    return cast(PreparedDataset, store)
