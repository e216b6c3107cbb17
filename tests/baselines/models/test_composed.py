"""The composed model around its placement: presence, alignment, dropout, roles, presets."""

from dataclasses import FrozenInstanceError
from itertools import combinations

import pytest
import torch

from fusefront.baselines.contract import gather
from fusefront.baselines.models import composed
from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.models.compressed_fusion import CompressedFusion
from fusefront.baselines.models.early_fusion import EarlyFusion
from fusefront.baselines.models.gated_fusion import GatedFusion
from fusefront.baselines.models.id_only import IdOnly
from fusefront.baselines.models.late_fusion import LateFusion
from fusefront.baselines.models.popularity import Popularity
from fusefront.baselines.models.stacked_fusion import StackedFusion
from fusefront.baselines.models.unimodal import Unimodal
from fusefront.baselines.zoo import BASELINES, check_settings
from fusefront.fusion_variants.contract import Fused
from fusefront.harness.testing.baseline import SPARE

FAMILIES = (CompressedFusion, EarlyFusion, GatedFusion, IdOnly, LateFusion, StackedFusion, Unimodal)
SMALL = {"token_width": 6, "id_width": 3, "operator": "concat"}


DEFAULTS = {  # recorded runs that say nothing else were made with these
    "composed": {},
    "early_fusion": {"operator": {"name": "concat"}},
    "compressed_fusion": {
        "placement": "interaction",
        "token_width": 12,
        "operator": {"name": "bilinear", "rank": 4},
    },
    "late_fusion": {
        "placement": "logit",
        "operator": {"name": "logit_average"},
        "head": {"name": "mlp", "hidden": (32, 16)},
    },
    "gated_fusion": {
        "placement": "logit",
        "operator": {"name": "scalar_gate", "hidden": 16},
        "head": {"name": "mlp", "hidden": (32, 16)},
    },
    "stacked_fusion": {
        "placement": "logit",
        "operator": {"name": "logit_average"},
        "head": {"name": "mlp", "hidden": (32, 16)},
        "folds": 2,
        "stack_hidden": 0,
    },
    "id_only": {"modalities": (), "id_width": 16, "side_width": 0},
    "unimodal": {"modality": "", "use_id": False, "side_width": 0},
}
COMPOSED = {
    "modalities": "all",
    "use_id": True,
    "id_width": 8,
    "side_width": 8,
    "token_width": 16,
    "compressor": {"name": "pca", "k": 12, "whiten": True},
    "operator": None,
    "placement": "item",
    "conditioning": "item_only",
    "pooler": {"name": "target_attention", "heads": 2},
    "head": {"name": "mlp", "hidden": (64, 32)},
    "products": True,
    "interaction_fields": "product",
    "skip": True,
    "presence_features": False,
    "context_width": 8,
    "context_numbers": True,
    "alignment": None,
    "alignment_weight": 0.1,
    "modality_dropout": 0.0,
}
SEARCHED = {
    "token_width": (8, 16, 32),
    "id_width": (4, 8, 16),
    "compressor.k": (8, 12, 24),
    "head.hidden": ((32, 16), (64, 32), (128, 64)),
    "head.dropout": (0.0, 0.1, 0.2),
    "presence_features": (False, True),
    "modality_dropout": (0.0, 0.1),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_settings_that_nobody_gives_are_those_of_recorded_runs(name):
    assert vars(BASELINES[name].Settings()) == COMPOSED | DEFAULTS[name]
    assert BASELINES[name] in (Composed, *FAMILIES)
    with pytest.raises(FrozenInstanceError):
        BASELINES[name].Settings().token_width = 3


def test_what_a_search_tries_is_what_recorded_searches_tried():
    assert Composed.choices == SEARCHED
    assert BASELINES["early_fusion"].choices == SEARCHED
    assert BASELINES["compressed_fusion"].choices == SEARCHED | {"token_width": (8, 12, 16)}
    ids = {key: SEARCHED[key] for key in ("id_width", "head.hidden", "head.dropout")}
    assert BASELINES["id_only"].choices == ids
    alone = {key: values for key, values in SEARCHED.items() if key != "id_width"}
    assert BASELINES["unimodal"].choices == alone
    stacked = {key: values for key, values in SEARCHED.items() if key != "presence_features"}
    stacked |= {"folds": (2, 3), "stack_hidden": (0, 8)}
    assert BASELINES["stacked_fusion"].choices == stacked
    assert Popularity.choices == {}  # solved, not searched


def test_the_first_modality_stands_alone_unless_one_is_named(scene):
    assert scene.build("unimodal").slots.names == ("text",)
    assert scene.build("unimodal", {"modality": "audio"}).slots.names == ("audio",)
    assert scene.build("id_only").slots.names == ("id",)


@pytest.mark.parametrize("items", [composed.ALIGNED_ITEMS, 119, 40])
def test_the_alignment_is_a_mean_over_pairs_of_items_that_hold_both(scene, monkeypatch, items):
    monkeypatch.setattr(composed, "ALIGNED_ITEMS", items)
    settings = {**SMALL, "alignment": "cosine", "alignment_weight": 0.7}
    model = scene.build("composed", settings).train()
    ids = torch.arange(1, 120)
    calls = []
    hook = model.alignment.register_forward_hook(lambda m, args, out: calls.append((args, out)))
    with torch.no_grad(), hook:
        _, loss = model.encode(ids)
        x, present, extra = model.slots(ids, None)
    assert len(calls) == 3
    for (a, b), (args, _) in zip(combinations((1, 2, 3), 2), calls, strict=True):  # after the id
        left, right, which = args
        assert len(which) == len(which.unique())
        assert bool((present[which - 1, a] & present[which - 1, b]).all())
        torch.testing.assert_close(left, x[which - 1, a])
        torch.testing.assert_close(right, x[which - 1, b])
        both = ids[present[:, a] & present[:, b]]
        if items >= len(ids):  # all of them, as they come
            assert torch.equal(which, both)
        assert len(which) <= items
    if items < len(ids):
        assert len({int(i) for args, _ in calls for i in args[2]}) > items / 2
    mean = sum(float(out) for _, out in calls) / 3
    assert float(loss - extra) == pytest.approx(0.7 * mean, rel=1e-6)
    with torch.no_grad():
        assert float(model.eval().encode(ids)[1]) == 0


def test_modality_dropout_lets_go_of_modalities_in_training_alone(scene):
    model = scene.build("composed", {**SMALL, "modality_dropout": 0.3})
    ids = torch.arange(1, 301)
    calls = []
    hook = model.slots.register_forward_hook(lambda m, args, out: calls.append((args[1], out[1])))
    torch.manual_seed(0)
    with torch.no_grad(), hook:
        model.train().encode(ids)
        model.encode(ids, torch.ones(3, dtype=torch.bool))
        model.eval().encode(ids)
    (keep, present), (values, _), (none, whole) = calls
    assert keep.shape == (300, 3)
    assert abs(float(keep.double().mean()) - 0.7) < 4 * (0.21 / 900) ** 0.5
    assert torch.equal(present[:, 1:4], whole[:, 1:4] & keep)
    assert torch.equal(present[:, [0, 4]], whole[:, [0, 4]])
    assert values.all()
    assert none is None
    plain = scene.build("composed", SMALL).train()
    with torch.no_grad(), plain.slots.register_forward_hook(lambda m, a, o: calls.append(a)):
        plain.encode(ids)
    assert calls[-1][1] is None


def test_every_parameter_has_the_role_of_its_part(scene):
    settings = {**SMALL, "alignment": "adversarial", "presence_features": True}
    model = scene.build("composed", settings)
    names = {id(p): name for name, p in model.named_parameters()}
    roles = {role: {names[id(p)] for p in parts} for role, parts in model.parameter_roles().items()}
    everything = set(names.values())

    def of(*heads):
        return {name for name in everything if name.startswith(heads)}

    fields = of("context", "slots.side.", "kinds")
    assert roles["id_embedding"] == of("slots.ids")
    assert roles["field_embedding"] == fields
    assert (
        roles["fusion"] == of("slots", "alignment", "placement.operator") - of("slots.ids") - fields
    )
    assert roles["dense"] == of("head", "presence", "placement.streams")
    assert set.union(*roles.values()) == everything
    assert all(roles.values())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "yes"),
        (
            {"operator": "film", "conditioning": "target_aware"},
            "no: the operator reads the candidate",
        ),
        ({"placement": "pooled"}, "part: the history is fused online"),
        ({"placement": "interaction"}, "part: summaries are crossed online"),
        (
            {"placement": "logit", "operator": "logit_average"},
            "part: towers and their join run online",
        ),
    ],
)
def test_what_is_a_lookup_online_is_said(scene, settings, words):
    assert scene.build("composed", SMALL | settings).cacheable() == words


def test_context_is_left_out_or_a_line_beside_the_towers(scene):
    """At `logit` the context is no tower's: logits differ by w' context + b alone."""
    settings = {**SMALL, "placement": "logit", "operator": "logit_average", "context_width": 2}
    model = scene.build("composed", settings).eval()
    batch = scene.batch
    with torch.no_grad():
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        request = gather(codes, batch, batch.items)
        whole = model.score(request, batch.rows).logits
        context = model.context(batch.request_context, batch.candidate_context, whole[..., None])
        line = model.head(context.flatten(0, 1)).view(whole.shape)
        model.head = None
        towers = model.score(request, batch.rows).logits
    torch.testing.assert_close(whole, towers + line * batch.candidate_mask)
    without = scene.build("composed", {**settings, "context_width": 0})
    assert without.head is None
    assert without.context.width_out == 0


def test_the_numbers_of_the_context_are_left_out_alone(scene):
    """Fields stay: the model hears them and is deaf to every number of request and candidate."""
    assert scene.schema.request_numbers + scene.schema.candidate_numbers > 0
    model = scene.build("composed", {**SMALL, "context_numbers": False}).eval()
    batch = scene.batch
    request, candidate = batch.request_context, batch.candidate_context
    shifted = [c._replace(numbers=c.numbers + 3) for c in (request, candidate)]
    other = [c._replace(ids=torch.zeros_like(c.ids)) for c in (request, candidate)]
    with torch.no_grad():
        like = batch.candidates[..., None]
        torch.testing.assert_close(
            model.context(*shifted, like), model.context(request, candidate, like)
        )
        assert not torch.equal(model.context(*other, like), model.context(request, candidate, like))


def test_narrowing_draws_no_random_numbers_and_copies(scene):
    nested = {"compressor": {"name": "matryoshka", "k": 16, "least": 4}}
    model = scene.build("early_fusion", nested)
    assert model.prefixes == [16, 8, 4]
    state = torch.random.get_rng_state()
    small = model.narrowed(4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [part.in_features for part in small.slots.project] == [4, 4, 4]
    assert [part.in_features for part in model.slots.project] == [16, 16, 16]
    assert scene.build("early_fusion").prefixes == []
    report = scene.build("early_fusion").report()
    assert {key.split(".")[0] for key in report} == {"text", "image", "audio"}


@pytest.mark.parametrize(
    ("setting", "least", "sentence"),
    [
        ("token_width", 1, "must be at least 1; raise it"),
        ("id_width", 1, "must be at least 1; raise it"),
        ("side_width", 0, "must not be negative; raise it to 0"),
        ("context_width", 0, "must not be negative; raise it to 0"),
        ("alignment_weight", 0, "must not be negative; raise it to 0"),
    ],
)
def test_numbers_are_taken_from_their_least_on(scene, parts, setting, least, sentence):
    plain = {"operator": "concat", "pooler": "mean", setting: least}
    assert getattr(Composed.check(scene.schema, plain, parts), setting) == least
    with pytest.raises(ValueError, match=f"composed: setting '{setting}' {sentence}"):
        check_settings("composed", scene.schema, {**plain, setting: least - 1}, parts)


@pytest.mark.parametrize(
    ("dropout", "good"), [(0.0, True), (0.99, True), (1.0, False), (-0.1, False)]
)
def test_a_share_of_modalities_may_be_dropped_but_not_all(scene, parts, dropout, good):
    settings = {"operator": "concat", "modality_dropout": dropout}
    if good:
        check_settings("composed", scene.schema, settings, parts)
    else:
        with pytest.raises(ValueError, match=r"'modality_dropout' is .*, expected 0 to below 1"):
            check_settings("composed", scene.schema, settings, parts)


FOUR = {"side_width": 0, "placement": "interaction"}  # the id and three modalities


@pytest.mark.parametrize(
    ("settings", "good"),
    [
        ({"operator": "mtfn", **FOUR}, True),
        ({"operator": "mtfn", **FOUR, "interaction_fields": "pair"}, False),
        ({"operator": "mtfn", **FOUR, "interaction_fields": "pair", "pooler": "none"}, True),
        ({"operator": "mtfn", "placement": "interaction"}, False),
        (
            {
                "operator": "concat",
                "use_id": False,
                "side_width": 0,
                "modalities": ["text", "audio"],
            },
            True,
        ),
        ({"operator": "none", "placement": "pooled"}, True),
        ({"operator": "concat", "placement": "interaction", "pooler": "none"}, True),
        ({"operator": "concat", "alignment": "cosine", "modalities": ["text", "audio"]}, True),
        ({"operator": "concat", "alignment": "cosine", "compressor": "pca_joint"}, False),
        ({"operator": "moe", "placement": "logit"}, True),
    ],
)
def test_combinations_are_taken_up_to_where_they_mean_nothing(scene, parts, settings, good):
    if good:
        check_settings("composed", scene.schema, settings, parts)
    else:
        with pytest.raises(ValueError, match="composed: "):
            check_settings("composed", scene.schema, settings, parts)


def test_data_without_a_history_gets_no_pooler(parts):
    schema = SPARE["no history"]
    assert Composed.check(schema, {"operator": "concat"}, parts).pooler is None
    assert isinstance(ComposedSettings().pooler, dict)


def test_a_query_is_as_wide_as_what_it_is_asked_with(scene):
    aware = {**SMALL, "operator": "film", "conditioning": "target_aware"}
    calls = []
    for settings in (
        aware,
        {**SMALL, "operator": "scalar_gate", "placement": "logit", "context_width": 2},
        {**SMALL, "operator": "scalar_gate"},
    ):
        model = scene.build("composed", settings)
        calls.append(
            (getattr(model.placement.operator, "query_width", None), model.context.width_out)
        )
    (film, _), (gate, context), (plain, _) = calls
    assert (film, gate, plain) == (6, context, 0)


@pytest.mark.parametrize("placement", ["item", "interaction"])
def test_the_kind_of_an_event_moves_its_code_in_histories_alone(scene_of, schema, placement):
    """x_(i,k) = x_i + v_k in the slots that are there; kind 0 is none, candidates have none."""
    scene = scene_of(schema._replace(history_kinds=3))
    settings = {**SMALL, "pooler": "mean", "placement": placement}
    model = scene.build("composed", settings).eval()
    batch, events = scene.batch, scene.batch.events
    assert set(events.kind.tolist()) == {0, 1, 2, 3}
    with torch.no_grad():
        model.kinds.vectors.weight[1:] += 1.0
        codes, _ = model.encode_batch(batch)
        plain, _ = model.encode(batch.items)
        x, there, _ = model.slots(batch.items, None)
        for p, (item, kind) in enumerate(
            zip(events.item.tolist(), events.kind.tolist(), strict=True)
        ):
            added = model.kinds.vectors.weight[kind].view(x.shape[1:])
            tokens = x[item].clone()
            for s in range(len(tokens)):
                if kind and there[item, s]:
                    tokens[s] += added[s]
            expected = tokens.flatten()
            if placement == "item":
                expected = model.placement.operator(
                    tokens[None], there[[item]], None
                ).tokens.flatten()
            torch.testing.assert_close(codes.history.values[p], expected)
    assert torch.equal(codes.candidate.values, plain.candidate.values)


class Plain(torch.nn.Module):
    """A person's operator that says nothing of itself but how many tokens it gives."""

    tokens_out = 1

    def __init__(self, slots, width):
        super().__init__()

    def forward(self, x, present, query=None):
        assert query is None
        return Fused(x.sum(-2, keepdim=True), present.any(-1, keepdim=True), x.new_zeros(()))


def test_an_operator_that_says_nothing_of_itself_is_one_of_features_without_a_query(scene, parts):
    own = parts._replace(operators={**parts.operators, "plain": Plain})
    for settings in ({}, {"use_id": False}, {"placement": "interaction"}, {"placement": "pooled"}):
        scene.model(Composed, SMALL | {"operator": "plain"} | settings, own)
    for settings, sentence in (
        ({"conditioning": "target_aware"}, "reads no query and cannot be 'target_aware'"),
        ({"placement": "logit"}, "fuses features and a logit is one number"),
    ):
        with pytest.raises(ValueError, match=sentence):
            Composed.check(scene.schema, {"operator": "plain"} | settings, own)


def test_presence_of_the_candidates_modalities_moves_its_logit(scene):
    """A weight for each modality, times one half where it is there and minus one half where not."""
    model = scene.build("composed", {**SMALL, "presence_features": True}).eval()
    batch = scene.batch
    assert model.presence.weight.shape == (1, 3)
    with torch.no_grad():
        model.presence.weight.copy_(torch.tensor([[1.0, 10.0, 100.0]]))
        codes = model.encode_items(torch.arange(scene.schema.items + 1))
        request = gather(codes, batch, batch.items)
        whole = model.score(request, batch.rows).logits
        model.presence = None
        plain = model.score(request, batch.rows).logits
    for row in batch.rows.tolist():
        r, k = divmod(row, batch.candidates.shape[1])
        there = scene.items.present[batch.items[batch.candidates[r, k]]].tolist()
        moved = sum(10**m * (0.5 if some else -0.5) for m, some in enumerate(there))
        assert (whole - plain)[r, k].item() == pytest.approx(moved)
    assert scene.build("composed", SMALL).presence is None
