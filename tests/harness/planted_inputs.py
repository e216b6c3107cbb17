"""Inputs of a decision with a planted truth: gains, latencies, prices."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from fusefront.harness.decision.inputs import Candidate, Inputs, Latency, Measured, Pairs

Build = Callable[..., Inputs]


def _latency(ms: float, rounds: int, rng: np.random.Generator) -> Latency:
    wobble = rng.normal(0, 0.002, rounds)
    p50 = Measured(ms, ms * 0.995, ms * 1.005)
    p99 = Measured(1.4 * ms, 1.4 * ms * 0.95, 1.4 * ms * 1.05)
    log = tuple(float(np.log(ms) + w) for w in wobble - wobble.mean())
    return Latency(p50, p50, p99, log, tuple(v + float(np.log(1.4)) for v in log))


def _build(
    gains: Sequence[float],
    ms: Sequence[float],
    *,
    se: float = 0.0002,
    names: Sequence[str] = (),
    today: int | None = 0,
    clusters: int = 5000,
    seeds: int = 5,
    parameters: Sequence[int] = (),
    controls: Sequence[int] = (),
    devices: Sequence[int] = (),
    bench: bool = True,
    floor: float = 0.004,
    cost: Sequence[float] = (),
) -> Inputs:
    """Gains over strategy 0 in AUC; se of every pair; p50 in ms, p99 = 1.4 p50 +- 5 %."""
    rng = np.random.default_rng(7)
    size = len(gains)
    theta = 0.70 + np.asarray(gains, float)
    error = np.full((size, size), se)
    np.fill_diagonal(error, 0.0)
    candidates = tuple(
        Candidate(
            name=names[i] if names else f"s{i}",
            control=i in controls,
            measuring_device=i in devices,
            seeds=seeds,
            parameters=parameters[i] if parameters else 1000,
            latency=_latency(ms[i], 20, rng) if bench else None,
            cost=cost[i] if cost else ms[i] / 10,
        )
        for i in range(size)
    )
    return Inputs(
        candidates,
        tuple(Measured(t, t - 0.004, t + 0.004) for t in theta),
        Pairs(theta[:, None] - theta[None, :], error, np.full((size, size), 200.0), 3.0, 2.6),
        today,
        clusters,
        floor=floor,
        bench=bench,
    )


@pytest.fixture
def planted() -> Build:
    return _build
