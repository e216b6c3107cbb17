"""Heads and poolers of the last years against plain loops over their formulas, in float64."""

import math

import pytest
import torch

from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.heads.dice import Dice
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.harness.testing.macs import pooler_macs

R, K, L, D = 3, 4, 9, 4
LENGTHS = (9, 3, 0)


def silu(x):
    return x * x.sigmoid()


@pytest.fixture
def rows():
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(3)
    target, history = (torch.randn(R, n, D, generator=generator).double() for n in (K, L))
    return target, history, torch.arange(L) >= L - torch.tensor(LENGTHS).unsqueeze(-1)


def head_of(name, **settings):
    torch.manual_seed(0)
    return HEADS[name](5, norm=False, **settings).double().eval()


def pooled(name, data, formula, **settings):
    """The pooler's output, and the formula's of each candidate and its real history."""
    torch.manual_seed(0)
    pooler = POOLERS[name](D, **settings).double().eval()
    with torch.no_grad():
        for parameter in pooler.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        target, history, mask = data
        ours = pooler(pooler.prepare_target(target), pooler.prepare_history(history), mask)
        pairs = [[formula(pooler, t, history[r][mask[r]]) for t in target[r]] for r in range(R)]
    torch.testing.assert_close(ours, torch.stack([torch.stack(row) for row in pairs]))
    return pooler


def test_final_mlp_multiplies_two_gated_networks(rows):
    head = head_of("final_mlp", hidden=(6, 4), parts=2)
    for row, logit in zip(rows, head(rows), strict=True):
        ends = []
        for gate, layers in zip(head.gates, head.layers, strict=True):
            h = 2 / (1 + (-gate).exp()) * row
            for layer in layers:
                h = (layer.weight @ h + layer.bias).clamp(min=0)
            ends.append(h)
        expected = head.out.weight[0] @ torch.cat(ends) + head.out.bias[0]
        for part, matrix in enumerate(head.products):
            left, right = (end[2 * part : 2 * part + 2] for end in ends)
            expected = expected + left @ matrix @ right
        torch.testing.assert_close(logit, expected)


def test_mask_net_multiplies_features_by_masks_of_them(rows):
    head = head_of("mask_net", blocks=2, block=3, reduction=2.0, hidden=(4,))
    assert head.blocks[0].enter.out_features == 10
    for row, logit in zip(rows, head(rows), strict=True):
        blocks = []
        for block in head.blocks:
            mask = block.leave.weight @ (block.enter.weight @ row + block.enter.bias).clamp(min=0)
            h = block.project.weight @ ((mask + block.leave.bias) * row)
            h = (h - h.mean()) / (h.var(unbiased=False) + 1e-5).sqrt()
            blocks.append(h.clamp(min=0))
        h = (head.layers[0].weight @ torch.cat(blocks) + head.layers[0].bias).clamp(min=0)
        torch.testing.assert_close(logit, head.out.weight[0] @ h + head.out.bias[0])


def test_gdcn_gates_its_crosses(rows):
    head = head_of("gdcn", layers=2, hidden=(4,))
    for row, logit in zip(rows, head(rows), strict=True):
        c = row
        for cross, gate in zip(head.cross, head.gates, strict=True):
            c = row * (cross.weight @ c + cross.bias) / (1 + (-(gate.weight @ c)).exp()) + c
        h = (head.deep[0].weight @ c + head.deep[0].bias).clamp(min=0)
        torch.testing.assert_close(logit, head.out.weight[0] @ h + head.out.bias[0])


def test_ppnet_scales_every_layer_by_a_gate_without_gradient(rows):
    head = head_of("ppnet", hidden=(6, 4), gate=3)
    for row, logit in zip(rows, head(rows), strict=True):
        h = row
        for layer, enter, leave in zip(head.layers, head.enter, head.leave, strict=True):
            inner = (enter.weight @ row + enter.bias).clamp(min=0)
            gate = 2 / (1 + (-(leave.weight @ inner + leave.bias)).exp())
            h = (layer.weight @ (gate * h) + layer.bias).clamp(min=0)
        torch.testing.assert_close(logit, head.out.weight[0] @ h + head.out.bias[0])
    x = rows.clone().requires_grad_()
    head(x).sum().backward()
    gates = [
        2 * leave(enter(rows).relu()).sigmoid()
        for enter, leave in zip(head.enter, head.leave, strict=True)
    ]
    y = rows.clone().requires_grad_()
    h = y
    for layer, gate in zip(head.layers, gates, strict=True):
        h = layer(gate.detach() * h).relu()
    head.out(h).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)  # nothing flows through the gates' input
    quiet = head_of("ppnet", hidden=(6, 4), gate=3)
    quiet.load_state_dict(head.state_dict())
    with torch.no_grad():  # a gate of 1 everywhere leaves the plain network
        for leave in quiet.leave:
            leave.weight.zero_()
            leave.bias.zero_()
    h = rows
    for layer in quiet.layers:
        h = layer(h).relu()
    torch.testing.assert_close(quiet(rows), quiet.out(h).squeeze(-1))


def test_rank_mixer_exchanges_parts_of_tokens(rows):
    head = head_of("rank_mixer", tokens=2, token_width=4, blocks=1, hidden=3)
    block = head.blocks[0]

    def normed(layer, x):
        scaled = (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()
        return layer.weight * scaled + layer.bias

    for row, logit in zip(rows, head(rows), strict=True):
        chunks = torch.cat([row, row.new_zeros(1)]).view(2, 3)
        x = [chunks[t] @ head.enter.weight[t] + head.enter.bias[t, 0] for t in range(2)]
        mixed = [torch.cat([x[0][2 * h : 2 * h + 2], x[1][2 * h : 2 * h + 2]]) for h in range(2)]
        x = [normed(block.mixed_norm, mixed[t] + x[t]) for t in range(2)]
        out = []
        for t in range(2):
            inner = x[t] @ block.enter.weight[t] + block.enter.bias[t, 0]
            inner = (
                inner * (1.0 + torch.erf(inner / math.sqrt(2.0))) / 2.0
            )  # the normal's share below
            fed = inner @ block.leave.weight[t] + block.leave.bias[t, 0]
            out.append(normed(block.fed_norm, fed + x[t]))
        expected = head.out.weight[0] @ (out[0] + out[1]) / 2 + head.out.bias[0]
        torch.testing.assert_close(logit, expected)


def sata(pooler, t, h, choose=lambda alike: range(len(alike))):
    """SA-TA by a loop over heads and items; `choose` searches by the cosines first."""
    alike = [float(t @ item / (t.norm() * item.norm())) for item in h]
    some = list(choose(alike))
    q, out = pooler.query(t), torch.zeros(D).double()
    width = D // pooler.heads
    for head in range(pooler.heads):
        part = slice(head * width, head * width + width)
        logits = []
        for i in some:
            a = float(q[part] @ pooler.key(h[i])[part]) / math.sqrt(width)
            s = alike[i] * float(pooler.sharpness[head])
            b = pooler.beta[:, head, 0, 0].tolist()
            logits.append(b[0] * a + b[1] * s + b[2] * a * s)
        weights = [math.exp(x - max(logits)) for x in logits]
        for i, weight in zip(some, weights, strict=True):
            out[part] += weight / sum(weights) * pooler.value(h[i])[part]
    return out


@pytest.mark.parametrize("heads", [1, 2])
def test_semantic_attention_adds_and_multiplies_ids_and_content(data, heads):
    pooled("semantic_attention", data, sata, heads=heads)


@pytest.mark.parametrize("nearest", [2, 9, 20])
def test_content_search_attends_to_the_most_alike_alone(data, nearest):
    def choose(alike):
        return sorted(range(len(alike)), key=lambda i: -alike[i])[:nearest]

    pooled("content_search", data, lambda p, t, h: sata(p, t, h, choose), nearest=nearest)


def test_signatures_of_many_bits_find_what_the_exact_search_finds():
    torch.manual_seed(2)
    exact = POOLERS["content_search"](16, nearest=10).double()
    hashed = POOLERS["content_search"](16, nearest=10, bits=2048).double()
    hashed.load_state_dict(exact.state_dict())
    history, mask = torch.randn(5, 200, 16).double(), torch.ones(5, 200, dtype=torch.bool)
    target = history[:, :3] + 0.1 * torch.randn(5, 3, 16).double()  # a near twin of an item each
    pairs = [(p.prepare_target(target), p.prepare_history(history)) for p in (exact, hashed)]
    sign = pairs[1][0][..., -2048:] @ pairs[1][1][..., -2048:].transpose(1, 2)
    angle = (target @ history.transpose(1, 2)) / (
        target.norm(dim=-1).unsqueeze(-1) * history.norm(dim=-1).unsqueeze(1)
    )
    torch.testing.assert_close(sign, 1 - 2 * angle.arccos() / math.pi, rtol=0, atol=0.1)
    assert torch.equal(sign.argmax(-1), angle.argmax(-1))
    with torch.no_grad():
        out = [p(*pair, mask) for p, pair in zip((exact, hashed), pairs, strict=True)]
    torch.testing.assert_close(out[0], out[1], rtol=0.2, atol=0.2)


def test_attention_after_a_search_costs_what_it_leaves_not_what_there_is():
    pooler = POOLERS["content_search"](16, nearest=8)
    online = [pooler_macs(pooler, length)[1] for length in (64, 128)]
    assert online[1] - online[0] == 64 * 16  # the search alone grows, by one cosine an item


@pytest.mark.parametrize("layers", [1, 2])
def test_hstu_aggregates_without_softmax(data, layers):
    def formula(pooler, t, h):
        x = [*h, t]
        for layer in pooler.layers:
            views = [silu(layer.project(layer.enter_norm(item))).chunk(4) for item in x]
            after = []
            for i in range(len(x)):
                mixed = torch.zeros(D).double()
                for j in range(i + 1):
                    for head in range(2):
                        part = slice(head * D // 2, (head + 1) * D // 2)
                        score = silu(views[i][2][part] @ views[j][3][part])
                        mixed[part] += score * views[j][1][part] / (i + 1)
                after.append(layer.out(layer.mixed_norm(mixed) * views[i][0]) + x[i])
            x = after
        return x[-1]

    pooled("hstu", data, formula, layers=layers)


def test_dice_bends_where_the_data_lie():
    layer = Dice(3).double().train()
    with torch.no_grad():
        layer.slope.copy_(torch.tensor([0.0, 0.5, -0.2]))
    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(2)).double() * 2 + 1
    share = 1 / (1 + (-(x - x.mean(0)) / x.var(0, unbiased=False).sqrt()).exp())
    torch.testing.assert_close(layer(x), share * x + layer.slope * (1 - share) * x)
    layer.eval()
    running = 0.99 + 0.01 * x.var(0), 0.01 * x.mean(0)
    share = 1 / (1 + (-(x - running[1]) / running[0].sqrt()).exp())
    expected = share * x + layer.slope * (1 - share) * x
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer.train()(x[:1]), expected[:1])  # one row has no variance


def test_a_deep_head_with_dice_has_no_other_norm(rows):
    deep = Deep(5, (4, 3), dice=True).double().eval()
    assert len(deep.norms) == 0
    h = rows
    for layer, bend in zip(deep.layers, deep.bends, strict=True):
        h = bend(layer(h))
    torch.testing.assert_close(deep(rows), deep.out(h).squeeze(-1))


REFUSED = {
    "final_mlp": (HEADS, {"hidden": (6, 5), "parts": 2}, "last width must be a multiple of 2"),
    "mask_net": (HEADS, {"reduction": 0.0}, "expected a number above 0"),
    "rank_mixer": (HEADS, {"token_width": 6, "tokens": 4}, "expected a multiple of 4 tokens"),
    "semantic_attention": (POOLERS, {"heads": 3}, "3 heads do not divide the width 4"),
    "hstu": (POOLERS, {"heads": 3}, "3 heads do not divide the width 4"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_part_cannot_be_is_refused(name):
    zoo, settings, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=sentence):
        zoo[name](4, **settings)
