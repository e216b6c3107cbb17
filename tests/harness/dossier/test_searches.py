"""Whether a search had settled is said of searches long enough to tell."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from fusefront.harness.dossier.facts import finished_trials, searches
from fusefront.harness.dossier.search_evidence import searched
from fusefront.harness.results import Results
from fusefront.harness.runs.store import find_study

Make = Callable[..., Path]
CLIMBS = (0.60, 0.61, 0.62, 0.63, 0.64, 0.65, 0.66, 0.67)
RESTS = (0.60, 0.67, 0.62, 0.63, 0.64, 0.65, 0.66, 0.61)


@pytest.mark.parametrize(
    ("values", "settled"), [(CLIMBS, False), (RESTS, True), (CLIMBS[:2], None), (RESTS[:7], None)]
)
def test_a_short_search_is_not_judged(
    tmp_path: Path, make_study: Make, strategy: type, values: tuple[float, ...], settled: bool
) -> None:
    make_study(tmp_path, {"a": strategy(0.5, 1.0)}, baseline="a", name="one")
    study = find_study("one", tmp_path)
    (study.path / "tuning" / "a").mkdir(parents=True)
    for number, value in enumerate(values):
        record = {"number": number, "value": value, "state": "ok"}
        (study.path / "tuning" / "a" / f"trial-{number}.json").write_text(json.dumps(record))
    (curve,) = searches(study)
    assert curve.settled is settled
    assert curve.value[-1] == max(values)


def test_only_trials_that_ended_well_are_counted(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    make_study(tmp_path, {"a": strategy(0.5, 1.0)}, baseline="a", name="one")
    study = find_study("one", tmp_path)
    ends = {"a": ("ok", "failed", "ok"), "b": ("failed",)}
    for name, states in ends.items():
        (study.path / "tuning" / name).mkdir(parents=True)
        for number, state in enumerate(states):
            record = {"number": number, "value": 0.5, "state": state}
            (study.path / "tuning" / name / f"trial-{number}.json").write_text(json.dumps(record))
    assert finished_trials(study) == {"a": 2, "b": 0}


def trial_records(study: Path, name: str, values: tuple[float, ...], space: str = "x") -> None:
    folder = study / "tuning" / name
    folder.mkdir(parents=True)
    (folder / "search.json").write_text(json.dumps({"space": {space: "range"} if space else {}}))
    for number, value in enumerate(values):
        record = {"number": number, "value": value, "state": "ok", "seconds": 10.0 + number}
        (folder / f"trial-{number:04d}.json").write_text(json.dumps(record))


def test_a_comparison_reads_the_trials_that_the_winners_were_picked_from(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    planted = {"a": strategy(0.5, 1.0), "b": strategy(0.9, 1.0), "c": strategy(0.7, 1.0)}
    make_study(tmp_path, planted, baseline="a", name="one")
    path = find_study("one", tmp_path).path
    raw = yaml.safe_load((path / "study.yaml").read_text())
    assert Results("one", tmp_path).compare().search.rows == ()  # nothing was searched
    (path / "study.yaml").write_text(yaml.safe_dump({**raw, "tuning": {"trials": 6}}))
    trial_records(path, "a", (*RESTS[:6], 0.99))  # the last is of a longer search
    trial_records(path, "b", CLIMBS[:6])
    trial_records(path, "c", (0.5,), space="")  # nothing to search
    search = Results("one", tmp_path).compare().search
    assert search is not None
    assert {row.name: row.trials for row in search.rows} == {"a": 6, "b": 6, "c": 0}
    assert search.source == "trials"
    (path / "tuning" / "b" / "trial-0001.json").write_text("{")
    comparison = Results("one", tmp_path).compare()
    assert {row.name: row.trials for row in comparison.search.rows}["b"] == 5
    assert any("trial-0001.json" in sentence for sentence in comparison.warnings)


def test_the_page_has_budget_convergence_and_winners_of_the_records(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    planted = {"a": strategy(0.5, 1.0), "b": strategy(0.9, 1.0)}
    make_study(tmp_path, planted, baseline="a", name="one")
    path = find_study("one", tmp_path).path
    raw = yaml.safe_load((path / "study.yaml").read_text())
    raw |= {"tuning": {"trials": 6}, "margin": 0.005}
    raw["strategies"]["b"] = {"baseline": "early_fusion", "head": {"dropout": 0.2}}
    (path / "study.yaml").write_text(yaml.safe_dump(raw))
    trial_records(path, "a", RESTS[:6])
    trial_records(path, "b", CLIMBS[:6])
    winner = {"strategy": "b", "number": 5, "valid_auc": 0.65, "trials": 6, "seconds": 75.0}
    winner |= {"evidence": "x", "params": {"training.learning_rate": 0.01, "head.dropout": 0.4}}
    (path / "tuning" / "b" / "winner-6.json").write_text(json.dumps(winner))
    study = find_study("one", tmp_path)
    result = searched(study, Results("one", tmp_path).compare())
    spent = {search.strategy: search for search in result.searches}
    assert (spent["b"].completed, spent["b"].failed, spent["b"].seconds) == (6, 0, 75.0)
    assert spent["b"].best == 0.65
    assert spent["b"].unfinished.startswith("doubling the trials would bring about another 0.0")
    assert yaml.safe_load(spent["b"].winner) == {
        "b": {
            "baseline": "early_fusion",
            "head": {"dropout": 0.4},
            "training": {"learning_rate": 0.01},
            "tune": False,
        }
    }
    assert {row.strategy: row.trials for row in result.verdicts} == {"a": 6, "b": 6}
    (curve,) = [curve for curve in searches(study) if curve.strategy == "b"]
    assert curve.seconds == (10.0, 21.0, 33.0, 46.0, 60.0, 75.0)
