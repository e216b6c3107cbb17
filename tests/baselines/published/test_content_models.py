"""SimTier, MAKE and MUSE: what content says, by loops, and what learns from what."""

import math

import pytest
import torch

from fusefront.baselines.contract import gather

SMALL = {"embedding": 4, "content": 6, "hidden": (8,)}
CASES = {
    "simtier": SMALL | {"attention": (6, 4), "tiers": 5},
    "muse": SMALL | {"nearest": 3, "tiers": 5},
    "make": SMALL | {"attention": (6, 4), "knowledge": (7,), "first_epochs": 2},
}


def whole(model, scene):
    codes = model.encode_items(torch.arange(scene.schema.items + 1))
    return gather(codes, scene.batch, scene.batch.items)


@pytest.mark.parametrize("name", ["simtier", "muse"])
def test_tiers_count_the_items_of_a_history_by_frozen_similarity(scene, name):
    model = scene.build(name, CASES[name]).eval()
    batch, table = scene.batch, scene.items
    with torch.no_grad():
        by_model = model.tiers(whole(model, scene)).unflatten(-1, (3, 5))
        vectors = [part.frozen.double() for part in model.content.modalities]
    for r, k in ((0, 0), (1, 2), (2, 1), (3, 0), (5, 4)):
        target = int(batch.items[batch.candidates[r, k]])
        past = batch.items[batch.history[r][batch.history_mask[r]]].tolist()
        for m, rows in enumerate(vectors):
            counts = [0] * 5
            for item in past:
                if table.present[item, m] and table.present[target, m]:
                    cosine = float(
                        rows[target] @ rows[item] / rows[target].norm() / rows[item].norm()
                    )
                    counts[min(4, int((cosine + 1) / 2 * 5))] += 1
            logs = torch.tensor([math.log(1 + n) for n in counts], dtype=torch.float64)
            weighed = logs * model.tiers.weights[m].detach()
            torch.testing.assert_close(by_model[r, k, m], weighed)


def test_similarity_is_frozen_and_ids_alone_are_attended_to(scene):
    model = scene.build("simtier", CASES["simtier"])
    assert model.tokens.widths == [4, 10]  # id, two item fields and two numbers, no modality
    assert not list(model.content.parameters())


def test_muse_reads_the_items_that_the_search_leaves(scene):
    model = scene.build("muse", CASES["muse"]).eval()
    request = whole(model, scene)
    width, content = model.tokens.width_out, model.content.width_out
    asks = request.candidates.values[..., width:-content]
    with torch.no_grad():
        u = model.pool(asks, request.history.values[..., :-content], request.history_mask)
        g = [rows[..., -content:] for rows in (request.candidates.values, request.history.values)]
        g = [rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-12) for rows in g]
        ages = torch.arange(16, 0, -1) * 1e-7  # of equally alike items the newer
        alike = (g[0] @ g[1].transpose(1, 2)).masked_fill(
            ~request.history_mask.unsqueeze(1), -2.0
        ) - ages
        for r in range(len(u)):
            for k in range(u.shape[1]):
                nearest = alike[r, k].topk(3).indices
                mask = torch.zeros_like(request.history_mask[r])
                mask[nearest] = request.history_mask[r][nearest]
                whole_history = request.history.values[[r], :, :-content]
                alone = model.pool(asks[[r], [k]].unsqueeze(0), whole_history, mask.unsqueeze(0))
                torch.testing.assert_close(u[r, k], alone[0, 0])


CONTENT = ("slots", "content_pool", "knowledge", "content_out")


def taught(model):
    parts = [(name, p.grad) for name, p in model.named_parameters() if p.grad is not None]
    return {name.split(".")[0] for name, gradient in parts if gradient.abs().max() > 0}


def test_the_content_half_learns_by_its_own_clicks_alone(scene):
    model = scene.build("make", CASES["make"]).train()
    losses = model.losses(scene.batch)
    losses.click.backward(retain_graph=True)
    assert not taught(model) & set(CONTENT)
    model.zero_grad()
    losses.auxiliary.backward()
    assert taught(model) == set(CONTENT)
    request = gather(model.encode_batch(scene.batch)[0], scene.batch)
    _, alone = model.both(request, scene.batch.rows)
    labels = scene.batch.labels.flatten()[scene.batch.rows]
    p = alone.sigmoid()
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    torch.testing.assert_close(losses.auxiliary, expected)


def test_the_first_stage_teaches_the_content_half_and_nothing_else(scene):
    model = scene.build("make", CASES["make"] | {"first_epochs": 20, "first_rate": 0.02})
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    first = float(model.losses(scene.batch).auxiliary.detach())
    epochs = []
    model.first_stage(lambda: epochs.append(1) or iter([scene.batch]))
    assert len(epochs) == 20
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert {name.split(".")[0] for name in moved} == set(CONTENT)
    assert float(model.losses(scene.batch).auxiliary.detach()) < 0.8 * first


def test_the_id_model_reads_the_hidden_vector_and_the_logit(scene):
    model = scene.build("make", CASES["make"]).eval()
    with torch.no_grad():
        before = model.score(whole(model, scene)).logits
        model.content_out.bias += 1.0
        after = model.score(whole(model, scene)).logits
        assert (before != after).any()
    assert model.head.layers[0].in_features == model.context.width_out + 2 * 14 + 7 + 1
