"""Sessions on a drawn machine: no burst, pause or stolen core turns a decision; none is timed.

The clock only moves by serving. Disturbances are laid over the same requests: what would be decided
on the calm machine is decided on the disturbed one, or nothing is.
"""

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.inputs import Inputs
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import Policy, decide
from fusefront.harness.dossier.bench import floors_of, latency_of
from fusefront.harness.serving.latency import session
from fusefront.harness.serving.latency.bench import SubjectKey, session_facts, summarise
from fusefront.harness.serving.latency.kernel_counters import Counters
from fusefront.harness.serving.latency.quality import quality_of
from fusefront.harness.serving.latency.session import TimedSubject, measure

Build = Callable[..., Inputs]
POLICY = Policy(slo_ms=2.0, margin=0.001)
MS = {"today": 1.0, "worse": 0.5, "better": 1.5}  # p50; p99 is 1.26 times that
GAINS = [0.0, -0.006, 0.006]
SEEDS = range(3)


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection of all that the tests have loaded takes longer than they do."""
    monkeypatch.setattr(session, "quiet_collector", contextlib.nullcontext)


class Machine:
    """Nanoseconds that serving adds to, and those that a thread waited for a core."""

    def __init__(self, seed: int, disturb: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.disturb, self.now, self.waited, self.calls = disturb, 0, 0, 0
        whole = 4 * 20 * 103
        self.begin = int(self.rng.integers(0, whole - 2000))
        self.paused = set(self.rng.integers(0, whole, 3).tolist())

    def call(self, ms: float) -> Callable[[object], None]:
        def serve(_: object) -> None:
            took = ms * 1e6 * math.exp(0.1 * self.rng.normal())
            within = 0 <= self.calls - self.begin < 300
            if self.disturb == "burst" and within:  # of a neighbour: nothing waits for a core
                took *= 3.0
            elif self.disturb == "pause" and self.calls in self.paused:  # SIGSTOP, then SIGCONT
                took += 400e6
            elif self.disturb == "stolen" or (
                self.disturb == "stolen in part" and self.calls > self.begin % 5000
                and self.calls < self.begin % 5000 + 2500
            ):  # fmt: skip
                self.waited += round(1.2 * took)
                took *= 2.2
            self.calls += 1
            self.now += round(took)

        return serve

    def counters(self) -> Counters:
        return Counters(self.waited, 0, 0, 0)


def decided(planted: Build, seed: int, disturb: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """What is decided on a session of the drawn machine."""
    machine = Machine(seed, disturb)
    monkeypatch.setattr(session, "perf_counter_ns", lambda: machine.now)
    monkeypatch.setattr(session, "read_counters", machine.counters)
    keys = {SubjectKey(name, "onnx", "model_only", 10): ms for name, ms in MS.items()}
    keys[SubjectKey("today", "onnx", "twin-model_only", 10)] = MS["today"]
    subjects = [TimedSubject(str(key), machine.call(ms), [0]) for key, ms in keys.items()]
    rows = summarise(measure(subjects, 20, np.random.default_rng(seed)), keys)
    facts = session_facts(rows, 10)
    floor, floor_p99 = floors_of({"facts": facts, "rows": rows}, rows)
    quality = quality_of(rows, facts, 10)
    inputs = planted(GAINS, list(MS.values()), names=list(MS))
    candidates = tuple(
        replace(c, latency=latency_of(row)) for c, row in zip(inputs.candidates, rows, strict=False)
    )
    inputs = replace(
        inputs,
        candidates=candidates,
        floor=floor,
        floor_p99=floor_p99,
        disturbed=tuple(quality["disturbed"]),
    )
    return decide(inputs, POLICY)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_calm_machine_ships_the_better_one(
    planted: Build, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = decided(planted, seed, "", monkeypatch)
    assert (outcome.case, outcome.reason, outcome.choice) == ("clear", "better", 2)


@pytest.mark.parametrize("disturb", ["burst", "pause", "stolen", "stolen in part"])
@pytest.mark.parametrize("seed", SEEDS)
def test_no_disturbance_turns_the_decision(
    planted: Build, seed: int, disturb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The faster one that is shown to lose never ships: today's is not shown to miss the limit."""
    outcome = decided(planted, seed, disturb, monkeypatch)
    assert outcome.choice in (None, 0, 2)
    if outcome.choice == 0:  # the better one is not shown to keep the limit; today's is
        assert 0 in outcome.feasible
        assert 2 not in outcome.feasible
    if outcome.choice is None:
        assert outcome.case == "thin"
        assert "measure again" in outcome.lacks[0].text
    if disturb == "stolen":
        assert outcome.choice is None
        assert "visits waited for a core" in outcome.lacks[0].text
