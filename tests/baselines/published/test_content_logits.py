"""Logits of SimTier, MUSE and MAKE against plain loops: what is read, and by which head."""

import math

import pytest
import torch

from fusefront.baselines.contract import gather

PAIRS = ((0, 0), (1, 2), (2, 1), (3, 0), (5, 4))
SMALL = {"embedding": 4, "hidden": (8,)}
CASES = {
    "simtier": SMALL | {"content": 6, "attention": (6, 4), "tiers": 5},
    "muse": SMALL | {"content": 6, "nearest": 3, "tiers": 5},
    "make": SMALL | {"content": 3, "attention": (6, 4), "knowledge": (7, 5)},
}


def seasoned(scene, name):
    """A model in evaluation with drawn weights and drawn means and deviations of its norms."""
    model = scene.build(name, CASES[name]).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for key, value in [*model.named_parameters(), *model.named_buffers()]:
            if "running" in key or isinstance(value, torch.nn.Parameter):
                noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
                value.copy_(noise.square() + 0.5 if "running_var" in key else 0.5 * noise)
    return model


def deep(head, x):
    """Linear, norm by what was counted, ReLU; then one number where the head ends in one."""
    for k, layer in enumerate(head.layers):
        x = layer.weight @ x + layer.bias
        if len(head.norms):
            norm = head.norms[k]
            x = (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
            x = norm.weight * x + norm.bias
        x = x.clamp(min=0.0)
    return x if head.out is None else (head.out.weight @ x + head.out.bias)[0]


def din(pool, t, past):
    """Σ MLP([t; h; t - h; t ⊙ h]) h."""
    total = torch.zeros_like(t)
    for h in past:
        x = torch.cat([t, h, t - h, t * h])
        x = pool.first.weight @ x + pool.first.bias
        for layer in pool.rest.layers:
            x = layer.weight @ x.clamp(min=0.0) + layer.bias
        total = total + x[0] * h
    return total


def directions(model, ids):
    """Frozen content [M][U, .] at length 1; zero where an item has not the modality."""
    there = model.content.present[ids]
    rows = [part.frozen.double()[ids] for part in model.content.modalities]
    rows = [x / x.norm(dim=-1, keepdim=True) for x in rows]
    return [x.masked_fill(~there[:, [m]], 0.0) for m, x in enumerate(rows)]


def counts(model, t, past, g, there):
    """w_b log(1 + n_b) of each modality."""
    pieces = []
    for m, rows in enumerate(g):
        n = [0] * 5
        for item in past:
            if there[item, m] and there[t, m]:
                n[min(4, int((float(rows[t] @ rows[item]) + 1) / 2 * 5))] += 1
        pieces.append(torch.tensor([math.log(1 + count) for count in n]) * model.tiers.weights[m])
    return torch.cat(pieces)


def muse(model, t, past, e, g):
    """SA-TA, one head, over the three most alike of the history; of equal ones the newer."""
    pool, content = model.pool, torch.cat(g, -1)
    content = content / content.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    alike = [float(content[t] @ content[item]) for item in past]
    order = sorted(range(len(past)), key=lambda at: (-round(alike[at], 6), -at))[:3]
    asks = pool.query.weight @ e[t] + pool.query.bias
    scores, values = [], []
    for place in order:
        a = asks @ (pool.key.weight @ e[past[place]]) / math.sqrt(len(asks))
        s = pool.sharpness.flatten()[0] * alike[place]
        b = pool.beta.flatten()
        scores.append(b[0] * a + b[1] * s + b[2] * a * s)
        values.append(pool.value.weight @ e[past[place]])
    weight = torch.stack(scores).softmax(0)
    return sum(w * v for w, v in zip(weight, values, strict=True))


def pairs(model, scene):
    """Logits of some candidates beside their ids, real histories and context."""
    batch = scene.batch
    codes = model.encode_items(torch.arange(scene.schema.items + 1))
    request = gather(codes, batch, batch.items)
    logits = model.score(request).logits
    context = model.context(batch.request_context, batch.candidate_context, logits.unsqueeze(-1))
    for r, k in PAIRS:
        past = batch.items[batch.history[r][batch.history_mask[r]]].tolist()
        yield logits[r, k], int(batch.items[batch.candidates[r, k]]), past, context[r, k]


@pytest.mark.parametrize("name", ["simtier", "muse"])
def test_ids_are_read_beside_counts_of_similarity(scene, name):
    model = seasoned(scene, name)
    ids = torch.arange(scene.schema.items + 1)
    lengths = set()
    with torch.no_grad():
        e, g = model.tokens(ids, None), directions(model, ids)
        for logit, t, past, context in pairs(model, scene):
            lengths.add(len(past))
            if name == "muse":
                u = muse(model, t, past, e, g) if past else torch.zeros_like(e[t])
            else:
                u = din(model.pool, e[t], e[past])
            s = counts(model, t, past, g, scene.items.present)
            expected = deep(model.head, torch.cat([context, e[t], u, s]))
            torch.testing.assert_close(logit, expected)
    assert max(lengths) > 3


def test_ids_are_read_beside_the_content_halfs_hidden_vector_and_logit(scene):
    model = seasoned(scene, "make")
    ids = torch.arange(scene.schema.items + 1)
    with torch.no_grad():
        e, v = model.tokens(ids, None), model.slots(ids, None)[0].flatten(1)
        for logit, t, past, context in pairs(model, scene):
            h = deep(model.knowledge, torch.cat([v[t], din(model.content_pool, v[t], v[past])]))
            f = model.content_out.weight @ h + model.content_out.bias
            x = torch.cat([context, e[t], din(model.pool, e[t], e[past]), h, f])
            torch.testing.assert_close(logit, deep(model.head, x))
