"""Time, processor time and peak memory of `prepare` against the number of rows, each in a process
of its own.

    python tests/benchmarks/prepare_scale.py [--rows 1000000 10000000] [--max-memory 2] [--counters]

Prints the byte budget as prepare says it beforehand, each size as a ratio to the first, and an
extrapolation to 100 M rows, named as one. Fails where the peak exceeds --max-memory.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

SPEC = """
name: scale
interactions: {path: log.parquet}
columns: {user: user, item: item, label: click, timestamp: ts}
history: {from: log, max_length: 50}
candidate_fields: [{column: position, type: category}]
items: {path: items.parquet, key: item}
modalities: {text: {path: text.npy, keyed_by: row, dtype: float16}}
split: {by: time, valid: 0.1, test: 0.2}
"""
COUNTERS = """
counters:
  - {of: user}
  - {of: item}
  - {of: [user, candidate.position]}
  - {residual: user}
  - {residual: [user, candidate.position]}
"""
ITEMS, CHUNK = 100_000, 1_000_000


def write_log(folder: Path, rows: int, *, counters: bool) -> None:
    """A log in order of time: one user to about 30 rows, skewed items, 10 % clicks; streamed."""
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        table = pl.DataFrame(
            {
                "user": rng.integers(0, max(1, rows // 30), n),
                "item": (rng.random(n) ** 3 * ITEMS).astype(np.int64),
                "ts": np.arange(start, start + n),
                "click": (rng.random(n) < 0.1).astype(np.int8),
                "position": rng.integers(0, 20, n).astype(np.int8),
            }
        ).to_arrow()
        writer = writer or pq.ParquetWriter(folder / "log.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    pl.DataFrame({"item": np.arange(ITEMS)}).write_parquet(folder / "items.parquet")
    np.save(folder / "text.npy", rng.standard_normal((ITEMS, 64)).astype(np.float16))
    text = SPEC + COUNTERS if counters else SPEC
    (folder / "spec.yaml").write_text(text, encoding="utf-8")


def prepare_one(folder: Path, limit: int) -> None:
    """Prepare in this process; print rows, seconds, processor seconds and peak MiB."""
    from fusefront.datasets.prepare import prepare
    from fusefront.datasets.spec import load_spec

    begin = time.perf_counter()
    store = prepare(
        load_spec(folder / "spec.yaml"),
        folder,
        folder / "out",
        max_memory=limit,
        progress=lambda line: print(line, file=sys.stderr) if "memory" in line else None,
    )
    seconds, busy = time.perf_counter() - begin, time.process_time()
    rows = sum(part.rows for part in store.manifest.counts.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"{rows} {seconds} {busy} {peak}\n")


def main() -> None:
    """Write, prepare and print each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000, 30_000_000])
    parser.add_argument("--max-memory", type=float, default=4.0, help="GiB")
    parser.add_argument("--counters", action="store_true", help="with eight numbers of the past")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    limit = int(options.max_memory * (1 << 30))
    if options.folder:
        prepare_one(options.folder, limit)
        return
    first = None
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_log(Path(folder), rows, counters=options.counters)
            command = [sys.executable, __file__, "--folder", folder]
            command += ["--max-memory", str(options.max_memory)]
            process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        count, seconds, busy, peak = (float(x) for x in process.stdout.split())
        first = first or (count, busy, peak)
        ratio = (busy / first[1]) / (count / first[0])
        sys.stdout.write(
            f"{count:,.0f} rows: {seconds:.1f} s, {busy:.1f} s of one processor "
            f"({count / busy:,.0f} rows/s), peak {peak:,.0f} MiB; "
            f"processor time a row {ratio:.2f} of the first\n"
        )
        sys.stdout.flush()
        if peak * (1 << 20) > limit:
            sys.exit(f"peak {peak:,.0f} MiB is over --max-memory {options.max_memory} GiB")
    minutes = busy / count * 1e8 / 60
    sys.stdout.write(
        f"100,000,000 rows, extrapolated, not measured: {minutes:.0f} min of one processor\n"
    )


if __name__ == "__main__":
    main()
