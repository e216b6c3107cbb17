"""Multiplications per item, counted on the products that actually run."""

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fusefront.fusion_variants.contract import Compressor


def macs_per_item(module: nn.Module, slots: int, d: int, *, query_width: int = 0) -> int:
    """Multiply-accumulates that one more item costs an operator, all slots there, in eval mode.

    Matrix products only: sums, gates, norms and softmaxes are not counted, nor what a batch does
    once. Fused attention hides its products from the counter, so it is off while counting.
    """
    parts = [torch.zeros(3, slots, d), torch.ones(3, slots, dtype=torch.bool)]
    return _one_more(module, *parts, *([torch.zeros(3, query_width)] if query_width else []))


def compressor_macs_per_item(compressor: Compressor) -> int:
    """Multiply-accumulates of a compressor's learned part for one item; the frozen part is offline."""
    table = compressor.transform(torch.zeros(3, compressor.width_in))
    return _one_more(compressor, table, torch.ones(3, dtype=torch.bool))


def _one_more(module: nn.Module, *inputs: torch.Tensor) -> int:
    was_training, fast = module.training, torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    counts = []
    try:
        for items in (2, 3):
            with (
                torch.no_grad(),
                sdpa_kernel(SDPBackend.MATH),
                FlopCounterMode(display=False) as counter,
            ):
                module.eval()(*(part[:items] for part in inputs))
            counts.append(counter.get_total_flops())
    finally:
        module.train(was_training)
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counts[1] - counts[0]) // 2  # a multiply-accumulate is two operations
