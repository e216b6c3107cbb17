"""Lazy AdamW against a plain loop, PyTorch's own optimisers, and in a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusefront.baselines.contract import Parts
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.training.build import build_model, load_model
from fusefront.harness.training.lazy import LazyAdamW
from fusefront.harness.training.optimiser import make_optimizer
from fusefront.harness.training.run import run

ROWS, WIDTH = 9, 3


def gradients(steps: int, touched: int) -> list[torch.Tensor]:
    """Tables of gradients [ROWS, WIDTH], `touched` rows of each other than 0, float64."""
    rng, tables = np.random.default_rng(2), []
    for _ in range(steps):
        table = np.zeros((ROWS, WIDTH))
        rows = rng.permutation(ROWS)[:touched]
        table[rows] = rng.standard_normal((touched, WIDTH))
        table[rows[0], 1:] = 0.0  # one number is enough
        tables.append(torch.from_numpy(table))
    return tables


def table_and(optimizer: Any, **words: Any) -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
    start = torch.linspace(-1.0, 1.0, ROWS * WIDTH, dtype=torch.float64).reshape(ROWS, WIDTH)
    table = torch.nn.Parameter(start)
    group = {"params": [table], "lazy": True} if optimizer is LazyAdamW else {"params": [table]}
    return table, optimizer([group], **{"lr": 0.03, "betas": (0.8, 0.95), "eps": 1e-6, **words})


def test_touched_rows_are_those_of_a_plain_loop_and_others_stay() -> None:
    table, optimizer = table_and(LazyAdamW, weight_decay=0.2)
    weights = table.detach().numpy().copy()
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(gradients(7, 4), 1):
        table.grad = gradient.clone()
        optimizer.step()
        assert torch.equal(table.grad, gradient)  # as any optimiser leaves it
        for row in range(ROWS):
            if not gradient[row].any():
                continue
            for column in range(WIDTH):
                g = float(gradient[row, column])
                mean[row, column] = 0.8 * mean[row, column] + 0.2 * g
                square[row, column] = 0.95 * square[row, column] + 0.05 * g * g
                weights[row, column] *= 1 - 0.03 * 0.2
                corrected = mean[row, column] / (1 - 0.8**step)
                size = (square[row, column] / (1 - 0.95**step)) ** 0.5 + 1e-6
                weights[row, column] -= 0.03 * corrected / size
        np.testing.assert_allclose(table.detach().numpy(), weights, rtol=0, atol=1e-13)


def test_without_decay_it_is_pytorchs_sparse_adam() -> None:
    tiny = {"eps": 1e-15}  # it is added before the correction of the bias there, after it here
    table, optimizer = table_and(LazyAdamW, weight_decay=0.0, **tiny)
    other, sparse = table_and(torch.optim.SparseAdam, **tiny)
    for gradient in gradients(6, 3):
        table.grad = gradient
        rows = gradient.any(1).nonzero().T
        other.grad = torch.sparse_coo_tensor(
            rows, gradient[rows[0]], gradient.shape, check_invariants=True
        )
        optimizer.step()
        sparse.step()
    torch.testing.assert_close(table, other, rtol=0, atol=1e-12)


def test_where_every_row_has_a_gradient_it_is_adamw() -> None:
    table, optimizer = table_and(LazyAdamW, weight_decay=0.2)
    other, plain = table_and(torch.optim.AdamW, weight_decay=0.2)
    for gradient in gradients(6, ROWS):
        table.grad, other.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        plain.step()
    torch.testing.assert_close(table, other, rtol=0, atol=1e-12)


def test_other_groups_decay_without_a_gradient_and_a_table_without_one_stays() -> None:
    table, wide = (torch.nn.Parameter(torch.ones(3, 2)) for _ in range(2))
    groups = [{"params": [table], "lazy": True}, {"params": [wide]}]
    optimizer = LazyAdamW(groups, lr=0.1, weight_decay=0.5, fused=True)
    wide.grad = torch.zeros(3, 2)
    optimizer.step()
    assert torch.equal(table, torch.ones(3, 2))
    assert table not in optimizer.state
    torch.testing.assert_close(wide, torch.full((3, 2), 1 - 0.1 * 0.5))


def test_a_gradient_that_is_no_number_is_not_passed_over() -> None:
    """As with any optimiser: the run ends, since its scores are not finite."""
    table = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = LazyAdamW([{"params": [table], "lazy": True}], lr=0.1)
    table.grad = torch.tensor([[0.0, 0.0], [0.0, torch.nan], [0.0, 0.0]])
    optimizer.step()
    assert table.isnan().tolist() == [[False, False], [False, True], [False, False]]


def test_a_closure_computes_the_gradients_and_its_loss_comes_back() -> None:
    table = torch.nn.Parameter(torch.tensor([[2.0], [3.0]]))
    optimizer = LazyAdamW([{"params": [table], "lazy": True}], lr=0.1, weight_decay=0.0)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = table[0].square().sum()
        loss.backward()
        return loss.detach()

    assert float(optimizer.step(closure)) == 4.0
    torch.testing.assert_close(table.detach(), torch.tensor([[1.9], [3.0]]))


def test_a_state_that_was_saved_goes_on() -> None:
    steps = gradients(6, 4)
    whole, optimizer = table_and(LazyAdamW, weight_decay=0.2)
    for gradient in steps:
        whole.grad = gradient
        optimizer.step()
    first, optimizer = table_and(LazyAdamW, weight_decay=0.2)
    for gradient in steps[:3]:
        first.grad = gradient
        optimizer.step()
    second, again = table_and(LazyAdamW, weight_decay=0.2)
    second.data.copy_(first.data)
    again.load_state_dict(optimizer.state_dict())
    for gradient in steps[3:]:
        second.grad = gradient
        again.step()
    assert torch.equal(second, whole)


@pytest.mark.parametrize("kind", ["lazy_adamw", "adamw", "adam"])
def test_only_tables_of_ids_are_lazy_and_only_by_that_recipe(
    kind: str, make_cell: Any, ragged: PreparedDataset, parts: Parts
) -> None:
    model = build_model(make_cell("early_fusion").spec, ragged, parts)
    optimizer = make_optimizer(model, Training.model_validate({"optimizer": kind}), 50)
    lazy = [p for group in optimizer.param_groups if group.get("lazy") for p in group["params"]]
    ids = model.parameter_roles()["id_embedding"]
    assert ids
    assert [id(p) for p in lazy] == ([id(p) for p in ids] if kind == "lazy_adamw" else [])


@pytest.mark.parametrize(("kind", "stay"), [("lazy_adamw", True), ("adamw", False)])
def test_items_that_train_never_shows_keep_their_first_vector(
    tmp_path: Path,
    world: PreparedDataset,
    parts: Parts,
    kind: str,
    stay: bool,
) -> None:
    recipe = Training.model_validate({"optimizer": kind, "epochs": 1, "batch_rows": 512})
    words = recipe.model_dump(mode="json")
    spec = RunSpec(world.name, world.fingerprint, "id_only", {}, words, 0)
    record = run(Cell("ids", "strategy", spec, with_test=False), tmp_path, world, parts)
    trained = dict(load_model(record.path, world, parts).named_parameters())["slots.ids.weight"]
    torch.manual_seed(0)
    before = dict(build_model(spec, world, parts).named_parameters())["slots.ids.weight"]
    unseen = ~torch.from_numpy(np.array(world.items.in_train))
    unseen[0] = False
    assert int(unseen.sum()) > 0
    assert torch.equal(trained[unseen], before[unseen]) == stay
    assert not torch.equal(trained[~unseen], before[~unseen])
