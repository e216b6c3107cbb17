"""What only a clock shows: the harness sees what was planted in time. One retry while contended.

Where more than a twentieth of the visits waited for a core in both attempts, nothing under a
millisecond can be read on this machine: the check is skipped and says so.
"""

from collections.abc import Callable
from time import perf_counter_ns

import numpy as np
import pytest

from fusefront.harness.serving.latency.intervals import beyond_floor, difference, log_quantiles
from fusefront.harness.serving.latency.server import open_loop, overloaded, poisson_schedule
from fusefront.harness.serving.latency.session import TimedSubject, measure, warm_up

pytestmark = pytest.mark.timed

CONTENDED = 0.05  # of the visits
MATRIX = np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)


def _work(_: object) -> None:
    for _repeat in range(4):
        MATRIX @ MATRIX


def _spin(nanoseconds: int) -> None:
    until = perf_counter_ns() + nanoseconds
    while perf_counter_ns() < until:
        pass


def _rounds(calls: dict[str, Callable[[object], None]], rounds: int, timed: int = 100):
    subjects = [TimedSubject(name, call, range(1000), timed) for name, call in calls.items()]
    for subject in subjects:
        warm_up(subject, 100)
    recording = measure(subjects, rounds, np.random.default_rng(0))
    busy = sum(recording.contended().values()) / len(recording.visits)
    return recording.by_round(), busy


def _twice(attempt: Callable[[], tuple[bool, float, object]]) -> None:
    """Passes at the first or, where that was contended, at the second attempt."""
    passed, busy, result = attempt()
    if not passed and busy > CONTENDED:
        passed, busy, result = attempt()
    observed = f"{result}; {busy:.0%} of the visits waited for a core"
    if not passed and busy > CONTENDED:
        pytest.skip(f"contended in both attempts: {observed}")
    assert passed, observed


def test_a_busy_wait_of_a_millisecond_is_seen_at_p50_within_2_percent():
    def attempt():
        def slow(request: object) -> None:
            _work(request)
            _spin(1_000_000)

        result, busy = _rounds({"plain": _work, "slow": slow}, 10, 50)
        p50 = {name: np.array([np.median(r) for r in rounds]) for name, rounds in result.items()}
        added = np.median(p50["slow"] - p50["plain"])  # paired by round
        return abs(added - 1) <= 0.02, busy, added

    _twice(attempt)


def test_every_33rd_request_slowed_is_seen_at_p99_and_not_at_p50():
    def attempt():
        count = 0

        def stalled(request: object) -> None:
            nonlocal count
            count += 1
            _work(request)
            if count % 33 == 0:
                _spin(20_000_000)

        result, busy = _rounds({"plain": _work, "stalled": stalled}, 10)
        pooled = {name: np.concatenate(rounds) for name, rounds in result.items()}
        p50 = np.median(pooled["stalled"]) / np.median(pooled["plain"])
        p99 = np.quantile(pooled["stalled"], 0.99)
        return abs(p50 - 1) <= 0.05 and p99 >= 20, busy, (p50, p99)

    _twice(attempt)


def test_overload_shows_the_queueing_that_a_closed_loop_hides():
    def attempt():
        result, busy = _rounds({"plain": _work}, 4)
        mean = np.concatenate(result["plain"]).mean()
        schedule = poisson_schedule(1.3 * 1000 / mean, 8000, np.random.default_rng(0))
        served = open_loop(_work, range(1000), schedule)
        from_schedule = np.median(served.latency_ms)
        hidden = np.quantile(served.service_ms, 0.99)
        shown = from_schedule >= 20 * hidden and overloaded(served.latency_ms)
        return shown, busy, (from_schedule, hidden)

    _twice(attempt)


def test_an_open_loop_that_keeps_up_adds_little_to_the_service():
    def attempt():
        _, busy = _rounds({"plain": _work}, 4)
        schedule = poisson_schedule(200, 300, np.random.default_rng(0))
        served = open_loop(_work, range(1000), schedule)
        late = np.median(served.latency_ms - served.service_ms)
        return late < 0.2 and not overloaded(served.latency_ms), busy, late

    _twice(attempt)


@pytest.mark.slow
def test_equal_sessions_stay_under_the_floor_in_44_of_50():
    def attempt():
        under, waited = 0, 0.0
        for _ in range(50):
            result, busy = _rounds(dict.fromkeys(("a", "twin", "other"), _work), 20, 30)
            logs = {name: log_quantiles(rounds, 0.5) for name, rounds in result.items()}
            twins = difference(logs["a"], logs["twin"])
            under += not beyond_floor(difference(logs["a"], logs["other"]), twins)
            waited += busy / 50
        return under >= 44, waited, under

    _twice(attempt)
