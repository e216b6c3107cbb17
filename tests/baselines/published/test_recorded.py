"""What the published models are by default, as their papers and logs print it, and what searches
try."""

from dataclasses import FrozenInstanceError

import pytest

from fusefront.baselines.published import (
    autoint,
    deepfm,
    din,
    dmf,
    em3,
    lmf,
    m3srec,
    make,
    marn,
    momo,
    mtfn,
    muse,
    naml,
    one_trans,
    pamd,
    qin,
    recipes,
    seed_reconstruction,
    simcen,
    simtier,
)
from fusefront.baselines.published.dmf import DmfSettings
from fusefront.baselines.published.presets import deep, none, part
from fusefront.baselines.published.seed_recipes import SeedSettings, recipe_of
from fusefront.baselines.zoo import BASELINES, check_settings
from fusefront.harness.testing.baseline import SPARE

MODULES = (autoint, deepfm, din, dmf, em3, lmf, make, marn, momo, mtfn, naml, pamd, qin)
MODULES += (seed_reconstruction, simcen, simtier, muse, one_trans, m3srec)
WIDE = (1024, 512, 256)
OWN = {
    "din": {
        "embedding": 64,
        "attention": (512, 256),
        "hidden": WIDE,
        "attention_dropout": 0.1,
        "dropout": 0.0,
        "dice": False,
    },
    "qin": {"embedding": 128, "attention": 0, "layers": 4, "rank": 4, "dropout": 0.1},
    "momo": {
        "embedding": 64,
        "layers": 2,
        "heads": 1,
        "feed": 256,
        "last": 16,
        "cross_layers": 3,
        "cross_rank": 0,
        "hidden": WIDE,
        "head": (64, 32),
        "transformer_dropout": 0.2,
        "dropout": 0.2,
        "mask_as_published": False,
    },
    "deepfm": {"embedding": 16, "hidden": WIDE, "dropout": 0.0},
    "autoint": {"embedding": 16, "layers": 3, "heads": 2, "attention": 64},
    "dmf": {"width": 128, "content": 32, "alpha": 0.5, "bins": 10, "buckets": 35, "hidden": WIDE},
    "naml": {"width": 128, "id_width": 128, "attention": 128, "compressor": {"name": "none"}},
    "simtier": {
        "embedding": 64,
        "content": 32,
        "tiers": 20,
        "attention": (512, 256),
        "hidden": WIDE,
        "dropout": 0.0,
    },
    "make": {
        "embedding": 64,
        "content": 64,
        "first_epochs": 3,
        "first_rate": 1e-3,
        "attention": (512, 256),
        "knowledge": (128, 64),
        "hidden": WIDE,
        "dropout": 0.0,
    },
    "muse": {
        "embedding": 64,
        "content": 32,
        "tiers": 20,
        "heads": 1,
        "nearest": 50,
        "bits": 0,
        "hidden": WIDE,
        "dropout": 0.0,
    },
    "one_trans": {"embedding": 16, "layers": 2, "heads": 2, "feed": 32},
    "simcen": {
        "embedding": 16,
        "layers": 3,
        "hidden": 160,
        "dropout": 0.1,
        "weight": 0.01,
        "temperature": 2.0,
    },
    "m3srec": {
        "width": 128,
        "id_width": 128,
        "heads": 4,
        "experts": 4,
        "feed": 512,
        "layers": 1,
        "hidden": WIDE,
        "dropout": 0.0,
    },
    "seed_reconstruction": {
        "recipe": "V4",
        "attention": "target_attention",
        "heads": 4,
        "senet": True,
        "embedding": 64,
        "hidden": WIDE,
        "dropout": 0.0,
    },
}
BENCH = {  # MMCTR-Bench's models: one item vector, pooled, in one deep head
    "modalities": "all",
    "use_id": True,
    "id_width": 128,
    "side_width": 16,
    "token_width": 128,
    "compressor": {"name": "none"},
    "placement": "item",
    "conditioning": "item_only",
    "head": {"name": "mlp", "hidden": WIDE},
    "products": False,
    "interaction_fields": "product",
    "skip": True,
    "presence_features": False,
    "context_width": 16,
    "context_numbers": True,
    "alignment": None,
    "alignment_weight": 0.1,
    "modality_dropout": 0.0,
}
ATTENTIVE = {"name": "din", "softmax": True}
PRESETS = {
    "em3": {"operator": {"name": "em3"}, "pooler": ATTENTIVE},
    "lmf": {"operator": {"name": "lmf", "rank": 5}, "pooler": {"name": "mean"}},
    "marn": {"operator": {"name": "marn"}, "pooler": ATTENTIVE},
    "mtfn": {"operator": {"name": "mtfn", "rank": 20, "bias": False}, "pooler": {"name": "mean"}},
    "pamd": {"operator": {"name": "pamd"}, "pooler": ATTENTIVE},
}
DEEP = ((64, 32), (256, 128), WIDE)
SEARCHED = {
    "din": {"embedding": (16, 32, 64), "dropout": (0.0, 0.1, 0.3)},
    "qin": {
        "embedding": (16, 32, 64),
        "layers": (1, 2, 4),
        "rank": (2, 3, 4),
        "dropout": (0.0, 0.1, 0.2),
    },
    "momo": {"embedding": (8, 16, 32), "last": (4, 16), "cross_rank": (16, 64)},
    "deepfm": {"embedding": (8, 16, 32), "hidden": DEEP, "dropout": (0.0, 0.1, 0.3)},
    "autoint": {"embedding": (8, 16, 32), "layers": (1, 2, 3), "attention": (16, 32, 64)},
    "dmf": {
        "width": (16, 32, 64, 128),
        "content": (8, 16, 32),
        "alpha": (0.25, 0.5, 0.75),
        "hidden": DEEP,
    },
    "naml": {"width": (16, 32, 64, 128), "id_width": (8, 32, 128)},
    "simtier": {
        "embedding": (16, 32, 64),
        "content": (8, 16, 32),
        "tiers": (10, 20, 40),
        "dropout": (0.0, 0.1, 0.3),
    },
    "make": {
        "embedding": (16, 32, 64),
        "content": (16, 32, 64),
        "first_epochs": (1, 3, 5),
        "dropout": (0.0, 0.1, 0.3),
    },
    "muse": {
        "embedding": (16, 32, 64),
        "content": (8, 16, 32),
        "nearest": (8, 20, 50, 100),
        "bits": (0, 32, 64),
        "dropout": (0.0, 0.1, 0.3),
    },
    "one_trans": {"embedding": (8, 16, 32), "layers": (1, 2, 3), "feed": (32, 64)},
    "simcen": {
        "embedding": (8, 16, 32),
        "layers": (1, 2, 3),
        "dropout": (0.0, 0.1, 0.2),
        "weight": (0.0, 0.01, 0.1),
        "temperature": (0.1, 0.5, 2.0),
    },
    "m3srec": {
        "width": (16, 32, 64, 128),
        "feed": (32, 128, 512),
        "experts": (2, 4),
        "dropout": (0.0, 0.1, 0.3),
    },
    "seed_reconstruction": {
        "recipe": ("V1", "V2", "V3", "V4", "learned"),
        "attention": ("target_attention", "din"),
        "senet": (True, False),
        "embedding": (16, 32, 64),
    },
}
OF_PRESETS = {
    "em3": ("operator.queries", (2, 5)),
    "lmf": ("operator.rank", (2, 4, 5, 8)),
    "marn": ("operator.adversary", (0.01, 0.05)),
    "mtfn": ("operator.rank", (5, 10, 20)),
    "pamd": ("operator.weight", (0.01, 0.1)),
}
PLATEAU = {"optimizer": "adam", "schedule": "plateau", "anneal": 0.1, "epochs": 100}
BARS = PLATEAU | {"learning_rate": 1e-3, "batch_rows": 4096, "l2_embedding": 0.01, "patience": 2}
DIN = PLATEAU | {"learning_rate": 1e-3, "batch_rows": 4096, "l2_embedding": 1e-6, "patience": 3}
QIN = PLATEAU | {"learning_rate": 2e-3, "anneal": 0.5, "batch_rows": 8192, "l2_embedding": 2e-4}
RECIPES = {
    "deepfm": BARS,
    "autoint": BARS,
    "din": DIN,
    "seed_reconstruction": DIN,
    "simtier": DIN,
    "one_trans": DIN,
    "make": DIN,
    "muse": DIN,
    "momo": PLATEAU | {"learning_rate": 5e-4, "batch_rows": 128, "patience": 5},
    "qin": QIN | {"patience": 8},
    "simcen": PLATEAU | {"learning_rate": 1e-3, "batch_rows": 10_000, "patience": 2},
}
ALIKE = {"optimizer": "adam", "schedule": "constant", "epochs": 20, "learning_rate": 1e-3}
ALIKE |= {"batch_rows": 512, "l2": 1e-7, "l2_embedding": 1e-7, "patience": 5}


@pytest.mark.parametrize("name", [*OWN, *PRESETS])
def test_a_published_model_is_by_default_what_was_published(name):
    expected = OWN[name] if name in OWN else BENCH | PRESETS[name]
    assert vars(BASELINES[name].Settings()) == expected
    assert BASELINES[name].recipe == RECIPES.get(name, ALIKE)
    assert BASELINES[name].__module__ in {module.__name__ for module in MODULES}


def test_recipes_are_those_of_the_logs():
    remaining = [recipes.BARS, recipes.DIN, recipes.MOMO, recipes.QIN, recipes.SIMCEN]
    remaining.append(recipes.MMCTR_BENCH)
    assert remaining == [BARS, DIN, RECIPES["momo"], RECIPES["qin"], RECIPES["simcen"], ALIKE]
    assert recipes.PLATEAU == PLATEAU


@pytest.mark.parametrize("name", [*OWN, *PRESETS])
def test_settings_cannot_be_changed(name):
    settings = BASELINES[name].Settings()
    with pytest.raises(FrozenInstanceError):
        settings.embedding = 3


@pytest.mark.parametrize("name", [*OWN, *PRESETS])
def test_a_search_tries_what_recorded_searches_tried(name):
    if name in SEARCHED:
        assert BASELINES[name].choices == SEARCHED[name]
        return
    key, values = OF_PRESETS[name]
    assert BASELINES[name].choices == {
        "token_width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
        "head.hidden": DEEP,
        key: values,
    }


def test_the_parts_of_presets_are_theirs():
    assert none() == {"name": "none"}
    assert deep() == {"name": "mlp", "hidden": WIDE}
    assert part("din")() == {"name": "din"}
    assert part("din", {"softmax": True})() == ATTENTIVE


@pytest.mark.parametrize(
    ("recipe", "modalities", "compressor"),
    [
        ("V1", ("a",), {"name": "pca", "k": 64, "whiten": False}),
        ("V2", ("b",), {"name": "pca", "k": 64, "whiten": False}),
        ("V3", ("a", "b", "c"), {"name": "pca_joint", "k": 64, "whiten": False}),
        ("V4", ("a", "b", "c"), {"name": "pca", "k": 64, "whiten": False}),
        ("learned", ("a", "b", "c"), {"name": "none"}),
    ],
)
def test_a_recipe_takes_its_modalities_through_its_compressor(recipe, modalities, compressor):
    assert recipe_of(SeedSettings(recipe), ("a", "b", "c")) == (modalities, compressor)


REFUSED = {
    "alpha of one": ("dmf", {"alpha": 1.0}, "got alpha 1.0, expected 0 to below 1"),
    "alpha below 0": ("dmf", {"alpha": -0.1}, "dmf: "),
    "no content": ("dmf", {"content": 0}, "dmf: "),
    "heads": ("seed_reconstruction", {"heads": 5}, "'heads' 5 does not divide 'embedding' 64"),
    "attention": ("seed_reconstruction", {"attention": "dinn"}, "did you mean 'din'"),
    "heads of experts": ("m3srec", {"heads": 3}, "'heads' 3 does not divide 'width' 128"),
    "compressor": ("naml", {"compressor": "pac"}, "did you mean 'pca'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_published_model_can_be_is_refused(scene, parts, name):
    model, settings, sentence = REFUSED[name]
    with pytest.raises(ValueError, match=r".") as error:
        check_settings(model, scene.schema, settings, parts)
    assert sentence in str(error.value)


USED = [
    ("dmf", {"alpha": 0.0, "content": 1}),
    ("seed_reconstruction", {"heads": 5, "attention": "din"}),
    ("seed_reconstruction", {"heads": 64}),
    ("m3srec", {"heads": 128}),
    ("naml", {"compressor": "pca"}),
]


@pytest.mark.parametrize(("name", "settings"), USED)
def test_what_lies_at_the_edge_is_taken(scene, parts, name, settings):
    check_settings(name, scene.schema, settings, parts)


@pytest.mark.parametrize(
    ("count", "recipe", "good"), [(1, "V1", True), (1, "V2", False), (2, "V2", True)]
)
def test_a_recipe_needs_its_modality(scene, parts, count, recipe, good):
    few = scene.schema._replace(modalities=dict([*scene.schema.modalities.items()][:count]))
    if good:
        check_settings("seed_reconstruction", few, {"recipe": recipe}, parts)
    else:
        with pytest.raises(ValueError, match="recipe 'V2' needs 2 modalities and the data has 1"):
            check_settings("seed_reconstruction", few, {"recipe": recipe}, parts)


def test_who_needs_a_history_or_a_modality_says_so(scene, parts):
    bare = scene.schema._replace(modalities={})
    with pytest.raises(ValueError, match="dmf: the data has no modality to compare items by"):
        check_settings("dmf", bare, {}, parts)
    for name in OWN:
        if name in ("deepfm", "autoint", "simcen"):
            check_settings(name, SPARE["no history"], {}, parts)
        else:
            with pytest.raises(ValueError, match=f"{name}: the data has no history and this model"):
                check_settings(name, SPARE["no history"], {}, parts)
    assert DmfSettings().bins == 10
