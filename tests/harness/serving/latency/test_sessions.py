"""More rounds until it is precise, sessions added to those on record; no clock is read."""

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import UsageError
from fusefront.harness.serving.latency import session
from fusefront.harness.serving.latency.bench import BenchResult, SubjectKey, summarise
from fusefront.harness.serving.latency.kernel_counters import Counters
from fusefront.harness.serving.latency.session import Recording, TimedSubject, measure
from fusefront.harness.serving.latency.sessions import (
    STEP,
    UntilPrecise,
    read_earlier,
    session_line,
    timed_before,
)

KEY = SubjectKey("a", "onnx", "model_only", 10)
OTHER = SubjectKey("b", "onnx", "model_only", 50)
MS = 1_000_000


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection of all that the tests have loaded takes longer than they do."""
    monkeypatch.setattr(session, "quiet_collector", contextlib.nullcontext)


class Machine:
    """A clock that only serving moves: 1 ms a request, noise by a seed, disturbances by call."""

    def __init__(self, noise: float, seed: int = 0) -> None:
        self.now, self.calls = 0, 0
        self.noise, self.rng = noise, np.random.default_rng(seed)
        self.waited = 0

    def serve(self, _: object) -> None:
        self.calls += 1
        self.now += round(MS * math.exp(self.noise * self.rng.normal()))

    def counters(self) -> Counters:
        return Counters(self.waited, 0, 0, 0)


def run(machine: Machine, monkeypatch: pytest.MonkeyPatch, rounds: int, **values: Any) -> Recording:
    monkeypatch.setattr(session, "perf_counter_ns", lambda: machine.now)
    monkeypatch.setattr(session, "read_counters", machine.counters)
    subjects = [TimedSubject(str(key), machine.serve, [0], timed=100) for key in (KEY, OTHER)]
    return measure(subjects, rounds, np.random.default_rng(1), **values)


def test_rounds_go_on_in_one_session_until_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[list[int]] = []

    def more(recording: Recording) -> int:
        counts.append(recording.rounds_by_session())
        return 2 if len(counts) < 3 else 0

    reports: list[tuple[int, int]] = []
    machine = Machine(0.1)
    recording = run(
        machine, monkeypatch, 3, more=more, progress=lambda i, n: reports.append((i, n))
    )
    assert counts == [[3], [5], [7]]
    assert reports == [(1, 3), (2, 3), (3, 3), (4, 5), (5, 5), (6, 7), (7, 7)]
    assert recording.visits["session"].n_unique() == 1
    assert recording.visits["round"].unique().sort().to_list() == list(range(7))
    assert machine.calls == 7 * 2 * 103


@pytest.mark.parametrize("noise", [0.02, 0.6])
def test_a_noisier_machine_gets_more_rounds(monkeypatch: pytest.MonkeyPatch, noise: float) -> None:
    until = UntilPrecise([KEY, OTHER], 10, 0.15, clock=lambda: 0.0)
    recording = run(Machine(noise), monkeypatch, 10, more=until)
    assert until.ended == "precise"
    (rounds,) = recording.rounds_by_session()
    assert rounds == 10 if noise < 0.1 else rounds > 10
    row = summarise(recording, [KEY])[0]
    assert row["p99_high"] is not None
    assert row["p99_ms"] is not None
    assert row["p99_high"] / row["p99_ms"] <= 1.15


def test_time_ends_it_before_a_step_that_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(1.0)
    until = UntilPrecise([KEY], 10, 0.001, most_s=5.0, clock=lambda: 70.0 + machine.now / 1e9)
    recording = run(machine, monkeypatch, 10, more=until)
    assert until.ended == "time"
    (rounds,) = recording.rounds_by_session()
    spent = machine.now / 1e9
    assert rounds > 10
    assert spent <= 5.0
    assert spent + STEP * spent / rounds > 5.0


def test_without_a_precision_the_first_rounds_are_all(monkeypatch: pytest.MonkeyPatch) -> None:
    until = UntilPrecise([KEY], 10, None)
    assert run(Machine(1.0), monkeypatch, 3, more=until).rounds_by_session() == [3]
    assert until.ended == "rounds"


def test_only_what_decides_must_be_precise(monkeypatch: pytest.MonkeyPatch) -> None:
    """At another K nothing decides: there is nothing to be precise about."""
    until = UntilPrecise([OTHER], 10, 0.0001, clock=lambda: 0.0)
    assert run(Machine(1.0), monkeypatch, 10, more=until).rounds_by_session() == [10]
    assert until.ended == "precise"


@pytest.fixture(scope="module")
def measured() -> Recording:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "quiet_collector", contextlib.nullcontext)
        return run(Machine(0.1), patch, 4)


def files(folder: Path, recording: Recording, **facts: Any) -> Path:
    folder.mkdir(exist_ok=True)
    recording.samples.write_parquet(folder / "samples.parquet")
    recording.visits.write_parquet(folder / "visits.parquet")
    row = {
        "subject": str(KEY), "strategy": "a", "backend": "onnx", "scope": "model_only",
        "candidates": 10, "rounds": 4, "mean_ms": 1.0, "p99_ms": None, "p99_low": None,
        "p99_high": None,
    }  # fmt: skip
    row |= {f"{q}_{part}": 1.0 for q in ("p50", "p95") for part in ("ms", "low", "high")}
    record = {"format": 2, "facts": {"fingerprint": "f", **facts}, "rows": [row]}
    (folder / "bench.json").write_text(json.dumps(record))
    return folder


WHOLE = {
    "session": "s", "started": "then", "seconds": 9.5, "rounds": 4, "visits": 8,
    "contended_visits": 0, "others": ["x"], "ended": "time",
}  # fmt: skip
RUNS = {"a": "r1", "b": "r2"}


def test_sessions_on_record_are_read_with_their_lines(tmp_path: Path, measured: Recording) -> None:
    folder = files(tmp_path, measured, sessions=[WHOLE], runs=RUNS)
    earlier = read_earlier(folder, "f", RUNS, [str(KEY), str(OTHER)])
    assert earlier.recording.samples.equals(measured.samples)
    assert earlier.recording.visits.equals(measured.visits)
    assert earlier.lines == [WHOLE]
    assert timed_before(folder) == {("a", "onnx")}
    assert timed_before(tmp_path / "none") == set()


def test_sessions_of_another_machine_or_of_others_are_not_pooled(
    tmp_path: Path, measured: Recording
) -> None:
    both = [str(KEY), str(OTHER)]
    with pytest.raises(UsageError, match="got no latency session to add to"):
        read_earlier(tmp_path / "none", "f", RUNS, both)
    folder = files(tmp_path, measured, sessions=[WHOLE], runs=RUNS)
    with pytest.raises(UsageError, match="got a session of machine f, expected this one, g"):
        read_earlier(folder, "g", RUNS, both)
    with pytest.raises(UsageError, match="of other runs \\('b' is another one\\)"):
        read_earlier(folder, "f", RUNS | {"b": "r3"}, both)
    with pytest.raises(UsageError, match=r"'b\|onnx\|model_only\|50' is in one of them only"):
        read_earlier(folder, "f", RUNS, both[:1])
    (folder / "visits.parquet").write_bytes(b"nothing")
    with pytest.raises(DataContractError, match="unreadable tables"):
        read_earlier(folder, "f", RUNS, both)


def test_the_last_session_has_the_line(measured: Recording) -> None:
    later = Recording(
        measured.samples.with_columns(pl.lit("late").alias("session")),
        measured.visits.head(6).with_columns(
            pl.lit("late").alias("session"), pl.lit(True).alias("contended")
        ),
    )
    facts = {"started": "now", "session_seconds": 2.0, "others": []}
    line = session_line(BenchResult(measured.add(later), [], facts), "precise")  # type: ignore[arg-type]
    assert line == {
        "session": "late", "started": "now", "seconds": 2.0, "rounds": 3, "visits": 6,
        "contended_visits": 6, "others": [], "ended": "precise",
    }  # fmt: skip
