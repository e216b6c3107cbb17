"""All searches as one source of cells: which is next, what is told, what is not trained again."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.records import Trial
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.study import Range
from fusefront.harness.training.workers import Workers
from fusefront.harness.tuning.optuna_export import export_trials
from fusefront.harness.tuning.search import Search
from fusefront.harness.tuning.search_cells import TRIAL_SEED, TrialSource

SPACE = {"lr": Range(low=1e-3, high=1e-1)}


def cell(strategy: str, params: dict[str, Json]) -> Cell:
    """Every strategy has its own data set here, so that runs of equal parameters stay apart."""
    return Cell(strategy, "trial", RunSpec(f"of {strategy}", "f", "b", params, {}, 1), False)


class Tuning:
    """Searches under one folder, and the source over them."""

    def __init__(self, root: Path, *names: str, trials: int = 4, lag: int = 2) -> None:
        self.root = root
        self.searches = {
            name: Search(root / "tuning" / name, name, SPACE, trials, seed=0, lag=lag)
            for name in names
        }
        self.source = TrialSource(list(self.searches.values()), cell, root)

    def run(self, trained: Cell, auc: float = 0.7, seconds: float = 1.0) -> None:
        """A run's record, as training leaves it."""
        folder = self.root / "runs" / trained.spec.dataset / "x" / trained.spec.run_id
        folder.mkdir(parents=True)
        summary = {"run_id": trained.spec.run_id, "valid_auc": auc, "seconds": seconds}
        write_json(folder / "summary.json", {"format": 1, **summary})

    def next(self) -> Cell:
        following = self.source()
        assert isinstance(following, Cell)
        return following

    def record(self, name: str, number: int) -> Trial:
        record = self.searches[name].record(number)
        assert record is not None
        return record


@pytest.fixture
def two(tmp_path: Path) -> Tuning:
    return Tuning(tmp_path, "a", "b")


def test_a_finished_run_is_told_with_its_numbers(two: Tuning) -> None:
    first = two.next()
    two.run(first, auc=0.71, seconds=3.5)
    two.source.close(first, "")
    assert two.record(first.strategy, 0) == {
        "format": 1,
        "number": 0,
        "params": {},
        "run_id": first.spec.run_id,
        "state": "ok",
        "value": 0.71,
        "seconds": 3.5,
        "reason": "",
    }


def test_a_failed_run_is_told_with_its_reason_though_a_record_lies_there(two: Tuning) -> None:
    first = two.next()
    two.run(first)
    two.source.close(first, "its process ended")
    record = two.record(first.strategy, 0)
    assert (record["state"], record["value"], record["seconds"]) == ("failed", None, 0.0)
    assert record["reason"] == "its process ended"


def test_a_run_without_a_record_has_failed(two: Tuning) -> None:
    first = two.next()
    two.source.close(first, "")
    assert two.record(first.strategy, 0)["state"] == "failed"


def test_the_search_with_most_left_comes_first(two: Tuning) -> None:
    """By the median second of its trials, what runs counted as done."""
    two.searches["b"].trials = 5
    assert two.next().strategy == "b"  # 5 left against 4
    assert two.next().strategy == "a"  # 4 and 4: in the order of the study
    assert two.next().strategy == "b"  # 3 left against 4
    assert two.next().strategy == "a"
    assert two.source() == Workers.WAIT  # two of each run, which is the lag


def test_slow_trials_count_for_more(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a", "b", "c", trials=9, lag=4)
    for name, seconds in {"a": (1, 1, 90), "b": (9, 1, 10), "c": (8, 8, 8)}.items():
        for number, second in enumerate(seconds):
            assert tuning.searches[name].next_trial() == (number, ANY)
            trial: Trial = {"number": number, "state": "ok", "value": 0.5, "seconds": second}
            tuning.searches[name].tell(trial)
    # the medians are 1, 9 and 8, six are left of each
    assert [tuning.next().strategy for _ in range(4)] == ["b", "c", "b", "c"]


def test_trials_that_say_no_seconds_took_none(tmp_path: Path) -> None:
    """As records of older searches do: the search that is known to take time comes first."""
    tuning = Tuning(tmp_path, "a", "b")
    for name, seconds in {"a": {}, "b": {"seconds": 0.5}}.items():
        assert tuning.searches[name].next_trial() == (0, ANY)
        tuning.searches[name].tell({"number": 0, "state": "ok", "value": 0.5, **seconds})
    assert tuning.next().strategy == "b"


def test_nothing_is_left_when_every_search_has_ended(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a", "b", trials=1)
    cells = [tuning.next(), tuning.next()]
    assert tuning.source() == Workers.WAIT
    for trained in cells:
        tuning.run(trained)
        tuning.source.close(trained, "")
    assert tuning.source() is None


def test_a_run_that_exists_is_told_on_the_way(two: Tuning) -> None:
    """Another study has trained the defaults of a."""
    two.run(cell("a", {}), auc=0.66)
    assert [two.next().strategy for _ in range(2)] == ["b", "a"]
    assert two.record("a", 0)["value"] == 0.66
    assert two.searches["a"].record(1) is None


def test_two_trials_of_one_run_are_told_in_their_order(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a")
    tuning.source.make = lambda name, _: cell(name, {"the": "same"})
    first, second = tuning.next(), tuning.next()
    assert first == second
    tuning.run(first)
    tuning.source.close(first, "failed")
    tuning.source.close(second, "")
    assert [tuning.record("a", n)["state"] for n in (0, 1)] == ["failed", "ok"]
    assert tuning.record("a", 1)["params"] != {}


def test_trials_have_the_seed_that_they_always_had() -> None:
    """It is part of their runs' identity: with another one, searches of before are done again."""
    assert TRIAL_SEED == 1_000_003


@pytest.mark.parametrize("name", ["trials.db", "trials.journal"])
def test_optuna_opens_what_is_exported(tmp_path: Path, name: str) -> None:
    tuning = Tuning(tmp_path, "a", trials=3)
    for auc, failure in ((0.6, ""), (0.7, ""), (None, "diverged")):
        following = tuning.next()
        if auc:
            tuning.run(following, auc=auc)
            metrics = tmp_path / "runs" / following.spec.dataset / "x" / following.spec.run_id
            lines = [{"epoch": n, "valid_auc": auc - 0.1 / n} for n in (1, 2)]
            (metrics / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        tuning.source.close(following, failure)
    path = next(tmp_path.rglob("trial-0001.json"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "constraints": {"slo": -0.5}}))
    target = tmp_path / name
    for _ in range(2):  # replaced, not added to
        again = Tuning(tmp_path, "a", trials=3)
        export_trials(list(again.searches.values()), "shop", tmp_path, target)
    storage: Any = f"sqlite:///{target}"
    if name.endswith(".journal"):
        storage = JournalStorage(JournalFileBackend(str(target)))
    study = optuna.load_study(study_name="shop/a", storage=storage)
    trials = study.get_trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    assert [trial.value for trial in trials] == [0.6, 0.7, None]
    assert study.best_trial.number == 1
    assert trials[1].params == record["params"]
    assert trials[1].intermediate_values == pytest.approx({1: 0.6, 2: 0.65})
    assert trials[1].constraints == {"slo": -0.5}
    assert trials[2].user_attrs["reason"] == "diverged"
    assert trials[2].user_attrs["state"] == "failed"
    assert study.user_attrs["caps"] == {"trials": 3}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["runs", "tuning", name])


def test_a_file_that_is_not_optunas_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("mine")
    for target in (tmp_path, tmp_path / "notes.db"):
        with pytest.raises(UsageError, match="give a"):
            export_trials([], "shop", tmp_path, target)
    assert (tmp_path / "notes.db").read_text() == "mine"
