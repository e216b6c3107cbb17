"""Write a synthetic world as the files a user would have: parquet, npy and a ready spec."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from fusefront.datasets.errors import SpecError
from fusefront.datasets.synthetic.draws import CANDIDATES, HISTORY, SPLITS
from fusefront.datasets.synthetic.generator import USERS_PER_SPLIT, Chunk, make_chunks
from fusefront.datasets.synthetic.latents import stream, vectors
from fusefront.datasets.synthetic.truth import WorldSource, build_source
from fusefront.datasets.synthetic.worlds import World, find_world

FIRST_KEY = 10_000  # item keys are not row numbers
CHUNKS_PER_GROUP = 4
START = 1_704_067_200  # 2024-01-01, in seconds
SECONDS_PER_REQUEST = 7


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
    returning: float = 0.0,
    timestamps: bool = False,
) -> Path:
    """Write interactions, items, vectors and `dataset.yaml` into `out`; the path of the spec.

    `train`, `valid`, `test` count requests (8 rows each), `warm` and `cold` items, `dims` are the
    widths of the vectors, `returning` is the share of requests by users seen before. Item row i
    (from 1) has key 9,999 + i. Memory does not grow with the requests. SpecError: bad values.
    """
    recipe = find_world(world, dims)
    requests = Requests(train, valid, test)
    _check(requests, warm, cold, seed, returning)
    source = build_source(recipe, seed, warm=warm, cold=cold)
    out.mkdir(parents=True, exist_ok=True)
    _write_items(source, out)
    _write_interactions(
        source, requests, out / "interactions.parquet", returning, timestamps=timestamps
    )
    spec = out / "dataset.yaml"  # last: a folder with a spec is complete
    shown = spec_of(recipe, seed, returning=returning > 0, timestamps=timestamps)
    spec.write_text(yaml.safe_dump(shown, sort_keys=False, width=100))
    return spec


def _check(requests: Requests, warm: int, cold: int, seed: int, returning: float) -> None:
    counts = {**requests._asdict(), "warm": warm, "cold": cold}
    for name, count in counts.items():
        if not 1 <= count < USERS_PER_SPLIT:
            raise SpecError(f"got {name} = {count:,}, expected at least 1 and below 10 billion")
    if warm < 16:
        raise SpecError(f"got warm = {warm}, expected at least 16 items to fill histories")
    if seed < 0:
        raise SpecError(f"got seed = {seed}, expected 0 or more")
    if not 0 <= returning < 1:
        raise SpecError(f"got returning = {returning}, expected a share from 0 to below 1")


def spec_of(
    world: World, seed: int, *, returning: bool = False, timestamps: bool = False
) -> dict[str, object]:
    """The data set spec of a written world."""
    columns = {"user": "user", "item": "item", "label": "label", "request": "request"}
    names = world.modalities
    partial = [name for name, missing in zip(names, world.missing, strict=True) if missing]
    return {
        "name": f"{world.name}_{seed}",
        "interactions": {"path": "interactions.parquet"},
        "columns": columns | ({"timestamp": "timestamp"} if timestamps else {}),
        "history": {"from": "list", "column": "history", "max_length": HISTORY},
        "request_fields": [{"column": "g", "type": "category"}],
        "candidate_fields": [{"column": "v", "type": "category"}],
        "items": {"path": "items.parquet", "key": "item"},
        "modalities": {
            name: {"path": f"{name}.npy", "keyed_by": "row", "present": f"has_{name}"}
            for name in names
        },
        "split": {"by": "given", "column": "split"},
        "cluster": "user" if returning else "request",
        "slices": [
            {"name": "cold_item", "when": "cold_item"},
            *({"name": f"missing_{name}", "when": f"no_{name}"} for name in partial),
        ],
        "truth": {"column": "p"},
    }


def _write_items(source: WorldSource, out: Path) -> None:
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


def _write_interactions(
    source: WorldSource, requests: Requests, path: Path, returning: float, *, timestamps: bool
) -> None:
    writer: pq.ParquetWriter | None = None
    position = 0
    for split, count in zip(SPLITS, requests, strict=True):
        chunks = make_chunks(source, split, count, returning=returning, train=requests.train)
        for batch in _batches(chunks):
            tables = []
            for chunk in batch:
                tables.append(
                    _table(chunk, split, position, seed=source.seed, timestamps=timestamps)
                )
                position += len(chunk.user)
            table = pa.concat_tables(tables)
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


def _table(chunk: Chunk, split: str, position: int, *, seed: int, timestamps: bool) -> pa.Table:
    """Rows of a chunk whose first request is the log's request number `position`."""
    requests, width = chunk.p.shape
    request = SPLITS.index(split) * USERS_PER_SPLIT + chunk.first + np.arange(requests)
    columns = {
        "row_id": position * width + np.arange(requests * width),
        "split": pa.array([split]).take(pa.array(np.zeros(requests * width, np.int8))),
        "request": np.repeat(request, width),
        "user": np.repeat(chunk.user, width),
        "item": chunk.candidates.ravel() + np.int32(FIRST_KEY - 1),
        "label": chunk.label.ravel(),
        "p": chunk.p.ravel(),
        "history": _history(chunk),
        "g": np.repeat(chunk.group, width),
        "v": chunk.variant.ravel(),
    }
    if timestamps:
        columns["timestamp"] = np.repeat(_times(seed, position, requests), width)
    return pa.table(columns)


def _times(seed: int, position: int, requests: int) -> npt.NDArray[np.int64]:
    """Seconds since 1970, one request about every 7 s, in the order of the log."""
    jitter = stream(seed, 6, position).integers(0, SECONDS_PER_REQUEST, requests)
    return START + SECONDS_PER_REQUEST * (position + np.arange(requests)) + jitter


def _history(chunk: Chunk) -> pa.ListArray:
    """Item keys, oldest first, repeated for each candidate of the request."""
    repeated = np.repeat(chunk.history, CANDIDATES, axis=0)
    real = repeated > 0
    ends = np.concatenate([[0], np.cumsum(real.sum(axis=1))]).astype(np.int32)
    keys = repeated[real] + np.int32(FIRST_KEY - 1)
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(keys))
