"""The contract of a head as one call: `check_head(Pairs)`."""

from collections.abc import Callable, Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Head
from fusefront.harness.parts.kinds import HEAD
from fusefront.harness.testing.declaration import (
    check_builds,
    check_class,
    check_keywords,
    label_of,
)
from fusefront.harness.testing.in_model import in_model
from fusefront.harness.testing.module_checks import (
    check_equal,
    check_learns,
    check_repeats,
    check_restores,
    check_stays_finite,
    seeded,
)
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    Promise,
    ShapeError,
    hold,
)

N = 64
LEAST_CHANGE = 1e-9


def check_head(
    kind: type[Head],
    *,
    width: int = 6,
    choices: Mapping[str, object] | None = None,
    exceptions: Collection[str] = (),
    export: bool = True,
) -> None:
    """Hold a head to the contract, alone and in the composed model.

    `exceptions` are patterns of parameter names that may go without a gradient; `export=False`
    leaves out ONNX Runtime, which takes seconds.

    Raises:
        ContractError: the first broken promise, as a sentence.
    """
    promises = head_promises(
        kind, width=width, choices=choices, exceptions=exceptions, export=export
    )
    hold(label_of(HEAD, kind), promises)


def head_promises(
    kind: type[Head],
    *,
    width: int = 6,
    choices: Mapping[str, object] | None = None,
    exceptions: Collection[str] = (),
    export: bool = True,
) -> Iterator[Promise]:
    """What `check_head` holds it to, one after the other."""
    label, chosen = label_of(HEAD, kind), dict(choices or {})
    generator = torch.Generator().manual_seed(1)
    x = 2.0 + 3.0 * torch.randn(N, width, generator=generator, dtype=torch.float64)

    def build() -> nn.Module:
        return kind(width, **chosen)

    def run(module: nn.Module) -> list[Tensor]:
        like = next(module.parameters(), x)
        return [module(x.to(like.dtype))]

    def long(module: nn.Module) -> list[Tensor]:
        return [module(10.0 * x.float())]

    def declared() -> None:
        check_class(HEAD, kind)
        check_keywords(HEAD, kind, kind.choices)
        check_builds(label, build)

    def scorer() -> nn.Module:
        return seeded(build)().double().eval()

    yield Promise("the class says what it is and can be built", declared, gate=True)
    yield Promise(
        "logits [N] of features [N, F]", lambda: _check_shapes(label, build, x), gate=True
    )
    yield Promise("a seed repeats the results", lambda: check_repeats(label, build, run), gate=True)
    yield Promise("a row is scored alone as among others", lambda: _check_batch(label, scorer(), x))
    yield Promise("every feature counts", lambda: _check_content(label, scorer(), x))
    yield Promise("every parameter learns", lambda: check_learns(label, build, run, exceptions))
    yield Promise("numbers stay finite in bfloat16", lambda: check_stays_finite(label, build, long))
    yield Promise("its state restores it", lambda: check_restores(label, build, run))
    settings = {"operator": "concat", "token_width": 8, "head": {"name": kind.name, **chosen}}
    yield from in_model(HEAD, kind, settings, ("split", "grouping", "batch"), export=export)


def _check_shapes(label: str, build: Callable[[], nn.Module], x: Tensor) -> None:
    for training in (False, True):
        head = seeded(build)().double().train(training)
        for rows in (1, 2, N):
            shape = tuple(head(x[:rows]).shape)
            if shape != (rows,):
                raise ShapeError(
                    f"{label}: {rows} rows of features give {shape}; expected ({rows},)"
                )


def _check_batch(label: str, head: nn.Module, x: Tensor) -> None:
    with torch.no_grad():
        whole = head(x)
        for rows in (torch.tensor([N - 1]), torch.arange(7), torch.arange(N - 1, -1, -1)):
            broken = BatchError(
                f"{label}: a row gets another logit among {len(rows)} than among {N} in eval mode; use "
                "no statistics of the batch"
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
