"""Settings: what is refused, with which sentence, and what is taken as said."""

import pytest

from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.models.composed import Composed, family_of
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.settings import find_part
from fusefront.baselines.zoo import BASELINES, check_settings
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.testing.baseline import SPARE, check_spare

AWARE = {"conditioning": "target_aware"}
MEANINGLESS = {  # name, settings, what the sentence says
    "logit average at item": ({"operator": "logit_average"}, "joins logits; use placement 'logit'"),
    "logit weights when pooled": (
        {"operator": "logit_weighted", "placement": "pooled"},
        "joins logits; use placement 'logit'",
    ),
    "stacking at interaction": (
        {"operator": "logit_stacked", "placement": "interaction"},
        "joins logits; use placement 'logit'",
    ),
    "stacking in one model": (
        {"operator": "logit_stacked", "placement": "logit"},
        "needs logits of towers that did not train on the row; use the baseline 'stacked_fusion'",
    ),
    "feature operator at logit": (
        {"operator": "gmu", "placement": "logit"},
        "fuses features and a logit is one number",
    ),
    "lmf with five slots": (
        {"operator": "lmf", "placement": "interaction"},
        "takes at most 4 slots at 'interaction' and this model has 5",
    ),
    "tfn with five slots": (
        {"operator": "tfn", "placement": "interaction"},
        "takes at most 4 slots",
    ),
    "mtfn over pairs": (
        {
            "operator": "mtfn",
            "placement": "interaction",
            "interaction_fields": "pair",
            "side_width": 0,
        },
        "takes at most 4 slots at 'interaction' and this model has 8",
    ),
    "target-aware at interaction": (
        {"operator": "film", "placement": "interaction", **AWARE},
        "every operator runs per candidate",
    ),
    "target-aware at logit": (
        {"operator": "scalar_gate", "placement": "logit", **AWARE},
        "every operator runs per candidate",
    ),
    "target-aware without a query": (
        {"operator": "gmu", **AWARE},
        "reads no query and cannot be 'target_aware'",
    ),
    "target-aware without an operator": (AWARE, "without an operator nothing is 'target_aware'"),
    "target-aware without a history": (
        {"operator": "film", "pooler": "none", **AWARE},
        "'target_aware' needs a history and a pooler",
    ),
    "film without an id": ({"operator": "film", "use_id": False}, "asks with the id slot"),
    "pamd without an id": ({"operator": "pamd", "use_id": False}, "asks with the id slot"),
    "one slot": (
        {"operator": "gmu", "use_id": False, "side_width": 0, "modalities": ["text"]},
        "has one slot (text) and nothing to fuse",
    ),
    "a joint compressor leaves one slot": (
        {"operator": "gmu", "use_id": False, "side_width": 0, "compressor": "pca_joint"},
        "has one slot (joint)",
    ),
    "no slot": (
        {"use_id": False, "side_width": 0, "modalities": []},
        "no modality, no id and no side field is left",
    ),
    "tiers at interaction": (
        {"operator": "gmu", "placement": "interaction", "pooler": "similarity_tiers"},
        "gives vectors of another width than its items",
    ),
    "transformer when pooled": (
        {"operator": "gmu", "placement": "pooled", "pooler": "transformer"},
        "gives vectors of another width than its items",
    ),
    "transformer when pooled without an operator": (
        {"placement": "pooled", "pooler": "transformer"},
        "gives vectors of another width than its items",
    ),
    "towers with nothing to join them": (
        {"placement": "logit"},
        "needs an operator to join 5 towers; 'logit_average' is the plainest",
    ),
    "pooled without a pooler": (
        {"placement": "pooled", "pooler": "none"},
        "placement 'pooled' needs a pooler",
    ),
    "alignment of one modality": (
        {"modalities": ["text"], "alignment": "cosine"},
        "an alignment needs two modalities",
    ),
    "query width by hand": (
        {"operator": {"name": "film", "query_width": 3}},
        "'query_width' is set by the model",
    ),
}


@pytest.mark.parametrize(("settings", "sentence"), MEANINGLESS.values(), ids=list(MEANINGLESS))
def test_a_combination_that_means_nothing_is_refused(scene, parts, settings, sentence):
    with pytest.raises(ValueError, match="composed: ") as dry:
        check_settings("composed", scene.schema, settings, parts)
    assert sentence in str(dry.value)
    assert "\n" not in str(dry.value)
    with pytest.raises(ValueError, match="composed: ") as built:
        scene.build("composed", settings)
    assert str(built.value) == str(dry.value)


def refusal(scene, parts, settings):
    with pytest.raises(ValueError, match="composed: ") as error:
        check_settings("composed", scene.schema, settings, parts)
    assert "\n" not in str(error.value)
    return str(error.value)


VALUES = {  # a part's setting that cannot be, what the sentence says
    "a name misspelt": (
        {"operator": {"name": "senet", "readout": "token"}},
        "readout is 'token'; expected one of 'linear', 'tokens'",
    ),
    "no rank": (
        {"operator": {"name": "lmf", "rank": 0}},
        "operator 'lmf': setting 'rank' is 0, expected at least 1; raise it",
    ),
    "a rank below full": (
        {"operator": {"name": "dcnv2", "rank": -1}},
        "operator 'dcnv2': setting 'rank' is -1, expected at least 0; raise it",
    ),
    "a number in quotes": (
        {"operator": {"name": "bilinear", "rank": "4"}},
        "operator 'bilinear': setting 'rank' is '4', expected a whole number; correct it",
    ),
    "a word for a switch": (
        {"operator": {"name": "mtfn", "bias": "no"}},
        "operator 'mtfn': setting 'bias' is 'no', expected true or false; correct it",
    ),
    "no temperature": (
        {"operator": {"name": "em3", "temperature": 0.0}},
        "temperature is 0.0; expected a number above 0",
    ),
    "more noise than signal": (
        {"operator": {"name": "src", "noise": 1.5}},
        "noise is 1.5; expected a number above 0 and below 1",
    ),
    "no head": (
        {"pooler": {"name": "target_attention", "heads": 0}},
        "pooler 'target_attention': setting 'heads' is 0, expected at least 1; raise it",
    ),
    "no layer in DIN": (
        {"pooler": {"name": "din", "hidden": []}},
        "pooler 'din': hidden is empty; expected the width of at least one layer",
    ),
    "no cross layer": (
        {"head": {"name": "dcnv2", "layers": 0}},
        "head 'dcnv2': setting 'layers' is 0, expected at least 1; raise it",
    ),
    "parts that do not divide a code": (
        {"compressor": {"name": "vq", "k": 16, "parts": 5}},
        "compressor 'vq': vq: 5 parts do not divide k = 16; choose a divisor of 16",
    ),
    "no code": (
        {"compressor": {"name": "rq", "levels": 0}},
        "compressor 'rq': setting 'levels' is 0, expected at least 1; raise it",
    ),
}


@pytest.mark.parametrize(("settings", "sentence"), VALUES.values(), ids=list(VALUES))
def test_a_value_that_no_part_can_use_is_refused_before_anything_is_built(
    scene, parts, settings, sentence
):
    with pytest.raises(ValueError, match=r"expected|choose") as error:
        check_settings("composed", scene.schema, {"operator": "concat", **settings}, parts)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("din", {"embedding": 0}, "'embedding' is 0, expected at least 1; raise it"),
        ("din", {"dropout": 2.0}, "'dropout' is 2.0, expected 0 to below 1; correct it"),
        ("momo", {"cross_rank": -1}, "'cross_rank' is -1, expected at least 0; raise it"),
        ("momo", {"hidden": (64, 0)}, "'hidden' is 0, expected at least 1; raise it"),
        ("qin", {"layers": 0}, "'layers' is 0, expected at least 1; raise it"),
        ("autoint", {"heads": 0}, "'heads' is 0, expected at least 1; raise it"),
        ("dmf", {"width": 0}, "'width' is 0, expected at least 1; raise it"),
        ("naml", {"width": 0}, "'width' is 0, expected at least 1; raise it"),
    ],
)
def test_a_number_that_no_published_model_can_have_is_refused(
    scene, parts, name, settings, sentence
):
    with pytest.raises(ValueError, match=f"{name}: setting ") as error:
        check_settings(name, scene.schema, settings, parts)
    assert sentence in str(error.value)


@pytest.mark.parametrize("zoo", [OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS])
def test_every_choice_that_a_search_may_try_is_accepted(zoo):
    for name, part in zoo.items():
        for key, values in part.choices.items():
            for value in values:
                assert find_part("part", zoo, {"name": name, key: value})[1] == {key: value}


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_is_refused_where_it_means_nothing(scene, parts, name):
    """By what its class declares, so that a new operator is held to the table without an edit."""
    operator = OPERATORS[name]
    cases = []
    if operator.level == "feature":
        cases.append(({"placement": "logit"}, "a logit is one number"))
    if operator.level == "logit":
        sentence_text = "joins logits; use placement 'logit'"
        cases += [
            ({"placement": place}, sentence_text) for place in ("item", "pooled", "interaction")
        ]
    else:
        one_slot = {"use_id": False, "side_width": 0, "modalities": ["text"]}
        cases.append((one_slot, "has one slot (text) and nothing to fuse"))
        cases.append(({"placement": "interaction", **AWARE}, "every operator runs per candidate"))
        if not operator.uses_query:
            cases.append((AWARE, "reads no query and cannot be 'target_aware'"))
    if operator.level == "any":
        cases.append(({"placement": "logit", **AWARE}, "every operator runs per candidate"))
    if operator.uses_query_slot:
        cases.append(({"use_id": False}, "asks with the id slot"))
    if operator.most_slots is not None:
        sentence_text = f"takes at most {operator.most_slots} slots at 'interaction'"
        cases.append(({"placement": "interaction"}, sentence_text))
    for settings, sentence in cases:
        assert sentence in refusal(scene, parts, {"operator": name, **settings})


@pytest.mark.parametrize("name", POOLERS)
def test_every_pooler_of_another_width_is_refused_where_widths_must_agree(scene, parts, name):
    for placement in ("interaction", "pooled"):
        settings = {"operator": "concat", "placement": placement, "pooler": name}
        if POOLERS[name].keeps_width:
            check_settings("composed", scene.schema, settings, parts)
        else:
            assert "vectors of another width" in refusal(scene, parts, settings)


WRONG = {
    "unknown setting": ("early_fusion", {"tokn_width": 3}, "did you mean 'token_width'"),
    "unknown operator": ("early_fusion", {"operator": "gmuu"}, "did you mean 'gmu'"),
    "unknown operator setting": (
        "composed",
        {"operator": {"name": "lmf", "ranks": 3}},
        "operator 'lmf': unknown setting 'ranks', did you mean 'rank'",
    ),
    "unknown pooler": ("composed", {"pooler": "dinn"}, "did you mean 'din'"),
    "unknown head": ("composed", {"head": "mpl"}, "did you mean 'mlp'"),
    "unknown compressor": ("composed", {"compressor": "pac"}, "did you mean 'pca'"),
    "unknown alignment": ("composed", {"alignment": "cosin"}, "did you mean 'cosine'"),
    "unknown placement": ("composed", {"placement": "items"}, "did you mean 'item'"),
    "unknown conditioning": (
        "composed",
        {"conditioning": "target-aware"},
        "setting 'conditioning' is 'target-aware', did you mean 'target_aware'",
    ),
    "unknown fields to cross": (
        "composed",
        {"interaction_fields": "pairs"},
        "setting 'interaction_fields' is 'pairs', did you mean 'pair'",
    ),
    "a part of stacked towers": (
        "stacked_fusion",
        {"head": {"name": "dcnv2", "layers": 0}},
        "stacked_fusion: head 'dcnv2': setting 'layers' is 0, expected at least 1; raise it",
    ),
    "no column of products": ("counts", {"columns": 0}, "'columns' is 0, expected at least 1"),
    "no tree": ("boosted", {"trees": 0}, "'trees' is 0, expected at least 1"),
    "a fixed part's setting": (
        "unimodal",
        {"operator.rank": 2},
        "setting 'operator' is fixed by 'unimodal'",
    ),
    "unknown modality": ("unimodal", {"modality": "txt"}, "did you mean 'text'"),
    "unknown modality of several": ("composed", {"modalities": ["imag"]}, "did you mean 'image'"),
    "text for a number": ("composed", {"token_width": "wide"}, "expected a whole number"),
    "number for a switch": ("composed", {"use_id": 1}, "expected true or false"),
    "list for a part": ("composed", {"head": [3]}, "expected a mapping with a 'name'"),
    "zero width": ("composed", {"token_width": 0}, "must be at least 1"),
    "negative width": ("composed", {"side_width": -1}, "must not be negative"),
    "dropout of all": ("composed", {"modality_dropout": 1.0}, "expected 0 to below 1"),
    "a family's own setting": ("late_fusion", {"placement": "item"}, "cannot be changed"),
    "an operator for one modality": ("unimodal", {"operator": "gmu"}, "cannot be changed"),
    "heads that do not divide": (
        "composed",
        {"pooler.heads": 3},
        "3 heads do not divide the width 80",
    ),
    "heads that would divide twice a slot": (
        "late_fusion",
        {"token_width": 8, "pooler.heads": 16},
        "16 heads do not divide the width 8",
    ),
    "heads that would divide several tokens": (
        "composed",
        {"token_width": 8, "operator": "sum", "pooler.heads": 16},
        "16 heads do not divide the width 8",
    ),
    "rank of an operator": (
        "composed",
        {"operator": {"name": "moe", "top_k": 9}},
        "composed: operator 'moe': top_k is 9",
    ),
    "prior": ("popularity", {"prior": 0}, "expected above 0"),
    "statistic": ("popularity", {"statistic": "clicks"}, "known: click_rate, impressions"),
    "recipe": ("seed_reconstruction", {"recipe": "V5"}, "known: V1, V2, V3, V4, learned"),
    "heads of the seed": ("seed_reconstruction", {"heads": 3}, "does not divide"),
    "unknown baseline": ("erly_fusion", {}, "did you mean 'early_fusion'"),
}


@pytest.mark.parametrize(("name", "settings", "sentence"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_setting_is_named_and_corrected(scene, parts, name, settings, sentence):
    with pytest.raises(ValueError, match=r".") as error:
        check_settings(name, scene.schema, settings, parts)
    assert sentence in str(error.value)


def test_a_nested_setting_updates_the_default_part(scene, parts):
    resolved = Composed.check(scene.schema, {"compressor.k": 8, "head.hidden": [4]}, parts)
    assert resolved.compressor == {"name": "pca", "k": 8, "whiten": True}
    assert resolved.head == {"name": "mlp", "hidden": (4,)}


def test_another_part_replaces_the_default_one(scene, parts):
    resolved = Composed.check(
        scene.schema, {"compressor": "none", "pooler": {"name": "mean"}}, parts
    )
    assert (resolved.compressor, resolved.pooler) == ({"name": "none"}, {"name": "mean"})


def test_k_is_at_most_the_width_of_each_modality(scene):
    model = scene.build("early_fusion", {"compressor.k": 22})
    assert [part.width_out for part in model.slots.modalities] == [20, 22, 16]


@pytest.mark.parametrize("name", BASELINES)
def test_every_searched_value_is_one_that_builds(scene, parts, name):
    for key, values in BASELINES[name].choices.items():
        for value in values:
            check_settings(name, scene.schema, {key: value}, parts)


@pytest.mark.parametrize(
    ("settings", "family"),
    [
        ({"operator": "concat"}, "early"),
        ({"operator": "concat", "placement": "pooled"}, "early"),
        ({"operator": "logit_average", "placement": "logit"}, "late"),
        ({"operator": "senet", "placement": "interaction"}, "compressed"),
        ({"operator": "senet", "placement": "interaction", "compressor": "none"}, "early"),
    ],
)
def test_the_family_of_a_composed_model_follows_from_its_axes(scene, parts, settings, family):
    assert family_of(Composed.check(scene.schema, settings, parts)) == family
    assert scene.build("composed", settings).family == family


NEEDS_NUMBERS = {"counts", "boosted"}
NEEDS_HISTORY = {
    *("din", "dmf", "momo", "qin", "seed_reconstruction", "naml"),
    *("make", "muse", "one_trans", "simtier", "m3srec"),
}
TINY = {"momo": {"embedding": 4, "last": 2, "hidden": (8,), "head": (4,)}}


@pytest.mark.parametrize("name", BASELINES)
def test_a_model_trains_on_data_that_has_little_or_says_what_it_needs(parts, name):
    settings = TINY.get(name, {})
    check_spare(name, BASELINES[name], settings, parts)
    for case, schema in SPARE.items():
        if case == "no history" and name in NEEDS_HISTORY:
            with pytest.raises(ValueError, match="has no history"):
                check_settings(name, schema, settings, parts)
        elif name in NEEDS_NUMBERS and case in ("no fields", "one modality"):
            with pytest.raises(ValueError, match="no number and no small field"):
                check_settings(name, schema, settings, parts)
        else:
            check_settings(name, schema, settings, parts)


def test_a_pooler_that_is_asked_for_without_a_history_is_refused(parts):
    with pytest.raises(ValueError, match="'pooler' pools nothing"):
        check_settings("early_fusion", SPARE["no history"], {"pooler": "mean"}, parts)


def test_without_a_history_a_slot_is_one_field_whatever_is_crossed(scene, parts):
    """Four slots are no more than an operator of four takes, though a pair would be eight."""
    settings = {"operator": "lmf", "placement": "interaction", "side_width": 0, "pooler": "none"}
    for crossed in ("product", "pair"):
        check_settings("composed", scene.schema, {**settings, "interaction_fields": crossed}, parts)
    with_history = {**settings, "pooler": "mean", "interaction_fields": "pair"}
    assert "takes at most 4 slots" in refusal(scene, parts, with_history)
