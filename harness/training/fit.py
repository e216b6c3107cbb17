"""Finds a model's weights, by the steps of a recipe or in closed form; writes one line of
metrics.jsonl an epoch."""

import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from fusefront.datasets.durable import forget
from fusefront.harness.data.module import CPU, EVALUATION_ROWS, RequestData
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell
from fusefront.harness.training.module import ClickModule

Progress = Callable[[dict[str, Json]], None]


def fit(
    module: ClickModule, data: RequestData, recipe: Training, epochs: "Epochs", until: int
) -> None:
    """Train `module` to the end of epoch `until`, counted from the very first; a model that solves
    itself is solved and validated once.

    Raises:
        UsageError: the recipe names a GPU and there is none.
    """
    device_of(recipe)
    for name in ("pytorch_lightning", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # ids are cheap to slice: no loader workers, and the data set knows no length
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*has no .*len.*|.*not a .*Sized.*")
        warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*isinstance.*LeafSpec.*")
        trainer = make_trainer(recipe, until - len(module.epochs), callbacks=[epochs])
        with deterministic(recipe.deterministic):
            if module.model.solved:
                _solve(module, data)
                trainer.validate(module, datamodule=data, verbose=False)
            else:
                if not module.epochs:  # a training that goes on has it in its weights
                    module.model.to(data.device).first_stage(
                        lambda: data.passes(data.train, data.batch_rows)
                    )
                with products(module.tf32):
                    trainer.fit(module, datamodule=data)
    module.to("cpu")


def make_trainer(recipe: Training, epochs: int, **options: Any) -> pl.Trainer:
    """Lightning's trainer for so many epochs of a recipe, which itself writes and prints nothing;
    `options` are the trainer's own."""
    return pl.Trainer(
        max_epochs=epochs,
        accelerator={"auto": "auto", "cpu": "cpu", "cuda": "gpu"}[recipe.device],
        devices=1,
        gradient_clip_val=recipe.clip,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def device_of(recipe: Training, *, solved: bool = False) -> torch.device:
    """The device that a recipe trains on; models that solve themselves use the CPU.

    Raises:
        UsageError: the recipe names a GPU, or a precision that only a GPU has, and there is none.
    """
    gpu = torch.cuda.is_available() and recipe.device != "cpu"
    if recipe.device == "cuda" and not gpu:
        raise UsageError(
            "training.device is 'cuda' and PyTorch sees no GPU here; leave it 'auto' or name 'cpu'"
        )
    if recipe.precision == "tf32" and not gpu:
        raise UsageError(
            "training.precision is 'tf32', which only a GPU has, and this trains on the CPU; "
            "give 'fp32' or 'bf16', or 'auto', which uses TF32 only on a GPU"
        )
    return torch.device("cuda", torch.cuda.current_device()) if gpu and not solved else CPU


@contextmanager
def products(tf32: bool) -> Iterator[None]:
    """Compute matrix products in TF32 (on a GPU) or in full float32 while the context is open."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def deterministic(enabled: bool) -> Iterator[None]:
    """If `enabled`, use only algorithms that give the same bits each time, while it is open.

    On a GPU an operator that has none is used as it is, and PyTorch's warning names it.
    """
    if not enabled:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the GPU's first product
    before = torch.are_deterministic_algorithms_enabled()
    mode = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=mode)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]


def _solve(module: ClickModule, data: RequestData) -> None:
    """Let the model find its weights from all of train and valid, in the store's order; notes its
    train loss."""
    model = module.model

    model.solve(
        lambda: data.passes(data.train, EVALUATION_ROWS),
        lambda: data.passes(data.valid, EVALUATION_ROWS),
    )
    with torch.no_grad():
        for batch in data.passes(data.train, EVALUATION_ROWS):
            module.note(model.losses(batch).click)


class Epochs(pl.Callback):
    """Writes one line of metrics.jsonl and sends one progress message an epoch; `lines` hold those
    of earlier epochs."""

    def __init__(
        self,
        path: Path,
        rows: int,
        cell: Cell,
        progress: Progress,
        lines: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.path, self.rows, self.cell, self.progress = path, rows, cell, progress
        self.begin = time.monotonic()
        self.lines = list(lines)
        self.seconds = [float(line["seconds"]) for line in lines]
        forget(path)
        if lines:
            path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")

    def on_train_epoch_start(self, *_: object) -> None:
        self.begin = time.monotonic()

    def on_validation_start(self, _: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)  # the time covers the last steps
        self.seconds.append(time.monotonic() - self.begin)  # training alone

    def on_validation_end(self, _: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ClickModule)
        module = pl_module
        line = {
            **module.epochs[-1],
            "epoch": len(module.epochs),
            "rows_per_second": round(self.rows / max(self.seconds[-1], 1e-9)),
            "seconds": round(self.seconds[-1], 3),
        }
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.progress({"strategy": self.cell.strategy, "seed": self.cell.seed, **line})

    def speed(self) -> float:
        """Rows of train a second, mean over all epochs."""
        return round(self.rows * len(self.seconds) / max(sum(self.seconds), 1e-9))
