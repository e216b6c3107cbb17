"""What each lever brings a training step: both sides in turn in one process, CPU seconds.

    python tests/benchmarks/training_speed.py allocator gather fused [--strategy early_fusion]
        [--store out/data/movielens/FINGERPRINT] [--rows 1024] [--rounds 5]

One thread. Without `--store` the log is generated at the MMCTR challenge's shape: 91,718 items
drawn by a power law, histories of 26 to 64, a request a row. Printed is the median over rounds of
the ratio of CPU seconds, without the lever over with it, with the lowest and the highest. Every
lever but the allocator is measured with the allocator's on, since without it a side that allocates
less looks better than it is.
"""

import argparse
import ctypes
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from statistics import median
from unittest.mock import patch

import torch
from generated_batches import generated_log
from torch import Tensor

from fusefront.baselines import contract
from fusefront.baselines.contract import Baseline, ItemTable, RequestBatch, Schema
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher
from fusefront.harness.data.tables import item_table, schema_of
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training import allocator
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.optimiser import make_optimizer

Side = Callable[[], AbstractContextManager[object]]


def of_store(path: Path, rows: int, batches: int) -> tuple[Schema, ItemTable, list[RequestBatch]]:
    """The first batches of a prepared store's train split, in a drawn order as training has it."""
    store = PreparedDataset.open(path)
    batcher = Batcher(store, "train", 64)
    order = torch.randperm(len(batcher.units), generator=torch.Generator().manual_seed(0))
    stream = batcher.batches(rows, order.numpy())
    return schema_of(store), item_table(store), [next(stream) for _ in range(batches)]


class Steps:
    """Training steps of one model on batches that were made beforehand."""

    def __init__(
        self, model: Baseline, batches: list[RequestBatch], items: int, *, fused: bool = True
    ) -> None:
        self.items = items
        self.model, self.batches = model.train(), batches
        self.optimizer = make_optimizer(model, Training(), 200)
        for group in self.optimizer.param_groups:
            group["fused"] = fused

    def __call__(self) -> float:
        """CPU seconds of a step for every batch."""
        begin = time.process_time()
        for batch in self.batches:
            losses = self.model.losses(batch)
            self.optimizer.zero_grad()
            (losses.click + losses.auxiliary).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
            self.optimizer.step()
        return time.process_time() - begin


class Evaluations(Steps):
    """The same batches scored from the code table, as validation and test are."""

    def __init__(
        self, model: Baseline, batches: list[RequestBatch], items: int, *, fused: bool = True
    ) -> None:
        super().__init__(model.eval(), batches, items, fused=fused)
        self.model.eval()
        self.codes = encode_table(model, items)

    def __call__(self) -> float:
        """CPU seconds of scoring every batch."""
        begin = time.process_time()
        with torch.inference_mode():
            for batch in self.batches:
                self.model.score_rows(self.codes, batch, batch.items)
        return time.process_time() - begin


def compare(
    label: str, sides: dict[str, tuple[Steps, Side]], rows: int, rounds: int, *, settle: bool
) -> None:
    """Run the sides in turn, each in its own circumstances, and print the ratio."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    faults: dict[str, int] = {}
    for number in range(rounds + 1):
        for name, (steps, circumstances) in sides.items():
            with circumstances():
                if settle:
                    steps()  # what the other side left to the system is taken again, unmeasured
                before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
                spent = steps()
                after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            if number:  # the first is to warm up
                seconds[name].append(spent)
                faults[name] = (after - before) // len(steps.batches)
    before, after = sides
    ratios = sorted(a / b for a, b in zip(seconds[before], seconds[after], strict=True))
    speeds = ", ".join(
        f"{name} {rows / median(each):,.0f} rows/s ({faults[name]:,} page faults a step)"
        for name, each in seconds.items()
    )
    print(f"{label}: {median(ratios):.2f} x ({ratios[0]:.2f} to {ratios[-1]:.2f}); {speeds}")


@contextmanager
def shipped_allocator() -> Iterator[None]:
    """glibc as it ships for a while: big tensors go back to the system as they are freed."""
    libc = ctypes.CDLL(None)
    libc.mallopt(allocator.M_MMAP_THRESHOLD, 128 << 10)
    libc.mallopt(allocator.M_TRIM_THRESHOLD, 128 << 10)
    libc.malloc_trim(0)
    try:
        yield
    finally:
        allocator.keep_freed_memory()


def indexed(table: Tensor, place: Tensor) -> Tensor:
    """A lookup as one writes it first."""
    return table[place]


def by_index() -> AbstractContextManager[object]:
    """`table[place]` in place of the one lookup."""
    return patch.object(contract, "at", indexed)


def padded() -> AbstractContextManager[object]:
    """The padded graph that is exported, for training as well."""
    return patch.object(contract, "defined_with", lambda *_: False)


def halved() -> AbstractContextManager[object]:
    """Products in bf16, as `precision: bf16` has them."""
    return torch.autocast("cpu", torch.bfloat16)


LEVERS: dict[str, tuple[Side, Side, bool]] = {  # before, after, the optimiser before is fused
    "allocator": (shipped_allocator, nullcontext, True),
    "gather": (by_index, nullcontext, True),
    "fused": (nullcontext, nullcontext, False),
    "packed": (padded, nullcontext, True),
    "bf16": (nullcontext, halved, True),
}


def main() -> None:
    """Build the model once a side, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("levers", nargs="*", choices=[*LEVERS, []], help="none: peak memory alone")
    parser.add_argument("--strategy", default="compressed_fusion")
    parser.add_argument("--evaluate", action="store_true", help="from the code table, no training")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    allocator.keep_freed_memory()
    if chosen.store is None:
        schema, table, batches = generated_log(chosen.rows, chosen.batches)
    else:
        schema, table, batches = of_store(chosen.store, chosen.rows, chosen.batches)
    parts = load_parts([])
    kind = parts.baselines[chosen.strategy]
    rows = sum(len(batch.rows) for batch in batches)
    where = chosen.store.parent.name if chosen.store else "MMCTR shape"
    doing = Evaluations if chosen.evaluate else Steps

    def side(*, fused: bool = True) -> Steps:
        return doing(kind.build(schema, table, {}, parts, 0), batches, schema.items, fused=fused)

    if not chosen.levers:
        side()()
    for lever in chosen.levers:
        before, after, fused = LEVERS[lever]
        sides = {"without": (side(fused=fused), before), "with": (side(), after)}
        title = f"{lever}, evaluation" if chosen.evaluate else lever
        label = f"{title}, {chosen.strategy}, {where}, {chosen.rows:,} rows"
        compare(label, sides, rows, chosen.rounds, settle=lever == "allocator")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory, {chosen.strategy}, {where}, {chosen.rows:,} rows: {peak:,.0f} MiB")


if __name__ == "__main__":
    main()
