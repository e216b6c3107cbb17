"""The one Lightning module of all strategies: losses, optimiser, validation on the code table."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics.classification import BinaryAUROC

from fusefront.baselines.contract import Baseline, ItemCodes, RequestBatch, Rows
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.average import WeightAverage
from fusefront.harness.training.optimiser import anneal, make_optimizer, one_cycle

ENCODE_ROWS = 4096


def encode_table(model: Baseline, items: int, keep: Tensor | None = None) -> ItemCodes:
    """The offline half over all items and the padding row, in chunks; leaves the mode as it was.

    `keep` [items + 1, M] bool lets modalities in; None = all that are there.
    """
    training = model.training
    model.eval()
    with torch.no_grad():
        device = next(model.parameters()).device
        ids = torch.arange(items + 1, device=device)
        chunks = [
            model.encode_items(
                ids[start : start + ENCODE_ROWS],
                None if keep is None else keep[start : start + ENCODE_ROWS],
            )
            for start in range(0, items + 1, ENCODE_ROWS)
        ]
    model.train(training)
    return ItemCodes(
        *(
            Rows(*(torch.cat(columns) for columns in zip(*role, strict=True)))
            for role in zip(*chunks, strict=True)
        )
    )


class ClickModule(pl.LightningModule):
    """Trains any baseline; keeps the weights of its best validation epoch."""

    def __init__(self, model: Baseline, items: int, training: Training, steps: int) -> None:
        super().__init__()
        self.model, self.items, self.recipe, self.steps = model, items, training, steps
        self.half = training.precision == "bf16" or (training.precision == "auto" and model.wide)
        self.auc = BinaryAUROC(thresholds=None)  # exact; a binned one is off by more than we seek
        self.best_auc, self.best_epoch = float("-inf"), -1
        self.best_state: dict[str, Tensor] = {}
        self.epochs: list[dict[str, float]] = []
        self._train_loss: list[Tensor] = []
        self._valid_loss: list[Tensor] = []
        self._codes: ItemCodes | None = None
        self.average = WeightAverage(model, training.average * steps) if training.average else None

    def training_step(self, batch: RequestBatch, _: int) -> Tensor:
        """Mean binary cross entropy [] over real candidates, plus what the model adds."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            losses = self.model.losses(batch)
        self.note(losses.click)
        return losses.click + losses.auxiliary

    def note(self, click: Tensor) -> None:
        """Keep a batch's loss [] for the epoch's mean."""
        self._train_loss.append(click.detach())

    def on_validation_start(self) -> None:
        """Training never reads the code table; validation does, as serving will."""
        self._swap()
        self._codes = encode_table(self.model, self.items)
        self._valid_loss.clear()

    def validation_step(self, batch: RequestBatch, _: int) -> None:
        """Score from the code table; probabilities, never logits, go to the metric."""
        assert self._codes is not None
        logits, _ = self.model.score_rows(self._codes, batch, batch.items)
        labels = batch.labels.flatten()[batch.rows]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        self._valid_loss.append(torch.stack([loss, loss.new_tensor(len(labels))]))
        self.auc.update(logits.double().sigmoid(), labels.int())

    def on_validation_epoch_end(self) -> None:
        """Note the epoch; keep the weights if it is the best so far."""
        auc = float(self.auc.compute())
        self.auc.reset()
        total, rows = torch.stack(self._valid_loss).sum(0).tolist()
        losses = [float(loss) for loss in self._train_loss]
        self._train_loss.clear()
        self.epochs.append(
            {
                "epoch": float(self.current_epoch),
                "train_loss": sum(losses) / max(1, len(losses)),
                "valid_auc": auc,
                "valid_logloss": total / rows,
            }
        )
        if auc > self.best_auc:
            self.best_auc, self.best_epoch = auc, self.current_epoch
            self.best_state = {
                name: value.clone() for name, value in self.model.state_dict().items()
            }
        else:
            self._after_no_gain()

    def on_train_batch_end(self, *_: object) -> None:
        """Take the step's weights into the average, where the recipe keeps one."""
        if self.average is not None:
            self.average.update()

    def on_validation_end(self) -> None:
        """Go on from the weights themselves, not from their average."""
        self._swap()

    def _swap(self) -> None:
        if self.average is not None and self.average.steps:
            self.average.swap()

    def _after_no_gain(self) -> None:
        """An epoch without gain: a lower rate on a plateau, the end when patience is over."""
        recipe, waited = self.recipe, self.current_epoch - self.best_epoch
        if recipe.schedule == "plateau":
            anneal(self.trainer.optimizers[0], recipe.anneal)
        if recipe.patience is not None and waited >= recipe.patience:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser; a one-cycle moves every step, other rates between epochs."""
        optimizer = make_optimizer(self.model, self.recipe, self.steps)
        if self.recipe.schedule != "one_cycle":
            return optimizer
        schedule = one_cycle(optimizer, self.recipe, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
