"""The contract of a head, checked by one call: `check_head(Pairs)`."""

from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Head
from fusefront.harness.parts.kinds import HEAD
from fusefront.harness.testing.declaration import check_of
from fusefront.harness.testing.in_model import in_model
from fusefront.harness.testing.module_checks import check_equal
from fusefront.harness.testing.module_part import ModulePart
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    Promise,
    ShapeError,
)

N = 64
LEAST_CHANGE = 1e-9


def head_promises(
    kind: type[Head],
    *,
    width: int = 6,
    choices: Mapping[str, object] | None = None,
    exceptions: Collection[str] = (),
    export: bool = True,
) -> Iterator[Promise]:
    """The promises of a head, by itself and in the composed model.

    `exceptions` are patterns of parameter names that may stay without a gradient; `export=False`
    leaves out ONNX Runtime, which takes seconds.
    """
    chosen = dict(choices or {})
    generator = torch.Generator().manual_seed(1)
    x = 2.0 + 3.0 * torch.randn(N, width, generator=generator, dtype=torch.float64)

    def scores(module: nn.Module, dtype: torch.dtype) -> list[Tensor]:
        return [module(x.to(dtype))]

    def long(module: nn.Module) -> list[Tensor]:
        return [module(10.0 * x.float())]

    head = ModulePart.of_width(HEAD, kind, width, chosen, scores)
    label = head.label
    yield from head.opening("logits [N] of features [N, F]", lambda: _check_shapes(head, x))
    yield Promise(
        "a row is scored alone as among others", lambda: _check_batch(label, head.scorer(), x)
    )
    yield Promise("every feature counts", lambda: _check_content(label, head.scorer(), x))
    yield head.learns(exceptions)
    yield from head.closing(long)
    settings = {"operator": "concat", "token_width": 8, "head": {"name": kind.name, **chosen}}
    yield from in_model(HEAD, kind, settings, ("split", "grouping", "batch"), export=export)


check_head = check_of(HEAD, head_promises)


def _check_shapes(part: ModulePart, x: Tensor) -> None:
    for training in (False, True):
        head = part.seeded().double().train(training)
        for rows in (1, 2, N):
            shape = tuple(head(x[:rows]).shape)
            if shape != (rows,):
                raise ShapeError(
                    f"{part.label}: {rows} rows of features give {shape}; expected ({rows},)"
                )


def _check_batch(label: str, head: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        whole = head(x)
        for rows in (torch.tensor([N - 1]), torch.arange(7), torch.arange(N - 1, -1, -1)):
            broken = BatchError(
                f"{label}: a row gets another logit among {len(rows)} than among {N} in eval "
                "mode; use no statistics of the batch"
            )
            check_equal(head(x[rows]), whole[rows], broken)


def _check_content(label: str, head: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        before = head(x)
        for feature in range(x.shape[1]):
            other = x.clone()
            other[:, feature] = other[:, feature].flip(0) + 1.0
            if not bool((head(other) - before).abs().max() > LEAST_CHANGE):
                raise ContentError(f"{label}: feature {feature} does not reach any logit")
