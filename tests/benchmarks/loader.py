"""Loader and training rows/s of grouped, ids-only batches against a plain row-wise eager loop.

    python tests/benchmarks/loader.py [--requests 2000]

Both sides read the same prepared store in the same call and take the same optimiser steps' worth of
rows. The row-wise side does what a plain `Dataset.__getitem__` does: one Python call a row, vectors
joined to every history position, one history a candidate.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from fusefront.baselines.contract import Baseline, RequestBatch
from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.data.batches import Batcher
from fusefront.harness.data.tables import item_table, schema_of
from fusefront.harness.parts.plugins import load_parts

BATCH_ROWS = 1024


def row_wise(store: PreparedDataset, limit: int) -> Iterator[dict[str, torch.Tensor]]:
    """One Python call a row, vectors joined, then stacked: rows of a batch as dense tensors."""
    split, history = store.split("train"), store.history_values
    vectors = np.concatenate([store.vectors(m) for m in store.manifest.schema_.modalities], 1)
    request = np.repeat(np.arange(len(split.group)), np.diff(split.row_start))
    longest = store.manifest.schema_.max_history
    samples = []
    for row in range(min(limit, len(split.item))):
        r = request[row]
        start, length = int(split.history_start[r]), int(split.history_length[r])
        ids = [int(i) for i in history[start : start + length]][-longest:]
        padded = [0] * (longest - len(ids)) + ids
        sample = {
            "history": torch.tensor(padded),
            "history_vectors": torch.from_numpy(vectors[padded]),
            "mask": torch.tensor([i > 0 for i in padded]),
            "item": torch.tensor(int(split.item[row])),
            "item_vectors": torch.from_numpy(vectors[int(split.item[row])]),
            "label": torch.tensor(float(split.label[row])),
        }
        samples.append(sample)
        if len(samples) == BATCH_ROWS:
            yield torch.utils.data.default_collate(samples)
            samples = []


def ungrouped(batch: RequestBatch) -> RequestBatch:
    """The same rows, one candidate a request, every history repeated: what row-wise training
    computes."""
    r = batch.rows // batch.candidates.shape[1]
    flat = [
        tensor.flatten(0, 1)[batch.rows].unsqueeze(1) for tensor in (batch.candidates, batch.labels)
    ]
    context = [part[r] for part in batch.request_context]
    candidate = [part.flatten(0, 1)[batch.rows].unsqueeze(1) for part in batch.candidate_context]
    return batch._replace(
        history=batch.history[r],
        history_mask=batch.history_mask[r],
        candidates=flat[0],
        candidate_mask=torch.ones(len(r), 1, dtype=torch.bool),
        rows=torch.arange(len(r)),
        labels=flat[1],
        row_ids=batch.row_ids.flatten()[batch.rows].unsqueeze(1),
        groups=batch.groups[r],
        request_context=type(batch.request_context)(*context),
        candidate_context=type(batch.candidate_context)(*candidate),
    )


def seconds(action: Callable[[], int]) -> float:
    """Seconds per row of an action that returns how many rows it did; the better of two."""
    best = float("inf")
    for _ in range(2):
        begin = time.perf_counter()
        rows = action()
        best = min(best, (time.perf_counter() - begin) / rows)
    return best


def main() -> None:
    """Prepare a world, time both sides in turn, print rows/s and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    requests = parser.parse_args().requests
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        spec = write_world("tour", Path(folder), train=requests, valid=100, test=100)
        store = prepare(load_spec(spec), spec.parent, Path(folder) / "out")
        report(store)


def report(store: PreparedDataset) -> None:
    """Time and print."""
    batcher = Batcher(store, "train", 64)
    rows = batcher.rows
    grouped = seconds(lambda: sum(len(b.rows) for b in batcher.batches(BATCH_ROWS)))
    plain = seconds(lambda: sum(len(b["label"]) for b in row_wise(store, rows)))
    print(
        f"loader: grouped ids {1 / grouped:,.0f} rows/s, row-wise {1 / plain:,.0f} rows/s,"
        f" ratio {plain / grouped:.0f}"
    )
    model = BASELINES["compressed_fusion"].build(
        schema_of(store), item_table(store), {}, load_parts([]), 0
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    fast = seconds(lambda: train(model, optimizer, batcher.batches(BATCH_ROWS)))
    slow = seconds(lambda: train_row_wise(model, optimizer, batcher, store))
    print(
        f"training: grouped ids {1 / fast:,.0f} rows/s, row-wise {1 / slow:,.0f} rows/s,"
        f" ratio {slow / fast:.1f}"
    )


def train(
    model: Baseline, optimizer: torch.optim.Optimizer, batches: Iterator[RequestBatch]
) -> int:
    """One pass; the rows seen."""
    rows = 0
    for batch in batches:
        losses = model.losses(batch)
        optimizer.zero_grad()
        (losses.click + losses.auxiliary).backward()
        optimizer.step()
        rows += len(batch.rows)
    return rows


def train_row_wise(
    model: Baseline, optimizer: torch.optim.Optimizer, batcher: Batcher, store: PreparedDataset
) -> int:
    """The row-wise loader's cost and row-wise steps of the same model."""
    loaded = row_wise(store, batcher.rows)
    batches = (ungrouped(batch) for batch in batcher.batches(BATCH_ROWS))
    rows = 0
    for _, batch in zip(loaded, batches, strict=False):
        rows += train(model, optimizer, iter([batch]))
    return rows


if __name__ == "__main__":
    main()
