from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.decision import frontier as front
from fusefront.harness.decision.inputs import Inputs, Latency, Measured, Pairs

Build = Callable[..., Inputs]


def slow_front(cost: np.ndarray, gain: np.ndarray) -> list[bool]:
    """By the definition: nobody is at least as good on both axes and better on one."""
    out = []
    for k in range(len(cost)):
        beaten = any(
            cost[j] <= cost[k] and gain[j] >= gain[k] and (cost[j] < cost[k] or gain[j] > gain[k])
            for j in range(len(cost))
        )
        out.append(bool(np.isfinite(cost[k])) and not beaten)
    return out


def test_non_dominated_equals_the_definition_with_ties_and_gaps() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        cost = rng.integers(0, 5, 9).astype(float)
        gain = rng.integers(0, 5, 9).astype(float)
        cost[rng.random(9) < 0.15] = np.nan
        assert front.non_dominated(cost, gain).tolist() == slow_front(cost, gain)


def test_non_dominated_works_on_every_draw_at_once() -> None:
    rng = np.random.default_rng(1)
    cost, gain = rng.random((50, 6)), rng.random((50, 6))
    rows = [front.non_dominated(c, g) for c, g in zip(cost, gain, strict=True)]
    np.testing.assert_array_equal(front.non_dominated(cost, gain), rows)


def test_the_known_front_is_found_and_the_known_dominated_point_is_dropped(planted: Build) -> None:
    # s3 is slower than s1 and clearly worse; s2 is slower and clearly better
    inputs = planted([0.0, 0.004, 0.008, 0.001], [1.0, 2.0, 4.0, 3.0])
    rng = np.random.default_rng(2)
    auc = np.array([a.value for a in inputs.auc]) + rng.normal(0, 0.00014, (2000, 4))
    edge = front.frontier(inputs, auc, rng, margin=0.001, drawn="p50")
    assert edge.on_front == (True, True, True, False)
    assert edge.dominated_by == (None, None, None, 1)
    assert edge.probability[3] < 0.01
    assert min(edge.probability[:3]) > 0.99


def test_a_gain_smaller_than_the_margin_is_not_worth_its_latency(planted: Build) -> None:
    inputs = planted([0.0, 0.004, 0.0041], [1.0, 2.0, 4.0])
    assert front.beaten(inputs, front.confidently_faster(inputs)) == [None, None, None]
    assert front.beaten(inputs, front.confidently_faster(inputs), 0.001) == [None, None, 1]


def test_equal_strategies_share_the_front_by_chance_and_none_is_dropped(planted: Build) -> None:
    size, draws = 8, 4000
    inputs = planted([0.0] * size, [1.0 + 0.5 * i for i in range(size)], se=0.001)
    rng = np.random.default_rng(3)
    auc = 0.7 + rng.normal(0, 0.0007, (draws, size))
    edge = front.frontier(inputs, auc, rng, margin=0.0005, drawn="p50")
    # latencies are ordered surely, so the i-th is on the front when it is the best of the first i
    expected = 1 / np.arange(1, size + 1)
    np.testing.assert_allclose(edge.probability, expected, atol=4 * 0.5 / np.sqrt(draws))
    assert edge.dominated_by == (None,) * size


def test_equal_speed_and_equal_auc_give_about_one_front_member_in_k(planted: Build) -> None:
    size, draws = 5, 4000
    inputs = planted([0.0] * size, [2.0] * size, se=0.001)
    rng = np.random.default_rng(4)
    perfectly_tied = rng.normal(0, 0.0007, (draws, size))
    slow = np.zeros((draws, size))
    share = front.non_dominated(slow, perfectly_tied).mean(0)
    np.testing.assert_allclose(share, 1 / size, atol=4 * 0.4 / np.sqrt(draws))
    assert (
        front.frontier(inputs, 0.7 + perfectly_tied, rng, margin=0.001, drawn="p50").dominated_by
        == (None,) * size
    )


def test_null_ladders_rarely_lose_a_true_member(planted: Build) -> None:
    """With c_all from the joint distribution at most 5 % of the ladders drop anybody."""
    rng, size, repeats, own = np.random.default_rng(5), 6, 400, 0.001
    inputs = planted([0.0] * size, [1.0 + i for i in range(size)], se=own * np.sqrt(2))
    z = rng.normal(0, own, (4000, size))
    spread = np.abs(z[:, :, None] - z[:, None, :]) / (own * np.sqrt(2))
    c_all = float(np.quantile(spread.max((1, 2)), 0.95))
    faster, dropped = front.confidently_faster(inputs), 0
    for _ in range(repeats):
        theta = rng.normal(0.7, own, size)
        pairs = replace(inputs.pairs, diff=theta[:, None] - theta, c_all=c_all)
        beaten = front.beaten(replace(inputs, pairs=pairs), faster)
        dropped += any(j is not None for j in beaten)
    assert dropped <= 0.05 * repeats + 3 * np.sqrt(0.05 * 0.95 * repeats)


def test_a_difference_below_the_floor_is_not_faster(planted: Build) -> None:
    inputs = planted([0.0, 0.0], [1.0, 1.003], floor=0.004)
    assert not front.confidently_faster(inputs).any()
    wider = planted([0.0, 0.0], [1.0, 1.02], floor=0.004)
    assert front.confidently_faster(wider).tolist() == [[False, True], [False, False]]


def test_latency_draws_have_the_rounds_spread_and_pairing(planted: Build) -> None:
    inputs = planted([0.0] * 3, [1.0, 2.0, 3.0])
    rng = np.random.default_rng(6)
    drawn = front.draw_latency(inputs, rng, 40_000, "p50")
    logs = np.array([c.latency.log_p50 for c in inputs.candidates if c.latency])
    expected = (
        logs.std(axis=1, ddof=1) / np.sqrt(20) * np.sqrt(19 / 17)
    )  # t has variance df / (df - 2)
    np.testing.assert_allclose(drawn.std(0), expected, rtol=0.05)
    np.testing.assert_allclose(drawn.mean(0), np.log([1, 2, 3]), atol=1e-4)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(logs), atol=0.03)


def test_latency_without_rounds_is_drawn_from_its_interval(planted: Build) -> None:
    inputs = planted([0.0, 0.1], [1.0, 2.0])
    bare = tuple(
        replace(c, latency=replace(c.latency, log_p50=(), log_p99=()))
        for c in inputs.candidates
        if c.latency
    )
    drawn = front.draw_latency(
        replace(inputs, candidates=bare), np.random.default_rng(0), 20_000, "p99"
    )
    low, high = np.quantile(np.exp(drawn[:, 0]), [0.025, 0.975])
    assert low == pytest.approx(1.4 * 0.95, rel=0.01)
    assert high == pytest.approx(1.4 * 1.05, rel=0.01)


def test_tied_groups_overlap_where_ties_are_not_transitive(planted: Build) -> None:
    inputs = planted([0.0, 0.0005, 0.0010, 0.0030], [1.0, 2.0, 3.0, 4.0], se=0.00025)
    # c_all * se = 0.00075: neighbours 0.0005 apart tie, 0.0010 apart do not
    assert front.tied_groups(inputs) == ((3,), (2, 1), (1, 0))


def test_the_band_is_the_pointwise_quantile_of_recomputed_fronts(planted: Build) -> None:
    inputs = planted([0.0, 0.004, 0.002], [1.0, 2.0, 3.0])
    gains = np.random.default_rng(8).normal([0.0, 0.004, 0.002], 0.001, (3000, 3))
    grid = np.array([0.5, 1.5, 2.5, 3.5])
    band = front.band(inputs, gains, np.random.default_rng(9), grid, "p50")
    assert np.isnan(band.gain[:, 0]).all()
    np.testing.assert_allclose(band.gain[:, 1], np.quantile(gains[:, 0], [0.025, 0.5, 0.975]))
    np.testing.assert_allclose(band.gain[:, 3], np.quantile(gains.max(1), [0.025, 0.5, 0.975]))


def test_a_measuring_device_neither_joins_the_front_nor_beats_anyone(planted: Build) -> None:
    inputs = planted([0.0, 0.01], [2.0, 1.0], devices=[1])
    auc = np.tile([0.70, 0.71], (100, 1))
    edge = front.frontier(inputs, auc, np.random.default_rng(0), margin=0.001, drawn="p50")
    assert edge.on_front == (True, False)
    assert edge.dominated_by == (None, None)


def test_the_picked_interval_is_wider_than_the_own_one() -> None:
    pairs = Pairs(
        np.array([[0, 0.001], [-0.001, 0]]),
        np.array([[0, 1e-3], [1e-3, 0]]),
        np.full((2, 2), 50.0),
        3.2,
        2.7,
    )
    own, picked = pairs.interval(0, 1), pairs.picked(0, 1)
    assert picked.high - picked.value == pytest.approx(2.7e-3)
    assert own.high - own.value == pytest.approx(2.0086e-3, rel=1e-3)  # t_50 = 2.0086
    assert pairs.equivalence_bound(0, 1) == pytest.approx(0.001 + 1.6759e-3, rel=1e-3)
    assert isinstance(picked, Measured)


def test_over_sessions_who_is_faster_is_that_of_random_effects(planted: Build) -> None:
    """Three sessions of 5, 8 and 6 rounds; against DerSimonian and Laird's formulas by hand."""
    rng = np.random.default_rng(2)
    counts = (5, 8, 6)
    by = np.repeat([0.012, -0.004, -0.006], counts)  # what a session does to the difference
    inputs = planted([0.0, 0.001, 0.002], [2.0, 2.0, 2.0])

    def timed(logs: np.ndarray) -> Latency:
        ms = float(np.exp(logs.mean()))
        p50 = Measured(ms, 0.99 * ms, 1.01 * ms)
        return Latency(p50, p50, p50, tuple(logs), tuple(logs), sessions=counts)

    base = np.log(2.0) + rng.normal(0, 0.01, 19)
    for apart in (0.02, 0.035, 0.05, 0.08):
        other = base + apart + by + rng.normal(0, 0.004, 19)
        lead = other - base
        parts = np.split(lead, np.cumsum(counts)[:-1])
        v = np.array([part.var(ddof=1) / len(part) for part in parts])
        y, w = np.array([part.mean() for part in parts]), 1 / v
        q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
        tau2 = max(0.0, (q - 2) / (w.sum() - (w**2).sum() / w.sum()))
        share = 1 / (v + tau2)
        mean, error = (share * y).sum() / share.sum(), share.sum() ** -0.5
        share /= share.sum()
        inner = ((share**2 * v) ** 2 / (np.array(counts) - 1)).sum()
        df = error**4 / ((tau2 * (share**2).sum()) ** 2 / 2 + inner)
        expected = mean > max(stats.t.ppf(stats.norm.cdf(3.0), df) * error, inputs.floor)
        latencies = (timed(base), timed(other), None)
        candidates = tuple(
            replace(c, latency=k) for c, k in zip(inputs.candidates, latencies, strict=True)
        )
        here = replace(inputs, candidates=candidates)
        assert front.slower_than(here, 0).tolist() == [False, bool(expected), False]
        pool = front._paired_by_session(here, 0, "p50")
        assert pool.mean[1] == pytest.approx(mean, rel=1e-9)
        assert pool.error[1] == pytest.approx(error, rel=1e-9)
        assert pool.df[1] == pytest.approx(df, rel=1e-9)
