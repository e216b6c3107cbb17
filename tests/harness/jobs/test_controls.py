"""The controls of a study: all unless refused with a reason, none trained that cannot be."""

from dataclasses import replace

import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs import controls as module
from fusefront.harness.jobs.matrix import StudyPlan, make_plan
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import CONTROLS, check_study

STUDY = {
    "name": "s",
    "dataset": "d.yaml",
    "baseline": "late_fusion",
    "strategies": {"late_fusion": {}},
    "tuning": {"trials": 3},
}


def plan(world: PreparedDataset, controls: object = True, **words: object) -> StudyPlan:
    raw = {**STUDY, "controls": controls, **words}
    return make_plan(check_study(raw, "s.yaml"), world, load_parts([]))


def added(study_plan: StudyPlan) -> list[str]:
    return [name for name in study_plan.strategies if name not in study_plan.study.strategies]


def test_every_control_is_run_unless_refused(world: PreparedDataset) -> None:
    modalities = [f"unimodal_{name}" for name in world.manifest.schema_.modalities]
    first = ["popularity", "counts", "boosted", "id_only"]
    assert added(plan(world)) == [*first, *modalities, "early_fusion", "shuffled"]
    assert plan(world).without == {}
    refused = plan(world, {"boosted": "takes an hour.", "unimodal": "done last week"})
    assert added(refused) == ["popularity", "counts", "id_only", "early_fusion", "shuffled"]
    assert refused.without["boosted"] == "Control boosted was refused: takes an hour."
    assert refused.without[modalities[0]] == f"Control {modalities[0]} was refused: done last week."
    assert len(refused.without) == 1 + len(modalities)
    assert added(plan(world, controls=False)) == []


def test_a_shuffled_strategy_is_checked_as_the_studys_own(
    world: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a user's part raises is reported with its name there."""
    checked: list[str] = []
    monkeypatch.setattr(module, "check_settings", lambda baseline, *_: checked.append(baseline))
    study = check_study({**STUDY, "controls": True}, "s.yaml")
    controls, _ = module.controls_of(study, schema_of(world), load_parts([]))
    assert controls["shuffled"].baseline == "late_fusion"
    assert "early_fusion" in checked
    assert "late_fusion" not in checked


def test_a_strategy_of_that_name_stands_for_the_control(world: PreparedDataset) -> None:
    study_plan = plan(world, strategies={"late_fusion": {}, "counts": {"products": False}})
    assert "counts" not in added(study_plan)
    assert study_plan.strategies["counts"].settings == {"products": False}


def test_solved_controls_have_no_recipe_and_no_search(world: PreparedDataset) -> None:
    study_plan = plan(world)
    for name in ("popularity", "counts", "boosted"):
        cell = study_plan.cell(name, {}, 0)
        assert cell.recipe == "exact"
        assert cell.spec.training["schedule"] == "exact"
        assert study_plan.space(name) == {}
        assert name not in study_plan.searched()
    other = plan(world, training={"epochs": 9, "learning_rate": 0.5})
    assert other.cell("counts", {}, 0).spec == study_plan.cell("counts", {}, 0).spec


def test_trees_without_their_package_are_left_out_with_a_sentence(
    world: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusefront.baselines.models.boosted.find_spec", lambda _: None)
    study_plan = plan(world)
    assert "boosted" not in study_plan.strategies
    assert study_plan.without == {
        "boosted": "Control boosted was not run: scikit-learn is not installed "
        "(pip install 'fusefront[boosted]')."
    }


def test_a_log_without_vectors_runs_the_controls_that_need_none(
    world: PreparedDataset,
) -> None:
    """A team may compare ids and numbers first; nothing is there to join or to shuffle."""
    bare = world.manifest.schema_.model_copy(update={"modalities": {}})
    manifest = world.manifest.model_copy(update={"schema_": bare})
    log = replace(world, manifest=manifest)
    study_plan = plan(log, strategies={"counts": {}, "id_only": {}}, baseline="counts")
    assert added(study_plan) == ["popularity", "boosted"]
    assert list(study_plan.without) == ["early_fusion"]
    assert study_plan.without["early_fusion"].startswith("Control early_fusion was not run: ")


@pytest.mark.parametrize(
    ("controls", "words"),
    [
        ({"boostd": "x"}, "no control is called 'boostd'; did you mean 'boosted'"),
        (
            {"other": "x"},
            "no control is called 'other'; known: boosted, counts, early_fusion, id_only",
        ),
        ({"counts": " "}, "control 'counts' is left out without a reason; write one"),
    ],
)
def test_a_refusal_names_a_control_and_a_reason(controls: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_study({**STUDY, "controls": controls}, "s.yaml")


def test_the_exact_recipe_is_nobodys_choice(world: PreparedDataset) -> None:
    with pytest.raises(UsageError, match="schedule 'exact' is for controls that are solved"):
        plan(world, strategies={"late_fusion": {"training": {"schedule": "exact"}}})


def test_a_study_is_controlled_unless_it_refuses_all() -> None:
    def controlled(controls: object) -> bool:
        return check_study({**STUDY, "controls": controls}, "s.yaml").controlled

    assert controlled(True)
    assert controlled({"boosted": "x"})
    assert not controlled(False)
    assert not controlled(dict.fromkeys(CONTROLS, "x"))
