"""Norms after linear layers leave nothing in an exported graph."""

import pytest
import torch
from planted import trained

from fusefront.baselines.heads.deep import Deep
from fusefront.harness.serving.export.online import eager_logits, export_core, random_feeds
from fusefront.harness.serving.export.trace import Example

SMALL = {"embedding": 4, "attention": (8,), "hidden": (11, 9)}
HIDDEN = {(width,) for width in SMALL["hidden"]}


def scales(graph):
    """Products by a constant number for each hidden unit."""
    sizes = {constant.name: tuple(constant.dims) for constant in graph.graph.initializer}
    products = [node for node in graph.graph.node if node.op_type == "Mul"]
    return [node for node in products if HIDDEN & {sizes.get(name) for name in node.input}]


@pytest.mark.parametrize("folded", [True, False])
def test_a_deep_heads_norms_are_part_of_its_layers(folded, monkeypatch):
    model, codes, schema = trained("din", SMALL)
    (feed,) = random_feeds(schema, (Example(3, 5, 7),), seed=2)
    served = eager_logits(model, codes, feed)
    if not folded:
        monkeypatch.setattr(Deep, "forward", unfolded)
        plain = eager_logits(model, codes, feed)
        torch.testing.assert_close(torch.from_numpy(served), torch.from_numpy(plain), **NEAR)
    count = 0 if folded else len(HIDDEN)
    assert len(scales(export_core(model, codes, schema).graph)) == count


NEAR = {"rtol": 1e-6, "atol": 1e-6}


def unfolded(head, x):
    """A layer, then its norm as scale and shift, then ReLU."""
    for layer, norm in zip(head.layers, head.norms, strict=True):
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        x = ((layer(x) - norm.running_mean) * scale + norm.bias).relu()
    return head.out(x).squeeze(-1)
