"""Counted multiplications against sums by hand."""

import pytest
import torch
from torch import nn

from fusefront.fusion_variants.zoo import COMPRESSORS, OPERATORS
from fusefront.harness.testing.macs import compressor_macs_per_item, macs_per_item

M, D = 3, 16
HIDDEN, QUERY = 64, 5
ENCODER = 4 * M * D * D + 2 * M * M * D + 2 * M * D * 2 * D  # q, k, v, out; scores, mix; FFN
BY_HAND = {
    "concat": (M * D * D, {}),
    "sum": (0, {}),
    "maf": (M * D * D, {}),
    "scalar_gate": (M * D * HIDDEN + HIDDEN * M + M * D, {}),
    "gmu": ((M * D) ** 2 + M * D * D, {}),
    "film": ((M - 1) * D * 2 * D, {}),
    "senet": (2 * M * M + M * D * D, {}),
    "bilinear": ((M - 1) * D * D + 6 * D * D, {}),
    "lmf": (M * D * 5 * D + 5 * D, {}),
    "tfn": (M * D * 8 + 9**M * D, {}),
    "dcnv2": (2 * 2 * M * D * 4 + M * D * D, {"rank": 4}),
    "self_attention": (2 * ENCODER, {"layers": 2}),
    "cross_attention": (D * D + 2 * 2 * D * D + 2 * 2 * D + D * D, {}),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_the_count_is_the_sum_by_hand(name):
    expected, choices = BY_HAND[name]
    assert macs_per_item(OPERATORS[name](M, D, **choices), M, D) == expected


def test_a_query_is_counted():
    operator = OPERATORS["scalar_gate"](M, D, query_width=QUERY)
    expected = (M * D + QUERY) * HIDDEN + HIDDEN * M + M * D
    assert macs_per_item(operator, M, D, query_width=QUERY) == expected


def test_the_fused_path_of_torch_hides_nothing():
    layer = nn.TransformerEncoderLayer(D, 4, 2 * D, batch_first=True).eval()

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, present):
            return self.layer(x)

    assert macs_per_item(Encoder(), M, D) == ENCODER
    assert torch.backends.mha.get_fastpath_enabled()


def test_counting_leaves_the_mode_of_the_module():
    operator = OPERATORS["concat"](M, D).train()
    macs_per_item(operator, M, D)
    assert operator.training


def test_a_compressor_counts_its_learned_part():
    assert compressor_macs_per_item(COMPRESSORS["bottleneck"](100, k=8)) == 800
    assert compressor_macs_per_item(COMPRESSORS["pca"](100, k=8)) == 0
    assert compressor_macs_per_item(COMPRESSORS["rq"](100, k=8)) == 0
