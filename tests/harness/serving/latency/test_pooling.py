"""Random effects over sessions against a plain loop in float64, and what planted noise does."""

import math

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.serving.latency.bench import (
    SubjectKey,
    paired,
    session_facts,
    summarise,
)
from fusefront.harness.serving.latency.intervals import difference, quantile_interval
from fusefront.harness.serving.latency.pooling import (
    pooled_difference,
    pooled_quantile,
    random_effects,
    split,
)
from fusefront.harness.serving.latency.session import SAMPLES, VISITS, Recording


def loop(y: list[float], e: list[float], nu: list[int]) -> tuple[float, float, float, float]:
    """DerSimonian and Laird 1986, formulas 7 to 9, one session after the other."""
    k, v = len(y), [error**2 for error in e]
    total = sum(1 / x for x in v)
    squares = sum((1 / x) ** 2 for x in v)
    fixed = sum(a / x for a, x in zip(y, v, strict=True)) / total
    q = sum((a - fixed) ** 2 / x for a, x in zip(y, v, strict=True))
    tau2 = max(0.0, (q - (k - 1)) / (total - squares / total))
    w = [1 / (x + tau2) for x in v]
    whole = sum(w)
    mean = sum(a * b for a, b in zip(y, w, strict=True)) / whole
    between = sum((b / whole) ** 2 * tau2 for b in w)
    inside = sum(((b / whole) ** 2 * x) ** 2 / n for b, x, n in zip(w, v, nu, strict=True))
    df = (1 / whole) ** 2 / (between**2 / (k - 1) + inside)
    return mean, whole**-0.5, tau2**0.5, df


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("spread", [0.0, 1.0, 8.0])
def test_sessions_are_pooled_as_the_loop_says(k: int, spread: float) -> None:
    rng = np.random.default_rng(k)
    errors = rng.uniform(0.01, 0.05, k)
    values = rng.normal(1.0, 0.03 * spread, k) + rng.normal(0, errors)
    nu = rng.integers(5, 40, k)
    pool = random_effects(values, errors, nu)
    expected = loop(values.tolist(), errors.tolist(), nu.tolist())
    assert (pool.mean, pool.error, pool.between, pool.df) == pytest.approx(expected, rel=1e-12)
    both = random_effects(np.stack([values, values], 1), np.stack([errors, errors], 1), nu)
    assert both.mean.tolist() == pytest.approx([float(pool.mean)] * 2)
    assert both.df.tolist() == pytest.approx([float(pool.df)] * 2)


def test_one_session_has_no_spread_between() -> None:
    with pytest.raises(ValueError, match="got 1 session, expected at least 2"):
        random_effects([1.0], [0.1], [19])
    with pytest.raises(ValueError, match="got 3 rounds, expected 4"):
        split([1, 2, 3], [2, 2])
    assert split([1, 2, 3], []) == [[1, 2, 3]]
    assert split([1, 2, 3, 4, 5], [2, 3]) == [[1, 2], [3, 4, 5]]


def test_equal_rounds_are_pooled_without_a_division_by_zero() -> None:
    pool = random_effects([1.0, 1.0], [0.0, 0.0], [9, 9])
    assert pool.mean == pytest.approx(1.0)
    assert np.isfinite([pool.error, pool.between, pool.df]).all()


def test_the_interval_of_sessions_is_that_of_their_logs_with_k_less_1_degrees() -> None:
    rng = np.random.default_rng(5)
    sessions = [8, 6, 8]
    level = np.repeat([0.0, 0.4, 0.1], sessions)
    rounds = [np.exp(shift + rng.normal(0, 0.1, 200)) for shift in level]
    own, between = pooled_quantile(rounds, 0.9, sessions)
    each = [quantile_interval(part, 0.9) for part in split(rounds, sessions)]
    errors = [
        math.log(i.high / i.low) / 2 / stats.t.ppf(0.975, n - 1)
        for i, n in zip(each, sessions, strict=True)
    ]
    mean, error, tau, _ = loop([math.log(i.value) for i in each], errors, [7, 5, 7])
    half = stats.t.ppf(0.975, 2) * error
    assert own[:3] == pytest.approx([math.exp(mean + h) for h in (0, -half, half)])
    assert between == pytest.approx(tau)
    assert 0.1 < tau < 0.4
    single, none = pooled_quantile(rounds, 0.9, [22])
    assert (single, none) == (quantile_interval(rounds, 0.9), None)


def test_an_open_end_of_one_session_leaves_the_pool_open() -> None:
    rng = np.random.default_rng(0)
    wide = [rng.lognormal(0, 0.1, 400) for _ in range(10)]
    few = [rng.lognormal(0, 0.1, 12) for _ in range(10)]
    assert not pooled_quantile([*wide, *wide], 0.99, [10, 10]).interval.at_least
    assert pooled_quantile([*wide, *few], 0.99, [10, 10]).interval.at_least


def test_differences_cancel_what_a_session_does_to_both() -> None:
    rng = np.random.default_rng(2)
    shift = np.repeat([0.0, 1.0, -0.7], 10)  # of the sessions, on both subjects
    a = shift + 0.05 + rng.normal(0, 0.01, 30)
    b = shift + rng.normal(0, 0.01, 30)
    change = pooled_difference(a.tolist(), b.tolist(), [10, 10, 10])
    assert change.low < 0.05 < change.high
    assert change.half < 0.02
    each = [difference(a[s], b[s]) for s in (slice(0, 10), slice(10, 20), slice(20, 30))]
    mean, error, _, df = loop([e.mean for e in each], [e.error for e in each], [9, 9, 9])
    assert change[:3] == pytest.approx((mean, stats.t.ppf(0.975, df) * error, error))
    assert change.rounds == 30
    assert pooled_difference(a.tolist(), b.tolist(), [30]) == difference(a, b)


@pytest.mark.parametrize("sessions", [2, 5])
def test_the_interval_covers_the_mean_over_sessions_that_differ(sessions: int) -> None:
    """Sessions differ by three errors of their own; the normal interval covers .8 to .9."""
    rng = np.random.default_rng(1)
    draws, nu = 3000, 19
    shift = rng.normal(0, 3, (sessions, draws))
    errors = np.sqrt(rng.chisquare(nu, (sessions, draws)) / nu)
    pool = random_effects(
        shift + rng.normal(0, 1, (sessions, draws)), errors, np.full(sessions, nu)
    )
    covered = np.abs(pool.mean) < stats.t.ppf(0.975, sessions - 1) * pool.error
    assert covered.mean() >= 0.94
    assert (np.abs(pool.mean) < 1.96 * pool.error).mean() < 0.90


TODAY = SubjectKey("today", "onnx", "model_only", 10)
TWIN = SubjectKey("today", "onnx", "twin-model_only", 10)


def recording(
    levels: dict[SubjectKey, float], session: str, rounds: int, timed: int, seed: int
) -> Recording:
    """Log-normal latencies of 5 % around a level in ms; the first subject waits in round 1."""
    import polars as pl

    rng = np.random.default_rng(seed)
    samples, visits = [], []
    for round_ in range(rounds):
        for order, (key, ms) in enumerate(levels.items()):
            latency = (ms * 1e6 * rng.lognormal(0, 0.05, timed)).astype(np.int64)
            samples += [
                (session, "f", str(key), round_, order, 3 + i, i, int(v), None, 0)
                for i, v in enumerate(latency)
            ]
            busy = order == 0 and round_ == 1
            visits.append((session, str(key), round_, order, 1, 0, 0, 0, 0, busy))
    return Recording(
        pl.DataFrame(samples, schema=SAMPLES, orient="row"),
        pl.DataFrame(visits, schema=VISITS, orient="row"),
    )


def test_sessions_one_after_the_other_are_rows_with_marks_and_floors() -> None:
    first = recording({TODAY: 1.0, TWIN: 1.0}, "s1", 10, 100, 1)
    second = recording({TODAY: 1.5, TWIN: 1.5}, "s2", 12, 100, 2)
    both = first.add(second)
    assert both.rounds_by_session() == [10, 12]
    assert both.contended_rounds() == {str(TODAY): [1, 11]}
    rows = summarise(both, [TODAY, TWIN])
    row = rows[0]
    assert (row["rounds"], row["samples"], row["rounds_by_session"]) == (22, 2200, [10, 12])
    assert (row["contended_rounds"], row["contended_visits"]) == ([1, 11], 2)
    assert rows[1]["contended_rounds"] == []
    assert row["p50_ms"] == pytest.approx(math.sqrt(1.5), rel=0.02)  # logs are averaged
    assert row["between_p50"] == pytest.approx(math.log(1.5) / math.sqrt(2), rel=0.05)
    assert row["p50_low"] < 1.0
    assert row["p50_high"] > 1.5
    change = paired(rows, TODAY, TWIN)
    assert change.floor < 0.02  # they differ between sessions, not from each other
    assert session_facts(rows, 10)["floor_p50"] == pytest.approx(change.floor)
    alone = summarise(first, [TODAY, TWIN])[0]
    assert (alone["rounds_by_session"], alone["between_p50"]) == ([10], None)


def test_a_p99_needs_a_thousand_samples_of_every_session() -> None:
    first = recording({TODAY: 1.0}, "s1", 10, 100, 1)
    short = first.add(recording({TODAY: 1.0}, "s2", 9, 100, 2))
    row = summarise(short, [TODAY])[0]
    assert (row["p99_ms"], row["log_p99"], row["samples"]) == (None, None, 900)
    whole = summarise(first, [TODAY])[0]
    assert whole["samples"] == 1000
    assert whole["p99_ms"] == pytest.approx(math.exp(0.05 * stats.norm.ppf(0.99)), rel=0.02)
