"""How time, memory and disk grow with rows, items, length of history and number of modalities.

    python tests/benchmarks/growth.py [--axes rows items history modalities] [--most 10000000]
        [--results growth.json] [--folder FOLDER] [--figure growth.png]

One axis varies, the others stay at 100,000 rows, 100,000 items, histories of 26 to 64 (mean 45) and
two modalities of 64 numbers. Each point is a log of its own (`wide_log.py`). `prepare`, the loader
and each strategy are measured in a process of their own: CPU seconds of one thread, and the peak of
memory that is not mapped from files. DIN is measured along history and modalities only.

- `build`: opening the store and building the model, `codes`: the code table of all items, each the
  least of three if quick
- `step`: a training step of 2,048 rows whose batch is there, median of 3 (where they take long) to
  40 after two; `epoch`: as many as the train split has
- `loader`: all batches of an epoch; `score`: the train split from the code table; `auc`: the exact
  AUC of so many scores

Points that the results hold are not measured again. With --figure nothing is measured: the table is
printed and the figure drawn from the results. Exponents are slopes of the logarithms over the upper
half of an axis (`growth_figure.fitted`). With --folder the logs are kept there.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from growth_figure import BASE, Point, draw, table
from wide_log import write_wide_log

WIDTH = 64
SIZES: dict[str, tuple[int, ...]] = {
    "rows": (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000),
    "items": (10_000, 30_000, 100_000, 300_000, 1_000_000),
    "history": (16, 32, 64, 128, 256),
    "modalities": (1, 2, 3, 4, 5),
}
STRATEGIES = ("compressed_fusion", "early_fusion")
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS")


def machine() -> str:
    """Processor, cores, memory and versions."""
    import torch

    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    names = {line.split(":")[1].strip() for line in info.splitlines() if "model name" in line}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{', '.join(names)}, {os.cpu_count()} cores, {memory:.0f} GiB; "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def measured(job: str, folder: Path) -> Point:
    """Run a job in a process of its own; its figures and its peak of anonymous memory in MiB."""
    command = [sys.executable, str(Path(__file__).with_name("growth_stages.py")), job, str(folder)]
    environment = os.environ | dict.fromkeys(VARIABLES, "1")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        sizes = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
        peak = max([peak, *map(int, sizes)])
        time.sleep(0.02)
    assert process.stdout is not None
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    figures: Point = json.loads(process.stdout.read())
    return {**figures, f"{job} MiB": peak / 1024}


def measure(sizes: dict[str, int], folder: Path, strategies: tuple[str, ...]) -> Point:
    """Write the log of a point if it is missing, and measure every job on it."""
    if not (folder / "spec.yaml").exists():
        write_wide_log(
            folder,
            sizes["rows"],
            items=sizes["items"],
            longest=sizes["history"],
            modalities=tuple(f"modality{m}" for m in range(sizes["modalities"])),
            width=WIDTH,
        )
    shutil.rmtree(folder / "out", ignore_errors=True)
    point: Point = dict(sizes)
    for job in ("prepare", "loader", *strategies):
        point |= measured(job, folder)
    shutil.rmtree(folder / "out")
    return point


def run(chosen: argparse.Namespace, results: dict[str, object], points: list[Point]) -> None:
    """Measure what the results lack; save them after each point."""
    for axis in chosen.axes:
        for size in (size for size in SIZES[axis] if size <= chosen.most):
            sizes = BASE | {axis: size}
            if any(all(point[name] == sizes[name] for name in BASE) for point in points):
                continue
            narrow = sizes["rows"] == BASE["rows"] and sizes["items"] == BASE["items"]
            strategies = (*STRATEGIES, "din") if narrow else STRATEGIES
            name = "-".join(f"{name}{sizes[name]}" for name in BASE)
            begin = time.monotonic()
            with tempfile.TemporaryDirectory() as temporary:
                folder = (chosen.folder or Path(temporary)) / name
                points.append(measure(sizes, folder, strategies))
            results |= {"machine": machine(), "points": points}
            chosen.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
            print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)


def main() -> None:
    """Measure, print the table; or draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--axes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--most", type=float, default=1e7, help="rows or items of a point")
    parser.add_argument("--results", type=Path, default=Path("growth.json"))
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--figure", type=Path)
    chosen = parser.parse_args()
    results: dict[str, object] = {}
    if chosen.results.exists():
        results = json.loads(chosen.results.read_text(encoding="utf-8"))
    points: list[Point] = results.get("points", [])  # type: ignore[assignment]
    if chosen.figure:
        draw(points, chosen.axes, chosen.figure)
    else:
        run(chosen, results, points)
    print(f"{results['machine']}\n\n{table(points, chosen.axes)}")


if __name__ == "__main__":
    main()
