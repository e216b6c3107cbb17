"""The contract of an alignment loss, checked by one call: `check_alignment(Nearness)`."""

from collections.abc import Callable, Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import AlignmentLoss
from fusefront.harness.parts.kinds import ALIGNMENT
from fusefront.harness.testing.declaration import check_of
from fusefront.harness.testing.in_model import in_model
from fusefront.harness.testing.module_part import ModulePart
from fusefront.harness.testing.promises import (
    ContentError,
    FiniteError,
    Promise,
    ShapeError,
)

ROWS = (0, 1, 2, 9, 3000)


def alignment_promises(
    kind: type[AlignmentLoss],
    *,
    d: int = 6,
    choices: Mapping[str, object] | None = None,
    exceptions: Collection[str] = (),
) -> Iterator[Promise]:
    """The promises of an alignment loss, by itself and in the composed model.

    `exceptions` are patterns of parameter names that may stay without a gradient.
    """
    chosen = dict(choices or {})
    a, b, ids = views(200, d)

    def loss(module: nn.Module, _: torch.dtype) -> list[Tensor]:
        return [module(a.double(), b.double(), ids)]

    part = ModulePart.of_width(ALIGNMENT, kind, d, chosen, loss)

    def over(check: Callable[[str, nn.Module, int], None]) -> Callable[[], None]:
        return lambda: check(part.label, part.seeded(), d)

    yield from part.opening("a loss [] of any number of rows", over(_check_shapes))
    yield Promise("it pulls at both views", over(_check_content))
    yield part.learns(exceptions)
    yield Promise("it stays finite", over(_check_finite))
    settings = {"operator": "sum", "token_width": 8, "alignment": {"name": kind.name, **chosen}}
    yield from in_model(ALIGNMENT, kind, settings, ("split", "grouping"), export=False)


check_alignment = check_of(ALIGNMENT, alignment_promises)


def views(rows: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two views [n, d] of n = `rows` items and their ids [n]; every fifth item occurs twice."""
    generator = torch.Generator().manual_seed(4)
    a, b = torch.randn(2, rows, d, generator=generator)
    return a, b, torch.arange(rows) - (torch.arange(rows) % 5 == 4).long()


def _check_shapes(label: str, loss: nn.Module, d: int) -> None:
    for rows in ROWS:
        value = loss(*views(rows, d))
        if tuple(value.shape) != ():
            raise ShapeError(
                f"{label}: {rows} rows give {tuple(value.shape)}; expected a number []"
            )
        if not bool(value.detach().isfinite()):
            raise FiniteError(
                f"{label}: {rows} rows give {float(value.detach())}; a batch may hold no item "
                "with both modalities, and one alone"
            )


def _check_content(label: str, loss: nn.Module, d: int) -> None:
    a, b, ids = views(64, d)
    for which, view in (("first", a), ("second", b)):
        view.requires_grad_()
        loss.zero_grad()
        value = loss(a, b, ids)
        grad = (
            torch.autograd.grad(value, view, allow_unused=True)[0] if value.requires_grad else None
        )
        if grad is None or not bool(grad.abs().max() > 0):
            raise ContentError(f"{label}: it does not move the {which} view")
        view.requires_grad_(False)


def _check_finite(label: str, loss: nn.Module, d: int) -> None:
    """Losses and gradients are finite on equal rows and on very long ones."""
    equal, (a, b, _) = torch.ones(4, d), views(4, d)
    for x, y, what in ((equal, equal.clone(), "equal rows"), (100 * a, 100 * b, "long rows")):
        x.requires_grad_()
        value = loss(x, y, torch.arange(4))
        value.backward()
        grad = x.grad
        if not bool(value.detach().isfinite()) or grad is None or not bool(grad.isfinite().all()):
            raise FiniteError(f"{label}: {what} give a loss or gradients that are not finite")
