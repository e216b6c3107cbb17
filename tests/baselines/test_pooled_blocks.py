"""DIN's rows without gradients: blocks of pairs give the formula, and hold little memory."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fusefront.baselines import packed as lookups
from fusefront.baselines.packed import Packed
from fusefront.baselines.poolers.din import DinPooler

R, L, D, CODES = 40, 5, 4, 11


class Largest(TorchDispatchMode):
    """Numbers of the largest floating tensor that an operator returns."""

    size = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and out.is_floating_point():
            self.size = max(self.size, out.numel())
        return out


def scene(*, empty: bool = False) -> tuple[Tensor, Tensor, Packed]:
    """Targets [R, D], codes [CODES, D] and a request a row with 0 to L real entries."""
    g = torch.Generator().manual_seed(0)
    length = torch.arange(R) % (L + 1) * (not empty)
    mask = torch.arange(L) >= L - length.unsqueeze(-1)
    place = torch.randint(0, CODES, (R, L), generator=g)
    target, codes = (torch.randn(n, D, generator=g).double() for n in (R, CODES))
    return target, codes, Packed(place, mask, torch.arange(R), 1)


def by_loop(pooler: DinPooler, target: Tensor, codes: Tensor, packed: Packed) -> Tensor:
    """The docstring's formula, a pair at a time."""
    out = torch.zeros(R, D).double()
    for r, t in enumerate(target):
        real = [codes[c] for c in packed.place[r][packed.mask[r]]]
        score = [
            pooler.rest(pooler.first(torch.cat([t, h, t - h, t * h])).relu()).squeeze()
            for h in real
        ]
        weight = score
        if pooler.softmax and real:
            weight = list(torch.stack(score).softmax(0))
        out[r] = sum((w * h for w, h in zip(weight, real, strict=True)), out[r])
    return out


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("pairs", [1, 4, 1000])
def test_blocks_of_pairs_are_the_formula(
    monkeypatch: pytest.MonkeyPatch, pairs: int, softmax: bool
) -> None:
    torch.manual_seed(0)
    pooler = DinPooler(D, hidden=(6, 3), softmax=softmax).double().eval()
    target, codes, packed = scene()
    monkeypatch.setattr(lookups, "BLOCK", pairs * 6)
    with torch.no_grad():
        expected = by_loop(pooler, target, codes, packed)
        ready = pooler.prepare_target(target), pooler.prepare_history(codes)
        torch.testing.assert_close(pooler.pool_rows(*ready, packed), expected)
    torch.testing.assert_close(pooler.pool_rows(*ready, packed), expected)  # all at once
    assert float(expected.abs().max()) > 1e-2


def test_without_gradients_no_layer_of_all_pairs_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    pooler = DinPooler(D, hidden=(8, 4)).double().eval()
    target, codes, packed = scene()
    pairs = int(packed.mask.sum())
    ready = pooler.prepare_target(target).detach(), pooler.prepare_history(codes).detach()
    monkeypatch.setattr(lookups, "BLOCK", 32 * 8)
    with torch.no_grad(), Largest() as blocked:
        pooler.pool_rows(*ready, packed)
    assert blocked.size == 32 * 8
    with Largest() as whole:
        pooler.pool_rows(*ready, packed)
    assert whole.size == pairs * 8 > 2 * blocked.size


def test_rows_without_any_history_are_zero() -> None:
    target, codes, packed = scene(empty=True)
    pooler = DinPooler(D, hidden=(6,)).double().eval()
    with torch.no_grad():
        ready = pooler.prepare_target(target), pooler.prepare_history(codes)
        assert torch.equal(pooler.pool_rows(*ready, packed), torch.zeros(R, D).double())
