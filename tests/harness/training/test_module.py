"""The code table, the loss and the optimiser of the one training module."""

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from fusefront.baselines.contract import Baseline, ItemCodes, Losses, RequestBatch
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher
from fusefront.harness.data.module import RequestData
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.runs.study import Training
from fusefront.harness.training import module as training_module
from fusefront.harness.training.build import build_model
from fusefront.harness.training.fit import Epochs, device_of, fit, products
from fusefront.harness.training.module import ClickModule, encode_table


@pytest.fixture
def model(ragged: PreparedDataset) -> Baseline:
    """Dropout, normalisation and every role of parameter."""
    settings = {"operator": "scalar_gate", "modality_dropout": 0.5, "head.dropout": 0.5}
    spec = RunSpec(ragged.name, ragged.fingerprint, "early_fusion", settings, {}, 0)
    return build_model(spec, ragged, load_parts([]))


def same(first: ItemCodes, other: ItemCodes) -> None:
    for role, expected in zip(first, other, strict=True):
        for part, right in zip(role, expected, strict=True):
            torch.testing.assert_close(part, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rows", [46, 45, 7, 1])
def test_the_code_table_is_that_of_all_items_at_once(
    model: Baseline, monkeypatch: pytest.MonkeyPatch, rows: int, training: bool
) -> None:
    monkeypatch.setattr(training_module, "ENCODE_ROWS", rows)
    keep = torch.rand(46, 2, generator=torch.Generator().manual_seed(1)) > 0.4
    whole, remaining = (model.eval().encode_items(torch.arange(46), mask) for mask in (None, keep))
    model.train(training)
    table = encode_table(model, 45)
    same(table, whole)
    same(encode_table(model, 45, keep), remaining)
    assert model.training is training
    assert not table.candidate.values.requires_grad
    assert not torch.equal(remaining.candidate.values, whole.candidate.values)


@pytest.mark.parametrize(
    ("steps", "recipe"),
    [
        (25, {"epochs": 4, "warmup": 0.2}),
        (10, {"epochs": 1, "warmup": 0.0}),  # a first phase of two steps
        (10, {"epochs": 2, "warmup": 0.99}),  # and a last one of one
        (1, {"epochs": 1}),
        (1, {"epochs": 5, "warmup": 0.5}),
    ],
)
def test_the_rate_follows_one_cycle_over_all_steps(
    model: Baseline, steps: int, recipe: dict[str, Any]
) -> None:
    training = Training(learning_rate=0.03, **recipe)
    wired = ClickModule(model, 45, training, steps).configure_optimizers()
    optimizer, schedule = wired["optimizer"], wired["lr_scheduler"]["scheduler"]
    assert wired["lr_scheduler"]["interval"] == "step"
    total = max(4, steps * training.epochs)
    share = max(training.warmup, 2 / total)
    top = min(share, 1 - 1 / total) * total - 1  # the step with the highest rate
    for step in range(total):
        rate, up = 0.03, step <= top
        far = step / top if up else (step - top) / (total - 1 - top)
        low = rate / 25 if up else rate / 25 / 1e4
        level = (1 - math.cos(math.pi * far)) / 2 if up else (1 + math.cos(math.pi * far)) / 2
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(low + (rate - low) * level, rel=1e-6)
        if step < total - 1:
            optimizer.step()
            schedule.step()


def test_each_role_decays_as_the_recipe_says(model: Baseline) -> None:
    training = Training(weight_decay=0.25, id_weight_decay=7.0)
    optimizer = ClickModule(model, 45, training, 9).configure_optimizers()["optimizer"]
    assert isinstance(optimizer, torch.optim.AdamW)
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    roles = model.parameter_roles()
    assert all(roles.values())
    for role, parameters in roles.items():
        expected = 7.0 if role == "id_embedding" else 0.25
        assert {decay.pop(id(parameter)) for parameter in parameters} == {expected}
    assert not decay


def test_a_role_without_parameters_makes_no_group(
    model: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = list(model.parameters())
    monkeypatch.setattr(model, "parameter_roles", lambda: {"id_embedding": [], "dense": everything})
    optimizer = ClickModule(model, 45, Training(weight_decay=0.5), 9).configure_optimizers()[
        "optimizer"
    ]
    assert [len(group["params"]) for group in optimizer.param_groups] == [len(everything)]


def test_a_step_trains_on_the_click_and_every_other_loss(
    model: Baseline, ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batcher(ragged, "train", 64).batch(torch.arange(5).numpy())
    click = nn.Parameter(torch.tensor(0.5))
    parts = Losses(click * 2, click * 3, torch.zeros(1))
    monkeypatch.setattr(model, "losses", lambda _: parts)
    trainer = ClickModule(model, 45, Training(), 9)
    loss = trainer.training_step(batch, 0)
    assert float(loss.detach()) == 2.5
    loss.backward()
    assert click.grad is not None
    assert float(click.grad) == 5.0


def plain_losses(model: Baseline, batch: RequestBatch) -> float:
    codes = model.eval().encode_items(batch.items)
    table = encode_table(model, 45)
    torch.testing.assert_close(codes.candidate.values, table.candidate.values[batch.items])
    return float(model.losses(batch).click.detach())


def test_validation_loss_weighs_rows_alike_whatever_the_batches(
    model: Baseline, ragged: PreparedDataset
) -> None:
    """Batches of one and of many rows: the mean is over rows, not over batches."""
    batcher = Batcher(ragged, "valid", 64)
    rows = batcher.units.length
    module = ClickModule(model.eval(), 45, Training(), 9)
    parts = [torch.tensor([n]).numpy() for n in range(5)]
    parts.append(torch.arange(5, len(rows)).numpy())
    module._train_loss = [torch.tensor(1.0), torch.tensor(4.0)]
    for again in range(2):
        module.on_validation_start()
        for part in parts:
            module.validation_step(batcher.batch(part), 0)
        module.on_validation_epoch_end()
        weighed = sum(
            plain_losses(model, batcher.batch(part)) * int(rows[part].sum()) for part in parts
        )
        epoch = module.epochs[-1]
        assert epoch["valid_logloss"] == pytest.approx(weighed / int(rows.sum()), rel=1e-5)
        assert epoch["train_loss"] == (2.5 if again == 0 else 0.0)
    assert module.epochs[0]["valid_auc"] == module.epochs[1]["valid_auc"]
    before = {name: value.clone() for name, value in module.best_state.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    for name, value in module.best_state.items():  # a copy, not the weights that go on
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize(("schedule", "factor"), [("plateau", 0.5), ("constant", 1.0)])
def test_an_epoch_without_gain_lowers_the_rate_until_patience_is_over(
    model: Baseline, schedule: Any, factor: float
) -> None:
    module = ClickModule(model, 45, Training(schedule=schedule, anneal=0.5, patience=2), 9)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.125)
    trainer = SimpleNamespace(optimizers=[optimizer], should_stop=False)
    module._trainer = cast(Any, trainer)
    for waited, ends in ((1, False), (2, True)):
        module._after_no_gain(waited)
        assert optimizer.param_groups[0]["lr"] == 0.125 * factor**waited
        assert trainer.should_stop is ends


WIDTHS = {"embedding": 8, "attention": (32, 16), "hidden": (32,), "attention_dropout": 0.0}


@pytest.mark.parametrize(
    ("baseline", "settings", "precision", "half"),
    [
        ("din", WIDTHS, "fp32", False),
        ("din", WIDTHS, "bf16", True),
        ("din", WIDTHS, "auto", True),
        ("early_fusion", {}, "bf16", True),
        ("early_fusion", {}, "auto", False),
    ],
)
def test_products_are_of_half_precision_where_it_is_named_or_pays(
    ragged: PreparedDataset, baseline: str, settings: Any, precision: Any, half: bool
) -> None:
    """A loss of bf16 is near that of float32 and not it; weights and gradients stay float32."""
    spec = RunSpec(ragged.name, ragged.fingerprint, baseline, settings, {}, 0)
    model = build_model(spec, ragged, load_parts([])).train()
    wired = ClickModule(model, ragged.manifest.schema_.items, Training(precision=precision), 9)
    batch = next(Batcher(ragged, "train", 64).batches(128))
    plain = float(model.losses(batch).click.detach())
    loss = wired.training_step(batch, 0)
    loss.backward()
    click = float(loss.detach()) - float(model.losses(batch).auxiliary.detach())
    assert loss.dtype == torch.float32
    assert (click == pytest.approx(plain, abs=1e-7)) is not half
    assert click == pytest.approx(plain, abs=0.01)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert {grad.dtype for grad in gradients} == {torch.float32}


def test_a_gpu_that_is_named_and_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    nothing = cast(Any, None)
    with pytest.raises(UsageError, match=r"^training\.device is 'cuda' and PyTorch sees no GPU"):
        fit(nothing, nothing, Training(device="cuda"), nothing, 1)


def test_tf32_is_refused_where_it_trains_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = cast(Any, None)
    with pytest.raises(UsageError, match=r"^training\.precision is 'tf32', which only a GPU has"):
        fit(nothing, nothing, Training(precision="tf32", device="cpu"), nothing, 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    recipe = Training(precision="tf32")
    assert device_of(recipe) == torch.device("cuda", 2)
    assert device_of(recipe, solved=True) == torch.device("cpu")
    assert device_of(Training(device="cpu")) == torch.device("cpu")


@pytest.mark.parametrize(
    ("precision", "device", "wide", "tf32"),
    [
        ("tf32", "auto", True, True),
        ("auto", "auto", False, True),
        ("auto", "auto", True, False),  # bf16 is faster still
        ("auto", "cpu", False, False),
        ("fp32", "cuda", False, False),
        ("bf16", "auto", False, False),
    ],
)
def test_a_gpu_multiplies_in_tf32_where_it_is_named_or_pays(
    model: Baseline,
    monkeypatch: pytest.MonkeyPatch,
    precision: Any,
    device: Any,
    wide: bool,
    tf32: bool,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(type(model), "wide", wide)
    assert ClickModule(model, 45, Training(precision=precision, device=device), 9).tf32 is tf32


def test_validation_is_of_full_precision_whatever_steps_are(model: Baseline) -> None:
    def precision() -> str:
        return torch.get_float32_matmul_precision()

    module, before = ClickModule(model, 45, Training(), 9), precision()
    with products(True):
        assert precision() == "high"
        module.on_validation_start()
        assert precision() == "highest"
        assert module._codes is not None
        module.on_validation_end()
        assert module._codes is None  # a table of all items, which training needs no more
        assert precision() == "high"
        with products(False):
            assert precision() == "highest"
    assert precision() == before


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_without_a_cycle_the_rate_is_moved_between_epochs_alone(
    model: Baseline, schedule: Any
) -> None:
    module = ClickModule(model, 45, Training(schedule=schedule, learning_rate=0.03), 25)
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.AdamW)
    assert {group["lr"] for group in optimizer.param_groups} == {0.03}
    assert (module.schedule, module.state()["schedule"]) == (None, {})


@pytest.mark.parametrize("trained", [False, True])
def test_the_first_stage_reads_train_in_batches_once(
    model: Baseline, ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch, trained: bool
) -> None:
    """A training that goes on after a pause has it in its weights."""
    rows: list[list[int]] = []

    def first_stage(batches: Any) -> None:
        rows.extend(  # as often as a model needs
            [int(r) for b in batches() for r in b.row_ids.flatten() if r >= 0] for _ in range(2)
        )
        assert max(len(batch.rows) for batch in batches()) <= 40

    monkeypatch.setattr(model, "first_stage", first_stage)
    monkeypatch.setattr(pl.Trainer, "fit", lambda *_, **__: None)
    data = RequestData(ragged, batch_rows=32, max_candidates=8, seed=0)
    module = ClickModule(model, 45, Training(), data.steps)
    module.epochs = [{"epoch": 0.0}] * trained
    fit(module, data, Training(), Epochs.__new__(Epochs), 3)
    expected = np.asarray(ragged.split("train").row_id).tolist()
    assert [sorted(part) for part in rows] == ([] if trained else [sorted(expected)] * 2)
