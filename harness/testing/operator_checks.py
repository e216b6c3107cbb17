"""The promises of an operator; each is a function that raises a ContractError, its breach."""

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import Fused
from fusefront.harness.testing.case import Case
from fusefront.harness.testing.module_checks import gradients_of
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    ContractError,
    DeclarationError,
    FiniteError,
    GradientError,
    PresenceError,
    QueryError,
    SeedError,
    ShapeError,
)

CLOSE = 1e-9  # float64, relative to the largest output
LEAST_GRADIENT = 1e-8  # relative to the operator's largest gradient, float64
LEAST_CHANGE = 1e-5  # relative to the largest output, when a slot or the query is redrawn
TRIES = 64  # redraws of a slot for each pattern of presence
LEADS = ((), (6,), (2, 3), (0,))  # leading axes to try
FORBIDDEN = ("code", "graph")  # attributes of these names break torch.export


def check_shapes(case: Case) -> None:
    """Tokens are [..., T, d], present [..., T] bool and loss [], for any leading axes."""
    operator = case.scorer()
    for word in FORBIDDEN:
        if any(word in vars(part) or hasattr(part, word) for part in operator.modules()):
            raise DeclarationError(
                f"{case.label}: an attribute is named {word!r}, which breaks export; rename it"
            )
    case.run(operator)
    count, d = operator.tokens_out, case.x.shape[-1]
    for lead in LEADS:
        try:
            fused = operator(*case.last(lead))
        except (RuntimeError, IndexError, ValueError) as error:
            raise ShapeError(
                f"{case.label}: leading axes {lead} make forward fail ({error}); "
                "expected any number of axes before the slots"
            ) from error
        shapes = {"tokens": (*lead, count, d), "present": (*lead, count), "loss": ()}
        for part, shape in shapes.items():
            actual = tuple(getattr(fused, part).shape)
            if actual != shape:
                raise ShapeError(
                    f"{case.label}: leading axes {lead} give {part} of shape {actual}; "
                    f"expected {shape} (tokens_out is {count})"
                )
        if fused.present.dtype != torch.bool:
            raise ShapeError(f"{case.label}: present is {fused.present.dtype}; expected bool")


def check_weights(case: Case) -> None:
    """An operator that tells how it weighs its slots: [..., M], finite, 0 of an absent slot where
    another is there."""
    operator = case.scorer()
    if not callable(getattr(type(operator), "weights", None)):
        return
    weigh: Any = operator.weights
    for lead in LEADS:
        x, present, query = case.last(lead)
        assert x is not None
        assert present is not None
        weight = weigh(x, present, query)
        if tuple(weight.shape) != tuple(present.shape):
            raise ShapeError(
                f"{case.label}: weights of slots {tuple(present.shape)} have shape "
                f"{tuple(weight.shape)}; expected one a slot"
            )
    weight = weigh(case.x.masked_fill(~case.present.unsqueeze(-1), float("nan")), case.present,
                   case.query)  # fmt: skip
    absent = ~case.present & case.present.any(-1, keepdim=True)
    if not torch.isfinite(weight).all() or weight[absent].any():
        raise PresenceError(
            f"{case.label}: an absent slot has a weight; clear it and give it 0 in `weights`"
        )


def check_presence(case: Case) -> None:
    """The content of an absent slot has no effect; if all slots are absent, tokens are zero and
    absent."""
    for training in (False, True):
        operator = case.build().double().train(training)
        torch.manual_seed(case.seed)
        clean = case.run(operator)
        _check_flags(case, clean)
        for filler in (float("nan"), float("inf"), -1e30):
            torch.manual_seed(case.seed)
            dirty = case.run(operator, case.x.masked_fill(~case.present.unsqueeze(-1), filler))
            for part in ("tokens", "present", "loss"):
                broken = PresenceError(
                    f"{case.label}: {filler} in an absent slot changes {part}; clear absent slots "
                    "with masked_fill before anything else (0 * NaN is NaN)"
                )
                _equal(getattr(dirty, part).double(), getattr(clean, part).double(), broken)
            broken = PresenceError(
                f"{case.label}: {filler} in an absent slot changes gradients; clear absent slots "
                "with masked_fill before any layer (0 * NaN is NaN)"
            )
            taught = (
                gradients_of(operator, (fused.tokens, fused.loss)) for fused in (dirty, clean)
            )
            for value, expected in zip(*taught, strict=True):
                _equal(value, expected, broken)


def _check_flags(case: Case, clean: Fused) -> None:
    none = ~case.present.any(-1)
    if bool(clean.tokens[none].any()) or bool(clean.present[none].any()):
        raise PresenceError(
            f"{case.label}: without any slot the tokens must be zero and `present` False"
        )
    if not bool(clean.present[~none].any(-1).all()):
        raise PresenceError(f"{case.label}: `present` is False although a slot is there")
    if bool(clean.tokens[~clean.present].any()):
        raise PresenceError(f"{case.label}: a token whose `present` is False is not zero")


def check_content(case: Case) -> None:
    """The content of a present slot can change the tokens, whichever other slots are present.

    An operator that selects (a maximum, the best expert) stays unchanged in most redraws. A slot
    therefore counts as ignored under a pattern of presence only if no row changes in any redraw.
    """
    operator = case.scorer()
    generator = torch.Generator().manual_seed(case.seed + 1)
    patterns = case.patterns()[1:]  # [P, M]; the pattern left out has nothing present
    present = patterns.repeat_interleave(TRIES, 0)  # [P * T, M]
    x = torch.randn(len(present), *case.x.shape[1:], generator=generator, dtype=case.x.dtype)
    query = None if case.query is None else case.query[-1:].expand(len(present), -1)
    before = operator(x, present, query).tokens
    least = LEAST_CHANGE * before.abs().max()
    for slot in range(patterns.shape[1]):
        other = x.clone()
        drawn = torch.randn(other[:, slot].shape, generator=generator, dtype=other.dtype)
        other[:, slot] = drawn * _scales(len(drawn))
        moved = (operator(other, present, query).tokens - before).abs().flatten(1).amax(-1)
        deaf = (moved <= least).unflatten(0, (-1, TRIES)).all(-1) & patterns[:, slot]
        if bool(deaf.any()):
            pattern = patterns[int(deaf.nonzero()[0])].tolist()
            raise ContentError(
                f"{case.label}: with slots present as {pattern}, what slot {slot} holds does not "
                "reach the output; an absent slot must not annihilate the others (a factor 1, not "
                "0)"
            )


def _scales(rows: int) -> Tensor:
    """Factors [rows, 1] of redraws: some of usual size, some so large that a selection must
    change."""
    return torch.tensor([1.0, 10.0], dtype=torch.float64).repeat(rows)[:rows].unsqueeze(-1)


def check_batch(case: Case) -> None:
    """Scoring an item alone, or in another order, gives the same tokens."""
    operator = case.scorer()
    whole = case.run(operator).tokens
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(case.seed))
    _equal(
        case.run(operator, rows=order).tokens,
        whole[order],
        BatchError(f"{case.label}: the order of the rows changes the output in eval mode"),
    )
    for rows in (torch.tensor([len(whole) - 1]), torch.arange(7)):
        broken = BatchError(
            f"{case.label}: scored in a batch of {len(rows)} an item gets another output than in "
            f"one of {len(whole)}; use no statistics of the batch in eval mode"
        )
        _equal(case.run(operator, rows=rows).tokens, whole[rows], broken)
    for lead in LEADS[:-1]:
        size = torch.Size(lead).numel()
        tokens = operator(*case.last(lead)).tokens.reshape(size, *whole.shape[1:])
        broken = BatchError(f"{case.label}: leading axes {lead} change the numbers")
        _equal(tokens, whole[-size:], broken)


def check_gradients(case: Case, exceptions: Collection[str] = ()) -> None:
    """Tokens and loss together give every parameter a gradient above round-off."""
    operator = case.build().double().train()
    torch.manual_seed(case.seed)
    fused = case.run(operator)
    generator = torch.Generator().manual_seed(case.seed)
    weight = torch.randn(fused.tokens.shape, generator=generator, dtype=torch.float64)
    total = (fused.tokens * weight).sum() + fused.loss
    parameters = {name: p for name, p in operator.named_parameters() if p.requires_grad}
    if not parameters:
        return
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    sizes = [0.0 if g is None else float(g.abs().max()) for g in gradients]
    for name, size in zip(parameters, sizes, strict=True):
        if name not in exceptions and not size > LEAST_GRADIENT * max(sizes):
            raise GradientError(
                f"{case.label}: parameter {name!r} gets no gradient (largest {size:.1e}, the "
                f"operator's largest {max(sizes):.1e}); remove it, or name it in `exceptions`"
            )


def check_seeds(case: Case) -> None:
    """A seed repeats the initialisation and a training step; scoring is not random."""
    for training in (False, True):
        outputs = []
        for again in range(2):
            operator = case.build().double().train(training)
            torch.manual_seed(case.seed if training else case.seed + again)
            outputs.append(case.run(operator))
        what = "a training step" if training else "scoring"
        for part in ("tokens", "loss"):
            broken = SeedError(
                f"{case.label}: {what} twice gives different {part}; draw random numbers in "
                "training only, from torch's generator"
            )
            _equal(getattr(outputs[0], part), getattr(outputs[1], part), broken)
        if not training and float(outputs[0].loss.detach()) != 0.0:
            raise SeedError(f"{case.label}: loss is not zero in eval mode")


def check_finite(case: Case) -> None:
    """Tokens and loss are finite in float32 and under bfloat16 autocast, on vectors ten times as
    long."""
    for training in (False, True):
        operator = case.build().train(training)
        x, query = 10.0 * case.x.float(), None if case.query is None else case.query.float()
        for half in (False, True):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                fused = operator(x, case.present, query)
            if not bool(fused.tokens.isfinite().all()) or not bool(fused.loss.isfinite()):
                raise FiniteError(
                    f"{case.label}: not finite "
                    f"{'under bfloat16 autocast' if half else 'in float32'} in "
                    f"{'train' if training else 'eval'} mode"
                )


def check_query(case: Case) -> None:
    """With all slots present, another query can change an item's tokens.

    A query counts as ignored only if none of many redraws has an effect.
    """
    if case.query is None:
        return
    operator = case.scorer()
    generator = torch.Generator().manual_seed(case.seed + 2)
    full = torch.ones_like(case.present)
    before = operator(case.x, full, case.query).tokens
    drawn = torch.randn(case.query.shape, generator=generator, dtype=case.query.dtype)
    moved = (operator(case.x, full, drawn * _scales(len(drawn))).tokens - before).abs().max()
    if not bool(moved > LEAST_CHANGE * before.abs().max()):
        raise QueryError(f"{case.label}: another query does not change the output")


def _equal(value: Tensor, expected: Tensor, broken: ContractError) -> None:
    value, expected = value.detach(), expected.detach()
    if value.shape != expected.shape or not bool(expected.isfinite().all()):
        raise broken
    scale = float(expected.abs().max()) if expected.numel() else 0.0
    if not bool(((value - expected).abs() <= CLOSE * max(scale, 1e-6)).all()):
        raise broken
