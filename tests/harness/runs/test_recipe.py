"""The recipe: one word for a decay, a batch by the rows, what contradicts itself refused."""

import pytest
from pydantic import ValidationError

from fusefront.harness.runs.recipe import Training, in_words, overlay, rows_a_batch, spelled


@pytest.mark.parametrize(
    ("rows", "batch"),
    [(1, 256), (51_200, 256), (72_000, 256), (73_000, 512), (210_044, 1024), (10**9, 8192)],
)
def test_the_batch_is_a_200th_of_the_rows_to_the_nearest_power_of_two(rows, batch):
    assert rows_a_batch(rows) == batch
    assert Training().resolved(rows).batch_rows == batch
    assert Training(batch_rows=100).resolved(rows).batch_rows == 100


def test_todays_files_mean_what_they_meant():
    old = {"epochs": 4, "batch_rows": 1024, "weight_decay": 1.0, "id_weight_decay": 10.0}
    recipe = Training.model_validate(old)
    assert (recipe.weight_decay, recipe.id_weight_decay, recipe.tau, recipe.id_tau) == (
        1.0,
        10.0,
        None,
        None,
    )
    assert Training.model_validate(recipe.model_dump(mode="json")) == recipe
    mixed = Training.model_validate({"id_weight_decay": 10.0})
    assert (mixed.tau, mixed.id_tau) == (3.0, None)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"patience": 2}, "patience 2 with schedule 'one_cycle'.*use 'constant' or 'plateau'"),
        ({"tau": 3, "weight_decay": 1}, "got both tau and weight_decay, two keys for one decay"),
        ({"optimizer": "adam", "id_tau": 1}, "id_tau is AdamW's decay; with 'adam' give l2"),
        ({"optimizer": "adam", "weight_decay": 1}, "weight_decay is AdamW's decay"),
        ({"l2": 0.1}, "l2 and l2_embedding are Adam's; with 'adamw' give tau or id_tau"),
        ({"tau": float("inf")}, "finite"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused_in_a_sentence(raw, words):
    with pytest.raises(ValidationError, match=words):
        Training.model_validate(raw)


def test_a_later_word_for_a_decay_replaces_the_earlier_one():
    first = {"tau": 3.0, "id_tau": 0.3}
    assert overlay(first, {"id_weight_decay": 10.0}) == {"tau": 3.0, "id_weight_decay": 10.0}
    assert overlay({"weight_decay": 1.0}, {"tau": 2.0}) == {"tau": 2.0}
    assert overlay(first, {"tau": None}) == {"tau": None, "id_tau": 0.3}
    assert overlay({**first, "epochs": 2}, {"optimizer": "adam"}) == {
        "epochs": 2,
        "optimizer": "adam",
    }
    Training.model_validate(overlay({"optimizer": "adam", "l2": 1e-6}, {"optimizer": "adamw"}))


def test_a_recipe_is_said_in_a_line():
    assert in_words(Training(batch_rows=256)) == (
        "AdamW 0.01, one cycle of 3 epochs, batch 256, tau 3, tau of ids 0.3"
    )
    plateau = {"optimizer": "adam", "schedule": "plateau", "patience": 2, "l2_embedding": 0.01}
    assert in_words(Training.model_validate({**plateau, "learning_rate": 1e-3})) == (
        "Adam 0.001, rate x 0.1 an epoch without gain, at most 3 epochs, patience 2, batch by "
        "rows, L2 of embeddings 0.01"
    )
    averaged = Training(schedule="constant", average=0.5, epochs=1, tau=None)
    assert in_words(averaged).endswith("tau of ids 0.3, weights averaged over 0.5 epochs")


def test_patience_is_from_one_epoch_to_a_thousand():
    for patience in (1, 1000):
        assert Training(schedule="plateau", patience=patience).patience == patience
    for patience in (0, 1001):
        with pytest.raises(ValidationError, match="patience"):
            Training(schedule="plateau", patience=patience)


def test_keys_that_came_later_are_part_of_an_identity_where_they_differ_alone():
    """A recorded recipe of before dumps to itself; another precision is another recipe."""
    plain = Training().model_dump(mode="json")
    assert not {"precision", "device", "modalities", "deterministic"} & plain.keys()
    assert Training(precision="fp32", device="auto").model_dump(mode="json") == plain
    assert len(plain) == len(Training.model_fields) - 4
    assert Training.model_validate(plain) == Training()
    shares = {"text": {"rate": 0.5, "decay": 1.0}}
    words = {"precision": "bf16", "device": "cpu", "deterministic": True, "modalities": shares}
    changed = Training.model_validate(words).model_dump(mode="json")
    assert changed == {**plain, **words}
    assert Training.model_validate(changed).precision == "bf16"


@pytest.mark.parametrize(
    ("precision", "words"),
    [("tf32", "in TF32"), ("bf16", "in bf16"), ("auto", "in bf16 where it pays")],
)
def test_another_precision_stands_in_the_recipes_words(precision, words):
    assert in_words(Training(precision=precision)) == f"{in_words(Training())}, {words}"


def test_deterministic_algorithms_stand_in_the_recipes_words():
    words = in_words(Training(deterministic=True))
    assert words == f"{in_words(Training())}, deterministic algorithms"


def test_a_modalitys_shares_stand_in_the_recipes_words():
    shares = {"text": {"rate": 0.3}, "image": {"decay": 0}}
    recipe = Training.model_validate({"modalities": shares})
    assert in_words(recipe) == (
        f"{in_words(Training())}, text at 0.3 of the rate, 1 of the decay, "
        "image at 1 of the rate, 0 of the decay"
    )


@pytest.mark.parametrize(
    ("key", "least", "most", "refused"),
    [("rate", 1e-9, 1e3, (0.0, 1000.5)), ("decay", 0.0, 1e3, (-1e-9, 1000.5))],
)
def test_a_modalitys_shares_have_their_limits(key, least, most, refused):
    def of_text(value):
        return Training.model_validate({"modalities": {"text": {key: value}}})

    for value in (least, most):
        assert getattr(of_text(value).modalities["text"], key) == value
    for value in (*refused, float("nan"), float("inf")):
        with pytest.raises(ValidationError, match=key):
            of_text(value)


LARGEST = 2_147_483_647
WITH = {  # what a key needs beside it
    "patience": {"schedule": "plateau"},
    "l2": {"optimizer": "adam"},
    "l2_embedding": {"optimizer": "adam"},
}
# key -> smallest and largest value, the nearest refused on either side
LIMITS = {
    "epochs": (1, 1000, 0, 1001),
    "batch_rows": (2, LARGEST, 1, LARGEST + 1),
    "learning_rate": (1e-9, 1000.0, 0.0, 1000.5),
    "tau": (1e-9, 1e300, 0.0, float("inf")),
    "id_tau": (1e-9, 1e300, 0.0, float("inf")),
    "weight_decay": (0.0, 1e9, -1e-9, 1e9 + 1),
    "id_weight_decay": (0.0, 1e9, -1e-9, 1e9 + 1),
    "l2": (0.0, 1e9, -1e-9, 1e9 + 1),
    "l2_embedding": (0.0, 1e9, -1e-9, 1e9 + 1),
    "warmup": (0.0, 0.999, -1e-9, 1.0),
    "anneal": (1e-9, 0.999, 0.0, 1.0),
    "patience": (1, 1000, 0, 1001),
    "average": (1e-9, 1000.0, 0.0, 1000.5),
    "max_candidates": (1, LARGEST, 0, LARGEST + 1),
    "clip": (1e-9, 1e9, 0.0, 1e9 + 1),
}


@pytest.mark.parametrize("key", LIMITS)
def test_each_number_of_a_recipe_has_its_limits(key):
    *ends, below, above = LIMITS[key]
    for value in ends:
        assert getattr(Training.model_validate({**WITH.get(key, {}), key: value}), key) == value
    for value in (below, above, float("nan")):
        with pytest.raises(ValidationError, match=key):
            Training.model_validate({**WITH.get(key, {}), key: value})


def test_the_recipe_that_nobody_wrote_is_this_one():
    assert Training().model_dump() == {
        "epochs": 3,
        "batch_rows": None,
        "optimizer": "adamw",
        "schedule": "one_cycle",
        "learning_rate": 0.01,
        "tau": 3.0,
        "id_tau": 0.3,
        "weight_decay": None,
        "id_weight_decay": None,
        "l2": 0.0,
        "l2_embedding": 0.0,
        "warmup": 0.1,
        "anneal": 0.1,
        "patience": None,
        "average": None,
        "max_candidates": 64,
        "clip": 10.0,
    }
    adam = Training(optimizer="adam", l2=1e-3)
    assert (adam.tau, adam.id_tau, adam.weight_decay, adam.l2) == (None, None, None, 1e-3)


def test_a_decay_is_said_once_by_either_pair_of_words():
    for tau, decay in (("tau", "weight_decay"), ("id_tau", "id_weight_decay")):
        none = Training.model_validate({tau: None})
        assert (getattr(none, tau), getattr(none, decay)) == (None, None)
        zero = Training.model_validate({decay: 0.0})  # none, said in AdamW's own way
        assert (getattr(zero, tau), getattr(zero, decay)) == (None, 0.0)
        both = Training.model_validate({tau: 2.0, decay: None})
        assert (getattr(both, tau), getattr(both, decay)) == (2.0, None)
        with pytest.raises(ValidationError, match=f"got both {tau} and {decay}, two keys for one"):
            Training.model_validate({tau: 2.0, decay: 0.0})
    for words in ({"l2": 1e-9}, {"l2_embedding": 1e-9}):
        with pytest.raises(ValidationError, match="are Adam's; with 'adamw' give tau or id_tau"):
            Training.model_validate(words)
    for schedule in ("constant", "plateau", "exact"):
        assert Training(schedule=schedule, patience=2).patience == 2


def test_every_word_of_a_recipe_in_a_line_stands_for_its_own_number():
    words = {"weight_decay": 0.5, "id_weight_decay": 0.25, "epochs": 2}
    assert in_words(Training.model_validate(words)) == (
        "AdamW 0.01, one cycle of 2 epochs, batch by rows, decay 0.5, decay of ids 0.25"
    )
    words = {"optimizer": "adam", "l2": 2.0, "l2_embedding": 3.0, "schedule": "constant"}
    assert in_words(Training.model_validate({**words, "batch_rows": 512, "epochs": 1})) == (
        "Adam 0.01, constant rate, at most 1 epoch, batch 512, L2 2, L2 of embeddings 3"
    )
    assert in_words(Training(schedule="exact")) == "solved exactly"
    assert spelled({"tau": None, "l2": 0.5}) == "tau none, l2 0.5"


def test_a_layer_with_the_optimiser_that_was_keeps_the_decay_and_another_drops_every_one():
    every = {
        "tau": 1,
        "id_tau": 2,
        "weight_decay": 3,
        "id_weight_decay": 4,
        "l2": 5,
        "l2_embedding": 6,
        "clip": 7,
    }
    assert overlay(every, {"optimizer": "adamw"}) == {**every, "optimizer": "adamw"}
    assert overlay(every, {"optimizer": "adam"}) == {"clip": 7, "optimizer": "adam"}
    back = overlay(every, {"optimizer": "adam", "l2": 8}, {"optimizer": "adam", "clip": 9})
    assert back == {"clip": 9, "optimizer": "adam", "l2": 8}
    for tau, decay in (("tau", "weight_decay"), ("id_tau", "id_weight_decay")):
        assert overlay({tau: 1}, {decay: 2}) == {decay: 2}
        assert overlay({decay: 1}, {tau: 2}) == {tau: 2}
        assert overlay({decay: 1}, {tau: None}) == {decay: 1, tau: None}
