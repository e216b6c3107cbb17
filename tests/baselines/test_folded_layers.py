"""What is served has one matrix where training has several linear steps: equal scores, fewer
products."""

import pytest
import torch
from torch import nn

from fusefront.baselines.heads.dcnv2 import CrossLayer
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.heads.final_mlp import FinalMlp
from fusefront.fusion_variants.zoo import OPERATORS
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.testing.macs import head_macs, macs_per_item

NEAR = {"rtol": 1e-6, "atol": 1e-6}


def moved(norm):
    """A norm whose statistics and weights say something."""
    with torch.no_grad():
        norm.running_mean.uniform_(-1.0, 1.0)
        norm.running_var.uniform_(0.5, 2.0)
        norm.weight.uniform_(-2.0, 2.0)
        norm.bias.uniform_(-1.0, 1.0)


def test_a_norm_after_a_layer_is_part_of_the_layer():
    torch.manual_seed(1)
    head = Deep(6, (5, 4)).eval()
    for norm in head.norms:
        moved(norm)
    x = torch.randn(9, 6)
    expected = x
    for layer, norm in zip(head.layers, head.norms, strict=True):
        expected = norm(layer(expected)).relu()
    torch.testing.assert_close(head(x), head.out(expected).squeeze(-1), **NEAR)


def test_final_mlps_gates_and_norm_are_part_of_its_first_layers():
    torch.manual_seed(2)
    head = FinalMlp(6, hidden=(5, 4), parts=2).eval()
    moved(head.norm)
    x = torch.randn(9, 6)
    streams = []
    for gate, (first, second) in zip(head.gates, head.layers, strict=True):
        h = first(2.0 * torch.sigmoid(gate) * head.norm(x)).relu()
        streams.append(second(h).relu())
    pairs = [
        sum(left[2 * p : 2 * p + 2] @ head.products[p] @ right[2 * p : 2 * p + 2] for p in (0, 1))
        for left, right in zip(*streams, strict=True)
    ]
    expected = head.out(torch.cat(streams, -1)).squeeze(-1) + torch.stack(pairs)
    torch.testing.assert_close(head(x), expected, **NEAR)


@pytest.mark.parametrize(("rank", "macs"), [(2, 2 * 2 * 8), (4, 2 * 4 * 8), (5, 8 * 8)])
def test_a_cross_layer_multiplies_by_whatever_costs_less(rank, macs):
    torch.manual_seed(3)
    layer = CrossLayer(8, rank)
    x, h = torch.randn(5, 8), torch.randn(5, 8)
    expected = x * (h @ layer.down.weight.T @ layer.up.weight.T + layer.up.bias) + h
    for training in (True, False):
        torch.testing.assert_close(layer.train(training)(x, h), expected, **NEAR)

    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return self.layer(x, x)

    assert head_macs(Alone(), 8) == macs


CHAINS = [  # at 4 slots of width 12
    ("bilinear", {"sharing": "all", "rank": 16}, 3 * 12 * 12 + 10 * 12 * 12),
    ("bilinear", {"sharing": "each", "rank": 16}, 3 * 12 * 12 + 10 * 12 * 12),
    ("bilinear", {"sharing": "interaction", "rank": 16}, 6 * 12 * 12 + 10 * 12 * 12),
    ("bilinear", {"sharing": "all", "rank": 4}, 3 * 2 * 4 * 12 + 10 * 12 * 12),
    ("dcnv2", {"layers": 2, "rank": 32}, 2 * 48 * 48 + 48 * 12),
    ("dcnv2", {"layers": 2, "rank": 16}, 2 * 2 * 16 * 48 + 48 * 12),
    ("self_attention", {"heads": 1, "layers": 1}, None),
    ("cross_attention", {"heads": 1}, None),
    ("perceiver", {"heads": 1}, None),
    ("mbt", {"heads": 1}, None),
    ("fq_former", {"heads": 1}, None),
]


@pytest.mark.parametrize(("name", "settings", "macs"), CHAINS)
def test_an_operator_says_the_same_folded(name, settings, macs):
    torch.manual_seed(4)
    operator = OPERATORS[name](4, 12, **settings).double()
    x, present = torch.randn(7, 4, 12).double(), torch.rand(7, 4) < 0.7
    present[0], present[1] = True, False
    operator.train()
    trained = operator(x, present).tokens
    tokens = operator.eval()(x, present).tokens
    torch.testing.assert_close(tokens, trained, rtol=1e-9, atol=1e-9)
    if macs is not None:
        assert macs_per_item(operator.float(), 4, 12) == macs


def test_one_head_needs_no_keys_and_values():
    """The id reads three slots of content, whose keys and values two heads project."""
    costs = []
    for heads in (1, 2):
        operator = OPERATORS["cross_attention"](4, 12, heads=heads)
        costs.append(macs_per_item(operator, 4, 12))
    assert costs[1] - costs[0] == 3 * 2 * 12 * 12


def test_a_model_costs_what_its_cheaper_matrix_does(scene):
    """Bilinear pairs of rank 16 at width 12 cost as much as full ones once served, not 2.7 times
    of it, and a score is the same to 1e-6."""
    costs = {}
    for rank in (0, 4, 16):
        settings = {"token_width": 12, "operator": {"name": "bilinear", "rank": rank}}
        model = scene.build("compressed_fusion", {**settings, "id_width": 4}).eval()
        costs[rank] = macs_per_candidate(model.float(), scene.schema.items, scene.schema)
    assert costs[4] < costs[16] == costs[0]
