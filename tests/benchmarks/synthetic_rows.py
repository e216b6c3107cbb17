"""Rows a second and peak memory of the synthetic generator.

python tests/benchmarks/synthetic_rows.py [world] [rows] [--write DIR] [--returning SHARE]
"""

import argparse
import resource
import time
from pathlib import Path

from fusefront.datasets.synthetic.bayes import BayesBins
from fusefront.datasets.synthetic.draws import CANDIDATES
from fusefront.datasets.synthetic.generator import make_chunks
from fusefront.datasets.synthetic.truth import build_source
from fusefront.datasets.synthetic.worlds import find_world
from fusefront.datasets.synthetic.write import write_world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", nargs="?", default="tour")
    parser.add_argument("rows", nargs="?", type=int, default=2_000_000)
    parser.add_argument("--write", type=Path, help="write parquet and npy there as well")
    parser.add_argument("--returning", type=float, default=0.0)
    chosen = parser.parse_args()
    requests = chosen.rows // CANDIDATES
    start = time.perf_counter()
    source = build_source(find_world(chosen.world), 0)
    print(f"items, tastes and calibration: {time.perf_counter() - start:.2f} s")
    bins = BayesBins()
    start, busy = time.perf_counter(), time.process_time()
    for chunk in make_chunks(source, "train", requests, returning=chosen.returning):
        bins.add(chunk.p)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    print(
        f"{requests * CANDIDATES:,} rows in {seconds:.2f} s ({busy:.2f} s of one processor), "
        f"Bayes AUC {bins.auc():.4f}"
    )
    print(f"{requests * CANDIDATES / busy:,.0f} rows a second of one processor")
    if chosen.write:
        start = time.perf_counter()
        write_world(
            chosen.world,
            chosen.write,
            train=requests,
            valid=10,
            test=10,
            returning=chosen.returning,
        )
        seconds = time.perf_counter() - start
        print(f"written: {requests * CANDIDATES / seconds:,.0f} rows/s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
