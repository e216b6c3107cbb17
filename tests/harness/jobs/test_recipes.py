"""Who is trained by which recipe: published models by their own, all others by the common one."""

from collections.abc import Mapping
from typing import Any

import pytest

from fusefront.baselines.zoo import BASELINES
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.matrix import StudyPlan, make_plan
from fusefront.harness.jobs.recipes import meaningful, searched_training
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training, rows_a_batch
from fusefront.harness.runs.study import Range, check_study

PUBLISHED = sorted(name for name, kind in BASELINES.items() if kind.family == "published")
STUDY = {
    "name": "s",
    "dataset": "d.yaml",
    "baseline": "late_fusion",
    "strategies": {"late_fusion": {}, "deepfm": {}, "din": {"training": {"learning_rate": 0.1}}},
    "tuning": {"trials": 1},
}


def plan(world: PreparedDataset, **changes: object) -> StudyPlan:
    return make_plan(check_study({**STUDY, **changes}, "s.yaml"), world, load_parts([]))


def training(matrix: StudyPlan, name: str, params: Mapping[str, object] | None = None) -> Training:
    return Training.model_validate(matrix.cell(name, params or {}, 0).spec.training)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_model_has_a_recipe_with_its_source(name: str) -> None:
    kind = BASELINES[name]
    assert kind.recipe_source
    recipe = Training.model_validate(kind.recipe)
    assert recipe.optimizer == "adam"
    assert recipe.batch_rows
    assert recipe.patience


def test_the_others_have_none() -> None:
    assert all(not kind.recipe for name, kind in BASELINES.items() if name not in PUBLISHED)


def test_published_models_train_by_their_own_recipe_and_families_by_the_common_one(
    world: PreparedDataset,
) -> None:
    matrix = plan(world, training={"learning_rate": 0.02, "epochs": 5})
    common, bars = training(matrix, "late_fusion"), training(matrix, "deepfm")
    rows = len(world.split("train").item)
    assert (common.learning_rate, common.epochs, common.tau) == (0.02, 5, 3.0)
    assert common.batch_rows == rows_a_batch(rows)
    assert (bars.optimizer, bars.learning_rate, bars.batch_rows) == ("adam", 1e-3, 4096)
    assert (bars.l2_embedding, bars.schedule, bars.anneal, bars.patience) == (
        0.01,
        "plateau",
        0.1,
        2,
    )
    assert bars.epochs == 5  # a length that the study names caps every recipe
    assert training(plan(world), "deepfm").epochs == 100
    assert training(plan(world, training={"epochs": 500}), "deepfm").epochs == 100
    assert training(matrix, "din").learning_rate == 0.1  # its own words go over its own recipe
    cells = {cell.strategy: cell.recipe for cell in matrix.final({})}
    assert (cells["late_fusion"], cells["deepfm"], cells["din"]) == ("common", "own", "own")


def test_one_word_gives_all_the_common_recipe_or_one_its_own(world: PreparedDataset) -> None:
    strategies = {**STUDY["strategies"], "deepfm": {"recipe": "own"}}
    matrix = plan(world, recipe="common", strategies=strategies)
    assert training(matrix, "din") == training(matrix, "late_fusion").model_copy(
        update={"learning_rate": 0.1}
    )
    assert training(matrix, "deepfm").optimizer == "adam"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"recipe": "own"},
            "'late_fusion': recipe 'own', but 'late_fusion' has no published recipe",
        ),
        ({"training": {"patience": 2}}, "'late_fusion': late_fusion: patience 2 with schedule"),
        ({"training": {"id_taus": 2}}, "unknown training key 'id_taus'; did you mean 'id_tau'"),
        ({"training": {"tau": 0}}, "training.tau: expected a value greater than 0 .got 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_before_anything_runs(
    world: PreparedDataset, body: dict[str, object], words: str
) -> None:
    strategies = {**STUDY["strategies"], "late_fusion": body}
    with pytest.raises(UsageError, match=words):
        plan(world, strategies=strategies)


def test_another_recipe_goes_over_the_common_one_and_leaves_the_rest(
    world: PreparedDataset,
) -> None:
    study_plan = plan(world, sensitivity=[{"learning_rate": 0.003, "id_tau": 1}, "common"])
    other, common = (study_plan.under(recipe) for recipe in study_plan.study.sensitivity)
    changed = training(other, "late_fusion", {"training.learning_rate": 0.5})
    assert (changed.learning_rate, changed.id_tau, changed.tau) == (0.003, 1, 3.0)
    for name in ("deepfm", "din", "counts", "popularity"):
        assert other.cell(name, {}, 0).spec == study_plan.cell(name, {}, 0).spec
    assert common.cell("late_fusion", {}, 0).spec == study_plan.cell("late_fusion", {}, 0).spec
    assert training(common, "deepfm") == training(study_plan, "late_fusion")
    with pytest.raises(UsageError, match="unknown training key 'rate'"):
        plan(world, sensitivity=[{"rate": 1}])


def test_a_winners_words_that_another_recipe_does_not_know_are_left_out_there(
    world: PreparedDataset,
) -> None:
    """L2 is Adam's, a time constant AdamW's: what a search set of the one says nothing by the
    other."""
    study_plan = plan(world, sensitivity=["common", {"optimizer": "adam", "learning_rate": 0.002}])
    common, adam = (study_plan.under(recipe) for recipe in study_plan.study.sensitivity)
    winners = {
        "deepfm": {"training.learning_rate": 0.0007, "training.l2_embedding": 0.1},
        "late_fusion": {"training.id_tau": 0.1, "token_width": 24},
    }

    def trained(matrix: StudyPlan, name: str) -> tuple[Training, Mapping[str, Any]]:
        cell = next(each for each in matrix.final(winners) if each.strategy == name)
        return Training.model_validate(cell.spec.training), cell.spec.settings

    assert trained(study_plan, "deepfm")[0].l2_embedding == 0.1
    assert trained(study_plan, "late_fusion")[0].id_tau == 0.1
    recipe, _ = trained(common, "deepfm")
    assert (recipe.optimizer, recipe.l2_embedding, recipe.learning_rate) == ("adamw", 0.0, 0.0007)
    recipe, settings = trained(adam, "late_fusion")
    assert (recipe.optimizer, recipe.id_tau, recipe.learning_rate) == ("adam", None, 0.002)
    assert settings["token_width"] == 24
    assert trained(adam, "deepfm")[0] == trained(study_plan, "deepfm")[0]  # on its own recipe


def test_the_search_tries_what_a_recipe_knows(world: PreparedDataset) -> None:
    matrix = plan(world)
    space = matrix.space("late_fusion")
    assert space["training.learning_rate"] == (0.003, 0.01)
    assert space["training.id_tau"] == (0.1, 0.3, 1.0, 3.0)
    own = matrix.space("deepfm")
    assert own["training.learning_rate"] == Range(low=1e-3 / 3, high=3e-3, log=True)
    assert own["training.l2_embedding"] == pytest.approx((0.001, 0.01, 0.1))
    assert "training.id_tau" not in own
    bare = Training(optimizer="adam", schedule="constant", learning_rate=0.3)
    assert searched_training({}, bare, own=True, unset=True) == {
        "training.learning_rate": Range(low=0.3 / 3, high=0.3 * 3, log=True)
    }
    with_space = plan(world, tuning={"trials": 1, "space": {"training.id_weight_decay": [3, 30]}})
    assert "training.id_weight_decay" not in with_space.space("deepfm")
    assert with_space.space("late_fusion")["training.id_weight_decay"] == (3, 30)
    settings = plan(world, tuning={"trials": 1, "space": {"context_width": [4, 6]}})
    assert settings.space("late_fusion")["context_width"] == (4, 6)  # of no recipe: for all
    searched = training(with_space, "late_fusion", {"training.id_weight_decay": 30})
    assert (searched.id_weight_decay, searched.id_tau, searched.tau) == (30, None, 3.0)


def test_a_models_own_setting_is_no_word_of_a_recipe() -> None:
    words = {"tau": 1, "warmup": 2, "training.tau": 3, "training.warmup": 4, "training.clip": 5}
    adam = Training(optimizer="adam", schedule="constant")
    assert meaningful(words, adam) == {"tau": 1, "warmup": 2, "training.clip": 5}


def test_batch_and_recipe_are_part_of_a_runs_identity(world: PreparedDataset) -> None:
    first = plan(world).cell("late_fusion", {}, 0).spec
    same_batch = plan(world, training={"batch_rows": first.training["batch_rows"]})
    assert same_batch.cell("late_fusion", {}, 0).spec == first
    other = plan(world, training={"id_tau": 1}).cell("late_fusion", {}, 0).spec
    assert other.run_id != first.run_id
