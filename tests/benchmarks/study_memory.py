"""Peak memory of a study, workers and all, and what it consists of.

    python tests/benchmarks/study_memory.py [--rows 3600000] [--jobs 2] [--folder FOLDER]
        [--strategies early_fusion compressed_fusion]

Writes a log at the shape of the MMCTR challenge (91,718 items drawn by a power law, text and image
of 128 numbers as float16, a history of 26 to 64 items with each row), prepares it, and searches one
trial of one epoch a strategy with `fusefront tune`. Every half second the memory of its process
tree is read: PSS, which counts pages that processes share once. The pages of the log and of the
tables that are mapped from files are the system's to drop when memory is short; they are printed
apart.

With --folder the log and the store are kept there, and made again only if they are missing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from wide_log import write_wide_log


def write_study(folder: Path, strategies: list[str]) -> Path:
    """A study that trains each strategy once, for an epoch."""
    listed = "\n".join(f"  {name}: {{}}" for name in strategies)
    path = folder / "study.yaml"
    path.write_text(
        f"name: wide\ndataset: spec.yaml\nbaseline: {strategies[0]}\nstrategies:\n{listed}\n"
        "seeds: [0]\ntuning: {trials: 1}\ntraining: {epochs: 1}\n",
        encoding="utf-8",
    )
    return path


def readings(process: psutil.Process) -> Iterator[tuple[int, int, int]]:
    """(PSS, of it anonymous, anonymous of the largest) of a process tree until it ends; bytes."""
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        total = anonymous = largest = 0
        for part in [process, *process.children(recursive=True)]:
            try:
                text = Path(f"/proc/{part.pid}/smaps_rollup").read_text()
            except OSError:  # it has ended
                continue
            lines = dict(line.split(":", 1) for line in text.splitlines()[1:])
            total += int(lines["Pss"].split()[0]) << 10
            own = int(lines["Pss_Anon"].split()[0]) << 10
            anonymous, largest = anonymous + own, max(largest, own)
        yield total, anonymous, largest
        time.sleep(0.5)


def watched(command: list[str], folder: Path) -> tuple[float, int, int, int]:
    """Run a command: (seconds, peak PSS, peak of its anonymous part, of the largest process)."""
    begin = time.monotonic()
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    peaks = (0, 0, 0)
    for reading in readings(psutil.Process(child.pid)):
        peaks = tuple(max(pair) for pair in zip(peaks, reading, strict=True))  # type: ignore[assignment]
    if child.wait():
        sys.exit(f"{' '.join(command)} ended with {child.returncode}")
    return (time.monotonic() - begin, *peaks)


def measure(folder: Path, chosen: argparse.Namespace) -> None:
    """Prepare and search in `folder`; print what each took."""
    if not (folder / "spec.yaml").exists():
        write_wide_log(folder, chosen.rows)
    program = [str(Path(sys.executable).with_name("fusefront"))]
    study = write_study(folder, chosen.strategies)
    steps = {
        "prepare": [*program, "prepare", "spec.yaml", "--max-memory", "2G"],
        f"tune --jobs {chosen.jobs}": [*program, "tune", study.name, "--jobs", str(chosen.jobs)],
    }
    for name, command in steps.items():
        seconds, peak, anonymous, largest = watched(command, folder)
        print(
            f"{name}: {seconds:.0f} s, peak {peak / 2**20:,.0f} MiB, of it not mapped from files "
            f"{anonymous / 2**20:,.0f} MiB (largest process {largest / 2**20:,.0f} MiB)",
            flush=True,
        )


def main() -> None:
    """Measure, in a temporary folder or in the given one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_600_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--strategies", nargs="+", default=["early_fusion", "compressed_fusion"])
    chosen = parser.parse_args()
    if chosen.folder:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        measure(chosen.folder, chosen)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), chosen)


if __name__ == "__main__":
    main()
