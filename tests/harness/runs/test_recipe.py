"""The recipe: one word for a decay, a batch by the rows, what contradicts itself refused."""

import pytest
from pydantic import ValidationError

from fusefront.harness.runs.recipe import Training, in_words, overlay, rows_a_batch


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
        ({"tau": 3, "weight_decay": 1}, "got both tau and weight_decay, two words for one decay"),
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
    assert not {"precision", "device"} & plain.keys()
    assert Training(precision="fp32", device="auto").model_dump(mode="json") == plain
    assert len(plain) == len(Training.model_fields) - 2
    assert Training.model_validate(plain) == Training()
    words = {"precision": "bf16", "device": "cpu"}
    changed = Training.model_validate(words).model_dump(mode="json")
    assert changed == {**plain, **words}
    assert Training.model_validate(changed).precision == "bf16"


@pytest.mark.parametrize(
    ("precision", "words"),
    [("tf32", "in TF32"), ("bf16", "in bf16"), ("auto", "in bf16 where it pays")],
)
def test_another_precision_stands_in_the_recipes_words(precision, words):
    assert in_words(Training(precision=precision)) == f"{in_words(Training())}, {words}"
