"""The one Lightning module of all strategies: loss, optimiser, and validation on precomputed item
codes."""

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torchmetrics.classification import BinaryAUROC

from fusefront.baselines.contract import Baseline, ItemCodes, RequestBatch, Rows
from fusefront.baselines.frozen import frozen_tables
from fusefront.harness.runs.recipe import Training
from fusefront.harness.training.average import WeightAverage
from fusefront.harness.training.optimiser import anneal, make_optimizer, one_cycle

ENCODE_ROWS = 4096


def encode_table(model: Baseline, items: int, keep: Tensor | None = None) -> ItemCodes:
    """Run the offline half on all items and the padding row, in chunks; train or eval mode is
    unchanged.

    `keep` [items + 1, M] bool says which modalities are used; None = all that an item has.
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
    """Trains any baseline; keeps the weights of its best validation epoch (`best_state`, without
    the tables that no training changes)."""

    def __init__(self, model: Baseline, items: int, training: Training, steps: int) -> None:
        super().__init__()
        self.model, self.items, self.recipe, self.steps = model, items, training, steps
        self.bf16 = training.precision == "bf16" or (training.precision == "auto" and model.wide)
        gpu = training.device != "cpu" and torch.cuda.is_available()
        self.tf32 = training.precision == "tf32" or (
            training.precision == "auto" and gpu and not model.wide
        )
        # exact: a binned AUC errs by more than the effects. `prepare` has checked the labels
        self.auc = BinaryAUROC(thresholds=None, validate_args=False)
        self.best_auc, self.best_epoch = float("-inf"), -1
        self.best_state: dict[str, Tensor] = {}
        self.epochs: list[dict[str, float]] = []
        self._train_loss: list[Tensor] = []
        self._valid_loss: list[Tensor] = []
        self._codes: ItemCodes | None = None
        self.average = WeightAverage(model, training.average * steps) if training.average else None
        self.optimizer: torch.optim.Optimizer | None = None
        self.schedule: torch.optim.lr_scheduler.OneCycleLR | None = None
        self.stopped = False  # patience has run out: no further epoch
        self._before_validation = "highest"
        self._before: dict[str, Any] = {}  # the state that a paused training goes on from

    def training_step(self, batch: RequestBatch, _: int) -> Tensor:
        """Mean binary cross entropy [] over real candidates, plus the model's own additional
        losses."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            losses = self.model.losses(batch)
        self.note(losses.click)
        return losses.click + losses.auxiliary

    def note(self, click: Tensor) -> None:
        """Add a batch's loss [] to the mean of the epoch."""
        self._train_loss.append(click.detach())

    def on_validation_start(self) -> None:
        """Swap in the averaged weights and compute the item codes that validation reads, as serving
        does."""
        self._swap()
        self._before_validation = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")  # what is compared is of full precision
        self._codes = encode_table(self.model, self.items)
        self._valid_loss.clear()

    def validation_step(self, batch: RequestBatch, _: int) -> None:
        """Score a batch from the table of item codes; the AUC gets probabilities, not logits."""
        assert self._codes is not None
        logits = self.model.score_rows(self._codes, batch, batch.items)[0]
        labels = batch.labels.flatten()[batch.rows]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        self._valid_loss.append(torch.stack([loss, loss.new_tensor(len(labels))]))
        self.auc.update(logits.double().sigmoid(), labels.int())

    def on_validation_epoch_end(self) -> None:
        """Record the epoch's metrics; keep the weights if it is the best epoch so far."""
        auc, number = float(self.auc.compute()), len(self.epochs)
        self.auc.reset()
        total, rows = torch.stack(self._valid_loss).sum(0).tolist()
        losses = torch.stack(self._train_loss).tolist() if self._train_loss else []
        self._train_loss.clear()
        self.epochs.append(
            {
                "epoch": float(number),
                "train_loss": sum(losses) / max(1, len(losses)),
                "valid_auc": auc,
                "valid_logloss": total / rows,
            }
        )
        if auc > self.best_auc:
            self.best_auc, self.best_epoch = auc, number
            frozen = frozen_tables(self.model)
            self.best_state = {
                name: value.clone()
                for name, value in self.model.state_dict().items()
                if name not in frozen
            }
        else:
            self._after_no_gain(number - self.best_epoch)

    def on_train_batch_end(self, *_: object) -> None:
        """Take the step's weights into the running average, if the recipe has one."""
        if self.average is not None:
            self.average.update()

    def on_validation_end(self) -> None:
        """Put back the weights themselves in place of their average, and the precision of
        products; let go of the codes."""
        self._swap()
        self._codes = None
        torch.set_float32_matmul_precision(self._before_validation)

    def _swap(self) -> None:
        if self.average is not None and self.average.steps:
            self.average.swap()

    def _after_no_gain(self, waited: int) -> None:
        """After an epoch without gain: lower the rate if the schedule is plateau; stop if patience
        has run out."""
        recipe = self.recipe
        if recipe.schedule == "plateau":
            anneal(self.trainer.optimizers[0], recipe.anneal)
        if recipe.patience is not None and waited >= recipe.patience:
            self.trainer.should_stop = self.stopped = True

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser; a one-cycle schedule changes the rate every step, the others
        between epochs."""
        optimizer = self.optimizer = make_optimizer(self.model, self.recipe, self.steps)
        if self.recipe.schedule == "one_cycle":
            self.schedule = one_cycle(optimizer, self.recipe, self.steps)
        if self._before:  # here, since by now the weights are where they will be trained
            self._go_on(optimizer)
        if self.schedule is None:
            return optimizer
        schedule = {"scheduler": self.schedule, "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def state(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, and the best weights so far; called between
        two epochs."""
        assert self.optimizer is not None
        return {
            "tensors": dict(_tensors(self.model)),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else {},
            "average": (self.average.steps, self.average.mean) if self.average else (0, []),
            "best": (self.best_auc, self.best_epoch, self.best_state),
            "epochs": self.epochs,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Take over a state that `state` returned; the optimiser's part is loaded once the
        optimiser exists."""
        with torch.no_grad():
            for name, value in _tensors(self.model):
                value.copy_(state["tensors"][name])
        self.best_auc, self.best_epoch, self.best_state = state["best"]
        self.epochs = list(state["epochs"])
        self._before = state

    def _go_on(self, optimizer: torch.optim.Optimizer) -> None:
        state, self._before = self._before, {}
        optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        if self.average is not None:
            self.average.steps, mean = state["average"]
            places = [parameter.device for parameter in self.average.parameters]
            self.average.mean = [m.to(p) for m, p in zip(mean, places, strict=False)]


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All parameters and buffers by name, also those that a saved model leaves out; without what
    no training changes."""
    yield from model.named_parameters()
    frozen = frozen_tables(model)
    yield from ((name, value) for name, value in model.named_buffers() if name not in frozen)
