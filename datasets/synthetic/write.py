"""Write a synthetic world as the files a user would have: parquet, npy and a ready spec."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from fusefront.datasets.synthetic.generator import (
    CANDIDATES,
    HISTORY,
    SPLITS,
    Chunk,
    Source,
    build_source,
    make_chunks,
)
from fusefront.datasets.synthetic.latents import vectors
from fusefront.datasets.synthetic.worlds import World, find_world

FIRST_KEY = 10_000  # item keys are not row numbers
CHUNKS_PER_GROUP = 4


class Requests(NamedTuple):
    """How many requests each split gets; a request has 8 rows."""

    train: int
    valid: int
    test: int


def write_world(
    world: str,
    out: Path,
    *,
    seed: int = 0,
    train: int = 8_000,
    valid: int = 2_000,
    test: int = 8_000,
    warm: int = 4_000,
    cold: int = 1_000,
    dims: tuple[int, ...] | None = None,
) -> Path:
    """Write interactions, items, vectors and `dataset.yaml` into `out`; the path of the spec.

    Item row i (from 1) has key 9,999 + i; `train`, `valid`, `test` count requests. Memory does not
    grow with the number of requests.
    """
    found = find_world(world, dims)
    source = build_source(found, seed, warm=warm, cold=cold)
    out.mkdir(parents=True, exist_ok=True)
    _write_items(source, out)
    _write_interactions(source, Requests(train, valid, test), out / "interactions.parquet")
    spec = out / "dataset.yaml"
    spec.write_text(yaml.safe_dump(spec_of(found, seed), sort_keys=False, width=100))
    return spec


def spec_of(world: World, seed: int) -> dict[str, object]:
    """The data set spec of a written world."""
    names = world.modalities
    partial = [name for name, missing in zip(names, world.missing, strict=True) if missing]
    return {
        "name": f"{world.name}_{seed}",
        "interactions": {"path": "interactions.parquet"},
        "columns": {"user": "user", "item": "item", "label": "label", "request": "request"},
        "history": {"from": "list", "column": "history", "max_length": HISTORY},
        "request_fields": [{"column": "g", "type": "category"}],
        "candidate_fields": [{"column": "v", "type": "category"}],
        "items": {"path": "items.parquet", "key": "item"},
        "modalities": {
            name: {"path": f"{name}.npy", "keyed_by": "row", "present": f"has_{name}"}
            for name in names
        },
        "split": {"by": "given", "column": "split"},
        "cluster": "request",
        "slices": [
            {"name": "cold_item", "when": "cold_item"},
            *({"name": f"missing_{name}", "when": f"no_{name}"} for name in partial),
        ],
        "truth": {"column": "p"},
    }


def _write_items(source: Source, out: Path) -> None:
    latents, names = source.latents, source.world.modalities
    count = len(latents.popularity) - 1
    row = np.arange(count)
    pl.DataFrame(
        {
            "item": row + FIRST_KEY,
            "cold": row >= latents.warm,
            **{f"has_{name}": latents.present[1:, m] for m, name in enumerate(names)},
        }
    ).write_parquet(out / "items.parquet")
    for m, name in enumerate(names):
        np.save(out / f"{name}.npy", vectors(source.world, latents, source.seed, m)[1:])


def _write_interactions(source: Source, requests: Requests, path: Path) -> None:
    row = 0
    writer: pq.ParquetWriter | None = None
    for split in SPLITS:
        for chunks in _batches(make_chunks(source, split, getattr(requests, split))):
            table = pa.concat_tables([_table(chunk, split, row) for chunk in chunks])
            row += table.num_rows
            writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
            writer.write_table(table)
    if writer:
        writer.close()


def _batches(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    batch: list[Chunk] = []
    for chunk in chunks:
        batch.append(chunk)
        if len(batch) == CHUNKS_PER_GROUP:
            yield batch
            batch = []
    if batch:
        yield batch


def _table(chunk: Chunk, split: str, row: int) -> pa.Table:
    requests, width = chunk.p.shape
    number = SPLITS.index(split) * 10**10 + chunk.first + np.arange(requests)
    return pa.table(
        {
            "row_id": row + np.arange(requests * width),
            "split": pa.array([split]).take(pa.array(np.zeros(requests * width, np.int8))),
            "request": np.repeat(number, width),
            "user": np.repeat(SPLITS.index(split) * 10**10 + chunk.user, width),
            "item": chunk.candidates.ravel() + np.int32(FIRST_KEY - 1),
            "label": chunk.label.ravel(),
            "p": chunk.p.ravel(),
            "history": _history(chunk),
            "g": np.repeat(chunk.group, width),
            "v": chunk.variant.ravel(),
        }
    )


def _history(chunk: Chunk) -> pa.ListArray:
    """Item keys, oldest first, repeated for each candidate of the request."""
    repeated = np.repeat(chunk.history, CANDIDATES, axis=0)
    real = repeated > 0
    ends = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int32)
    keys = repeated[real] + np.int32(FIRST_KEY - 1)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(keys))
