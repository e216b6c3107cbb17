"""Searches at their edges: limits to the digit, other processes, draws, and what is written."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import Range
from fusefront.harness.tuning import search as searching
from fusefront.harness.tuning.latency_model import LatencyModel, RequestCost
from fusefront.harness.tuning.search import SLACK_S, NoWinnerError, Search
from fusefront.harness.tuning.search_cells import _remaining
from fusefront.harness.tuning.space import Space

SPACE: Space = {"lr": Range(low=1e-3, high=1e-1, log=True)}
NO_PROCESS = 2**22 + 1  # above every process id


def search(folder: Path, **words: Any) -> Search:
    return Search(folder, "a", SPACE, 5, seed=3, lag=2, **words)


def ended(of: Search, number: int, **words: Any) -> None:
    of.tell({"number": number, "state": "ok", "value": 0.5, **words})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock of searches, at `clock.now` seconds."""
    time = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(searching.time, "monotonic", lambda: time.now)
    return time


@pytest.mark.parametrize("levels", [(), (1, 2, 4)])
def test_a_trial_of_another_process_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, levels: tuple[int, ...]
) -> None:
    """The one that runs there, and the one that ends between the look at it and the lock."""
    mine, other = search(tmp_path, levels=levels), search(tmp_path, levels=levels)
    assert (other.next_trial() or (9,))[0] == 0
    assert (mine.next_trial() or (9,))[0] == 1
    mine.release(1)
    take = mine._lock

    def late(number: int) -> bool:
        if number == 0:
            ended(other, 0)
        return take(number)

    monkeypatch.setattr(mine, "_lock", late)
    assert (mine.next_trial() or (9,))[0] == 1
    assert set(mine.locks) == set(mine.running) == {1}
    assert other._lock(0)  # it is free for all
    assert set(mine.until) == ({1} if levels else set())
    mine.release(1)
    assert mine.until == {}


@pytest.mark.parametrize("levels", [(), (1, 2, 4)])
def test_a_look_at_other_processes_takes_nothing_from_them(
    tmp_path: Path, levels: tuple[int, ...]
) -> None:
    first, second, third = (search(tmp_path, levels=levels) for _ in range(3))
    assert (first.next_trial() or (9,))[0] == 0
    assert (first.elsewhere, second.next_trial() is not None) == (False, True)
    assert [each.next_trial() for each in (first, second, third)] == [None, None, None]
    assert (first.elsewhere, second.elsewhere, third.elsewhere) == (True, True, True)
    for each, number in ((first, 0), (second, 1)):
        each.release(number)
    assert not third.elsewhere
    assert [third.next_trial() is not None for _ in range(3)] == [True, True, False]
    assert not third.elsewhere


def test_a_claimed_trial_is_not_proposed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search(tmp_path)
    before = [first.next_trial() for _ in range(2)]
    for number in (0, 1):
        first.release(number)

    def refuse(*_: object) -> None:
        raise AssertionError("proposed")

    again = search(tmp_path)
    monkeypatch.setattr(again, "_propose", refuse)
    assert [again.next_trial() for _ in range(2)] == before
    claim = json.loads((tmp_path / "claim-0001.json").read_text())
    assert claim == {"format": 1, "params": before[1][1]}  # type: ignore[index]


def test_what_a_killed_process_left_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reaped: list[Any] = []
    monkeypatch.setattr(searching, "reap", reaped.append)
    first = search(tmp_path)
    assert first.next_trial() is not None
    assert reaped == []
    first.begun(0, NO_PROCESS)  # it ended before that was noted
    note = tmp_path / "running-0000.json"
    assert not note.exists()
    note.write_text(json.dumps({"format": 1, "pid": 7, "start": 8, "boot": "b", "begin": 0.5}))
    first.locks.pop(0).close()
    assert search(tmp_path).next_trial() is not None
    assert [(of.pid, of.start, of.boot) for of in reaped] == [(7, 8, "b")]


def test_seconds_are_counted_to_the_digit(tmp_path: Path, clock: SimpleNamespace) -> None:
    here = search(tmp_path, seconds=100.0, trial_seconds=30.0)
    assert not here._nothing_left(100.0 - SLACK_S)
    assert here._nothing_left(100.0 - SLACK_S / 2)
    assert here.next_trial() is not None
    clock.now += 10.0
    assert here.next_trial() is not None
    clock.now += 5.0
    assert (here.under_way, here.left(0), here.left(1)) == (20.0, 15.0, 25.0)
    ended(here, 0)  # of unknown seconds
    assert (here.spent, here.under_way) == (0.0, 5.0)
    here.interrupt(1, "killed", "code -9", 70.0)
    assert (here.spent, here.under_way) == (70.0, 0.0)
    assert (here.next_trial() or (9,))[0] == 1
    clock.now += 25.0
    assert here.left(1) == 5.0  # both limits end there, and the nearer counts
    here.trial_seconds = 26.0
    assert here.left(1) == 1.0
    here.trial_seconds = None
    clock.now += 4.0
    assert here.left(1) == 1.0
    clock.now += 1.0
    assert here.next_trial() is None  # what is under way is as good as spent
    assert not here.finished


def test_seconds_before_a_pause_count_for_a_trial(tmp_path: Path, clock: SimpleNamespace) -> None:
    here = search(tmp_path, levels=(1, 2, 4), trial_seconds=30.0)
    assert here.next_trial() == (0, {})
    here.pause(0, "r", {"1": 0.5}, 12.0)  # type: ignore[dict-item]
    assert here.next_trial() is not None
    here.until[0], here.running[0] = 2, clock.now
    clock.now += 7.0
    assert here.left(0) == 11.0
    ended(here, 0)
    record = here.record(0)
    assert record is not None
    assert record["seconds"] == 12.0
    ended(here, 1)
    record = here.record(1)
    assert record is not None
    assert "seconds" not in record


def test_a_search_of_before_there_were_formats_goes_on(tmp_path: Path) -> None:
    search(tmp_path)
    path = tmp_path / "search.json"
    record = json.loads(path.read_text())
    assert record.pop("format") == 1
    path.write_text(json.dumps(record))
    assert search(tmp_path).unsound == ""
    path.write_text(json.dumps({**record, "seed": 4}))
    with pytest.raises(UsageError, match="another seed"):
        search(tmp_path)


def test_records_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A link that names nothing is one."""
    here = search(tmp_path)
    assert here.examine() == []
    (tmp_path / "trial-0001.json").write_text("{")
    (tmp_path / "claim-0002.json").symlink_to(tmp_path / "gone")
    sentences = here.examine()
    assert [sentence.split(": ")[0] for sentence in sentences] == [
        str(tmp_path / "trial-0001.json"),
        str(tmp_path / "claim-0002.json"),
    ]
    assert here.unsound == sentences[0]
    assert (here.next_trial(), here.finished) == (None, True)


def test_a_trial_is_drawn_two_hundred_times_twenty_of_them_by_the_sampler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing keeps this budget; the last draw stands."""
    drawn: list[str] = []
    make = searching.make_sampler

    def noted(name: Any, seed: int, trials: int) -> Any:
        drawn.append(name)
        return make(name, seed, trials)

    monkeypatch.setattr(searching, "make_sampler", noted)
    here = search(tmp_path, budget_macs=5.0, macs=lambda _: 6.0)
    assert [here.next_trial() is not None for _ in range(2)] == [True, True]
    assert drawn == ["tpe"] * 20 + ["random"] * 180


@pytest.mark.parametrize("over", [{"macs": lambda _: 5.0}, {"slo_ms": 2.0}])
def test_what_is_just_within_a_limit_is_not_drawn_again(
    tmp_path: Path, over: dict[str, Any]
) -> None:
    model = LatencyModel((1.0, 0.0, 0.0), (2.0, 0.0, 0.0), 0.1, 0.1, 6)
    words = {"budget_macs": 5.0, "latency": model, "counted": lambda _: RequestCost(1.0, 1.0)}
    free, bound = search(tmp_path / "a"), search(tmp_path / "b", **words, **over)
    for of in (free, bound):
        assert of.next_trial() == (0, {})
    assert free.next_trial() == bound.next_trial()


def test_a_limit_that_nothing_is_counted_for_binds_nobody(tmp_path: Path) -> None:
    assert search(tmp_path, budget_macs=5.0).excess({}) == 0.0
    model = LatencyModel((1.0, 0.0, 0.0), (2.0, 0.0, 0.0), 0.1, 0.1, 6)
    for number, words in enumerate(
        ({"slo_ms": 1.0}, {"slo_ms": 1.0, "latency": model}, {"latency": model})
    ):
        here = search(tmp_path / str(number), **words)
        assert here.lateness({}) == 0.0
        ended(here, 0, run_id="r", macs=7.0)
        ended(here, 1, run_id="s")
        here.timed = 2
        assert [trial["number"] for trial in here.near_front()] == [0, 1]


def test_a_proposal_leaves_optuna_quiet(tmp_path: Path) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        here = search(tmp_path)
        assert [here.next_trial() is not None for _ in range(2)] == [True, True]
        assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    finally:
        optuna.logging.set_verbosity(before)


def test_a_front_has_the_p99_of_what_was_timed(tmp_path: Path) -> None:
    """An AUC of 0 is one; of equal costs the better counts; a trial without MACs has no place."""
    here = search(tmp_path, objectives=("auc", "macs"))
    for number, (value, macs) in enumerate(((0.0, 1.0), (0.4, 2.0), (0.6, 2.0), (0.6, 3.0))):
        ended(here, number, value=value, macs=macs, run_id=str(number))
    ended(here, 4, value=0.9)
    times = {"p50_ms": 1.0, "low": 1.0, "high": 3.0, "session": "timed-0"}
    for number, p99 in ((0, 2.5), (2, None)):
        here.timings.note({"number": number, "run_id": str(number), "p99_ms": p99, **times})  # type: ignore[typeddict-item]
    front = [(p["number"], p["valid_auc"], p["macs"], p.get("p99_ms")) for p in here.front()]
    assert front == [(0, 0.0, 1.0, 2.5), (2, 0.6, 2.0, None)]


def test_a_winner_may_have_an_auc_of_nothing(tmp_path: Path) -> None:
    here = search(tmp_path)
    ended(here, 0, value=0.0)
    winner = here.freeze()
    assert (winner["valid_auc"], winner["format"]) == (0.0, 1)
    assert not {"finalists", "front", "timed"} & winner.keys()


def test_only_what_is_late_is_said_to_be(tmp_path: Path) -> None:
    here = search(tmp_path, slo_ms=1.5)
    here.tell({"number": 0, "state": "infeasible", "value": None, "reason": "broke"})
    with pytest.raises(NoWinnerError, match=r"\(broke\)$"):
        here.freeze()
    ended(here, 1, run_id="r")
    times = {"p50_ms": 1.0, "p99_ms": 2.0, "low": 1.6, "high": 3.0, "session": "timed-0"}
    here.timings.note({"number": 1, "run_id": "r", **times})  # type: ignore[typeddict-item]
    with pytest.raises(NoWinnerError, match=r"\(broke; p99 timed above 1\.5 ms\)$"):
        here.freeze()


@pytest.mark.parametrize(
    ("seconds", "running", "left"),
    [
        ([], 0, 9.0),  # a second each, before there is a record
        ([], 2, 7.0),
        ([4.0], 1, 28.0),
        ([1.0, 5.0, 9.0, 2.0], 0, 25.0),  # of an even number the upper one in the middle
        ([3.0, None], 0, 21.0),
    ],
)
def test_what_remains_is_the_median_second_of_what_has_not_begun(
    seconds: list[float | None], running: int, left: float
) -> None:
    records = [{} if each is None else {"seconds": each} for each in seconds]
    of: Any = SimpleNamespace(
        records=lambda: records, trials=9, running=dict.fromkeys(range(running))
    )
    assert _remaining(of) == left
