"""A server with independent arrivals: an open loop timed from the schedule, and its prediction.

Waiting times by Lindley's recursion (Lindley 1952), W' = max(0, W + service - gap).
"""

from collections.abc import Callable, Sequence
from time import perf_counter_ns, sleep
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_SPIN_NS = 200_000  # sleep until this long before the time, then spin


def lindley(service: Floats, gaps: Floats) -> Floats:
    """Waiting times [n] of requests with service times [n] and gaps [n - 1] to the next arrival.

    >>> lindley(np.array([3.0, 3.0, 3.0]), np.array([1.0, 10.0])).tolist()
    [0.0, 2.0, 0.0]
    """
    steps = np.concatenate([[0.0], np.cumsum(service[:-1] - gaps)])
    return steps - np.minimum.accumulate(steps)


def poisson_schedule(per_second: float, requests: int, rng: np.random.Generator) -> Ints:
    """[requests] arrival times in ns from 0, exponential gaps."""
    gaps = rng.exponential(1e9 / per_second, requests - 1)
    return np.concatenate([[0], np.cumsum(gaps).astype(np.int64)])


class OpenLoop(NamedTuple):
    """Times of the requests in ns, [n]: when due, begun and done."""

    scheduled: Ints
    start: Ints
    end: Ints

    @property
    def latency_ms(self) -> Floats:
        """[requests] ms from the scheduled time, so that waiting counts."""
        return (self.end - self.scheduled) / 1e6

    @property
    def service_ms(self) -> Floats:
        """[requests] ms from the start of the call, as a closed loop would measure."""
        return (self.end - self.start) / 1e6


def open_loop(
    call: Callable[[object], object], requests: Sequence[object], schedule: Ints
) -> OpenLoop:
    """Serve requests one at a time, each due at its time in the schedule [requests] (ns from 0)."""
    times = np.empty((len(schedule), 2), np.int64)
    begin = perf_counter_ns() + _SPIN_NS
    scheduled = schedule + begin
    for i, due in enumerate(scheduled.tolist()):
        request = requests[i % len(requests)]
        left = due - perf_counter_ns() - _SPIN_NS
        if left > 0:
            sleep(left / 1e9)
        start = perf_counter_ns()
        while start < due:
            start = perf_counter_ns()
        call(request)
        times[i] = start, perf_counter_ns()
    return OpenLoop(scheduled, times[:, 0], times[:, 1])


def overloaded(latency: Floats) -> bool:
    """Whether the queue only grew over latencies [requests]; a quantile would then depend on the
    run's length, so none is given."""
    quarter = max(len(latency) // 4, 1)
    return bool(np.median(latency[-quarter:]) > 2 * np.median(latency[:quarter]))


def resample_blocks(pitches: Floats, requests: int, block: int, rng: np.random.Generator) -> Floats:
    """[requests] pitches drawn with replacement from pitches [n] in blocks of consecutive ones, so
    that slow periods stay together."""
    block = min(block, len(pitches))
    starts = rng.integers(0, len(pitches) - block + 1, -(-requests // block))
    index = (starts[:, None] + np.arange(block)).ravel()[:requests]
    return np.asarray(pitches[index], np.float64)


def predicted_latency(service_ms: Floats, load: float, gaps: Floats) -> Floats:
    """Latencies [n] at a load (share of capacity), for gaps [n - 1] with mean 1."""
    waiting = lindley(service_ms, gaps * (service_ms.mean() / load))
    return waiting + service_ms


class Ceiling(NamedTuple):
    """The highest load at which the limit is kept if nothing else disturbs the machine."""

    load: float  # share of capacity; 0 if even an idle server misses the limit
    per_second: float


def predicted_ceiling(
    pitches_ms: Floats,
    limit_ms: float,
    rng: np.random.Generator,
    *,
    p: float = 0.99,
    requests: int = 30_000,
    block: int = 1000,
) -> Ceiling:
    """The undisturbed ceiling from closed-loop pitches [n] (start to start, ms): the highest load
    whose p quantile is at or below the limit (ms)."""
    service = resample_blocks(pitches_ms, requests, block, rng)
    gaps = rng.exponential(1.0, requests - 1)
    low, high = 0.0, 1.0
    for _ in range(12):
        load = (low + high) / 2
        fits = np.quantile(predicted_latency(service, load, gaps), p) <= limit_ms
        low, high = (load, high) if fits else (low, load)
    return Ceiling(low, low * 1000 / float(service.mean()))
