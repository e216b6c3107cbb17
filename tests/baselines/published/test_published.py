"""Published models against what their papers and logs print."""

import pytest
import torch

from fusefront.baselines.contract import Context, Field, ItemTable, Request, Rows, Schema, gather
from fusefront.baselines.published.din import Din, DinSettings
from fusefront.baselines.published.momo import Momo, MomoSettings
from fusefront.baselines.published.qin import Qin, QinSettings
from fusefront.baselines.zoo import BASELINES

CHALLENGE = Schema(
    91_717,
    {"vector": 128},
    (Field("item_tags", 11_740, 5),),
    0,
    (),
    0,
    (Field("likes_level", 11), Field("views_level", 11)),
    0,
    64,
)


@pytest.mark.parametrize(
    ("model", "settings", "published"),
    [
        pytest.param(Din, DinSettings(), 8_611_842, id="din"),
        pytest.param(Qin, QinSettings(rank=3), 27_045_893, id="qin, rank 3"),
        pytest.param(Qin, QinSettings(rank=4), 31_244_293, id="qin, rank 4"),
        pytest.param(Momo, MomoSettings(), 267_898_881, id="momo"),
    ],
)
def test_parameter_count_equals_the_published_one(parts, model, settings, published):
    rows = CHALLENGE.items + 1
    with torch.device("meta"):  # shapes alone: momo would fill a gigabyte
        items = ItemTable(
            {"vector": torch.zeros(rows, 128)},
            torch.ones(rows, 1, dtype=torch.bool),
            torch.zeros(rows, 5, dtype=torch.long),
            torch.zeros(rows, 0),
            torch.ones(rows, dtype=torch.bool),
            torch.zeros(rows, dtype=torch.long),
            torch.zeros(rows, dtype=torch.long),
        )
        built = model(CHALLENGE, items, settings, parts)
    assert sum(p.numel() for p in built.parameters()) == published
    assert (
        sum(p.numel() for of_role in built.parameter_roles().values() for p in of_role) == published
    )


MOMO = {"embedding": 4, "layers": 2, "feed": 8, "last": 3, "hidden": (16,), "head": (8,)}


@pytest.mark.parametrize("as_published", [False, True])
def test_the_published_mask_hides_the_history_of_padded_rows(scene, as_published):
    model = scene.build("momo", {**MOMO, "mask_as_published": as_published}).eval()
    batch = scene.batch
    changed = torch.where(batch.history_mask, (batch.history % 100) + 17, 0)
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        before, after = (
            model.score(gather(codes, b, batch.items)).logits
            for b in (batch, batch._replace(history=changed))
        )
    moved = (before != after).any(-1)
    padded, full = batch.history_mask.sum(-1) < 16, batch.history_mask.all(-1)
    some = batch.history_mask.any(-1)
    assert moved[full].all()
    assert moved[padded & some].all() != as_published
    assert as_published is not moved[padded].any().item()


def test_only_the_newest_item_of_a_full_history_shows_through_the_published_mask(scene):
    model = scene.build("momo", {**MOMO, "mask_as_published": True}).eval()
    batch = scene.batch
    full = batch.history_mask.all(-1)
    older = batch.history.clone()
    older[:, :-1] = (older[:, :-1] + 5) % 100 + 1
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        before, after = (
            model.score(gather(codes, b, batch.items)).logits[full]
            for b in (batch, batch._replace(history=older))
        )
    assert torch.equal(before, after)


def test_the_published_mask_scores_the_same_in_a_batch_of_any_width(scene):
    """Padded positions speak there, so the model pads to the longest history itself."""
    model = scene.build("momo", {**MOMO, "mask_as_published": True}).eval()
    batch = scene.batch
    short = (batch.history_mask.sum(-1) == 3).nonzero().flatten()
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        whole = gather(codes, batch, batch.items)
        wide = model.score(whole).logits[short]
        alone = Request(
            Rows(*(x[short, -3:] for x in whole.history)),
            whole.history_mask[short, -3:],
            Rows(*(x[short] for x in whole.candidates)),
            Context(*(x[short] for x in whole.request_context)),
            Context(*(x[short] for x in whole.candidate_context)),
        )
        torch.testing.assert_close(model.score(alone).logits, wide, rtol=0, atol=1e-12)


def test_deepfm_equals_its_formula_field_by_field(scene):
    model = scene.build("deepfm", {"embedding": 3, "hidden": (4,)}).eval()
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        request = gather(codes, scene.batch, scene.batch.items)
        fields = model.tokens(request)[1, 2].view(model.tokens.count, 4)
        v, total = fields[:, :3], fields[:, 3].sum()
        for i in range(len(v)):
            for j in range(i):
                total = total + sum(v[i, e] * v[j, e] for e in range(3))
        total = total + model.deep(v.reshape(1, -1))[0]
        torch.testing.assert_close(model.score(request).logits[1, 2], total)


def test_seed_reconstruction_offers_its_whole_ablation_grid(parts):
    from fusefront.baselines.published.seed_reconstruction import SeedReconstruction

    choices = SeedReconstruction.choices
    assert choices["recipe"] == ("V1", "V2", "V3", "V4", "learned")
    assert set(choices["attention"]) == {"din", "target_attention"}
    assert set(choices["senet"]) == {True, False}


def test_mtfn_multiplies_the_slots_alone(scene):
    """W Σ_r Π_m V_m^(r) x_m + b: no constant 1 among the factors, a missing slot a factor 1."""
    model = scene.build("mtfn", {"token_width": 4, "id_width": 4}).eval()
    operator = model.placement.operator
    factor, mix = operator.factor, operator.mix.layers[0]
    assert factor.bias is None
    assert operator.rank == 20
    x = torch.randn(operator.slots, 4, dtype=torch.float64)
    present = torch.arange(operator.slots) != 1
    with torch.no_grad():
        product = torch.ones(operator.rank, mix.in_features, dtype=torch.float64)
        for m in present.nonzero().flatten().tolist():
            product = product * (x[m] @ factor.weight[m]).view_as(product)  # rank r of slot m
        expected = mix.weight @ product.sum(0) + mix.bias
        result = operator(x, present).tokens[0]
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize(("recipe", "modality"), [("V1", "text"), ("V2", "image"), ("V3", None)])
def test_the_seed_compresses_by_pca_without_whitening(scene, recipe, modality):
    """m = PCA_k(x - mean): the variances of the codes are the largest of the data's, not ones."""
    settings = {"recipe": recipe, "embedding": 8, "hidden": (8,)}
    (part,) = scene.build("seed_reconstruction", settings).slots.modalities
    fit_rows = part.fit_mask
    deviations = part.frozen[fit_rows].double().std(0)
    assert part.compressor.whiten is False
    assert deviations.max() > 1.05 * deviations.min()
    if modality is not None:
        rows = scene.items.vectors[modality][fit_rows].double()
        largest = torch.linalg.svdvals(rows - rows.mean(0))[:8] / (len(rows) - 1) ** 0.5
        torch.testing.assert_close(deviations, largest, rtol=1e-4, atol=1e-5)


def test_dmf_reads_ids_and_compares_content(scene):
    """One candidate by hand: mean cosine of the modalities, its bucket, its bin."""
    model = scene.build("dmf", {"width": 4, "content": 5, "hidden": (4,), "buckets": 7}).eval()
    batch, pool = scene.batch, model.pool
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        request = gather(codes, batch, batch.items)
        r, k = 1, 2
        target = int(batch.items[batch.candidates[r, k]])
        items = batch.items[batch.history[r]][batch.history_mask[r]].tolist()

        def token(item):
            ids = torch.tensor([item])
            return model.slots(ids, None)[0][0].sum(0)

        def cosine(a, b):
            total, norms = 0.0, [0.0, 0.0]
            for m, part in enumerate(model.content.modalities):
                there = [bool(scene.items.present[i, m]) for i in (a, b)]
                norms = [n + t for n, t in zip(norms, there, strict=True)]
                if all(there):
                    x, y = part.frozen[a], part.frozen[b]
                    total += float(x @ y / (x.norm() * y.norm()))
            return total / (norms[0] * norms[1]) ** 0.5 if all(norms) else 0.0

        query = pool.attend.query(token(target)) / 2.0
        alike = [cosine(target, item) for item in items]
        score, value, share = [], [], torch.zeros(10, dtype=torch.float64)
        for item, s in zip(items, alike, strict=True):
            place, bin_ = (min(int((s + 1) * n / 2), n - 1) for n in (7, 10))
            score.append(query @ (pool.attend.key(token(item)) + pool.attend.bucket_keys[place]))
            value.append(pool.attend.value(token(item)) + pool.attend.bucket_values[place])
            share[bin_] += 1 / len(items)
        attended = torch.stack(score).softmax(0) @ torch.stack(value)
        expected = 0.5 * attended + 0.5 * pool.read(share)
        result = pool(request.candidates.values, request.history.values, request.history_mask)[r, k]
    torch.testing.assert_close(result, expected, rtol=1e-6, atol=1e-8)


def test_dmf_fits_content_on_items_of_train_that_have_it(scene):
    model = scene.build("dmf", {"width": 4, "content": 5, "hidden": (4,)})
    for m, part in enumerate(model.content.modalities):
        name = list(scene.schema.modalities)[m]
        chosen = scene.items.present[:, m] & scene.items.in_train
        assert 0 < chosen.sum() < len(chosen) - 1
        rows = scene.items.vectors[name][chosen].double()
        mean = rows.mean(0)
        torch.testing.assert_close(part.compressor.mean.double(), mean, rtol=1e-5, atol=1e-6)
        largest = torch.linalg.svdvals(rows - mean)[:5] / (len(rows) - 1) ** 0.5
        deviations = part.frozen[chosen].double().std(0)  # not whitened to ones
        torch.testing.assert_close(deviations, largest, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [n for n, k in BASELINES.items() if k.family == "published"])
def test_padding_is_no_item_of_any_published_model(scene, name):
    model = scene.build(name).eval()
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
    for role in codes:
        present = role.present.flatten(1)
        assert not present[0].any()
        assert present[1:].any(-1).all()
