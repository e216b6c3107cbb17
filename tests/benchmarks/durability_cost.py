"""What syncing and hashing cost: the same trainings with and without them, in turn, in one process.

    python tests/benchmarks/durability_cost.py [--train 8000] [--epochs 3] [--pairs 3]
    python tests/benchmarks/durability_cost.py --command run studies/movielens.yaml --data FOLDER

Prints seconds of both sides, their ratio, and the share of wall-clock spent inside fsync and
SHA-256, which no noise of the training hides. The aim is under 3 %. With --command (the last
option; an --out folder on a disk is given to it) it is the share in all processes of one such
command, of its processor time as well, which other work on the machine does not lengthen.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs import hashes
from fusefront.harness.runs.study import Study
from fusefront.harness.training.run import run


class Clock:
    """Seconds spent inside the calls that it wraps."""

    def __init__(self) -> None:
        self.seconds, self.calls = 0.0, 0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            begin = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                self.seconds += time.perf_counter() - begin
                self.calls += 1

        return timed


def once(store: PreparedDataset, epochs: int, *, durable: bool, clock: Clock) -> float:
    """Seconds of one training in a fresh folder."""
    study = {
        "name": "cost",
        "dataset": "world.yaml",
        "strategies": {"early_fusion": {}},
        "baseline": "early_fusion",
        "seeds": [0],
        "controls": False,
        "training": {"epochs": epochs},
    }
    parts = load_parts([])
    (cell,) = make_plan(Study.model_validate(study), store, parts).final({})
    out = Path(tempfile.mkdtemp(dir=Path.cwd(), prefix=".cost-"))  # a disk, not a tmpfs
    sync = clock.around(os.fsync) if durable else lambda _: None
    digest = clock.around(hashes.sha256) if durable else lambda _: ""
    try:
        with mock.patch.object(os, "fsync", sync), mock.patch.object(hashes, "sha256", digest):
            begin = time.perf_counter()
            run(cell, out, store, parts)
            return time.perf_counter() - begin
    finally:
        shutil.rmtree(out)


WATCH = """
import hashlib, os, time
log = os.open(os.environ["SPENT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def around(call, what):
    def timed(*arguments, **options):
        begin = time.perf_counter()
        try:
            return call(*arguments, **options)
        finally:
            os.write(log, f"{what} {time.perf_counter() - begin:.9f}\\n".encode())
    return timed
class Digest:
    def __init__(self, inner):
        self.inner = inner
        self.update = around(inner.update, "sha256")
    def __getattr__(self, name):
        return getattr(self.inner, name)
made = hashlib.sha256
hashlib.sha256 = lambda *arguments, **options: Digest(around(made, "sha256")(*arguments, **options))
hashlib.file_digest = around(hashlib.file_digest, "sha256")
os.fsync = around(os.fsync, "fsync")
"""  # the sitecustomize module of every process of the command


def of_command(words: list[str]) -> None:
    """Print the share of a command of the program that goes into syncing and hashing."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".cost-") as folder:
        spent = Path(folder) / "spent"
        (Path(folder) / "sitecustomize.py").write_text(WATCH)
        own = {"PYTHONPATH": folder, "SPENT": str(spent)}
        program = "import sys; from fusefront.harness.cli.main import main; sys.exit(main())"
        out = ["--out", str(Path(folder) / "out")]
        begin = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", program, *words, *out], env={**os.environ, **own}, check=True
        )
        wall = time.perf_counter() - begin
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = usage.ru_utime + usage.ru_stime
        seconds = {"fsync": list[float](), "sha256": list[float]()}
        for line in spent.read_text().splitlines():
            what, number = line.split()
            seconds[what].append(float(number))
    for what, each in seconds.items():
        print(f"{what}: {len(each)} calls, {sum(each):.2f} s")
    total = sum(map(sum, seconds.values()))
    print(f"{total:.2f} s of {wall:.0f} s of wall-clock: {total / wall:.2%}")
    print(f"{processor:.0f} s of a processor: {total / processor:.2%} beside it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=8000, help="requests of train")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--command", nargs=argparse.REMAINDER, help="a command of fusefront")
    options = parser.parse_args()
    if options.command:
        of_command(options.command)
        return
    with tempfile.TemporaryDirectory() as folder:
        spec = write_world("tour", Path(folder) / "files", seed=0, train=options.train)
        store = prepare(load_spec(spec), spec.parent, Path(folder) / "out")
        once(store, 1, durable=False, clock=Clock())  # imports and caches
        clock, sides = Clock(), {True: list[float](), False: list[float]()}
        for _ in range(options.pairs):
            for durable, seconds in sides.items():
                seconds.append(once(store, options.epochs, durable=durable, clock=clock))
    with_it, without = (statistics.median(sides[durable]) for durable in (True, False))
    print(f"durable {with_it:.2f} s, not {without:.2f} s: ratio {with_it / without:.3f}")
    share = clock.seconds / sum(sides[True])
    print(f"{clock.calls // options.pairs} calls a run take {share:.2%} of its wall-clock")


if __name__ == "__main__":
    main()
