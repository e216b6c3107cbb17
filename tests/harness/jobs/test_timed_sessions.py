"""One session of timed trials: what is measured, of which runs, and what is refused."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import GateError
from fusefront.harness.jobs import timed_trials
from fusefront.harness.runs.store import RunEntry
from fusefront.harness.serving.latency.study import QUICK_ROUNDS, BenchOptions

ENTRY = RunEntry("r", "late-3", "fusion", "trial", 0, "completed", Path("r"), {})


def planned(rounds: int = 40) -> Any:
    return SimpleNamespace(
        study=SimpleNamespace(
            name="s", latency=SimpleNamespace(rounds=rounds, decide_at=25, candidates=(1, 25))
        ),
        store=SimpleNamespace(name="shop", path=Path("the store")),
        trial=lambda _, params: SimpleNamespace(seed=params["seed"]),
    )


class StandInSearch:
    """A search with trials near its front, of which some are timed."""

    def __init__(self, name: str, near: list[int], *, unsound: str = "", frozen: Any = None):
        self.strategy, self.unsound, self.winner = name, unsound, frozen
        self.near = [{"number": n, "run_id": f"{name} {n}", "params": {"seed": n}} for n in near]
        self.noted: dict[int, Any] = {}
        self.timings = SimpleNamespace(
            of=lambda trial: self.noted.get(trial["number"]),
            note=lambda timing: self.noted.update({timing["number"]: timing}),
        )

    def near_front(self) -> Any:
        return self.near

    def frozen(self) -> Any:
        return self.winner


@pytest.mark.parametrize("rounds", [QUICK_ROUNDS - 1, QUICK_ROUNDS + 20])
def test_a_session_measures_the_deciding_request_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """Nothing beside it; the third session of a study has its number."""
    measured: list[Any] = []

    def bench(folder: Any, runs: Any, options: BenchOptions, *, tell: Any) -> Any:
        measured.append((folder, runs(None), options, tell))
        return SimpleNamespace(rows=[], facts={"quality": {"disturbed": []}})

    for number in (0, 1):
        (tmp_path / f"timed-{number}").mkdir()
    monkeypatch.setattr(timed_trials, "bench_runs", bench)
    monkeypatch.setattr(timed_trials, "_entries", lambda *_: [ENTRY, ENTRY])
    search, lines = StandInSearch("late", [3]), list[str]()
    near: Any = {"late-3": (search, search.near[0])}
    timed_trials._session(planned(rounds), Path("root"), tmp_path, near, lines.append)
    ((folder, entries, options, tell),) = measured
    assert options == BenchOptions(
        rounds=max(QUICK_ROUNDS, rounds),
        candidates=(),
        decide_at=25,
        end_to_end=False,
        paced=False,
        server=False,
        as_trained=False,
        cold=False,
        at_once=(),
        place="timed-2",
    )
    assert (folder.root, folder.path, folder.store_path) == (
        Path("root"),
        tmp_path,
        Path("the store"),
    )
    assert entries == [ENTRY, ENTRY]
    tell("as the lab says")
    assert lines == ["timing 2 trials near the front, alone on this machine", "as the lab says"]
    assert (search.noted[3]["session"], search.noted[3]["p50_ms"]) == ("timed-2", None)


def test_a_disturbed_session_notes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"quality": {"disturbed": ["a is slow", "b, too"]}}
    result = SimpleNamespace(rows=[], facts=facts)
    monkeypatch.setattr(timed_trials, "bench_runs", lambda *_, **__: result)
    monkeypatch.setattr(timed_trials, "_entries", lambda *_: [ENTRY])
    search = StandInSearch("late", [3])
    near: Any = {"late-3": (search, search.near[0])}
    with pytest.raises(GateError, match=r"timed 1 trials was disturbed \(a is slow and b, too\); "):
        timed_trials._session(planned(), tmp_path, tmp_path, near, lambda _: None)
    assert search.noted == {}


def test_sessions_end_once_all_near_the_front_of_open_searches_are_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first session brings trial 5 near; frozen and damaged searches are left alone."""
    late, early = StandInSearch("late", [3, 4]), StandInSearch("early", [0])
    late.noted[4] = "timed before"
    others = [
        StandInSearch("frozen", [1], frozen={"number": 1}),
        StandInSearch("damaged", [1], unsound="a record is damaged"),
    ]
    sessions: list[list[str]] = []

    def session(_: Any, __: Path, ___: Path, near: Any, say: Any) -> None:
        sessions.append(list(near))
        for search, trial in near.values():
            search.timings.note(trial)
        if len(sessions) == 1:
            late.near.append({"number": 5, "run_id": "late 5", "params": {"seed": 5}})

    monkeypatch.setattr(timed_trials, "_session", session)
    searches: Any = [late, *others, early]
    timed_trials.time_trials(planned(), tmp_path, tmp_path, searches, lambda _: None)
    assert sessions == [["late-3", "early-0"], ["late-5"]]


def test_each_trial_is_a_run_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = StandInSearch("late", [3, 4])
    near: Any = {f"late-{trial['number']}": (late, trial) for trial in late.near}
    where = {f"late {number}": tmp_path / str(number) for number in (3, 4)}
    monkeypatch.setattr(timed_trials, "run_index", lambda root, name: where)
    summaries: Any = {where["late 3"]: {"family": "fusion"}, where["late 4"]: {}}
    monkeypatch.setattr(timed_trials, "read_summary", summaries.get)
    damages: dict[Path, str] = {}
    monkeypatch.setattr(timed_trials, "damage", lambda path, *_: damages.get(path, ""))
    assert timed_trials._entries(planned(), tmp_path, near) == [
        RunEntry("late 3", "late-3", "fusion", "trial", 3, "completed", tmp_path / "3",
                 {"family": "fusion"}),
        RunEntry("late 4", "late-4", "", "trial", 4, "completed", tmp_path / "4", {}),
    ]  # fmt: skip
    damages[where["late 4"]] = "its weights have changed"
    with pytest.raises(DataContractError, match=r"^its weights have changed$"):
        timed_trials._entries(planned(), tmp_path, near)
    del where["late 4"]
    with pytest.raises(
        DataContractError, match=r"^late trial 4: run late 4 is not under .*--repair"
    ):
        timed_trials._entries(planned(), tmp_path, near)


def test_the_interval_of_a_trial_is_that_of_its_p99() -> None:
    trial: Any = {"number": 3, "run_id": "r"}
    ends = {"p50_ms": 2.0, "p50_low": 1.0, "p50_high": 3.0}
    ends |= {"p99_ms": 7.0, "p99_low": 6.0, "p99_high": 9.0}
    row: Any = {**ends, "samples": 1000}
    timing = {"number": 3, "run_id": "r", "p50_ms": 2.0, "p99_ms": 7.0, "session": "timed-1"}
    assert timed_trials._timing(trial, row, "timed-1") == {**timing, "low": 6.0, "high": 9.0}
    open_above = {**row, "p99_at_least": True}
    of: Any = open_above
    assert timed_trials._timing(trial, of, "timed-1") == {**timing, "low": 6.0, "high": None}
    few: Any = {**row, "samples": 999}  # of these a p99 is not known
    unknown = {"p99_ms": None, "low": None, "high": None}
    assert timed_trials._timing(trial, few, "timed-1") == {**timing, **unknown}
    assert timed_trials._timing(trial, None, "timed-1") == {**timing, **unknown, "p50_ms": None}
