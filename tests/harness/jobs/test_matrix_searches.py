"""What a matrix builds and which searches it begins, and which seeds and keys are not free."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs import matrix as matrices
from fusefront.harness.jobs.matrix import StudyPlan, make_plan
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import check_study
from fusefront.harness.testing.shapes import built_of

PARTS = load_parts([])
TUNING = {"trials": 4, "seed": 6, "lag": 3, "space": {"training.learning_rate": [0.1, 0.2]}}
STUDY: dict[str, Any] = {
    "name": "s",
    "dataset": "d.yaml",
    "baseline": "today",
    "controls": False,
    "strategies": {
        "today": {"baseline": "late_fusion"},
        "new": {"baseline": "early_fusion"},
        "fixed": {"baseline": "late_fusion", "token_width": 8, "tune": False},
    },
    "training": {"epochs": 2},
    "tuning": TUNING,
}


def plan(store: PreparedDataset, **changes: Any) -> StudyPlan:
    return make_plan(check_study({**STUDY, **changes}, "s.yaml"), store, PARTS)


def test_searches_that_have_begun_are_those_with_a_record(
    ragged: PreparedDataset, tmp_path: Path
) -> None:
    matrix = plan(ragged)
    assert matrix.searches(tmp_path, begun=True) == []
    matrix.searches(tmp_path)
    (tmp_path / "tuning" / "today" / "search.json").unlink()
    assert [search.strategy for search in matrix.searches(tmp_path, begun=True)] == ["new"]


def test_a_model_is_built_once_to_be_counted_and_once_for_its_code(
    ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []

    def counting(kind: Any, parts: Any, settings: Any, schema: Any) -> Any:
        built.append(settings)
        return built_of(kind, parts, settings, schema)

    fresh = replace(plan(ragged), _counted={}, _codes={})
    monkeypatch.setattr(matrices, "built_of", counting)
    for _ in range(2):
        fresh.macs("new", {"token_width": 8})
        fresh.cell("new", {"token_width": 8}, 0)
    assert built == [{"token_width": 8}] * 2


def test_extra_trainings_are_those_of_the_finalists(ragged: PreparedDataset) -> None:
    """Two more seeds each."""
    matrix = plan(ragged, tuning={**TUNING, "finalists": 3})
    assert matrix.finalist_trainings == 6
    cells = matrix.finalist("new", {"token_width": 8})
    assert [(cell.role, cell.with_test) for cell in cells] == [("trial", False)] * 2
    assert len({cell.seed for cell in cells} | {matrix.trial("new", {}).seed}) == 3
    assert plan(ragged).finalist_trainings == 0


def test_a_strategy_without_its_search_takes_its_controls_along(ragged: PreparedDataset) -> None:
    dealt = {**STUDY["strategies"]["new"], "role": "control", "shuffle": ["text"]}
    matrix = plan(ragged, strategies={**STUDY["strategies"], "dealt": dealt})
    matrix = replace(matrix, without={"counts": "refused"}).lacking({"new": "a trial is damaged"})
    assert list(matrix.strategies) == ["today", "fixed"]
    assert matrix.without == {
        "counts": "refused",
        "new": "new was left out: a trial is damaged.",
        "dealt": "dealt was left out: a trial is damaged.",
    }


@pytest.mark.parametrize(
    ("dotted", "settings", "fixed"),
    [
        ("head", {}, False),
        ("head", {"head": "mlp"}, True),
        ("head.hidden", {"head": "mlp"}, True),
        ("head.hidden", {"head.hidden": [8]}, True),
        ("head.hidden", {"head": {"name": "mlp", "hidden": [8]}}, True),
        ("head.dropout", {"head.hidden": [8]}, False),
        ("compressor.k", {"compressor": None}, True),
        ("compressor", {"compressor": None}, True),
        ("token_width", {"head.hidden": [8]}, False),
    ],
)
def test_a_key_is_fixed_by_itself_or_by_a_part_that_is_left_out(
    dotted: str, settings: dict[str, Any], fixed: bool
) -> None:
    assert matrices._is_set(dotted, settings) is fixed


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"tuning": {**TUNING, "sampler": "nsga-ii"}},
            "strategy 'today': tuning.sampler: nsga-ii searches for a Pareto front",
        ),
        (
            {
                "tuning": {
                    "trials": 4,
                    "halving": True,
                    "seconds": 60,
                    "space": {"training.epochs": [9, 12]},
                },
                "training": {"epochs": 9},
            },
            "strategy 'today': halving compares .* cannot search 'training.epochs'",
        ),
        ({"seeds": [1, 1_000_009]}, "seed 1000009 is used by the search to choose"),
    ],
)
def test_a_search_that_cannot_be_is_refused(
    ragged: PreparedDataset, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        plan(ragged, **changes)


def test_a_seed_that_chooses_nothing_is_free(ragged: PreparedDataset) -> None:
    """The search of seed 6 has 1,000,009; without trials, none."""
    assert plan(ragged, seeds=[999_997, 1_000_003]).study.seeds == (999_997, 1_000_003)
    assert plan(ragged, seeds=[1_000_009], tuning={"trials": 0, "seed": 6}).searched() == []


def test_halving_searches_what_is_not_its_own_measure(ragged: PreparedDataset) -> None:
    tuning = {"trials": 4, "halving": True, "seconds": 60, "space": {"training.tau": [2, 3]}}
    assert plan(ragged, tuning=tuning, training={"epochs": 9}).levels("today")[-1] == 9
