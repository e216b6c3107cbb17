"""The contract of a pooler, checked by one call: `check_pooler(Recent)`."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Pooler, defined_with
from fusefront.baselines.packed import Packed
from fusefront.harness.parts.kinds import POOLER
from fusefront.harness.testing.declaration import check_of
from fusefront.harness.testing.in_model import in_model
from fusefront.harness.testing.module_checks import check_equal
from fusefront.harness.testing.module_part import ModulePart
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    DeclarationError,
    FiniteError,
    PaddingError,
    Promise,
    ShapeError,
)

R, K, L = 4, 5, 6
LENGTHS = (6, 3, 1, 0)
REDRAWS = 16
LEAST_CHANGE = 1e-9


def pooler_promises(
    kind: type[Pooler],
    *,
    width: int = 8,
    choices: Mapping[str, object] | None = None,
    exceptions: Collection[str] = (),
    export: bool = True,
) -> Iterator[Promise]:
    """The promises of a pooler, by itself and in the composed model.

    `exceptions` are patterns of parameter names that may stay without a gradient; `export=False`
    leaves out ONNX Runtime, which takes seconds.
    """
    chosen = dict(choices or {})
    data = _Data.of(width)

    def vectors(module: nn.Module, dtype: torch.dtype) -> list[Tensor]:
        return [pooled(module, data.to(dtype))]

    def long(module: nn.Module) -> list[Tensor]:
        part = data.to(torch.float32)
        return [pooled(module, part._replace(target=10 * part.target, history=10 * part.history))]

    part = ModulePart.of_width(POOLER, kind, width, chosen, vectors)

    def over(check: Callable[[str, Pooler, _Data], None]) -> Callable[[], None]:
        return lambda: check(part.label, cast(Pooler, part.scorer()), data)

    yield from part.opening("shapes are as promised", over(_check_shapes))
    yield Promise("padding changes nothing", over(_check_padding))
    yield Promise("a history of its own pools like a shared one", over(_check_own_history))
    yield Promise("the history counts", over(_check_content))
    yield Promise("a row is pooled alone as among others", over(_check_batch))
    if defined_with(kind, "pool_rows", "forward"):
        yield Promise("real rows alone pool like padded ones", over(_check_rows))
    yield part.learns(exceptions)
    yield from part.closing(long)
    settings = {"operator": "concat", "token_width": 8, "pooler": {"name": kind.name, **chosen}}
    checks = ("split", "grouping", "padding", "history", "batch")
    yield from in_model(POOLER, kind, settings, checks, export=export)


check_pooler = check_of(POOLER, pooler_promises)


class _Data(NamedTuple):
    target: Tensor  # [R, K, D]
    history: Tensor  # [R, L, D]
    mask: Tensor  # [R, L]

    @classmethod
    def of(cls, width: int) -> "_Data":
        generator = torch.Generator().manual_seed(3)
        target = torch.randn(R, K, width, generator=generator, dtype=torch.float64)
        history = torch.randn(R, L, width, generator=generator, dtype=torch.float64)
        return cls(target, history, torch.arange(L) >= L - torch.tensor(LENGTHS).unsqueeze(-1))

    def to(self, dtype: torch.dtype) -> "_Data":
        return _Data(self.target.to(dtype), self.history.to(dtype), self.mask)


def pooled(pooler: nn.Module, data: _Data) -> Tensor:
    """Both halves of the pooler in turn: [R, K, width_out]."""
    target = pooler.prepare_target(data.target)  # type: ignore[operator]
    out: Tensor = pooler(target, pooler.prepare_history(data.history), data.mask)  # type: ignore[operator]
    return out


def _check_shapes(label: str, pooler: Pooler, data: _Data) -> None:
    for prepare, x in (
        (pooler.prepare_history, data.history),
        (pooler.prepare_target, data.target),
    ):
        flat = prepare(x.flatten(0, 1))
        broken = ShapeError(f"{label}: {prepare.__name__} depends on the axes before the last")
        check_equal(prepare(x).flatten(0, 1), flat, broken)
    with torch.no_grad():
        shape = tuple(pooled(pooler, data).shape)
    if shape != (R, K, pooler.width_out):
        raise ShapeError(
            f"{label}: forward gives {shape}; expected {(R, K, pooler.width_out)}: requests, "
            "candidates, width_out"
        )
    if pooler.keeps_width != (pooler.width_out == pooler.width):
        raise DeclarationError(
            f"{label}: keeps_width is {pooler.keeps_width} and width_out {pooler.width_out} for "
            f"items of {pooler.width}; let them agree"
        )


def _check_padding(label: str, pooler: Pooler, data: _Data) -> None:
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(data.history.shape, generator=generator, dtype=torch.float64)
    more = torch.randn(R, 5, data.history.shape[-1], generator=generator, dtype=torch.float64)
    other = data._replace(history=torch.where(data.mask.unsqueeze(-1), data.history, noise))
    wider = data._replace(
        history=torch.cat([more, data.history], 1),
        mask=torch.cat([torch.zeros(R, 5, dtype=torch.bool), data.mask], 1),
    )
    with torch.no_grad():
        before = pooled(pooler, data)
        if not bool(before.isfinite().all()):
            raise FiniteError(f"{label}: an empty history does not give finite numbers")
        for what, part in (("what padded places hold", other), ("more padding on the left", wider)):
            broken = PaddingError(f"{label}: {what} changes the pooled vector; use the mask")
            check_equal(pooled(pooler, part), before, broken)


def _check_own_history(label: str, pooler: Pooler, data: _Data) -> None:
    each = data._replace(history=data.history.unsqueeze(1).expand(-1, K, -1, -1))
    broken = ShapeError(
        f"{label}: a history for every candidate [R, K, L, H] pools differently from a shared one "
        "[R, L, H]"
    )
    with torch.no_grad():
        check_equal(pooled(pooler, each), pooled(pooler, data), broken)


def _check_content(label: str, pooler: Pooler, data: _Data) -> None:
    generator = torch.Generator().manual_seed(7)
    moved = torch.zeros(R, K, dtype=torch.bool)
    with torch.no_grad():
        before = pooled(pooler, data)
        for _ in range(REDRAWS):
            drawn = torch.randn(data.history.shape, generator=generator, dtype=torch.float64)
            after = pooled(pooler, data._replace(history=drawn))
            moved |= (after - before).abs().amax(-1) > LEAST_CHANGE
    real = data.mask.any(-1)
    if not bool(moved[real].all()):
        raise ContentError(f"{label}: other items in the history leave the pooled vector as it is")


def _check_rows(label: str, pooler: Pooler, data: _Data) -> None:
    rows = torch.tensor([n for n in range(R * K) if n % 3])  # some candidates are padding
    codes = torch.cat([torch.zeros(1, data.history.shape[-1]), data.history.flatten(0, 1)])
    place = (torch.arange(R * L).view(R, L) + 1) * data.mask
    target = pooler.prepare_target(data.target.flatten(0, 1)[rows])
    history = pooler.prepare_history(codes.to(data.history.dtype))
    broken = PaddingError(
        f"{label}: pool_rows over the real rows pools differently from forward over padded ones"
    )
    with torch.no_grad():
        alone = pooler.pool_rows(target, history, Packed(place, data.mask, rows, K))  # type: ignore[operator]
        check_equal(alone, pooled(pooler, data).flatten(0, 1)[rows], broken)


def _check_batch(label: str, pooler: Pooler, data: _Data) -> None:
    with torch.no_grad():
        whole = pooled(pooler, data)
        for rows in (torch.tensor([2]), torch.arange(R - 1, -1, -1)):
            part = _Data(*(x[rows] for x in data))
            broken = BatchError(
                f"{label}: a request is pooled differently among {len(rows)} than among {R}"
            )
            check_equal(pooled(pooler, part), whole[rows], broken)
