"""All searches as one source of cells: which is next, what is told, what is not trained again."""

import errno
import fcntl
import json
import os
from io import StringIO
from pathlib import Path
from unittest.mock import ANY

import pytest
from rich.console import Console

from fusefront.datasets.errors import PlaceError
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.records import Trial
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.study import Range
from fusefront.harness.runs.study import Tuning as Tuning_
from fusefront.harness.training.workers import Workers
from fusefront.harness.tuning.budget import budgets, lacking, unequal
from fusefront.harness.tuning.search import SLACK_S, NoWinnerError, Search
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
    assert (record["state"], record["value"], record["seconds"]) == ("infeasible", None, 0.0)
    assert (record["reason"], record["cause"]) == ("its process ended", "error")


def test_a_run_without_a_record_has_failed(two: Tuning) -> None:
    first = two.next()
    two.source.close(first, "")
    assert two.record(first.strategy, 0)["state"] == "infeasible"


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


def test_two_trials_of_one_run_are_one_training(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a")
    tuning.source.make = lambda name, _: cell(name, {"the": "same"})
    first = tuning.next()
    assert tuning.source() == Workers.WAIT  # for the run that is under way
    tuning.run(first)
    tuning.source.close(first, "")
    assert [tuning.record("a", n)["state"] for n in (0, 1)] == ["ok", "ok"]
    assert tuning.record("a", 1)["params"] != {}


def test_trials_have_the_seed_that_they_always_had() -> None:
    """It is part of their runs' identity: with another one, searches of before are done again."""
    assert TRIAL_SEED == 1_000_003


def test_one_run_of_two_strategies_is_one_training(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a", "b", trials=1)
    tuning.source.make = lambda _, params: cell("shared", params)
    first = tuning.next()
    assert tuning.source() == Workers.WAIT
    tuning.run(first, auc=0.61)
    tuning.source.close(first, "", seconds=7.0)
    assert tuning.source() is None
    shared = [tuning.record(name, 0) for name in "ab"]
    assert [(record["value"], record["seconds"]) for record in shared] == [(0.61, 7.0)] * 2


def test_parameters_that_cannot_be_built_are_infeasible_at_once(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a", trials=2)

    def make(name: str, params: dict[str, Json]) -> Cell:
        if not params:
            raise ValueError("k is too wide")
        return cell(name, params)

    tuning.source.make = make
    assert tuning.next().spec.settings != {}  # trial 1
    record = tuning.record("a", 0)
    assert (record["state"], record["cause"], record["reason"]) == (
        "infeasible",
        "value",
        "k is too wide",
    )


@pytest.mark.parametrize(("cause", "attempts"), [("memory", 3), ("died", 3), ("killed", 6)])
def test_an_interruption_is_no_result_until_it_has_come_too_often(
    tmp_path: Path, cause: str, attempts: int
) -> None:
    """Counted on disk: every attempt is made by a command of its own."""
    for attempt in range(attempts):
        tuning = Tuning(tmp_path, "a", trials=2)
        assert tuning.searches["a"].record(0) is None
        first = tuning.next()
        tuning.source.close(first, "code -9", passing=True, cause=cause, seconds=2.0)
        assert tuning.searches["a"].spent == 2.0 * (attempt + 1)
    record = tuning.record("a", 0)
    assert (record["state"], record["cause"], record["seconds"]) == ("infeasible", cause, 0.0)
    assert record["params"] == {}
    assert tuning.next().spec.settings != {}  # the search goes on


def test_a_disk_that_stays_full_ends_the_search_for_now(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a")
    for _ in range(3):
        tuning.source.close(tuning.next(), "no space left", passing=True, cause="place")
    assert tuning.source() is None
    assert tuning.searches["a"].halted == "trial 0: no space left"
    assert not list(tmp_path.rglob("trial-*.json")) + list(tmp_path.rglob("interrupted-*.json"))
    assert Tuning(tmp_path, "a").next().spec.settings == {}


def test_two_tuners_split_the_work_and_find_the_same(tmp_path: Path) -> None:
    """Each trial is run by one of them; the records are those of a tuner alone."""

    def finish(*tuners: Tuning) -> list[list[str]]:
        ran: list[list[str]] = [[] for _ in tuners]
        over: set[int] = set()
        rounds = 0
        while len(over) < len(tuners):
            rounds += 1
            assert rounds < 200
            for at, tuner in enumerate(tuners):
                following = tuner.source()
                if following is None:
                    over.add(at)
                elif isinstance(following, Cell):
                    ran[at].append(following.spec.run_id)
                    open_[at].append(following)
            for at, tuner in enumerate(tuners):  # the slower one ends every other time
                if open_[at] and (at == 0 or rounds % 2):
                    ended = open_[at].pop(0)
                    tuner.run(ended, auc=0.5 + float(str(ended.spec.settings.get("lr", 0.0))))
                    tuner.source.close(ended, "", seconds=1.0)
        return ran

    open_: list[list[Cell]] = [[], []]
    alone = Tuning(tmp_path / "alone", "a", "b", trials=6)
    (all_of,) = finish(alone)
    pair = [Tuning(tmp_path / "pair", "a", "b", trials=6) for _ in range(2)]
    first, second = finish(*pair)
    assert len(first) > 2
    assert len(second) > 2
    assert not set(first) & set(second)
    assert sorted(first + second) == sorted(all_of)
    assert pair[0].source() is None
    for name in "ab":
        records = [[tuner.record(name, n) for n in range(6)] for tuner in (alone, *pair)]
        assert records[0] == records[1] == records[2]


def test_nothing_is_begun_once_the_seconds_are_spent(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a", "b", trials=5)
    for search in tuning.searches.values():
        search.seconds = 10_000.0
    for name, seconds in {"a": 4000.0, "b": 9000.0}.items():
        for number in range(2):
            assert tuning.searches[name].next_trial() == (number, ANY)
            trial: Trial = {"number": number, "state": "ok", "value": 0.5, "seconds": seconds}
            tuning.searches[name].tell(trial)
    assert tuning.searches["b"].finished
    last = tuning.next()
    assert last.strategy == "a"
    left = tuning.source.left(last)
    assert left is not None
    assert 1900.0 < left <= 2000.0  # of its 10,000 s 8,000 are spent
    tuning.run(last)
    tuning.source.close(last, "", seconds=2500.0)
    assert tuning.source() is None
    spent = budgets(tmp_path, Tuning_(trials=5, seconds=10_000.0), "ab")
    assert [(budget.strategy, budget.chances, budget.seconds) for budget in spent] == [
        ("a", 3, 10500.0),
        ("b", 2, 18000.0),
    ]
    assert lacking(spent, {}) == ["b got 2 trials, others 3 (its seconds are spent)"]
    assert lacking(spent, {"b": "dear, and known to be"}) == []


def test_a_trial_cut_by_the_end_of_the_seconds_begins_again_with_a_larger_cap(
    tmp_path: Path,
) -> None:
    """It is no result: its parameters are not what ended it."""
    tuning = Tuning(tmp_path, "a", trials=2)
    tuning.searches["a"].seconds = 50.0
    tuning.source.close(tuning.next(), "late", cause="time", seconds=50.0)
    assert tuning.source() is None
    (spent,) = budgets(tmp_path, Tuning_(trials=2, seconds=50.0), "a")
    assert (spent.trials, spent.seconds, spent.cut) == (0, 50.0, True)
    with pytest.raises(NoWinnerError, match=r"no winner \(late\)$"):
        tuning.searches["a"].freeze()
    others = spent._replace(strategy="b", chances=2)
    assert lacking([spent, others], {}) == [
        "a got 0 trials, others 2 (its seconds are below one trial)"
    ]
    larger = Tuning(tmp_path, "a", trials=2)
    larger.searches["a"].seconds = 100.0
    again = larger.next()
    left = larger.source.left(again)
    assert left is not None
    assert 40.0 < left <= 50.0
    larger.searches["a"].trial_seconds = 5.0  # its own limit is a result
    larger.source.close(again, "late", cause="time", seconds=5.0)
    assert larger.record("a", 0)["cause"] == "time"


def test_seconds_of_a_trial_in_another_process_count(tmp_path: Path) -> None:
    """Two tuners do not spend the same seconds twice."""
    first, two = (Tuning(tmp_path, "a", trials=4) for _ in range(2))
    for tuning in (first, two):
        tuning.searches["a"].seconds = 1000.0
    first.source.begun(first.next(), os.getpid())
    (path,) = tmp_path.rglob("running-0000.json")
    note = json.loads(path.read_text())
    path.write_text(json.dumps({**note, "begin": note["begin"] - 600.0}))
    second = two.source.left(two.next())
    assert second is not None
    assert 390.0 < second <= 400.0
    assert two.searches["a"].under_way > 600.0
    two.searches["a"].seconds = None
    assert two.searches["a"].under_way < 10.0  # without a cap only what runs here is of use
    two.searches["a"].seconds = 1000.0
    path.write_text(json.dumps({**note, "begin": note["begin"] - 600.0, "boot": "another"}))
    assert two.searches["a"].under_way < 10.0


def test_a_record_that_appears_while_its_run_is_under_way_is_told_once(tmp_path: Path) -> None:
    """The worker writes it before it says that it is done."""
    tuning = Tuning(tmp_path, "a")
    tuning.source.make = lambda name, _: cell(name, {"the": "same"})
    first = tuning.next()
    tuning.run(first)
    assert tuning.source() == Workers.WAIT
    tuning.source.close(first, "")
    assert [tuning.record("a", n)["state"] for n in (0, 1)] == ["ok", "ok"]


def test_a_trial_that_ends_at_its_own_limit_to_the_digit_is_not_late(two: Tuning) -> None:
    search = two.searches["a"]
    assert search.ended_by(0, 99.0) == "budget"  # it has no limit of its own
    search.trial_seconds = 9.0
    assert [search.ended_by(0, s) for s in (8.9, 9.0 - SLACK_S, 8.96, 20.0)] == [
        "budget",
        "budget",
        "time",
        "time",
    ]


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no trial that somebody else runs: waiting for it would be for ever."""

    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(PlaceError, match="has no locks"):
        Tuning(tmp_path, "a").source()


def test_the_limit_of_one_trial_holds_without_one_for_all(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a")
    first = tuning.next()
    assert tuning.source.left(first) is None
    tuning.searches["a"].trial_seconds = 3000.0
    left = tuning.source.left(first)
    assert left is not None
    assert 2900.0 < left <= 3000.0


def test_the_gate_tells_what_was_given_from_what_was_lost(tmp_path: Path) -> None:
    """NaN and invalid values had their chance; memory, time and kills took it away."""
    tuning = Tuning(tmp_path, "even", "lost", trials=3)
    causes = {"even": ("nan", "value", ""), "lost": ("memory", "", "time")}
    for name, ends in causes.items():
        for number, cause in enumerate(ends):
            state, value = ("infeasible", None) if cause else ("ok", 0.5)
            trial: Trial = {"number": number, "state": state, "value": value}
            tuning.searches[name].tell({**trial, "cause": cause} if cause else trial)
    spent = budgets(tmp_path, Tuning_(trials=3), ("even", "lost"))
    assert [budget.chances for budget in spent] == [3, 1]
    assert unequal(spent, {}).startswith(
        "the search was not the same for all: lost got 1 trials, others 3 (1 ended by memory, "
        "1 ended by time); "
    )
    assert spent[1].sentence == "lost 1 of 3 trials, 0 s (without a value: 1 memory, 1 time)"


def test_a_tuner_with_work_under_way_waits_for_another_too(tmp_path: Path) -> None:
    """Any end, here or there, may let the next trial begin, so that it does not await its own."""
    here, there = (Tuning(tmp_path, "a") for _ in range(2))
    here.next()
    assert here.source() != Workers.OTHERS  # its second trial begins
    alone = Tuning(tmp_path / "alone", "a", lag=1)
    alone.next()
    assert alone.source() == Workers.WAIT
    assert there.source() == Workers.OTHERS  # it has nothing under way
    split = [Tuning(tmp_path / "split", "a") for _ in range(2)]
    for tuner in split:
        tuner.next()
    assert [tuner.source() for tuner in split] == [Workers.OTHERS] * 2
    both = [Tuning(tmp_path / "both", "a", "b", lag=1) for _ in range(2)]
    assert [tuner.next().strategy for tuner in both] == ["a", "b"]
    assert [tuner.source() for tuner in both] == [Workers.OTHERS] * 2


def test_the_table_says_what_is_spent_and_left(two: Tuning) -> None:
    for search in two.searches.values():
        search.seconds = 60.0
    first = two.next()
    two.run(first, auc=0.7123)
    two.source.close(first, "", seconds=20.0)
    console = Console(file=StringIO(), width=100)
    console.print(two.source.table())
    words = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert " ".join(words[0].split()) == "strategy trials running best valid AUC spent left"
    assert words[1].split()[:8] == ["a", "1", "of", "4", "0", "0.7123", "20", "s"]
    assert words[1].split()[8:] == ["40", "s"]
    assert words[2].split() == ["b", "0", "of", "4", "0", "0", "s", "60", "s"]
    a, b = two.searches.values()
    a.seconds, b.seconds, b.levels = 19.0, None, (1, 2)
    for number, state in ((0, "ok"), (2, "infeasible")):
        value = 0.5 if state == "ok" else None
        b.tell({"number": number, "state": state, "value": value})
    b.tell({"number": 1, "state": "ok", "value": 0.25})
    left = [list(two.source.table().columns[at].cells) for at in (1, 3, 5)]
    assert left == [["1 of 4", "3 of 4 (2 in full)"], ["0.7123", "0.5000"], ["0 s", "1 trials"]]


def test_a_trial_above_the_budget_of_macs_is_not_trained_however_little_it_is(
    tmp_path: Path,
) -> None:
    """The defaults have 1,000.75 MACs where 1,000 are allowed, the second exactly 1,000."""
    tuning = Tuning(tmp_path, "a", trials=2)
    search = tuning.searches["a"]
    search.budget_macs = 1000.0
    search.macs = lambda params: 1000.0 if params else 1000.75
    assert tuning.next().spec.settings != {}
    record = tuning.record("a", 0)
    assert (record["state"], record["cause"], record["seconds"]) == ("infeasible", "cost", 0.0)
    assert record["reason"] == "1,001 MACs a candidate, budget_macs is 1,000"
    assert record["constraints"] == {"budget_macs": 0.75}
    assert not {"macs", "rungs"} & record.keys()


def test_macs_of_a_trained_run_are_kept_with_what_they_are_below_the_budget(
    tmp_path: Path,
) -> None:
    tuning = Tuning(tmp_path, "a", trials=3)
    for budget in (None, 1000.0):
        following = tuning.next()
        tuning.searches["a"].budget_macs = budget
        tuning.run(following)
        path = next(tmp_path.rglob(f"{following.spec.run_id}/summary.json"))
        path.write_text(json.dumps({**json.loads(path.read_text()), "macs_per_candidate": 700.0}))
        tuning.source.close(following, "")
    for number, constraints in enumerate((None, {"budget_macs": -300.0})):
        record = tuning.record("a", number)
        assert record["macs"] == 700.0
        assert record.get("constraints") == constraints


@pytest.mark.parametrize("when", ["before it was opened", "when it ended"])
def test_a_search_stands_still_on_a_run_that_is_damaged(tmp_path: Path, when: str) -> None:
    """Neither a result nor trained again: the record may be all there is."""
    tuning = Tuning(tmp_path, "a", "b", trials=1)
    tuning.source.make = lambda _, params: cell("shared", params)
    trained = cell("shared", {})
    if when == "when it ended":
        assert tuning.next() == trained
        assert tuning.source() == Workers.WAIT
    tuning.run(trained)
    path = next(tmp_path.rglob("summary.json"))
    path.write_text("{")
    if when == "when it ended":
        tuning.source.close(trained, "")
    assert tuning.source() is None
    for search in tuning.searches.values():
        assert "summary.json" in search.unsound
        assert (search.record(0), search.running, search.locks) == (None, {}, {})
        assert search.finished
    assert tuning.source.open == {}


def test_an_end_that_took_no_seconds_that_are_known_spends_none(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a", trials=2)
    for cause, trial_seconds in (("killed", None), ("time", 1e-9), ("nan", None)):
        search = tuning.searches["a"]
        search.trial_seconds = trial_seconds
        tuning.source.close(tuning.next(), "x", passing=cause == "killed", cause=cause)
        assert search.spent == 0.0
    assert [tuning.record("a", n)["cause"] for n in (0, 1)] == ["time", "nan"]


def test_a_study_without_trials_has_no_budget(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a", "b", trials=1)
    for search in tuning.searches.values():
        search.tell({"number": 0, "state": "ok", "value": 0.5, "seconds": 2.0})
    assert [budget.strategy for budget in budgets(tmp_path, Tuning_(trials=1), ["b"])] == ["b"]
    assert budgets(tmp_path, Tuning_(trials=0), ["a", "b"]) == []
    assert lacking([], {}) == []
    assert unequal([], {}) == ""


def test_records_beyond_the_cap_count_for_no_budget(tmp_path: Path) -> None:
    """A smaller cap after a larger one; a strategy with nothing to search has a cap of one."""
    tuning = Tuning(tmp_path, "a", trials=3)
    for number, state in enumerate(("infeasible", "ok", "ok")):
        value = 0.5 if state == "ok" else None
        trial: Trial = {"number": number, "state": state, "value": value, "seconds": 1.00043}
        tuning.searches["a"].tell({**trial, "cause": "nan"} if value is None else trial)
    Search(tmp_path / "tuning" / "plain", "plain", {"lr": (1.0,)}, 3, seed=0, lag=2).tell(
        {"number": 0, "state": "ok", "value": 0.5}
    )
    two, plain = budgets(tmp_path, Tuning_(trials=2, seconds=60.0), ["a", "plain"])
    assert two.to_json() == {
        "strategy": "a",
        "trials": 2,
        "finished": 1,
        "cap": 2,
        "seconds": 2.001,
        "cap_seconds": 60.0,
        "causes": {"nan": 1},
        "chances": 2,
        "cut": False,
    }
    assert two.sentence == "a 1 of 2 trials, 2 of 60 s (without a value: 1 nan)"
    assert (plain.cap, plain.finished, plain.seconds) == (1, 1, 0.0)
    assert plain.sentence == "plain 1 of 1 trials, 0 of 60 s"
    # nor is a search counted on of which it cannot be read what it searches
    (tmp_path / "tuning" / "a" / "search.json").write_text("{")
    unread, _ = budgets(tmp_path, Tuning_(trials=2, seconds=60.0), ["a", "plain"])
    assert (unread.cap, unread.trials) == (1, 1)
    # who has nothing to search is compared with nobody
    assert lacking([two, plain], {}) == []
    less = two._replace(strategy="c", chances=1, causes={})
    assert lacking([two, plain, less], {}) == ["c got 1 trials, others 2 (it has not ended)"]
    assert lacking([two, less._replace(seconds=60.0)], {}) == [
        "c got 1 trials, others 2 (its seconds are spent)"
    ]
    assert lacking([two, less._replace(cut=True, trials=0)], {}) == [
        "c got 1 trials, others 2 (its seconds are below one trial)"
    ]


def test_a_run_under_way_says_its_process_its_seconds_and_where_it_pauses(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path, "a", trials=2)
    stranger = cell("b", {})
    assert tuning.source.left(stranger) is None
    assert tuning.source.until(stranger) is None
    tuning.source.begun(stranger, os.getpid())
    assert not list(tmp_path.rglob("running-*.json"))
    first = tuning.next()
    assert (tuning.source.left(first), tuning.source.until(first)) == (None, None)
    tuning.source.begun(first, os.getpid())
    assert [path.name for path in tmp_path.rglob("running-*.json")] == ["running-0000.json"]
    tuning.searches["a"].until[0] = 1  # of one epoch, where the recipe says none
    assert tuning.source.until(first) is None
    tuning.searches["a"].until[0] = 2
    assert tuning.source.until(first) == 2


def test_of_a_run_that_two_strategies_share_one_trial_is_under_way(tmp_path: Path) -> None:
    """The process is noted, and the limit holds, where the run is trained."""
    tuning = Tuning(tmp_path, "a", "b", trials=1)
    tuning.source.make = lambda _, params: cell("shared", params)
    first = tuning.next()
    assert tuning.source() == Workers.WAIT
    tuning.source.begun(first, os.getpid())
    assert [path.parent.name for path in tmp_path.rglob("running-*.json")] == ["a"]
    tuning.searches["b"].trial_seconds = 5.0
    assert tuning.source.left(first) is None


def test_seconds_of_a_run_on_record_are_those_that_it_says(tmp_path: Path) -> None:
    """Less than one are not rounded up, and none are none."""
    tuning = Tuning(tmp_path, "a", trials=2)
    for seconds in (0.25, None):
        following = tuning.next()
        tuning.run(following, seconds=seconds or 0.0)
        if seconds is None:
            path = next(tmp_path.rglob(f"{following.spec.run_id}/summary.json"))
            record = json.loads(path.read_text())
            del record["seconds"]
            path.write_text(json.dumps(record))
        tuning.source.close(following, "")
    assert [tuning.record("a", n)["seconds"] for n in (0, 1)] == [0.25, 0.0]
