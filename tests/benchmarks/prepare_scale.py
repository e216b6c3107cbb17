"""Time, processor time and peak memory of `prepare` against the number of rows, each in a process
of its own.

    python tests/benchmarks/prepare_scale.py [--rows 1000000 10000000] [--max-memory 2] [--counters]
        [--hot]

Prints the byte budget as prepare says it beforehand, each size as a ratio to the first, and an
extrapolation to 100 M rows, named as one. Fails where the peak exceeds --max-memory.
"""

import argparse
import contextlib
import math
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl

SPEC = """
name: scale
interactions: {path: log.parquet}
columns: {user: user, item: item, label: click, timestamp: ts, time_unit: s}
history: {from: log, max_length: 50}
candidate_fields: [{column: position, type: category}]
items: {path: items.parquet, key: item, fields: [{column: tags, type: categories, max_values: 3}]}
modalities: {text: {path: text.npy, keyed_by: row, dtype: float16}}
split: {by: time, valid: 0.1, test: 0.2}
"""
COUNTERS = """
counters:
  - {of: user}
  - {of: item}
  - {of: [user, item.tags]}
  - {residual: user}
  - {residual: [user, item.tags]}
  - {of: user, last: 20}
  - {of: [item, candidate.position], window: 7d, lag: 1h}
  - {of: item, decay: 7d}
"""
HOT = """
  - {of: request.device}
request_fields: [{column: device}]
"""
ITEMS, CHUNK = 100_000, 1_000_000
SPAN = 90 * 86_400  # seconds


def write_log(folder: Path, rows: int, *, counters: bool, hot: bool = False) -> None:
    """A log in order of time: one user to about 30 rows, skewed items, 10 % clicks; streamed.

    Hot: one item has 30 % of the rows, one user 10 %, and a field of the request two values.
    """
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        columns = {
            "user": rng.integers(0, max(1, rows // 30), n),
            "item": (rng.random(n) ** 3 * ITEMS).astype(np.int64),
            "ts": SPAN * np.arange(start, start + n) // rows,
            "click": (rng.random(n) < 0.1).astype(np.int8),
            "position": rng.integers(0, 20, n).astype(np.int8),
        }
        if hot:
            columns["item"][rng.random(n) < 0.3] = 0
            columns["user"][rng.random(n) < 0.1] = 0
            columns["device"] = rng.integers(0, 2, n).astype(np.int8)
        table = pl.DataFrame(columns).to_arrow()
        writer = writer or pq.ParquetWriter(folder / "log.parquet", table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    tags = rng.integers(0, 50, (ITEMS, 2)).astype(str).tolist()
    items = pl.DataFrame({"item": np.arange(ITEMS), "tags": tags})
    items.write_parquet(folder / "items.parquet")
    np.save(folder / "text.npy", rng.standard_normal((ITEMS, 64)).astype(np.float16))
    text = SPEC + (COUNTERS + HOT * hot if counters else "")
    (folder / "spec.yaml").write_text(text, encoding="utf-8")


def status(word: str) -> float:
    """MiB of this process, by the word of the kernel."""
    with Path("/proc/self/status").open(encoding="utf-8") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(word)) / 1024


def temporary(folder: Path) -> int:
    """Bytes of the files that a store in the making does not keep."""
    paths = [*folder.glob("**/work/**/*"), *folder.glob("**/raw_*.npy"), *folder.glob("**/moment*")]
    total = 0
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def prepare_one(folder: Path, limit: int) -> None:
    """Prepare in this process; print rows, seconds, processor seconds, peak MiB, and those of
    temporary files; to the error output memory and processor seconds at each step."""
    from fusefront.datasets.prepare import prepare
    from fusefront.datasets.spec import load_spec

    begin, disk, ended = time.perf_counter(), 0, threading.Event()

    def watch() -> None:
        nonlocal disk
        while not ended.wait(0.2):
            disk = max(disk, temporary(folder / "out"))

    def say(line: str) -> None:
        rss, peak = status("VmRSS"), status("VmHWM")
        step = f"{time.process_time():7.1f} s {rss:6,.0f} MiB, peak so far {peak:6,.0f}: {line}\n"
        sys.stderr.write(step)

    watcher = threading.Thread(target=watch)
    watcher.start()
    spec = load_spec(folder / "spec.yaml")
    try:
        store = prepare(spec, folder, folder / "out", max_memory=limit, progress=say)
    finally:
        ended.set()
        watcher.join()
    seconds, busy = time.perf_counter() - begin, time.process_time()
    rows = sum(part.rows for part in store.manifest.counts.values())
    sys.stdout.write(f"{rows} {seconds} {busy} {status('VmHWM')} {disk / (1 << 20)}\n")


def main() -> None:
    """Write, prepare and print each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000, 30_000_000])
    parser.add_argument("--max-memory", type=float, default=4.0, help="GiB")
    parser.add_argument("--counters", action="store_true", help="with 15 numbers of the past")
    parser.add_argument("--hot", action="store_true", help="an item, a user and a field rule")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    limit = int(options.max_memory * (1 << 30))
    if options.folder:
        prepare_one(options.folder, limit)
        return
    first = None
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_log(Path(folder), rows, counters=options.counters, hot=options.hot)
            command = [sys.executable, __file__, "--folder", folder]
            command += ["--max-memory", str(options.max_memory)]
            process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        count, seconds, busy, peak, disk = (float(x) for x in process.stdout.split())
        first = first or (count, busy)
        ratio = (busy / first[1]) / (count / first[0])
        exponent = ""
        if count > first[0]:
            power = math.log(busy / first[1]) / math.log(count / first[0])
            exponent = f", exponent {power:.2f}"
        sys.stdout.write(
            f"{count:,.0f} rows: {seconds:.1f} s, {busy:.1f} s of one processor "
            f"({count / busy:,.0f} rows/s), peak {peak:,.0f} MiB, temporary files {disk:,.0f} MiB; "
            f"processor time a row {ratio:.2f} of the first{exponent}\n"
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
