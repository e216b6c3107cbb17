"""Frozen compressions: what a compressor takes from a modality's vectors before a model is trained.

The same compression serves many trainings: trials, seeds and strategies that compress a modality
alike. `kept_by` lets them take it from where one of them has put it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fusefront.baselines.settings import Part


class FitVectors(NamedTuple):
    """The vectors that a compressor is fitted on: of one modality, or of several side by side."""

    modalities: tuple[str, ...]
    part: Part  # the compressor's name and keywords
    rows: Callable[[], Tensor]  # -> [n, D] float32, cleared where absent; computed at each call
    fit_mask: Tensor  # [n] bool: rows that the fit sees, present and of train


class Frozen(NamedTuple):
    """A fitted compression."""

    table: Tensor  # [n, F] what `transform` makes of all rows
    state: Mapping[str, Tensor]  # the entries of the compressor's state that the fit changed
    numbers: Mapping[str, float]  # its measures


Fit = Callable[[], Frozen]
Keeper = Callable[[nn.Module, FitVectors, int | None, Fit], Frozen]  # seed None: not used

_FITTING: ContextVar[bool] = ContextVar("fitting", default=True)
_KEEPER: ContextVar[Keeper | None] = ContextVar("keeper", default=None)


@contextmanager
def unfitted() -> Iterator[None]:
    """Within the context, build models without fitting compressors, because a trained state is
    loaded next."""
    token = _FITTING.set(False)
    try:
        yield
    finally:
        _FITTING.reset(token)


@contextmanager
def kept_by(keeper: Keeper) -> Iterator[None]:
    """Within the context, `keeper(compressor, source, seed, fit)` returns compressions: one that it
    has, or that of `fit()`."""
    token = _KEEPER.set(keeper)
    try:
        yield
    finally:
        _KEEPER.reset(token)


def frozen_tables(model: nn.Module) -> set[str]:
    """The names of the tables in a model's state that no training changes: the buffers that its
    parts list in `frozen_tables`."""
    return {
        f"{prefix}.{name}".lstrip(".")
        for prefix, part in model.named_modules()
        for name in getattr(part, "frozen_tables", ())
    }


def freeze(compressor: nn.Module, source: FitVectors, seed: int) -> tuple[Tensor, dict[str, float]]:
    """Fit a compressor, or give it the state of an equal fit: (table [n, F], the fit's measures).

    On the meta device, or `unfitted()`, nothing is fitted and nothing is measured.
    """

    def fit() -> Frozen:
        rows = source.rows()
        before = {name: value.clone() for name, value in compressor.state_dict().items()}
        numbers = compressor.fit(rows[source.fit_mask], seed).numbers  # type: ignore[operator]
        state = {
            name: value.clone()
            for name, value in compressor.state_dict().items()
            if not torch.equal(value, before[name])
        }
        with torch.no_grad():
            return Frozen(compressor.transform(rows), state, numbers)  # type: ignore[operator]

    keeper, uses = _KEEPER.get(), getattr(compressor, "fit_uses", "model")
    if source.fit_mask.is_meta or not _FITTING.get():
        with torch.no_grad():
            return compressor.transform(source.rows()), {}  # type: ignore[operator]
    if keeper is None or uses == "model":
        frozen = fit()
    else:
        frozen = keeper(compressor, source, seed if uses == "seed" else None, fit)
        compressor.load_state_dict(dict(frozen.state), strict=False)
    return frozen.table, dict(frozen.numbers)
