"""Multiply-accumulates (MACs) of one more item or candidate, counted while the code runs."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fusefront.baselines.contract import Baseline, Pooler
from fusefront.fusion_variants.contract import Compressor


def macs_per_item(module: nn.Module, slots: int, d: int, *, query_width: int = 0) -> int:
    """MACs that one more item costs an operator with all `slots` present, in eval mode.

    Only matrix products count: not sums, gates, norms, softmaxes, nor what runs once a batch. Fused
    attention would hide its products from the counter, so it is switched off.
    """
    parts = [torch.zeros(3, slots, d), torch.ones(3, slots, dtype=torch.bool)]
    parts += [torch.zeros(3, query_width)] if query_width else []
    return _one_more(module, lambda items: module(*(part[:items] for part in parts)))


def compressor_macs_per_item(compressor: Compressor) -> int:
    """MACs of a compressor's learned part for one item; the frozen part runs offline."""
    table = compressor.transform(torch.zeros(3, compressor.width_in))
    there = torch.ones(3, dtype=torch.bool)
    return _one_more(compressor, lambda items: compressor(table[:items], there[:items]))


def encode_macs_per_item(model: Baseline) -> int:
    """MACs of a model's offline half for one item, as candidate and in histories."""
    return _one_more(model, lambda items: model.encode_items(torch.arange(items) + 1))


def pooler_macs(pooler: Pooler, length: int) -> tuple[int, int]:
    """MACs offline for one item (in both roles), and online for one candidate over `length`
    items."""
    x = torch.zeros(3, pooler.width)
    mask = torch.ones(1, length, dtype=torch.bool)
    with torch.no_grad():
        history = pooler.prepare_history(x[:1]).expand(length, -1).unsqueeze(0)  # [1, L, H]
        queries = pooler.prepare_target(x).unsqueeze(0)  # [1, 3, Q]

    def offline(items: int) -> object:
        return pooler.prepare_history(x[:items]), pooler.prepare_target(x[:items])

    def online(candidates: int) -> object:
        return pooler(queries[:, :candidates], history, mask)

    return _one_more(pooler, offline), _one_more(pooler, online)


def head_macs(head: nn.Module, width: int) -> int:
    """MACs of a head for one candidate."""
    x = torch.zeros(3, width)
    return _one_more(head, lambda rows: head(x[:rows]))


def _one_more(module: nn.Module, run: Callable[[int], object]) -> int:
    """How many MACs `run(3)` has more than `run(2)`."""
    was_training, fast = module.training, torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    counts = []
    module.eval()
    try:
        for rows in (2, 3):
            with (
                torch.no_grad(),
                sdpa_kernel(SDPBackend.MATH),
                FlopCounterMode(display=False) as counter,
            ):
                run(rows)
            counts.append(counter.get_total_flops())
    finally:
        module.train(was_training)
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counts[1] - counts[0]) // 2  # a multiply-accumulate is two operations
