"""Each promise of the operator contract as a function, with the error that names its breach."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Fused, FusionOperator

SEED = 20
CLOSE = 1e-9  # float64, relative to the largest output
LEAST_GRADIENT = 1e-8  # of the largest gradient of the operator, float64
LEAST_CHANGE = 1e-5  # of the largest output, when a slot or the query is drawn anew
LEADS = ((), (6,), (2, 3), (0,))  # leading axes to try
FORBIDDEN = ("code", "graph")  # attributes of these names break torch.export


class ContractError(AssertionError):
    """An operator that breaks the contract; the sentence says how."""


class DeclarationError(ContractError):
    """The class does not say what it must, or cannot be built with its own choices."""


class ShapeError(ContractError):
    """Wrong shapes, types or presence of what comes out."""


class PresenceError(ContractError):
    """An absent slot is not neutral."""


class ContentError(ContractError):
    """What a present slot holds does not reach the output."""


class BatchError(ContractError):
    """An item's output depends on the items beside it."""


class GradientError(ContractError):
    """A parameter that nothing teaches."""


class SeedError(ContractError):
    """The same seed gives different numbers, or scoring draws random numbers."""


class FiniteError(ContractError):
    """Infinities or NaN."""


class QueryError(ContractError):
    """A target-aware operator that does not listen to its query."""


class Case(NamedTuple):
    """One way to build the operator, and rows to try it on."""

    build: Callable[[], FusionOperator]
    x: Tensor  # [N, M, d] float64
    present: Tensor  # [N, M]; the first rows are every pattern, none present included
    query: Tensor | None  # [N, query_width]
    label: str

    def run(
        self, operator: nn.Module, x: Tensor | None = None, rows: Tensor | None = None
    ) -> Fused:
        """The operator on the case's rows, or on some of them, or with another x."""
        parts = [self.x if x is None else x, self.present, self.query]
        fused = operator(*(p if p is None or rows is None else p[rows] for p in parts))
        if not isinstance(fused, Fused):
            raise ShapeError(
                f"{self.label}: forward returns {type(fused).__name__}; expected Fused"
            )
        return fused

    def last(self, lead: tuple[int, ...]) -> tuple[Tensor | None, ...]:
        """The last rows of x, present and query, as many as the leading axes hold."""
        size = torch.Size(lead).numel()
        parts = (self.x, self.present, self.query)
        return tuple(
            None if p is None else p[-size:][:size].reshape(*lead, *p.shape[1:]) for p in parts
        )

    def scorer(self) -> FusionOperator:
        """The operator in float64, ready to score."""
        return self.build().double().eval()


def check_shapes(case: Case) -> None:
    """Tokens [..., T, d], present [..., T] bool and loss [], with any leading axes."""
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
        wanted = {"tokens": (*lead, count, d), "present": (*lead, count), "loss": ()}
        for part, shape in wanted.items():
            got = tuple(getattr(fused, part).shape)
            if got != shape:
                raise ShapeError(
                    f"{case.label}: leading axes {lead} give {part} of shape {got}; "
                    f"expected {shape} (tokens_out is {count})"
                )
        if fused.present.dtype != torch.bool:
            raise ShapeError(f"{case.label}: present is {fused.present.dtype}; expected bool")


def check_presence(case: Case) -> None:
    """What an absent slot holds never matters; with none there, zero tokens that are not there."""
    for training in (False, True):
        operator = case.build().double().train(training)
        torch.manual_seed(SEED)
        clean = case.run(operator)
        _check_flags(case, clean)
        for filler in (float("nan"), float("inf"), -1e30):
            torch.manual_seed(SEED)
            dirty = case.run(operator, case.x.masked_fill(~case.present.unsqueeze(-1), filler))
            for part in ("tokens", "present", "loss"):
                broken = PresenceError(
                    f"{case.label}: {filler} in an absent slot changes {part}; clear absent slots "
                    "with masked_fill before anything else (0 * NaN is NaN)"
                )
                _equal(getattr(dirty, part).double(), getattr(clean, part).double(), broken)


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
    """Whatever else is there or not, drawing a present slot anew changes the item's tokens."""
    operator = case.scorer()
    before = case.run(operator).tokens
    generator = torch.Generator().manual_seed(SEED + 1)
    for slot in range(case.present.shape[-1]):
        other = case.x.clone()
        other[:, slot] = torch.randn(other[:, slot].shape, generator=generator, dtype=other.dtype)
        moved = (case.run(operator, other).tokens - before).abs().flatten(1).amax(-1)  # [N]
        deaf = (moved <= LEAST_CHANGE * before.abs().max()) & case.present[:, slot]
        if bool(deaf.any()):
            row = int(deaf.nonzero()[0])
            raise ContentError(
                f"{case.label}: with slots present as {case.present[row].tolist()}, what slot "
                f"{slot} holds does not reach the output; an absent slot must not annihilate "
                "the others (a factor 1, not 0)"
            )


def check_batch(case: Case) -> None:
    """Scoring one item alone, or in another order, gives the same tokens."""
    operator = case.scorer()
    whole = case.run(operator).tokens
    order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(SEED))
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
    """Tokens and loss together reach every parameter, by more than round-off."""
    operator = case.build().double().train()
    torch.manual_seed(SEED)
    fused = case.run(operator)
    generator = torch.Generator().manual_seed(SEED)
    weight = torch.randn(fused.tokens.shape, generator=generator, dtype=torch.float64)
    total = (fused.tokens * weight).sum() + fused.loss
    named = {name: p for name, p in operator.named_parameters() if p.requires_grad}
    if not named:
        return
    gradients = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    sizes = [0.0 if g is None else float(g.abs().max()) for g in gradients]
    for name, size in zip(named, sizes, strict=True):
        if name not in exceptions and not size > LEAST_GRADIENT * max(sizes):
            raise GradientError(
                f"{case.label}: parameter {name!r} gets no gradient (largest {size:.1e}, the "
                f"operator's largest {max(sizes):.1e}); remove it, or name it in `exceptions`"
            )


def check_seeds(case: Case) -> None:
    """A seed repeats the initialisation and the training step; scoring draws nothing."""
    for training in (False, True):
        outputs = []
        for again in range(2):
            operator = case.build().double().train(training)
            torch.manual_seed(SEED if training else SEED + again)
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
    """Finite tokens and loss in float32 and under bfloat16 autocast, on vectors ten times too long."""
    for training in (False, True):
        operator = case.build().train(training)
        x, query = 10.0 * case.x.float(), None if case.query is None else case.query.float()
        for half in (False, True):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                fused = operator(x, case.present, query)
            if not bool(fused.tokens.isfinite().all()) or not bool(fused.loss.isfinite()):
                raise FiniteError(
                    f"{case.label}: not finite {'under bfloat16 autocast' if half else 'in float32'}"
                    f" in {'train' if training else 'eval'} mode"
                )


def check_query(case: Case) -> None:
    """With all slots there, another query gives other tokens for every item."""
    if case.query is None:
        return
    operator = case.scorer()
    full = torch.ones_like(case.present)
    before = operator(case.x, full, case.query).tokens
    other = operator(case.x, full, case.query.flip(0)).tokens
    moved = (before - other).abs().flatten(1).amax(-1)  # [N]
    if bool((moved <= LEAST_CHANGE * before.abs().max()).any()):
        raise QueryError(f"{case.label}: another query does not change the output")


def _equal(got: Tensor, wanted: Tensor, broken: ContractError) -> None:
    got, wanted = got.detach(), wanted.detach()
    if got.shape != wanted.shape or not bool(wanted.isfinite().all()):
        raise broken
    scale = float(wanted.abs().max()) if wanted.numel() else 0.0
    if not bool(((got - wanted).abs() <= CLOSE * max(scale, 1e-6)).all()):
        raise broken
