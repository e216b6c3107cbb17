"""Speed and memory of a comparison: 10 strategies x 5 seeds x 1 M rows, read from parquet files.

    python tests/benchmarks/statistics_speed.py            # prints seconds, ratio and peak memory

The ratio is to a plain loop of scikit-learn's roc_auc_score over the same vectors in the same run:
that gives 50 numbers without any interval.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from scipy import special

from fusefront.harness.statistics.auc import Scores, exact_auc
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource, SliceCodes

STRATEGIES, SEEDS = 10, 5
# plain loop; AUC with intervals, verdicts, best set; all metrics; these and two slices; one AUC
JOBS = ("sklearn", "auc", "all", "slices", "ten-million")


class Files(MemorySource):
    """Score vectors on disk, read when they are wanted, as a study's are."""

    def logits(self, strategy: str, seed: int, split: str) -> Scores:
        if split == "valid":
            return super().logits(strategy, seed, split)
        path = Path(os.environ["SPEED_FOLDER"]) / f"{strategy}-{seed}.parquet"
        return pl.read_parquet(path)["logit"].to_numpy()


def table(rows: int) -> tuple[RowTable, np.ndarray]:
    """Requests of four rows, users of twenty; labels of known logits."""
    rng = np.random.default_rng(0)
    known = rng.standard_normal(rows, np.float32)
    label = (rng.random(rows) < special.expit(known - 1.3)).astype(np.uint8)
    request = np.arange(rows) // 4
    item = rng.integers(0, 90_000, rows)
    return RowTable(label, request // 5, request, item, np.arange(rows)), known


def slices(rows: RowTable, what: str) -> tuple[SliceCodes, ...]:
    """Two slices of two values each, where they are asked for."""
    if what != "slices":
        return ()
    cold = SliceCodes("cold", ("warm", "cold"), (rows.item < 9_000).astype(np.int16))
    return cold, SliceCodes("head", ("tail", "head"), (rows.item % 3 == 0).astype(np.int16))


def write(folder: Path, rows: int) -> None:
    """The vectors of all strategies and seeds."""
    _, known = table(rows)
    rng = np.random.default_rng(1)
    for s in range(STRATEGIES):
        own = 0.3 * rng.standard_normal(rows, np.float32)
        for r in range(SEEDS):
            logit = known - 1.3 + own + (0.3 + 0.01 * s) * rng.standard_normal(rows, np.float32)
            pl.DataFrame({"logit": logit}).write_parquet(folder / f"s{s}-{r}.parquet")


def resident() -> float:
    """Peak resident memory of this process, MiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(what: str, rows: int) -> dict[str, float]:
    """One job in this process: seconds, processor seconds, peak MiB."""
    rows_table, known = table(rows)
    names: dict[str, dict[int, Scores]] = {
        f"s{s}": dict.fromkeys(range(SEEDS), known) for s in range(STRATEGIES)
    }
    before = resident()
    start, cpu = time.perf_counter(), time.process_time()
    if what == "sklearn":
        from sklearn.metrics import roc_auc_score

        source = Files(rows_table, names)
        start, cpu = time.perf_counter(), time.process_time()
        for s in names:
            for r in range(SEEDS):
                roc_auc_score(rows_table.label, source.logits(s, r, "test"))
    elif what == "ten-million":
        exact_auc(known, rows_table.label)
    else:
        metrics = ("auc",) if what == "auc" else Options("s0").metrics
        # validation is a tenth of test, as in a study
        small = table(rows // 10)
        valid = MemorySource(small[0], {s: dict.fromkeys(range(SEEDS), small[1]) for s in names})
        source = Files(rows_table, names, declared=slices(rows_table, what), valid=valid)
        compare(source, Options("s0", metrics=metrics))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"seconds": wall, "processor": cpu, "peak": resident(), "before": before}


def main() -> None:
    """Run every job in a process of its own, so that each has its own peak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--job", choices=JOBS)
    options = parser.parse_args()
    if options.job and "SPEED_FOLDER" in os.environ:  # in a process of its own
        sys.stdout.write(json.dumps(measured(options.job, options.rows)) + "\n")
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), options.rows)
        environment = {**os.environ, "SPEED_FOLDER": folder, "OMP_NUM_THREADS": "1"}
        base = 0.0
        for job in (options.job,) if options.job else JOBS:
            rows = options.rows * 10 if job == "ten-million" else options.rows
            command = [sys.executable, __file__, "--job", job, "--rows", str(rows)]
            process = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
            figures = json.loads(process.stdout)
            base = base or figures["seconds"]
            ratio = "" if options.job else f"{figures['seconds'] / base:5.2f} x sklearn  "
            sys.stdout.write(
                f"{job:12} {figures['seconds']:7.2f} s  {figures['processor']:7.2f} s of "
                f"processor  {ratio}peak "
                f"{figures['peak']:5.0f} MiB ({figures['before']:.0f} before)\n"
            )


if __name__ == "__main__":
    main()
