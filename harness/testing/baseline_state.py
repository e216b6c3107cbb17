"""Promises of a whole model about its parameters, saved state and declarations; each is a function
that raises a ContractError, its breach."""

import torch

from fusefront.baselines.contract import Context, ItemCodes, gather
from fusefront.fusion_variants.contract import FusionOperator
from fusefront.harness.testing.module_checks import check_equal
from fusefront.harness.testing.promises import (
    CacheError,
    FiniteError,
    GradientError,
    RoleError,
    SeedError,
    StateError,
)
from fusefront.harness.testing.subject import Subject, encoded

ROLES = {"id_embedding", "field_embedding", "fusion", "dense"}
LEAST_GRADIENT = 1e-9


def check_gradients(subject: Subject) -> None:
    """The click loss and the auxiliary loss together give every parameter a gradient above
    round-off."""
    model = subject.model().train()
    losses = model.losses(subject.scene.batch)
    torch.autograd.backward(losses.click + losses.auxiliary)
    for name, parameter in model.named_parameters():
        grad = parameter.grad
        taught = grad is not None and float(grad.abs().max()) >= LEAST_GRADIENT
        if parameter.requires_grad and not taught and not subject.untaught.fullmatch(name):
            raise GradientError(
                f"{subject.label}: parameter {name!r} gets no gradient; remove it, or name it as "
                "one that may go without (a bias before a batch norm)"
            )


def check_cache(subject: Subject) -> None:
    """`cacheable` is "yes", or "part" or "no" with a reason; with "yes" no operator runs online."""
    model, ran = subject.model(), []
    answer, _, why = model.cacheable().partition(": ")
    if answer not in ("yes", "part", "no") or (answer == "yes") != (not why):
        raise CacheError(
            f"{subject.label}: cacheable() is {model.cacheable()!r}; expected 'yes', or 'part: ' "
            "or 'no: ' and why"
        )
    batch = subject.scene.batch
    request = gather(encoded(model, subject.scene), batch, batch.items)
    hook = torch.nn.modules.module.register_module_forward_hook(
        lambda module, *_: ran.append(module) if isinstance(module, FusionOperator) else None
    )
    with torch.no_grad(), hook:
        model.score(request)
    if ran and answer == "yes":
        raise CacheError(
            f"{subject.label}: cacheable() is 'yes' and the operator {type(ran[0]).__name__} runs "
            "online; say 'part: ' and what runs"
        )


def check_roles(subject: Subject) -> None:
    """Every parameter has one of the four roles."""
    model = subject.model()
    roles = model.parameter_roles()
    if set(roles) != ROLES:
        raise RoleError(
            f"{subject.label}: parameter_roles() has {', '.join(sorted(roles)) or 'nothing'}; "
            f"expected {', '.join(sorted(ROLES))}"
        )
    listed = [id(parameter) for group in roles.values() for parameter in group]
    for name, parameter in model.named_parameters():
        if (times := listed.count(id(parameter))) != 1:
            raise RoleError(
                f"{subject.label}: parameter {name!r} has {times} roles; give it one, or the "
                "trainer does not train it as it should"
            )


def check_seeds(subject: Subject) -> None:
    """Weights depend on the seed alone, another seed gives other weights, and nothing else is
    random."""
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = subject.model(5)
    if not torch.equal(before, torch.random.get_rng_state()):
        raise SeedError(
            f"{subject.label}: building it draws from the global generator; use the seed"
        )
    torch.manual_seed(2)
    again, other = subject.model(5), subject.model(6)
    state = first.state_dict()
    for name, value in again.state_dict().items():
        if not torch.equal(value, state[name]):
            raise SeedError(f"{subject.label}: the same seed gives another {name!r}")
    drawn = [p for p in first.parameters() if p.numel() > 1 and bool((p != p.flatten()[0]).any())]
    pairs = zip(first.parameters(), other.parameters(), strict=True)
    if drawn and all(torch.equal(p, q) for p, q in pairs):
        raise SeedError(
            f"{subject.label}: seeds 5 and 6 draw the same weights, so runs would differ in "
            "nothing; do not seed anything yourself"
        )


def check_finite(subject: Subject) -> None:
    """Losses and gradients are finite under bfloat16 autocast."""
    model, batch = subject.model().float().train(), subject.scene.batch
    contexts = (batch.request_context, batch.candidate_context)
    small = [Context(part.ids, part.numbers.float()) for part in contexts]
    batch = batch._replace(
        labels=batch.labels.float(), request_context=small[0], candidate_context=small[1]
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model.losses(batch)
    torch.autograd.backward(losses.click + losses.auxiliary)
    parts = [losses.logits, *(p.grad for p in model.parameters() if p.grad is not None)]
    if not all(bool(part.isfinite().all()) for part in parts):
        raise FiniteError(f"{subject.label}: not finite under bfloat16 autocast")


def check_state(subject: Subject) -> None:
    """The saved state restores the model completely, whatever seed the other instance was built
    with."""
    model, other = subject.model(), subject.model(9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    other.load_state_dict(model.state_dict())
    broken = StateError(
        f"{subject.label}: loaded from its state it gives other codes; keep what is fitted in "
        "buffers"
    )
    codes, again = encoded(model, subject.scene), encoded(other, subject.scene)
    if not isinstance(codes, ItemCodes):
        raise StateError(
            f"{subject.label}: encode returns {type(codes).__name__}; expected ItemCodes"
        )
    check_equal(again, codes, broken, rtol=0.0, atol=0.0)
    if other.settings != model.settings or not isinstance(model.settings, type(model).Settings):
        raise StateError(
            f"{subject.label}: `settings` is not the resolved `Settings` it was built with"
        )
