"""What syncing and hashing cost: the same trainings with and without them, in turn, in one process.

    python tests/benchmarks/durability_cost.py [--train 8000] [--epochs 3] [--pairs 3]

Prints seconds of both sides, their ratio, and the share of wall-clock spent inside fsync and
SHA-256, which no noise of the training hides. The aim is under 3 %.
"""

import argparse
import os
import shutil
import statistics
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=8000, help="requests of train")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
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
