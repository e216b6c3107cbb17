"""What Lightning costs: an epoch by the trainer against the same steps in a plain loop, in turn.

    python tests/benchmarks/lightning_share.py --store out/prepared/movielens/FINGERPRINT
        [--strategy early_fusion] [--rounds 5]

Both sides make the same batches in the same order, at the recipe's own batch size, take the same
steps (loss, gradients, their norm cut, AdamW, the one-cycle's rate) on one thread, and validate
nothing. Printed are CPU seconds of an epoch, their ratio, and the difference a step.
"""

import argparse
import logging
import time
import warnings
from pathlib import Path
from statistics import median

import pytorch_lightning as pl
import torch

from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.module import RequestData
from fusefront.harness.data.tables import item_table, schema_of
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.allocator import keep_freed_memory
from fusefront.harness.training.fit import make_trainer
from fusefront.harness.training.module import ClickModule


def fresh_model(store: PreparedDataset, strategy: str) -> tuple[ClickModule, RequestData, Training]:
    """A fresh model with its batches, as a run has them."""
    recipe = Training(epochs=1, device="cpu").resolved(len(store.split("train").item))
    assert recipe.batch_rows is not None
    pl.seed_everything(0, verbose=False)
    schema = schema_of(store)
    model = BASELINES[strategy].build(schema, item_table(store), {}, load_parts([]), 0)
    data = RequestData(
        store, batch_rows=recipe.batch_rows, max_candidates=recipe.max_candidates, seed=0
    )
    return ClickModule(model, schema.items, recipe, data.steps), data, recipe


def by_trainer(module: ClickModule, data: RequestData, recipe: Training) -> float:
    """CPU seconds of an epoch by Lightning's trainer, as `fit` makes it."""
    trainer = make_trainer(recipe, 1, limit_val_batches=0)
    begin = time.process_time()
    trainer.fit(module, data.train_dataloader())
    return time.process_time() - begin


def by_loop(module: ClickModule, data: RequestData, recipe: Training) -> float:
    """CPU seconds of the same epoch without a trainer."""
    begin = time.process_time()
    module.train()
    made_of = module.configure_optimizers()
    optimizer, schedule = made_of["optimizer"], made_of["lr_scheduler"]["scheduler"]
    for number, batch in enumerate(data.train_dataloader()):
        loss = module.training_step(batch, number)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
        optimizer.step()
        schedule.step()
    return time.process_time() - begin


def main() -> None:
    """Take turns, compare the weights that come out, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--strategy", default="early_fusion")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    store = PreparedDataset.open(chosen.store)
    shares, extra = [], []
    for number in range(chosen.rounds + 1):
        module, data, recipe = fresh_model(store, chosen.strategy)
        trained = by_trainer(module, data, recipe)
        other, data, recipe = fresh_model(store, chosen.strategy)
        plain = by_loop(other, data, recipe)
        if number:  # the first is to warm up
            shares.append(1 - plain / trained)
            extra.append((trained - plain) / data.steps * 1e3)
    same = max(
        float((a - b).abs().max().detach())
        for a, b in zip(module.parameters(), other.parameters(), strict=True)
    )
    print(
        f"{chosen.strategy}, {chosen.store.parent.name}, {recipe.batch_rows:,} rows a step, "
        f"{data.steps} steps: Lightning's share {median(shares):.1%} "
        f"({min(shares):.1%} to {max(shares):.1%}), {median(extra):.2f} ms a step; "
        f"largest difference of a weight {same:.1g}"
    )


if __name__ == "__main__":
    main()
