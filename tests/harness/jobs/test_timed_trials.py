"""A search whose trials near the front are timed before its winner is frozen."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from fusefront.harness.errors import GateError
from fusefront.harness.jobs import timed_trials
from fusefront.harness.jobs.pipeline import begin, tune_study
from fusefront.harness.jobs.verify import verify
from fusefront.harness.runs.hashes import WEIGHTS
from fusefront.harness.runs.store import RunEntry
from fusefront.harness.serving.latency.bench import BenchResult
from fusefront.harness.serving.latency.session import Recording

FRONT = {
    "strategies": {"early_fusion": {}, "late_fusion": {}},
    "training": {"epochs": 1},
    "latency": {"rounds": 20, "decide_at": 10, "candidates": [10]},
    "tuning": {
        "trials": 3,
        "space": {"token_width": [4, 8, 16]},
        "objectives": ["auc", "macs"],
        "timed": 2,
    },
}


class PlannedBench:
    """In place of the latency lab: a p99 by the name of the trial, sessions counted."""

    def __init__(self, p99: Callable[[str], float | None], disturbed: Sequence[str] = ()) -> None:
        self.p99, self.disturbed = p99, list(disturbed)
        self.sessions: list[list[str]] = []

    def __call__(self, folder: Any, runs: Any, options: Any, *, tell: Any) -> BenchResult:
        entries: Sequence[RunEntry] = runs(tell)
        assert all((entry.path / WEIGHTS).exists() for entry in entries)
        assert folder.store_path.is_dir()
        assert (options.decide_at, options.rounds) == (10, 20)
        self.sessions.append([entry.strategy for entry in entries])
        (folder.path / options.place).mkdir()
        rows: list[Any] = []
        for entry in entries:
            if (ms := self.p99(entry.strategy)) is None:
                continue
            row = {"strategy": entry.strategy, "backend": "onnx", "candidates": 10, "rounds": 20}
            row |= {f"{q}_ms": ms for q in ("p50", "p95", "p99")}
            row |= {f"{q}_low": 0.9 * ms for q in ("p50", "p95", "p99")}
            row |= {f"{q}_high": 1.2 * ms for q in ("p50", "p95", "p99")}
            rows += [{**row, "scope": "end_to_end"}, {**row, "scope": "model_only", "p99_ms": 99.0}]
        facts: Any = {"quality": {"disturbed": self.disturbed}}
        none: Any = np.zeros(0)
        return BenchResult(Recording(none, none), rows, facts)


def bench(monkeypatch: pytest.MonkeyPatch, planned: PlannedBench) -> PlannedBench:
    monkeypatch.setattr(timed_trials, "bench_runs", planned)
    return planned


def test_a_winner_is_frozen_once_what_is_near_is_timed(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disturbed session chooses nothing and the same command measures again; what cannot be
    timed has no figure."""
    request = jobs.request("fronts", **FRONT)
    bench(monkeypatch, PlannedBench(lambda _: 0.5, ["9 of 9 visits waited for a core"]))
    with pytest.raises(GateError, match=r"disturbed .9 of 9 visits waited for a core.; measure"):
        tune_study(request, console)
    folder = request.out / "studies" / "small"
    assert not list(folder.glob("tuning/*/winner-*.json"))
    assert not list(folder.glob("tuning/*/timed-*.json"))

    planned = bench(monkeypatch, PlannedBench(lambda name: 0.5 if "late" in name else None))
    winners = tune_study(request, console).winners
    (session,) = planned.sessions
    for name, winner in winners.items():
        timed = {t["number"]: t for t in winner["timed"]}
        assert {f"{name}-{number}" for number in timed} == {
            s for s in session if s.startswith(name)
        }
        assert 1 <= len(timed) <= 2
        assert {t["session"] for t in timed.values()} == {"timed-1"}
        figures = {(t["p50_ms"], t["p99_ms"], t["low"], t["high"]) for t in timed.values()}
        here = (0.5, 0.5, 0.45, 0.6) if name == "late_fusion" else (None,) * 4
        assert figures == {here}
        best = max(winner["front"], key=lambda point: point["valid_auc"])
        assert (winner["number"], best.get("p99_ms")) == (best["number"], here[1])
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"timing {len(session)} trials near the front, alone on this machine" in text
    assert tune_study(request, console).winners == winners
    assert len(planned.sessions) == 1  # frozen: nothing is timed again
    (study,) = [check for check in verify(None, request.out) if check.kind == "study"]
    assert study.remarks == ("it was searched or begun, and has no runs of its own yet",)
    assert not [d for d in study.damages if "matrix.json" in d.sentence]
    (folder / "comparison.json").write_text("{}")  # what only a matrix leads to
    (study,) = [check for check in verify(None, request.out) if check.kind == "study"]
    assert [d for d in study.damages if "matrix.json: not there" in d.sentence]


def test_what_misses_the_limit_gives_its_place_to_the_next(
    jobs: Any, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every search the best is late; what comes near in its place is timed in a second
    session."""
    late: set[str] = set()

    def p99(name: str) -> float | None:
        strategy = name.rpartition("-")[0]
        if not any(other.startswith(strategy) for other in late):
            late.add(name)  # the first of a search is its best
        return 5.0 if name in late else 0.5

    planned = bench(monkeypatch, PlannedBench(p99))
    request = jobs.request("fronts_late", **FRONT)
    plan, workspace = begin(request, console)  # searched without a limit, then one is put on it
    searches = plan.searches(workspace.folder)
    monkeypatch.setattr("fusefront.harness.jobs.train.time_trials", lambda *_: None)
    free = tune_study(request, console).winners
    for search in searches:
        search.winner.unlink()
        search.slo_ms = 1.0
    timed_trials.time_trials(plan, workspace.root, workspace.folder, searches, lambda _: None)
    assert len(planned.sessions) == 2
    for search in searches:
        winner = search.freeze()
        assert f"{search.strategy}-{free[search.strategy]['number']}" in late
        assert winner["number"] != free[search.strategy]["number"]
        others = [t for t in search.ranked() if t["run_id"] != winner_run(search, free)]
        assert winner["number"] == others[0]["number"]


def winner_run(search: Any, winners: Any) -> str:
    record = search.record(winners[search.strategy]["number"])
    return str(record["run_id"])


def test_below_the_samples_of_a_p99_there_is_a_median_alone() -> None:
    trial: Any = {"number": 3, "run_id": "r"}
    row: Any = {f"{q}_{end}": 1.0 for q in ("p50", "p99") for end in ("ms", "low", "high")}
    few = timed_trials._timing(trial, {**row, "samples": 999}, "timed-0")
    assert (few["p50_ms"], few["p99_ms"], few["low"], few["high"]) == (1.0, None, None, None)
    whole = timed_trials._timing(trial, {**row, "samples": 1000, "p99_at_least": True}, "timed-0")
    assert (whole["p99_ms"], whole["low"], whole["high"]) == (1.0, 1.0, None)


@pytest.mark.slow
def test_real_trials_are_timed_by_the_latency_lab(jobs: Any, console: Console) -> None:
    """The whole path, and its records hold; on a machine with other work it may say so instead."""
    request = replace(jobs.request("fronts_real", **FRONT), jobs=1)
    for _ in range(3):
        try:
            outcome = tune_study(request, console)
            break
        except GateError as error:
            assert "disturbed" in str(error)  # noqa: PT017
    else:
        pytest.skip("other work disturbed three sessions")
    for winner in outcome.winners.values():
        for timed in winner["timed"]:
            assert 0 < timed["p50_ms"] <= timed["p99_ms"]
            assert timed["low"] <= timed["p99_ms"]
    checks = verify(None, request.out)
    assert not [damage for check in checks for damage in check.damages]
