"""Published models against what their papers and logs print."""

import pytest
import torch

from fusefront.baselines.contract import Field, ItemTable, Schema, gather
from fusefront.baselines.published.din import Din, DinSettings
from fusefront.baselines.published.momo import Momo, MomoSettings
from fusefront.baselines.published.qin import Qin, QinSettings

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
        made = model(CHALLENGE, items, settings, parts)
    assert sum(p.numel() for p in made.parameters()) == published
    assert sum(p.numel() for found in made.parameter_roles().values() for p in found) == published


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
