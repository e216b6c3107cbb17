"""Which trials are finalists and which of them wins, by hand."""

import json
from pathlib import Path

import pytest

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.records import Trial
from fusefront.harness.runs.study import Range, check_study
from fusefront.harness.tuning.finalists import candidates, finalist_seeds, weighed
from fusefront.harness.tuning.search import NoWinnerError, Search
from fusefront.harness.tuning.search_cells import TRIAL_SEED

VALUES = (0.60, 0.72, None, 0.71, 0.72, 0.70)
RUNS = ("r0", "r1", "r2", "r3", "r1", "r5")  # trial 4 is trial 1's configuration again


@pytest.fixture
def search(tmp_path: Path) -> Search:
    space = {"lr": Range(low=0.1, high=1.0)}
    ended = Search(tmp_path, "early", space, len(VALUES), seed=5, lag=2, finalists=3)
    for number, (value, run_id) in enumerate(zip(VALUES, RUNS, strict=True)):
        trial: Trial = {"number": number, "state": "failed" if value is None else "ok"}  # type: ignore[typeddict-item]
        trial |= {"value": value, "run_id": run_id, "params": {"lr": number / 10}}
        ended.tell(trial)
    return ended


def test_finalists_are_the_best_distinct_configurations(search: Search) -> None:
    assert [trial["number"] for trial in candidates(search, 3)] == [1, 3, 5]
    assert [trial["number"] for trial in candidates(search, 9)] == [1, 3, 5, 0]


def test_the_best_mean_over_its_own_and_its_new_seeds_wins(search: Search, tmp_path: Path) -> None:
    best = candidates(search, 3)
    values = {1: [0.60, 0.61], 3: [0.73, 0.74], 5: [0.90]}
    finalists = [
        weighed(trial, values[trial["number"]], "NaN" if trial["number"] == 5 else "")
        for trial in best
    ]
    winner = search.freeze(finalists)
    assert (winner["number"], winner["params"]) == (3, {"lr": 0.3})
    assert winner["finalists"][1]["mean"] == pytest.approx((0.71 + 0.73 + 0.74) / 3)
    assert winner["finalists"][2] == {
        "number": 5,
        "values": [0.70, 0.90],
        "mean": None,
        "reason": "NaN",
    }
    assert (
        json.loads((tmp_path / "winner-6-finalists-3.json").read_text())["finalists"]
        == winner["finalists"]
    )
    assert search.freeze() == winner  # as it was frozen, without another training
    with pytest.raises(UsageError, match="another winner was frozen"):
        search.freeze([weighed(best[0], [0.9, 0.9])])


def test_finalists_none_of_which_ended_are_no_winner(search: Search) -> None:
    finalists = [weighed(trial, [], "out of memory") for trial in candidates(search, 3)]
    with pytest.raises(NoWinnerError, match="out of memory"):
        search.freeze(finalists)


def test_the_choice_without_finalists_keeps_its_name_and_its_record(tmp_path: Path) -> None:
    plain = Search(tmp_path, "early", {"lr": Range(low=0.1, high=1.0)}, 1, seed=5, lag=2)
    plain.tell({"number": 0, "state": "ok", "value": 0.6, "params": {}})
    winner = plain.freeze()
    assert plain.winner.name == "winner-1.json"
    assert "finalists" not in winner


def test_seeds_that_choose_are_no_others() -> None:
    seeds = finalist_seeds(3)
    assert len({*seeds, TRIAL_SEED + 3, *range(1000)}) == 1003


@pytest.mark.parametrize(("count", "trials"), [(1, 5), (3, 2), (3, 0)])
def test_finalists_need_something_to_choose_from(count: int, trials: int) -> None:
    study = {"name": "s", "dataset": "d.yaml", "strategies": {"late_fusion": {}}}
    study |= {"baseline": "late_fusion", "tuning": {"trials": trials, "finalists": count}}
    with pytest.raises(UsageError, match=f"{count} finalists of {trials} trials: expected 0, or"):
        check_study(study, "s.yaml")
