"""Turns a recipe into an optimiser and a schedule: weight decay from a time constant, one cycle or
plateau."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fusefront.baselines.contract import Baseline
from fusefront.baselines.roles import modality_parameters
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.recipe import ModalityShares, Training
from fusefront.harness.training.lazy import LazyAdamW

LOWEST_RATE = 1e-6  # where annealing on a plateau ends
IDS = "id_embedding"
EMBEDDINGS = (IDS, "field_embedding")
KINDS: Mapping[str, type[torch.optim.Adam]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "lazy_adamw": LazyAdamW,
}


def make_optimizer(model: Baseline, recipe: Training, steps: int) -> torch.optim.Optimizer:
    """Adam, AdamW or lazy AdamW with one group a role of parameters; `steps` an epoch turn time
    constants into decays."""
    owner = {
        id(parameter): name
        for name, parameters in modality_parameters(model).items()
        for parameter in parameters
        if name in recipe.modalities
    }
    groups = []
    for role, parameters in model.parameter_roles().items():
        lazy = {"lazy": True} if role == IDS and recipe.optimizer == "lazy_adamw" else {}
        for name in ("", *recipe.modalities):
            shares = recipe.modalities.get(name, ModalityShares())
            rate = recipe.learning_rate * shares.rate
            own = [parameter for parameter in parameters if owner.get(id(parameter), "") == name]
            groups += [
                {"params": some, "lr": rate, "weight_decay": decay, **lazy}
                for some, decay in _split(role, own, recipe, shares, steps)
                if some
            ]
    if recipe.optimizer != "adam":
        _check(groups)
    return KINDS[recipe.optimizer](groups, lr=recipe.learning_rate, fused=True)


def _split(
    role: str,
    parameters: list[torch.nn.Parameter],
    recipe: Training,
    shares: ModalityShares,
    steps: int,
) -> list[tuple[list[torch.nn.Parameter], float]]:
    """The parameters of a role with their decay; a time constant does not apply to 1-d parameters,
    and a share of the decay divides it."""
    if recipe.optimizer == "adam":
        l2 = recipe.l2_embedding if role in EMBEDDINGS else recipe.l2
        return [(parameters, l2 * shares.decay)]
    ids = role == IDS
    decay = recipe.id_weight_decay if ids else recipe.weight_decay
    if decay is not None:
        return [(parameters, decay * shares.decay)]
    wide = [parameter for parameter in parameters if parameter.ndim > 1]
    flat = [parameter for parameter in parameters if parameter.ndim <= 1]
    tau = recipe.id_tau if ids else recipe.tau
    own = None if tau is None or not shares.decay else tau / shares.decay
    return [(wide, decay_of(own, recipe.learning_rate * shares.rate, steps)), (flat, 0.0)]


def _check(groups: Sequence[Mapping[str, Any]]) -> None:
    """Refuses a decay that leaves nothing of a weight in a step, or turns its sign."""
    for group in groups:
        if (lost := group["lr"] * group["weight_decay"]) >= 1:
            raise UsageError(
                f"got a weight decay of {group['weight_decay']:g} at a learning rate of "
                f"{group['lr']:g}: a step takes {lost:g} of each weight, expected less than 1; "
                "lower weight_decay or the modality's decay, or give a time constant (tau)"
            )


def decay_of(tau: float | None, rate: float, steps: int) -> float:
    """AdamW's weight decay with which weights shrink to 1/e in `tau` epochs of `steps` steps.

    AdamW multiplies a weight by 1 - rate x decay a step, which is to be exp(-1 / (tau steps)); for
    many steps that is decay = 1 / (rate tau steps).

    >>> round(decay_of(3.0, 0.01, 200), 4), round(decay_of(0.3, 0.01, 200), 4), decay_of(None, 1, 1)
    (0.1665, 1.6529, 0.0)
    """
    return 0.0 if tau is None else -math.expm1(-1.0 / (tau * steps)) / rate


def one_cycle(
    optimizer: torch.optim.Optimizer, recipe: Training, steps: int
) -> torch.optim.lr_scheduler.OneCycleLR:
    """The rate rises during the warm-up, then falls to almost 0, over all steps of all epochs."""
    total = max(4, steps * recipe.epochs)
    # the cycle's two phases need a step each, however short the training
    warmup = min(max(recipe.warmup, 2 / total), 1 - 1 / total)
    highest = [group["lr"] for group in optimizer.param_groups]  # as the optimiser was made
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, highest, total_steps=total, pct_start=warmup
    )


def anneal(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Multiply every rate by `factor`, but not to below `LOWEST_RATE`."""
    for group in optimizer.param_groups:
        group["lr"] = max(group["lr"] * factor, min(LOWEST_RATE, group["lr"]))
