"""Balanced late fusion: its losses and what it holds back, by hand."""

import math

import pytest
import torch
from torch.nn.functional import logsigmoid

from fusefront.baselines.contract import gather
from fusefront.baselines.models.balanced_fusion import restraint
from fusefront.baselines.zoo import check_settings

SMALL = {"token_width": 8, "id_width": 4, "head.hidden": (8,)}


def test_a_tower_that_leads_is_held_back():
    towers = torch.tensor([[3.0, 0.0, -1.0], [-2.0, 0.5, 9.0]])
    there = torch.tensor([[True, True, True], [True, True, False]])
    share = restraint(towers, there, torch.tensor([1.0, 0.0]), 0.3)
    right = [
        (1 / (1 + math.exp(-3)) + 1 / (1 + math.exp(-2))) / 2,
        (0.5 + 1 / (1 + math.exp(0.5))) / 2,
        1 / (1 + math.exp(1)),
    ]
    lead = right[0] / ((right[1] + right[2]) / 2)
    assert share[0] == pytest.approx(1 - math.tanh(0.3 * lead))
    assert right[1] > (right[0] + right[2]) / 2 or share[1] == 1
    assert share[2] == 1
    assert restraint(towers, there, torch.tensor([1.0, 0.0]), 0.0).tolist() == [1, 1, 1]


def gradients(model, batch, part):
    model.zero_grad()
    getattr(model.train().losses(batch), part).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_without_weight_and_balance_it_is_late_fusion(scene):
    off = {"tower_weight": 0.0, "balance": 0.0}
    mine, late = scene.build("balanced_fusion", SMALL | off), scene.build("late_fusion", SMALL)
    late.load_state_dict(mine.state_dict())
    pairs = [model.train().losses(scene.batch) for model in (mine, late)]
    for ours, theirs in zip(*pairs, strict=True):
        torch.testing.assert_close(ours, theirs)
    ours, theirs = (gradients(model, scene.batch, "click") for model in (mine, late))
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient)


def test_every_tower_has_a_loss_of_its_own_over_the_rows_that_have_its_slot(scene):
    model = scene.build("balanced_fusion", SMALL | {"tower_weight": 0.7}).train()
    losses = model.losses(scene.batch)
    request = gather(model.encode_batch(scene.batch)[0], scene.batch)
    rows = scene.batch.rows
    towers = model.placement.logits(request, rows)
    there = request.candidates.present.flatten(0, 1)[rows]
    labels = scene.batch.labels.flatten()[rows]
    means = []
    for m in range(towers.shape[1]):
        some = there[:, m]
        sign = 2 * labels[some] - 1
        means.append(-logsigmoid(sign * towers[some, m]).mean())
    torch.testing.assert_close(losses.auxiliary, 0.7 * sum(means) / len(means))


def test_the_joint_gradient_into_a_tower_is_multiplied(scene):
    free = scene.build("balanced_fusion", SMALL | {"tower_weight": 0.0, "balance": 0.0})
    held_back = scene.build("balanced_fusion", SMALL | {"tower_weight": 0.0, "balance": 0.5})
    request = gather(free.train().encode_batch(scene.batch)[0], scene.batch)
    rows = scene.batch.rows
    share = restraint(
        free.placement.logits(request, rows).detach(),
        request.candidates.present.flatten(0, 1)[rows],
        scene.batch.labels.flatten()[rows],
        0.5,
    )
    assert (share < 1).any()
    assert (share == 1).any()
    whole, less = (gradients(model, scene.batch, "click") for model in (free, held_back))
    for m, left in enumerate(share):
        name = f"placement.towers.{m}.out.weight"
        torch.testing.assert_close(less[name], left * whole[name])


def test_what_would_push_a_tower_away_is_refused(scene, parts):
    with pytest.raises(ValueError, match="setting 'balance' must not be negative; raise it"):
        check_settings("balanced_fusion", scene.schema, {"balance": -0.1}, parts)
    with pytest.raises(ValueError, match="setting 'placement' is what makes it"):
        check_settings("balanced_fusion", scene.schema, {"placement": "item"}, parts)
