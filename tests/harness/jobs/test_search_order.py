"""The order of searching, timing, choosing and freezing, with stand-ins for searches."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fusefront.harness.errors import FusefrontError
from fusefront.harness.jobs import train
from fusefront.harness.jobs.train import Workspace
from fusefront.harness.runs.spec import Cell

from .cell_stand_ins import cell, planned, printed, workspace_in


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path)


class StandInSearch:
    def __init__(
        self,
        name: str,
        recorded: int = 2,
        *,
        unsound: str = "",
        frozen: Any = None,
        halted: str = "",
        damaged: str = "",
        examined: tuple[str, ...] = (),
        winner: Any = None,
    ) -> None:
        self.strategy, self.trials, self.recorded = name, 3, recorded
        self.unsound, self.halted, self.damaged = unsound, halted, damaged
        self.examined, self.before, self.winner = examined, frozen, winner
        self.chosen_among: Any = None

    def examine(self) -> tuple[str, ...]:
        return self.examined

    def record(self, number: int) -> str | None:
        return "a record" if number < self.recorded else None

    def frozen(self) -> Any:
        return self.before

    def freeze(self, finalists: Any) -> Any:
        self.chosen_among = finalists
        if self.winner is None:
            raise train.NoWinnerError(f"{self.strategy}: no [trial] ended")
        return self.winner


class StandInSource:
    last: "StandInSource"

    def __init__(self, searches: Any, trial: Any, root: Path) -> None:
        self.searches, self.close = searches, "close"
        self.calls: list[str] = []
        StandInSource.last = self

    def clear(self) -> None:
        self.calls.append("cleared")


def tuned(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    searches: list[StandInSearch],
    *,
    timed: int = 0,
    finalists: int = 0,
) -> tuple[Any, list[Any]]:
    """The result and the calls, in their order."""
    workers: Any = workspace.workers
    calls: list[Any] = workers.calls
    monkeypatch.setattr(train, "TrialSource", StandInSource)
    monkeypatch.setattr(
        train, "_work", lambda *of: calls.append(("trained", of[3], of[4], of[5], of[6] is of[2]))
    )
    monkeypatch.setattr(train, "time_trials", lambda *of: (calls.append("timed"), of[-1]("[it]")))
    monkeypatch.setattr(train, "train_finalists", lambda *of: {"a": ["finalists"]})
    tuning = SimpleNamespace(timed=timed, finalists=finalists)
    plan = planned(study=SimpleNamespace(tuning=tuning), searches=lambda _: searches, trial="trial")
    return train.tune(plan, workspace), calls


def test_a_search_is_trained_timed_and_frozen_in_this_order(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three trials each; trials of a damaged search are not trained."""
    a, b = StandInSearch("a", 1, winner={"params": {"k": 3}}), StandInSearch("b", 2)
    earlier = StandInSearch("[kept]", 0, unsound="[x] is damaged", frozen={"params": {"k": 1}})
    out = StandInSearch("out", 0, unsound="[y] is damaged", examined=("[y] is damaged",))
    b.damaged = "[b] has a damaged trial"
    result, calls = tuned(workspace, monkeypatch, [a, b, earlier, out], timed=1, finalists=2)
    assert calls == [("trained", 3, "trial", "close", True), "closed", "timed"]
    assert result.params == {"a": {"k": 3}, "[kept]": {"k": 1}}
    assert result.left_out == {"out": "[y] is damaged"}
    assert (a.chosen_among, b.chosen_among) == (["finalists"], ())
    assert printed(workspace) == [
        "damaged: [y] is damaged",
        "[it]",
        "b: no [trial] ended; its runs try the defaults",
        "damaged: [b] has a damaged trial",
        "[kept]: its search stands on a damaged record, and the winner frozen before is kept",
        "left out: out: [y] is damaged",
    ]


def test_a_finished_search_is_neither_trained_nor_timed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = StandInSearch("a", 3, winner={"params": {}})
    result, calls = tuned(workspace, monkeypatch, [a])
    assert StandInSource.last.calls == ["cleared"]
    assert (calls, a.chosen_among, result.params) == ([], (), {"a": {}})
    assert printed(workspace) == []


def test_halted_searches_are_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    searches = [StandInSearch("a", halted="lost 2"), StandInSearch("b", winner={"params": {}})]
    searches.append(StandInSearch("c", halted="lost 1"))
    with pytest.raises(
        FusefrontError, match=r"^2 of 3 searches lack trials \(a lost 2; c lost 1\); the same"
    ):
        tuned(workspace, monkeypatch, searches)


def finals(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, failures: dict[str, tuple[str, bool]]
) -> tuple[Any, list[Cell]]:
    """Two trials of `a`, one of `b`; `failures` by strategy: the reason, and whether it may pass.

    A cell of trial n is called a<n>; its AUC is .9.
    """
    monkeypatch.setattr(
        train,
        "candidates",
        lambda search, most: [{"number": n} for n in range(search.recorded)][:most],
    )
    monkeypatch.setattr(
        train, "weighed", lambda trial, values, why="": (trial["number"], list(values), why)
    )
    completed: list[Cell] = []

    def complete(_: Any, __: Any, cells: Any, what: str, close: Any) -> None:
        assert what == "finalist"
        completed.extend(cells)
        for each in cells:
            reason, passing = failures.get(each.strategy, ("", False))
            close(each, reason, passing=passing, cause="error", seconds=None)

    monkeypatch.setattr(train, "_complete", complete)
    record = SimpleNamespace(summary={"valid_auc": 0.9})
    lost = {*failures, "a9"}
    monkeypatch.setattr(train, "find_record", lambda of, _: None if of.strategy in lost else record)
    searches: Any = [
        StandInSearch("a", 3),
        StandInSearch("b", 1),
        StandInSearch("frozen", 3, frozen={}),
        StandInSearch("damaged", 3, unsound="x"),
    ]
    tuning = SimpleNamespace(finalists=2)
    number = iter(range(9))
    plan = planned(
        study=SimpleNamespace(tuning=tuning),
        finalist=lambda name, params: [
            cell(f"{name}{n}", seed) for n in (next(number),) for seed in (1, 2)
        ],
    )
    return train.train_finalists(plan, workspace, searches), completed


def test_finalists_of_open_searches_are_trained_again_where_there_is_a_choice(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, completed = finals(workspace, monkeypatch, {})
    assert [each.strategy for each in completed] == ["a0", "a0", "a1", "a1"]
    assert result == {"a": [(0, [0.9, 0.9], ""), (1, [0.9, 0.9], "")], "b": [(0, [], "")]}


def test_a_finalist_that_fails_for_good_is_out_and_one_that_may_pass_stops(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, _ = finals(workspace, monkeypatch, {"a1": ("broke", False)})
    assert result["a"] == [(0, [0.9, 0.9], ""), (1, [], "broke")]
    result, _ = finals(workspace, monkeypatch, {"a1": ("", False)})
    assert result["a"][1] == (1, [], "no record")
    with pytest.raises(
        FusefrontError, match=r"^2 finalists' trainings ended early \(killed\); the same command"
    ):
        finals(workspace, monkeypatch, {"a1": ("killed", True)})
