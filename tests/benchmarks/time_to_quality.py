"""How much longer DIN trains until its best validation AUC than the default compressed interaction
until the same AUC.

    python tests/benchmarks/time_to_quality.py --store out/prepared/movielens/FINGERPRINT
        [--rival din] [--epochs 4] [--seeds 0 1 2]

Each is trained by its own recipe (DIN's is the MMCTR challenge's) on one thread, DIN for at most so
many epochs, and validated after each. Printed are the CPU seconds of training and validation up to
DIN's best epoch, up to the first epoch in which the default has as much, and their ratio.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch

from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training, overlay
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.training.allocator import keep_freed_memory
from fusefront.harness.training.run import run


def curve(
    store: PreparedDataset, baseline: str, seed: int, training: dict[str, object]
) -> list[tuple[float, float]]:
    """(CPU seconds so far, validation AUC) after each epoch."""
    recipe = overlay(Training().model_dump(mode="json"), BASELINES[baseline].recipe, training)
    resolved = Training.model_validate(recipe).model_dump(mode="json")
    spec = RunSpec(store.name, store.fingerprint, baseline, {}, resolved, seed)
    points: list[tuple[float, float]] = []
    begin = time.process_time()

    def note(line: dict[str, object]) -> None:
        points.append((time.process_time() - begin, float(str(line["valid_auc"]))))

    with tempfile.TemporaryDirectory() as root:
        cell = Cell(baseline, "strategy", spec, with_test=False)
        run(cell, Path(root), store, load_parts([]), note)
    return points


def main() -> None:
    """Train both, print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--rival", default="din")
    parser.add_argument("--default", default="compressed_fusion")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    store = PreparedDataset.open(chosen.store)
    for seed in chosen.seeds:
        rival = curve(store, chosen.rival, seed, {"epochs": chosen.epochs, "device": "cpu"})
        own = curve(store, chosen.default, seed, {"device": "cpu"})
        seconds, best = max(rival, key=lambda point: point[1])
        reached = next((point for point in own if point[1] >= best), None)
        print(
            f"{store.name}, seed {seed}: {chosen.rival} best {best:.4f} after {seconds:.1f} s "
            f"({', '.join(f'{auc:.4f}' for _, auc in rival)}); {chosen.default} "
            + (
                f"{reached[1]:.4f} after {reached[0]:.1f} s: {seconds / reached[0]:.1f} x"
                if reached
                else "never has it"
            )
            + f" ({', '.join(f'{auc:.4f} at {at:.1f} s' for at, auc in own)})",
            flush=True,
        )


if __name__ == "__main__":
    main()
