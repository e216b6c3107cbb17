"""A training step with lazy AdamW for item ids, against one with AdamW, at a large catalogue.

    python tests/benchmarks/lazy_adam.py [--items 100000 1000000] [--width 32]
        [--rows 8192] [--rounds 5]

Early fusion, one modality of 16 numbers, histories of 26 to 64 of items drawn by a power law; one
thread, CPU seconds, both sides in turn in one process on the same batches. Prints the median over
rounds of a whole step's ratio, and of the optimiser's share alone, with the lowest and the highest.
"""

import argparse
import time
from statistics import median

import torch
from generated_batches import generated_log

from fusefront.baselines.contract import Baseline, RequestBatch
from fusefront.baselines.zoo import BASELINES
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.allocator import keep_freed_memory
from fusefront.harness.training.optimiser import make_optimizer


class Side:
    """A model with its optimiser, and the seconds of its last steps."""

    def __init__(self, model: Baseline, kind: str) -> None:
        self.model = model.train()
        recipe = Training.model_validate({"optimizer": kind})
        self.optimizer = make_optimizer(model, recipe, 200)

    def steps(self, batches: list[RequestBatch]) -> tuple[float, float]:
        """CPU seconds of the steps, and of the optimiser in them."""
        own, begin = 0.0, time.process_time()
        for batch in batches:
            self.optimizer.zero_grad()
            losses = self.model.losses(batch)
            (losses.click + losses.auxiliary).backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
            before = time.process_time()
            self.optimizer.step()
            own += time.process_time() - before
        return time.process_time() - begin, own


def shown(ratios: list[float]) -> str:
    """Median and range."""
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--width", type=int, default=32, help="numbers of an item's id")
    parser.add_argument("--rows", type=int, default=8192)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for items in chosen.items:
        schema, table, batches = generated_log(chosen.rows, 2, items=items, widths={"text": 16})
        sides = []
        for kind in ("adamw", "lazy_adamw"):
            settings = {"id_width": chosen.width}
            model = BASELINES["early_fusion"].build(schema, table, settings, load_parts([]), 0)
            sides.append(Side(model, kind))
        for side in sides:
            side.steps(batches)  # warm
        whole, own = [], []
        for _ in range(chosen.rounds):
            (a, a_own), (b, b_own) = (side.steps(batches) for side in sides)
            whole.append(a / b)
            own.append(a_own / b_own)
        print(
            f"{items:,} items of {chosen.width} numbers, {chosen.rows} rows: AdamW over lazy "
            f"AdamW, step {shown(whole)}, optimiser alone {shown(own)}; last steps "
            f"{1e3 * a / 2:.0f} and {1e3 * b / 2:.0f} ms, optimisers {1e3 * a_own / 2:.1f} and "
            f"{1e3 * b_own / 2:.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
