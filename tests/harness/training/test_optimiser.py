"""Optimiser and schedule: decay as a time constant, plateau, patience, averaged weights."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from fusefront.baselines.roles import modality_parameters
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.training.average import WeightAverage
from fusefront.harness.training.build import build_model
from fusefront.harness.training.optimiser import anneal, decay_of, make_optimizer, one_cycle
from fusefront.harness.training.run import run

RATE = 0.01


def spec(store: PreparedDataset, training: Mapping[str, object]) -> RunSpec:
    recipe = Training.model_validate(training).resolved(len(store.split("train").item))
    dumped = recipe.model_dump(mode="json")
    return RunSpec(store.name, store.fingerprint, "early_fusion", {}, dumped, 0)


@pytest.mark.parametrize(("tau", "steps"), [(3.0, 205), (0.3, 205), (0.3, 1), (1.0, 7)])
def test_weights_without_gradient_shrink_to_one_e_th_in_tau_epochs(tau: float, steps: int) -> None:
    weight = torch.nn.Parameter(torch.ones(3, 2, dtype=torch.float64))
    optimizer = torch.optim.AdamW([weight], lr=RATE, weight_decay=decay_of(tau, RATE, steps))
    epochs = 3
    for _ in range(epochs * steps):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
    np.testing.assert_allclose(weight.detach().numpy(), math.exp(-epochs / tau), rtol=1e-9)


def test_each_parameter_has_the_decay_of_its_role_once(world: PreparedDataset) -> None:
    model = build_model(spec(world, {}), world, load_parts([]))
    groups = make_optimizer(model, Training(), 50).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(decay) == len(list(model.parameters())) == sum(len(g["params"]) for g in groups)
    for role, parameters in model.parameter_roles().items():
        for parameter in parameters:
            tau = 0.3 if role == "id_embedding" else 3.0
            expected = decay_of(tau, RATE, 50) if parameter.ndim > 1 else 0.0
            assert decay[id(parameter)] == pytest.approx(expected)
    assert any(parameter.ndim == 1 for parameter in model.parameters())


def test_adam_puts_its_l2_on_embeddings_and_the_rest_apart(world: PreparedDataset) -> None:
    model = build_model(spec(world, {}), world, load_parts([]))
    recipe = Training.model_validate({"optimizer": "adam", "l2": 1e-7, "l2_embedding": 1e-2})
    optimizer = make_optimizer(model, recipe, 50)
    assert type(optimizer) is torch.optim.Adam
    by_role = dict(model.parameter_roles().items())
    for group in optimizer.param_groups:
        embedded = {id(p) for r in ("id_embedding", "field_embedding") for p in by_role[r]}
        inside = id(group["params"][0]) in embedded
        assert group["weight_decay"] == (1e-2 if inside else 1e-7)


def test_a_modality_has_its_own_rate_and_decay(world: PreparedDataset) -> None:
    """Late fusion: projection, learned compressor and tower of one modality, nothing else."""
    first, *others = build_model(spec(world, {}), world, load_parts([])).slots.names[1:3]
    shares = {first: {"rate": 0.25, "decay": 3.0}}
    late = {"compressor": "bottleneck"}
    run_spec = RunSpec(world.name, world.fingerprint, "late_fusion", late, {}, 0)
    model = build_model(run_spec, world, load_parts([]))
    assert others
    optimizer = make_optimizer(model, Training.model_validate({"modalities": shares}), 50)
    at = model.slots.names.index(first)
    own = {id(p) for p in model.slots.modalities[at - 1].parameters()}
    own |= {id(p) for p in model.slots.project[at - 1].parameters()}
    own |= {id(p) for p in model.placement.towers[at].parameters()}
    seen_ids = set()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            seen_ids.add(id(parameter))
            inside = id(parameter) in own
            rate = RATE * (0.25 if inside else 1.0)
            assert group["lr"] == pytest.approx(rate)
            if parameter.ndim > 1 and inside:
                assert group["weight_decay"] == pytest.approx(decay_of(3.0 / 3.0, rate, 50))
    assert seen_ids == {id(p) for p in model.parameters()}
    assert len(own) > 4
    cycle = one_cycle(optimizer, Training(epochs=3), 10)
    highest = [group["max_lr"] for group in optimizer.param_groups]
    assert sorted(set(highest)) == pytest.approx([RATE * 0.25, RATE])
    assert cycle.total_steps == 30


def test_without_modalities_the_groups_are_those_of_the_roles(world: PreparedDataset) -> None:
    model = build_model(spec(world, {}), world, load_parts([]))
    optimizer = make_optimizer(model, Training(), 50)
    assert {group["lr"] for group in optimizer.param_groups} == {RATE}
    assert "modalities" not in Training().model_dump(mode="json")
    assert "modalities" in Training.model_validate({"modalities": {"a": {}}}).model_dump()


def test_a_large_share_of_the_decay_takes_no_more_than_the_weight(world: PreparedDataset) -> None:
    """Of a time constant a share leaves exp(-share / (tau steps)) a step; a number is refused."""
    late = RunSpec(world.name, world.fingerprint, "late_fusion", {}, {}, 0)
    model = build_model(late, world, load_parts([]))
    first = next(iter(modality_parameters(model)))
    shares = {first: {"rate": 1.0, "decay": 100.0}}
    recipe = Training.model_validate({"tau": 1.0, "modalities": shares})
    groups = make_optimizer(model, recipe, 50).param_groups
    left = {1 - group["lr"] * group["weight_decay"] for group in groups if group["weight_decay"]}
    assert min(left) == pytest.approx(math.exp(-100.0 / 50.0))
    assert all(0 < share < 1 for share in left)
    none = Training.model_validate({"tau": 1.0, "modalities": {first: {"decay": 0.0}}})
    own = {id(parameter) for parameter in modality_parameters(model)[first]}
    for group in make_optimizer(model, none, 50).param_groups:
        if own & {id(parameter) for parameter in group["params"]}:
            assert group["weight_decay"] == 0.0
    for decay, refused in ((99.0, False), (100.0, True)):
        words = Training.model_validate({"weight_decay": decay, "learning_rate": 0.01})
        if refused:
            with pytest.raises(UsageError, match="a step takes 1 of each weight, expected less"):
                make_optimizer(model, words, 50)
        else:
            make_optimizer(model, words, 50)


def test_todays_decays_hold_for_every_parameter(world: PreparedDataset) -> None:
    model = build_model(spec(world, {}), world, load_parts([]))
    recipe = Training.model_validate({"weight_decay": 1.0, "id_weight_decay": 10.0})
    groups = make_optimizer(model, recipe, 50).param_groups
    assert sorted({group["weight_decay"] for group in groups}) == [1.0, 10.0]


def test_one_cycle_ends_at_nothing_and_annealing_at_its_floor() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.AdamW([weight], lr=RATE)
    cycle = one_cycle(optimizer, Training(epochs=3), 10)
    rates = []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < 30:
            cycle.step()
    assert max(rates) == pytest.approx(RATE)
    assert rates.index(max(rates)) == 2
    assert rates[-1] < 1e-6
    optimizer.param_groups[0]["lr"] = 1e-3
    for expected in (1e-4, 1e-5, 1e-6, 1e-6):
        anneal(optimizer, 0.1)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected)


def test_the_average_is_even_at_first_and_exponential_after() -> None:
    layer = torch.nn.Linear(2, 1).double()
    average, window = WeightAverage(layer, 4.0), 4.0
    observed: list[torch.Tensor] = []
    expected = torch.zeros(1, 2, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 30):
        with torch.no_grad():
            layer.weight.copy_(torch.randn(1, 2, generator=generator, dtype=torch.float64))
        average.update()
        observed.append(layer.weight.detach().clone())
        share = max(1 / step, 1 - math.exp(-1 / window))
        expected = expected + share * (observed[-1] - expected)
        if step == 3:
            torch.testing.assert_close(average.mean[0], torch.stack(observed).mean(0))
    torch.testing.assert_close(average.mean[0], expected)
    average.swap()
    torch.testing.assert_close(layer.weight.detach(), expected)
    average.swap()
    torch.testing.assert_close(layer.weight.detach(), observed[-1])


def lines(world: PreparedDataset, root: Path, **training: object) -> list[dict[str, float]]:
    cell = Cell("early_fusion", "strategy", spec(world, training))
    path = run(cell, root, world, load_parts([])).path / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_patience_ends_a_constant_rate_and_a_cycle_goes_to_its_end(
    world: PreparedDataset, tmp_path: Path
) -> None:
    wild = {"schedule": "constant", "learning_rate": 0.3, "epochs": 12, "patience": 2}
    auc = [line["valid_auc"] for line in lines(world, tmp_path, **wild)]
    assert len(auc) < 12
    assert auc.index(max(auc)) == len(auc) - 3  # two epochs without gain, then the end
    assert len(lines(world, tmp_path, epochs=4, learning_rate=0.3)) == 4


def test_what_is_kept_of_averaged_weights_is_what_was_validated(
    world: PreparedDataset, tmp_path: Path
) -> None:
    import polars as pl
    from sklearn.metrics import roc_auc_score

    averaged = {"schedule": "constant", "average": 0.5, "epochs": 2, "learning_rate": 0.003}
    cell = Cell("early_fusion", "strategy", spec(world, averaged))
    record = run(cell, tmp_path, world, load_parts([]))
    valid = pl.read_parquet(record.path / "predictions" / "valid.parquet")
    result = roc_auc_score(valid["label"], valid["logit"])
    assert result == pytest.approx(record.summary["valid_auc"], abs=1e-6)
    plain = {**averaged, "average": None}
    other = run(
        Cell("early_fusion", "strategy", spec(world, plain)), tmp_path, world, load_parts([])
    )
    assert other.summary["valid_auc"] != pytest.approx(result, abs=1e-6)


@pytest.mark.parametrize("kind", ["adamw", "adam"])
def test_the_fused_step_is_the_plain_one(kind: str, world: PreparedDataset) -> None:
    """Against PyTorch's own step of the same parameters, one after the other."""
    model = build_model(spec(world, {}), world, load_parts([]))
    recipe = Training.model_validate({"optimizer": kind})
    optimizer = make_optimizer(model, recipe, 50)
    assert all(group["fused"] for group in optimizer.param_groups)
    twin = build_model(spec(world, {}), world, load_parts([]))
    others = {id(a): b for a, b in zip(model.parameters(), twin.parameters(), strict=True)}
    groups = [
        {"params": [others[id(p)] for p in g["params"]], "weight_decay": g["weight_decay"]}
        for g in optimizer.param_groups
    ]
    plain = type(optimizer)(groups, lr=recipe.learning_rate, foreach=False, fused=False)  # type: ignore[call-arg]
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        for a, b in zip(model.parameters(), twin.parameters(), strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        optimizer.step()
        plain.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
