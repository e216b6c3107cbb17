"""The search: the same trials whatever the number of workers and whenever it was cut."""

import random
from pathlib import Path

import pytest

from fusefront.harness.errors import FusefrontError, UsageError
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.study import Range
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.space import apply

SPACE = {
    "lr": Range(low=1e-3, high=1e-1, log=True),
    "k": (4, 8, 16),
    "op": ({"name": "a"}, {"name": "b"}),
}


def value(params: dict[str, Json]) -> float:
    return float(params.get("lr", 0.01)) * 3 + float(params.get("k", 8)) / 100


def search(folder: Path, trials: int = 12) -> Search:
    return Search(folder, "early", SPACE, trials, seed=5, lag=2)


def run_with(folder: Path, slots: int, seed: int, cut: float) -> list[Json]:
    """Finish trials in a random order from `slots` slots; at random moments everything dies."""
    rng = random.Random(seed)
    trial, open_ = search(folder), []
    while not trial.finished:
        while len(open_) < slots and (result := trial.next_trial()) is not None:
            open_.append(result)
        if rng.random() < cut:  # killed: claims stay, running trials are lost
            trial, open_ = search(folder), []
            continue
        number, params = open_.pop(rng.randrange(len(open_)))
        trial.tell(
            {
                "number": number,
                "params": params,
                "state": "ok",
                "value": value(params),
                "seconds": 1.0,
            }
        )
    return [trial.record(number) for number in range(trial.trials)]


def test_kills_and_workers_do_not_change_the_trials(tmp_path: Path) -> None:
    plain = run_with(tmp_path / "plain", slots=1, seed=0, cut=0.0)
    for attempt in range(4):
        wild = run_with(tmp_path / f"wild{attempt}", slots=2, seed=attempt, cut=0.4)
        assert wild == plain


def test_trials_are_distinct_and_the_first_is_the_defaults(tmp_path: Path) -> None:
    records = run_with(tmp_path, slots=1, seed=0, cut=0.0)
    assert records[0]["params"] == {}
    assert len({str(record["params"]) for record in records}) == len(records)


def test_a_finished_search_gives_no_more_trials_and_one_winner(tmp_path: Path) -> None:
    records = run_with(tmp_path, slots=2, seed=0, cut=0.0)
    again = search(tmp_path)
    assert again.next_trial() is None
    winner = again.freeze()
    assert winner["valid_auc"] == max(record["value"] for record in records)
    assert again.freeze() == winner


def test_failed_trials_never_win_and_all_failed_is_an_error(tmp_path: Path) -> None:
    trial = Search(tmp_path, "early", SPACE, 2, seed=0, lag=1)
    for _ in range(2):
        number, params = trial.next_trial() or (0, {})
        failed = {"params": params, "state": "failed", "value": None, "seconds": 0, "reason": "nan"}
        trial.tell({"number": number, **failed})
    with pytest.raises(FusefrontError, match="no trial finished"):
        trial.freeze()


def test_another_seed_under_the_same_folder_is_refused(tmp_path: Path) -> None:
    search(tmp_path)
    with pytest.raises(UsageError, match="another seed, lag, space or sampler"):
        Search(tmp_path, "early", SPACE, 12, seed=6, lag=2)


def test_a_space_with_nothing_to_search_costs_one_trial(tmp_path: Path) -> None:
    assert Search(tmp_path, "popularity", {}, 20, seed=0, lag=2).trials == 1


def test_parameters_go_to_their_places() -> None:
    settings, training = apply(
        {"operator.k": 3, "training.learning_rate": 0.1, "pooler": 'json:{"name": "mean"}'},
        {"operator": {"name": "x"}},
        {"epochs": 2},
    )
    assert settings == {"operator": {"name": "x", "k": 3}, "pooler": {"name": "mean"}}
    assert training == {"epochs": 2, "learning_rate": 0.1}


def test_two_processes_never_run_one_trial(tmp_path: Path) -> None:
    first, second = search(tmp_path), search(tmp_path)
    assert (first.next_trial() or (None,))[0] == 0
    assert (second.next_trial() or (None,))[0] == 1
    assert first.elsewhere
    first.tell({"number": 0, "params": {}, "state": "ok", "value": 0.5, "seconds": 1.0})
    assert second.next_trial() is not None
    assert sorted(second.running) == [1, 2]
