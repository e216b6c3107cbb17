"""How long `fusefront runs` takes over many runs: whole commands, the start of Python included.

    python tests/benchmarks/runs_listing.py [--runs 3000] [--times 3]

The aim is under 2 s for 3,000 runs.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write_runs(out: Path, count: int) -> None:
    """Complete runs of 12 strategies, with summaries of the usual size."""
    for number in range(count):
        run_id = f"{number:012x}"
        strategy = f"strategy_{number % 12}"
        folder = out / "runs" / "shop" / strategy / run_id
        folder.mkdir(parents=True)
        summary = {"format": 1, "run_id": run_id, "dataset": "shop", "strategy": strategy}
        summary |= {"role": "trial", "seed": number, "valid_auc": 0.7, "seconds": 12.5}
        summary |= {f"parameters_part{part}": 1000 * part for part in range(12)}
        summary["sha256"] = {
            f"predictions/{split}.parquet": "0" * 64 for split in ("valid", "test")
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    program = str(Path(sys.executable).with_name("fusefront"))
    with tempfile.TemporaryDirectory() as folder:
        write_runs(Path(folder), options.runs)
        for words in (["runs"], ["runs", "--json"]):
            seconds = []
            for _ in range(options.times):
                begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
                command = [program, *words, "--out", folder]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                seconds.append((time.perf_counter() - begin, busy))
            listed = ", ".join(f"{wall:.2f} s ({busy:.2f} s of a core)" for wall, busy in seconds)
            print(f"fusefront {' '.join(words)} over {options.runs:,} runs: {listed}")


if __name__ == "__main__":
    main()
