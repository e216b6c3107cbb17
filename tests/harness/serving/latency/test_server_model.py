"""Lindley, schedules, overload and the predicted ceiling on planted arrays; no clock is read."""

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.serving.latency.server import (
    lindley,
    overloaded,
    poisson_schedule,
    predicted_ceiling,
    predicted_latency,
    resample_blocks,
)


def test_waiting_follows_lindleys_recursion():
    rng = np.random.default_rng(0)
    service, gaps = rng.exponential(1.0, 500), rng.exponential(1.2, 499)
    by_hand = [0.0]
    for s, g in zip(service[:-1], gaps, strict=True):
        by_hand.append(max(0.0, by_hand[-1] + s - g))
    np.testing.assert_allclose(lindley(service, gaps), by_hand, atol=1e-9)


def test_mean_wait_is_pollaczek_khinchines():
    rng = np.random.default_rng(1)
    load, n = 0.5, 400_000
    service = np.ones(n)
    latency = predicted_latency(service, load, rng.exponential(1.0, n - 1))
    assert latency.mean() - 1 == pytest.approx(load / (2 * (1 - load)), rel=0.03)


def test_schedule_is_poisson():
    schedule = poisson_schedule(1000.0, 20_000, np.random.default_rng(2))
    gaps = np.diff(schedule) / 1e6
    assert schedule[0] == 0
    assert gaps.mean() == pytest.approx(1.0, rel=0.03)
    assert stats.kstest(gaps, "expon").pvalue > 1e-3


def test_ceiling_of_a_constant_service_is_md1s():
    """p99 of M/D/1 at its own load is the limit: checked by a run of another seed."""
    service = np.ones(20_000)
    ceiling = predicted_ceiling(service, 3.0, np.random.default_rng(3), requests=200_000)
    gaps = np.random.default_rng(4).exponential(1.0, 199_999)
    p99 = np.quantile(predicted_latency(np.ones(200_000), ceiling.load, gaps), 0.99)
    assert p99 == pytest.approx(3.0, rel=0.05)
    assert ceiling.load == pytest.approx(0.31, abs=0.02)  # the known M/D/1 value
    assert ceiling.per_second == pytest.approx(ceiling.load * 1000)


def test_ceiling_is_zero_where_an_idle_server_misses_the_limit():
    assert predicted_ceiling(np.full(2000, 5.0), 4.0, np.random.default_rng(5)).load < 0.001


def test_resampled_blocks_keep_slow_spells_together():
    pitches = np.arange(10_000, dtype=float)
    drawn = resample_blocks(pitches, 3000, 1000, np.random.default_rng(6))
    assert len(drawn) == 3000
    assert (np.diff(drawn)[:999] == 1).all()
    assert set(drawn) <= set(pitches)


@pytest.mark.parametrize(("load", "expected"), [(0.7, False), (1.3, True)])
def test_overload_is_told_by_a_queue_that_only_grows(load, expected):
    rng = np.random.default_rng(7)
    service = rng.lognormal(0, 0.1, 8000)
    latency = predicted_latency(service, load, rng.exponential(1.0, 7999))
    assert overloaded(latency) is expected


def test_a_closed_loop_hides_what_the_schedule_shows():
    """Coordinated omission: one stall of 50 in 2,000 requests, half load."""
    service = np.full(8000, 0.2)
    service[::2000] += 50.0
    gaps = np.random.default_rng(8).exponential(1.0, 7999)
    latency = predicted_latency(service, 0.5, gaps)
    assert np.quantile(service, 0.99) == pytest.approx(0.2)
    assert np.quantile(latency, 0.99) > 20 * np.quantile(service, 0.99)


def test_ceiling_is_halved_twelve_times():
    """Its load is a multiple of 2 ** -12 whatever the limit; a thirteenth half would show."""
    rng = np.random.default_rng(1)
    pitches = rng.lognormal(0, 0.3, 2000)
    loads = [
        predicted_ceiling(pitches, limit, np.random.default_rng(0), requests=4000, block=50).load
        for limit in np.linspace(3.0, 9.0, 12)
    ]
    steps = np.array(loads) * 2**12
    assert (steps == np.round(steps)).all()
    assert any(step % 2 for step in steps)
    assert (np.diff(loads) > 0).all()
