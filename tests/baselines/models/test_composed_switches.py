"""The composed model's switches: context, pairs of a slot, dropped modalities, an alignment."""

import pytest
import torch

from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_parts import make_context, make_operator
from fusefront.baselines.models.composed_settings import ComposedSettings, slots_of
from fusefront.baselines.zoo import check_settings
from fusefront.fusion_variants.compressors.pca_joint import JointPca
from fusefront.fusion_variants.contract import Fused
from fusefront.harness.testing.scene import make_scene

JOINT = {"name": "pca_joint", "k": 12}
SMALL = {"token_width": 6, "id_width": 3, "operator": "concat"}


@pytest.mark.parametrize(
    ("settings", "width"),
    [
        ({"context_width": 0}, 0),
        ({"context_width": 0, "context_numbers": False}, 0),
        ({"context_width": 1}, 2 + 5),
        ({"context_width": 4}, 2 * 4 + 5),
        ({"context_width": 4, "context_numbers": False}, 2 * 4),
    ],
)
def test_the_context_is_its_fields_and_numbers_as_far_as_settings_let_it(
    scene_of, schema, settings, width
):
    """One field of the request and one of the candidate; two numbers and three."""
    wide = schema._replace(request_numbers=2, candidate_numbers=3)
    assert make_context(wide, ComposedSettings(**settings)).width_out == width
    scene = scene_of(wide)
    for name in ("composed", "stacked_fusion"):
        model = scene.build(name, {"token_width": 6, **settings})
        assert model.context.width_out == width
        assert torch.isfinite(model.train().losses(scene.batch).click)


@pytest.mark.parametrize("pooler", ["mean", "none"])
@pytest.mark.parametrize("placement", ["item", "pooled", "interaction"])
@pytest.mark.parametrize(("crossed", "fields"), [("product", 1), ("pair", 2), ("all", 3)])
def test_an_operator_has_the_fields_of_its_slots_at_interaction_alone(
    scene, parts, placement, pooler, crossed, fields
):
    if (placement, pooler) == ("pooled", "none"):
        return
    settings = {**SMALL, "placement": placement, "interaction_fields": crossed, "pooler": pooler}
    model = scene.build("composed", settings)
    several = placement == "interaction" and pooler == "mean"
    assert model.placement.operator.slots == 5 * (fields if several else 1)
    assert torch.isfinite(model.train().losses(scene.batch).click)


def test_the_loss_of_an_operator_is_part_of_the_items_loss(scene):
    model = scene.build("composed", {**SMALL, "operator": "shared_specific"}).train()
    ids = torch.arange(1, 40)
    x, present, loss = model.slots(ids, None)
    own = model.placement.operator(x, present, None).loss
    assert own > 0
    torch.testing.assert_close(model.encode(ids)[1], loss + own)


def test_a_draw_at_the_share_itself_leaves_the_modality(scene, monkeypatch):
    """Uniform draws of [0, 1) are below the share with exactly its chance."""
    model = scene.build("composed", {**SMALL, "modality_dropout": 0.25})
    assert model.eval().draw_keep(torch.arange(4)) is None
    assert scene.build("composed", SMALL).train().draw_keep(torch.arange(4)) is None
    draws = torch.tensor([[0.0, 0.25, 0.5], [0.24, 0.26, 0.99]])
    monkeypatch.setattr(torch, "rand", lambda *shape, device: draws[: shape[0], : shape[1]])
    keep = model.train().draw_keep(torch.arange(2))
    assert keep.tolist() == [[False, True, True], [False, True, True]]


@pytest.mark.parametrize(("rows", "read"), [(1024, 1024), (1025, 1024), (3000, 1024)])
def test_an_alignment_reads_1024_items_at_most(scene, rows, read):
    """Its cost is quadratic; the first item that has every modality, many times."""
    model = scene.build("composed", {**SMALL, "alignment": "cosine"}).train()
    item = int(scene.items.present.all(1).nonzero()[0])
    calls = []
    hook = model.alignment.register_forward_hook(lambda m, args, out: calls.append(len(args[2])))
    with torch.no_grad(), hook:
        model.encode(torch.full((rows,), item))
    assert calls == [read] * 3


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"operator": "logit_average", "placement": "logit"}, ["text", "image", "audio"]),
        (
            {"operator": "logit_average", "placement": "logit", "modalities": ["audio", "text"]},
            ["audio", "text"],
        ),
        ({"operator": "logit_average", "placement": "logit", "compressor": JOINT}, []),
        ({"operator": "concat"}, []),
        ({"operator": "concat", "compressor": JOINT}, []),
    ],
)
def test_a_modality_has_a_tower_of_its_own_where_each_slot_has_one(scene, settings, names):
    model = scene.build("composed", {**SMALL, **settings})
    towers = model.of_modality()
    assert list(towers) == names
    for name, (tower,) in towers.items():
        assert tower is model.placement.towers[model.slots.names.index(name)]


class PickyJoint(JointPca):
    """A person's joint compressor that wants all sixty numbers at once."""

    def __init__(self, width, *, k=12):
        if width != 60:
            raise ValueError(f"got {width} numbers, expected 60")
        super().__init__(width, k=k)


def test_a_joint_compressor_is_tried_over_all_modalities_and_others_over_each(scene, parts):
    own = parts._replace(compressors={**parts.compressors, "picky": PickyJoint})
    Composed.check(scene.schema, {"operator": "concat", "compressor": "picky"}, own)
    two = {"operator": "concat", "compressor": "picky", "modalities": ["text", "audio"]}
    with pytest.raises(ValueError, match="composed: compressor 'picky': got 36 numbers"):
        Composed.check(scene.schema, two, own)
    vq = {"name": "vq", "k": 20, "parts": 5}  # 20 of all sixty would do
    with pytest.raises(ValueError, match="5 parts do not divide k = 16"):
        check_settings("composed", scene.schema, {"operator": "concat", "compressor": vq}, parts)
    ids_alone = {"operator": "none", "modalities": [], "compressor": "picky"}
    Composed.check(scene.schema, ids_alone, own)


class Silent(torch.nn.Module):
    """A person's operator for any level that does not say whether it reads a query."""

    level = "any"
    tokens_out = 1

    def __init__(self, slots, d):
        super().__init__()
        self.slots = slots

    def forward(self, x, present, query=None):
        return Fused(x.sum(-2, keepdim=True), present.any(-1, keepdim=True), x.new_zeros(()))


def test_an_operator_that_names_no_query_gets_no_width_for_it(scene, parts):
    own = parts._replace(operators={**parts.operators, "silent": Silent})
    settings = ComposedSettings(
        operator={"name": "silent"}, placement="logit", modalities=("text",)
    )
    slots = slots_of(settings, scene.schema, own)
    assert slots == ("id", "text", "side")
    assert make_operator(settings, len(slots), 7, own).slots == 3


@pytest.mark.parametrize(
    ("settings", "good"),
    [
        ({"modalities": ["text"], "use_id": False, "side_width": 0}, True),
        ({"modalities": ["text", "audio"], "use_id": False, "side_width": 0}, False),
        ({"modalities": ["text"], "side_width": 0}, False),
    ],
)
def test_a_single_tower_needs_no_operator(scene, parts, settings, good):
    logit = {"operator": "none", "placement": "logit", **settings}
    if good:
        check_settings("composed", scene.schema, logit, parts)
    else:
        with pytest.raises(ValueError, match="needs an operator to join 2 towers"):
            check_settings("composed", scene.schema, logit, parts)


@pytest.mark.parametrize("pooler", ["transformer", "similarity_tiers", "mean", "none"])
def test_a_pooler_of_any_width_is_taken_where_nothing_is_crossed(scene, parts, pooler):
    for settings in ({"operator": "concat"}, {"operator": "logit_average", "placement": "logit"}):
        check_settings("composed", scene.schema, {**settings, "pooler": pooler}, parts)


def test_an_operator_of_any_number_of_slots_crosses_pairs(scene, parts):
    for crossed in ("product", "pair", "all"):
        settings = {**SMALL, "placement": "interaction", "interaction_fields": crossed}
        check_settings("composed", scene.schema, settings, parts)


def test_an_unknown_pooler_is_named_where_widths_must_agree(scene, parts):
    settings = {**SMALL, "placement": "interaction", "pooler": "dinn"}
    with pytest.raises(ValueError, match="unknown pooler 'dinn', did you mean 'din'"):
        check_settings("composed", scene.schema, settings, parts)


def test_a_history_of_one_item_is_pooled(parts, schema):
    """Only data without any history goes without a pooler."""
    short = schema._replace(max_history=1)
    assert Composed.check(short, {"operator": "concat"}, parts).pooler is not None
    Composed.check(short, {"operator": "concat", "pooler": "mean"}, parts)
    assert make_scene(short).batch.history.shape[1] == 1
