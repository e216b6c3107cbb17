"""Poolers and heads against plain loops over their formulas, in float64."""

import math

import pytest
import torch
from torch import nn

from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.harness.testing import check_head, check_pooler

R, K, L, D = 3, 4, 6, 8
LENGTHS = (6, 2, 0)


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(3)
    history = torch.randn(R, L, D, generator=generator).double()
    target = torch.randn(R, K, D, generator=generator).double()
    mask = torch.arange(L) >= L - torch.tensor(LENGTHS).unsqueeze(-1)
    return target, history, mask


def pooled(pooler, target, history, mask):
    with torch.no_grad():
        return pooler(pooler.prepare_target(target), pooler.prepare_history(history), mask)


def by_loop(pooler, data, pool_row):
    """`one(t, real history) -> u` for every request and candidate."""
    target, history, mask = data
    with torch.no_grad():
        return torch.stack(
            [torch.stack([pool_row(t, history[r][mask[r]]) for t in target[r]]) for r in range(R)]
        )


def make(name, **settings):
    torch.manual_seed(0)
    return POOLERS[name](D, **settings).double().eval()


def test_mean_is_the_mean_of_the_real_items(data):
    def pool_row(t, h):
        return h.sum(0) / max(1, len(h))

    pooler = make("mean")
    torch.testing.assert_close(pooled(pooler, *data), by_loop(pooler, data, pool_row))


def test_target_attention_equals_a_loop_over_heads_and_items(data):
    pooler = make("target_attention", heads=2)

    def pool_row(t, h):
        q, k, v = pooler.query(t), pooler.key(h), pooler.value(h)
        out = torch.zeros(D).double()
        for head in range(2):
            part = slice(head * 4, head * 4 + 4)
            scores = [math.exp(float(q[part] @ k[i, part]) / 2) for i in range(len(h))]
            for score, value in zip(scores, v, strict=True):
                out[part] += score / sum(scores) * value[part]
        return out

    torch.testing.assert_close(pooled(pooler, *data), by_loop(pooler, data, pool_row))


@pytest.mark.parametrize("softmax", [False, True])
def test_din_equals_its_network_on_the_four_views(data, softmax):
    pooler = make("din", hidden=(5, 3), softmax=softmax)

    def pool_row(t, h):
        scores = []
        for item in h:
            views = torch.cat([t, item, t - item, t * item])
            scores.append(pooler.rest(pooler.first(views).relu()))
        if not scores:
            return torch.zeros(D).double()
        weight = torch.cat(scores)
        return (weight.softmax(0) if softmax else weight) @ h

    torch.testing.assert_close(pooled(pooler, *data), by_loop(pooler, data, pool_row))


def test_sparse_relu_attention_equals_its_formula(data):
    pooler = make("sparse_relu_attention", hidden=5)

    def pool_row(t, h):
        total = torch.zeros(5).double()
        for item in h:
            score = float(pooler.query(t) @ pooler.key(item)) / math.sqrt(5)
            total += max(score, 0.0) * pooler.value(item)
        return pooler.out(total) + t

    torch.testing.assert_close(pooled(pooler, *data), by_loop(pooler, data, pool_row))


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def test_similarity_buckets_add_to_keys_and_values(data):
    pooler = make("similarity_buckets", buckets=7)

    def pool_row(t, h):
        if not len(h):
            return torch.zeros(D).double()
        places = [min(6, int((cosine(t, item) + 1) / 2 * 7)) for item in h]
        keys = pooler.key(h) + pooler.bucket_keys[places]
        values = pooler.value(h) + pooler.bucket_values[places]
        return (keys @ pooler.query(t) / math.sqrt(D)).softmax(0) @ values

    torch.testing.assert_close(pooled(pooler, *data), by_loop(pooler, data, pool_row))


def test_similarity_histogram_interpolates_attention_and_histogram(data):
    pooler = make("similarity_histogram", alpha=0.25, bins=5)
    attention = pooled(pooler.attend, *data)

    def pool_row(t, h):
        counts = torch.zeros(5).double()
        for item in h:
            counts[min(4, int((cosine(t, item) + 1) / 2 * 5))] += 1 / len(h)
        return pooler.read(counts)

    expected = 0.25 * attention + 0.75 * by_loop(pooler, data, pool_row)
    torch.testing.assert_close(pooled(pooler, *data), expected)


def test_similarity_tiers_stand_beside_the_pooled_history(data):
    pooler = make("similarity_tiers", tiers=4, hidden=(5,))

    def pool_row(t, h):
        counts = torch.zeros(4).double()
        for item in h:
            counts[min(3, int((cosine(t, item) + 1) / 2 * 4))] += 1 / len(h)
        return counts

    with_tiers = pooled(pooler, *data)
    torch.testing.assert_close(with_tiers[..., D:], by_loop(pooler, data, pool_row))
    torch.testing.assert_close(with_tiers[..., :D], pooled(pooler.pool, *data))


def test_additive_attention_scores_items_whoever_the_candidate(data):
    pooler = make("additive_attention", hidden=5)

    def pool_row(t, h):
        if not len(h):
            return torch.zeros(D).double()
        return pooler.score(pooler.inner(h).tanh()).squeeze(-1).softmax(0) @ h

    torch.testing.assert_close(pooled(pooler, *data), by_loop(pooler, data, pool_row))


def test_transformer_equals_the_library_encoder_on_real_positions(data):
    """torch's own encoder layer, row by row without padding, with the weights copied."""
    pooler = make("transformer", layers=2, hidden=7, last=3)
    layers = []
    for ours in pooler.layers:
        theirs = nn.TransformerEncoderLayer(2 * D, 1, 7, 0.0, batch_first=True).double()
        attention = theirs.self_attn
        with torch.no_grad():
            attention.in_proj_weight.copy_(ours.project.weight)
            attention.in_proj_bias.copy_(ours.project.bias)
            attention.out_proj.load_state_dict(ours.out.state_dict())
            theirs.linear1.load_state_dict(ours.feed.layers[0].state_dict())
            theirs.linear2.load_state_dict(ours.feed.layers[1].state_dict())
            theirs.norm1.load_state_dict(ours.norms[0].state_dict())
            theirs.norm2.load_state_dict(ours.norms[1].state_dict())
        layers.append(theirs.train())  # without the fused path of evaluation

    def pool_row(t, h):
        h = h if len(h) else torch.zeros(1, D).double()  # a cold user sees the target alone
        x = torch.cat([h, t.expand(len(h), -1)], -1).unsqueeze(0)
        for layer in layers:
            x = layer(x)
        padded = torch.cat([torch.zeros(L, 2 * D).double(), x[0]])
        return torch.cat([padded[-3:].flatten(), pooler.out(x[0].amax(0))])

    torch.testing.assert_close(pooled(pooler, *data), by_loop(pooler, data, pool_row))


@pytest.mark.parametrize("name", POOLERS)
def test_every_pooler_keeps_the_contract(name):
    check_pooler(POOLERS[name], width=D, export=False)


@pytest.mark.parametrize("name", HEADS)
def test_every_head_keeps_the_contract(name):
    check_head(HEADS[name], export=False)


def test_dcnv2_head_equals_its_formula():
    torch.manual_seed(0)
    head = HEADS["dcnv2"](5, layers=2, rank=3, hidden=(4,), norm=False).double()
    x = torch.randn(7, 5).double()
    crossed = x
    for layer in head.cross:
        crossed = torch.stack(
            [
                row * (layer.up.weight @ layer.down.weight @ h + layer.up.bias) + h
                for row, h in zip(x, crossed, strict=True)
            ]
        )
    deep = (x @ head.deep[0].weight.T + head.deep[0].bias).clamp(min=0)
    expected = torch.cat([crossed, deep], -1) @ head.out.weight[0] + head.out.bias
    torch.testing.assert_close(head(x), expected)


def test_quadratic_head_equals_its_formula():
    torch.manual_seed(0)
    head = HEADS["quadratic"](4, layers=2, rank=3, norm=False).double().eval()
    x = torch.randn(6, 4).double()
    y = x
    for layer in head.layers:
        weights, biases = layer.products.weight.view(3, 4, 4), layer.products.bias.view(3, 4)
        total = sum(y * (y @ weights[r].T + biases[r]) for r in range(3))
        total = total / math.sqrt(
            1 + layer.norm.eps
        )  # fresh running statistics: mean 0, variance 1
        y = y + torch.where(total > 0, total, layer.bend.weight * total)
    torch.testing.assert_close(head(x), y @ head.out.weight[0] + head.out.bias)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_in_evaluation_equals_its_unfolded_norm(name):
    torch.manual_seed(0)
    head = HEADS[name](6).double().train()
    for _ in range(5):
        head(torch.randn(32, 6).double() * 3 + 2)
    x = torch.randn(9, 6).double()
    head.eval()
    folded = head(x)
    plain, norm = HEADS[name](6, norm=False).double().eval(), head.norm
    plain.load_state_dict(
        {key: v for key, v in head.state_dict().items() if not key.startswith("norm.")}
    )
    torch.testing.assert_close(
        folded,
        plain(
            nn.functional.batch_norm(
                x, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False
            )
        ),
    )
