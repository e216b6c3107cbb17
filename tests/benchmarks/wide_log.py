"""Writes a log at the shape of the MMCTR challenge, of any size: items drawn by a power law, a
history with each row, vectors as float16."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ITEMS, LONGEST, WIDTH, EXPONENT, CHUNK = 91_718, 64, 128, 1.1, 200_000
SPEC = """
name: wide
interactions: {{path: log.parquet}}
columns: {{user: user, item: item, label: click, timestamp: ts, time_unit: s}}
history: {{from: list, column: history, max_length: {longest}}}
candidate_fields: [{{column: likes, type: category}}, {{column: views, type: category}}]
items: {{path: items.parquet, key: item}}
modalities:
{modalities}
split: {{by: time, valid: 0.01, test: 0.01}}
"""


def write_wide_log(
    folder: Path,
    rows: int,
    *,
    items: int = ITEMS,
    longest: int = LONGEST,
    modalities: tuple[str, ...] = ("text", "image"),
    width: int = WIDTH,
) -> Path:
    """The log, its items and their vectors [items, width] a modality; returns the spec's path.

    Histories have `longest` / 2.5 to `longest` items.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    bounds = np.cumsum(np.arange(1, items + 1, dtype=np.float64) ** -EXPONENT)

    def drawn(count: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        return np.searchsorted(bounds, rng.random(count) * bounds[-1]).astype(np.int32)

    writer = None
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        length = rng.integers(int(longest / 2.5) + 1, longest + 1, n)
        offsets = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
        table = pa.table(
            {
                "user": rng.integers(0, max(1, rows // 4), n),
                "item": drawn(n),
                "ts": np.arange(start, start + n),
                "click": (rng.random(n) < 0.2).astype(np.int8),
                "likes": rng.integers(0, 11, n).astype(np.int8),
                "views": rng.integers(0, 11, n).astype(np.int8),
                "history": pa.ListArray.from_arrays(offsets, drawn(int(offsets[-1]))),
            }
        )
        writer = writer or pq.ParquetWriter(folder / "log.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    pq.write_table(pa.table({"item": np.arange(items, dtype=np.int32)}), folder / "items.parquet")
    for name in modalities:
        vectors = rng.standard_normal((items, width), np.float32).astype(np.float16)
        np.save(folder / f"{name}.npy", vectors)
    listed = [f"  {m}: {{path: {m}.npy, keyed_by: row, dtype: float16}}" for m in modalities]
    spec = folder / "spec.yaml"
    text = SPEC.format(longest=longest, modalities="\n".join(listed))
    spec.write_text(text, encoding="utf-8")
    return spec
