"""Checks shared by all kinds of modules: seeds, gradients, finite numbers, saved state. Each is a
function that raises a ContractError, its breach."""

import re
from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, nn

from fusefront.harness.testing.promises import (
    ContractError,
    FiniteError,
    GradientError,
    SeedError,
    StateError,
)

SEED = 20
LEAST_GRADIENT = 1e-8  # of the largest gradient of the module, float64
Run = Callable[[nn.Module], Sequence[Tensor]]  # the module's outputs on fixed inputs


def seeded(build: Callable[[], nn.Module], seed: int = SEED) -> Callable[[], nn.Module]:
    """`build` with torch's generator seeded."""

    def make() -> nn.Module:
        torch.manual_seed(seed)
        return build()

    return make


def check_repeats(label: str, build: Callable[[], nn.Module], run: Run) -> None:
    """A seed repeats the weights and a training step; scoring is not random."""
    for training in (False, True):
        outputs = []
        for again in range(2):
            module = seeded(build)().double().train(training)
            torch.manual_seed(SEED if training else SEED + again)
            outputs.append(run(module))
        what = "a training step" if training else "scoring"
        check_equal(
            outputs[1],
            outputs[0],
            SeedError(
                f"{label}: {what} twice gives different numbers; draw random numbers in training "
                "only, from torch's generator"
            ),
        )


def check_learns(
    label: str, build: Callable[[], nn.Module], run: Run, exceptions: Collection[str] = ()
) -> None:
    """Random weighted sums of the outputs give every parameter a gradient above round-off."""
    module = seeded(build)().double().train()
    torch.manual_seed(SEED)
    outputs = [out for out in run(module) if out.requires_grad]
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not parameters:
        return
    if not outputs:
        raise GradientError(f"{label}: its output has no gradient, so no parameter learns")
    generator = torch.Generator().manual_seed(SEED)
    weights = [torch.randn(o.shape, generator=generator, dtype=torch.float64) for o in outputs]
    total = sum((out * weight).sum() for out, weight in zip(outputs, weights, strict=True))
    assert isinstance(total, Tensor)
    gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    sizes = [0.0 if g is None else float(g.abs().max()) for g in gradients]
    for name, size in zip(parameters, sizes, strict=True):
        spared = any(re.fullmatch(pattern, name) for pattern in exceptions)
        if not spared and not size > LEAST_GRADIENT * max(sizes):
            raise GradientError(
                f"{label}: parameter {name!r} gets no gradient (largest {size:.1e}, of all "
                f"{max(sizes):.1e}); remove it, or name it as one that may go without (a bias "
                "before a batch norm)"
            )


def gradients_of(module: nn.Module, outputs: Sequence[Tensor]) -> list[Tensor]:
    """Gradients of the sum of the outputs [...], one of the shape of each parameter; [] if nothing
    learns."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    reached = [out.sum() for out in outputs if out.requires_grad]
    if not parameters or not reached:
        return []
    gradients = torch.autograd.grad(
        torch.stack(reached).sum(), parameters, allow_unused=True, retain_graph=True
    )
    return [g if g is not None else torch.zeros(()) for g in gradients]


def check_stays_finite(label: str, build: Callable[[], nn.Module], run: Run) -> None:
    """Outputs are finite in float32 and under bfloat16 autocast, in training and in scoring."""
    for training in (False, True):
        for half in (False, True):
            module = seeded(build)().train(training)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
                outputs = run(module)
            if not all(bool(out.isfinite().all()) for out in outputs):
                raise FiniteError(
                    f"{label}: not finite {'under bfloat16 autocast' if half else 'in float32'}"
                    f" in {'train' if training else 'eval'} mode"
                )


def check_restores(label: str, build: Callable[[], nn.Module], run: Run) -> None:
    """The saved state makes another instance give the same outputs."""
    module = seeded(build)().double()
    run(module.train())  # also fills running statistics, which are state
    other = seeded(build, SEED + 1)().double()
    other.load_state_dict(module.state_dict())
    check_equal(
        run(module.eval()),
        run(other.eval()),
        StateError(
            f"{label}: loaded from its state it gives other numbers; keep what is fitted in buffers"
        ),
    )


def check_equal(
    value: object,
    expected: object,
    broken: ContractError,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-12,
) -> None:
    """Raise `broken` unless both values are equal, tensor by tensor, within the tolerances."""
    try:
        torch.testing.assert_close(value, expected, rtol=rtol, atol=atol, equal_nan=True)
    except AssertionError as error:
        raise broken from error
