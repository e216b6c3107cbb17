"""Intervals of pairs and comparisons of latency by hand, where no two errors are equal."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.decision import frontier as front
from fusefront.harness.decision.inputs import Candidate, Inputs, Latency, Measured, Pairs

DIFF = np.array([[0.0, 0.003, -0.002], [-0.003, 0.0, -0.005], [0.002, 0.005, 0.0]])
SE = np.array([[0.0, 0.001, 0.002], [0.001, 0.0, 0.0015], [0.002, 0.0015, 0.0]])
DF = np.array([[np.inf, 4.0, 9.0], [4.0, np.inf, 0.5], [9.0, 0.5, np.inf]])
PAIRS = Pairs(DIFF, SE, DF, c_all=3.4, c_base=2.9)


def test_a_pair_has_its_own_interval_and_wider_ones_for_having_been_picked() -> None:
    own = stats.t.ppf(0.975, 4) * 0.001
    assert own < 0.0029
    assert PAIRS.interval(0, 1) == pytest.approx((0.003, 0.003 - own, 0.003 + own))
    assert PAIRS.picked(0, 1) == pytest.approx((0.003, 0.0001, 0.0059))
    assert PAIRS.any_pair(0, 1) == pytest.approx((0.003, -0.0004, 0.0064))
    few = stats.t.ppf(0.975, 1) * 0.0015  # half a degree of freedom counts as one
    assert few > 3.4 * 0.0015
    for wide in (PAIRS.picked(2, 1), PAIRS.any_pair(2, 1), PAIRS.interval(2, 1)):
        assert wide == pytest.approx((0.005, 0.005 - few, 0.005 + few))
    assert PAIRS.interval(1, 1) == PAIRS.picked(1, 1) == (0.0, 0.0, 0.0)


def test_a_pair_with_todays_was_picked_against_it_and_others_among_all() -> None:
    assert PAIRS.shown(1, 0, 0) == PAIRS.picked(1, 0)
    assert PAIRS.shown(0, 1, 0) == PAIRS.picked(0, 1)
    assert PAIRS.shown(0, 1, 2) == PAIRS.any_pair(0, 1)
    assert PAIRS.shown(0, 1, None) == PAIRS.any_pair(0, 1)


def test_pairs_with_a_control_are_a_family_of_their_own() -> None:
    mixed = np.array([False, False, True])
    pairs = replace(PAIRS, df=np.full((3, 3), np.inf), controls=mixed, c_controls=2.2)
    pairs = replace(pairs, c_strategies=3.1)

    def half(a: int, b: int, today: int | None) -> float:
        value, low, high = pairs.shown(a, b, today)
        assert value == DIFF[a, b]
        assert high - value == pytest.approx(value - low)
        return (high - low) / 2 / float(SE[a, b])

    assert half(0, 1, None) == pytest.approx(3.1)  # both are strategies
    assert half(0, 2, None) == half(2, 0, None) == pytest.approx(3.4)  # the control is one of two
    assert half(1, 0, 0) == half(0, 1, 0) == pytest.approx(2.9)
    assert half(2, 0, 0) == half(0, 2, 0) == pytest.approx(2.2)
    pairs = replace(pairs, c_controls=np.nan, c_strategies=np.nan)
    assert half(2, 0, 0) == pytest.approx(2.9)
    assert half(0, 1, None) == pytest.approx(3.4)


def test_the_smallest_margin_of_equivalence_is_the_far_end_of_the_90_percent_interval() -> None:
    assert PAIRS.equivalence_bound(0, 2) == pytest.approx(0.002 + stats.t.ppf(0.95, 9) * 0.002)
    assert PAIRS.equivalence_bound(2, 0) == PAIRS.equivalence_bound(0, 2)
    assert PAIRS.equivalence_bound(1, 1) == 0.0


def subject(ms: float, log: tuple[float, ...] = (), width: float = 1.1) -> Latency:
    """p95 is 1.5 and p99 3 times the p50; the tail's rounds scatter twice as much."""
    p50, p95, p99 = (Measured(k * ms, k * ms / width, k * ms * width) for k in (1.0, 1.5, 3.0))
    return Latency(p50, p95, p99, log, tuple(2 * v for v in log))


def inputs_of(latencies: list[Latency | None], floor: float = 0.0, **changes: object) -> Inputs:
    size = len(latencies)
    candidates = tuple(Candidate(f"s{i}", latency=each) for i, each in enumerate(latencies))
    auc = tuple(Measured(0.7 + 0.01 * i, 0.6, 0.8) for i in range(size))
    pairs = Pairs(DIFF[:size, :size], SE[:size, :size], DF[:size, :size], 1.6, 1.5)
    return replace(Inputs(candidates, auc, pairs, 0, 900, floor), **changes)


FIRST = (0.01, -0.02, 0.03, 0.0, 0.04)
SECOND = (0.02, -0.01, 0.01, 0.01, 0.05)
ERROR = float(np.std(np.subtract(SECOND, FIRST), ddof=1) / np.sqrt(5))  # of the paired difference


@pytest.mark.parametrize(("quantile", "error"), [("p50", ERROR), ("p99", 2 * ERROR)])
@pytest.mark.parametrize(("errors", "slower"), [(2.99, False), (3.01, True)])
def test_speeds_are_told_apart_by_three_errors_of_paired_rounds(
    quantile: str, error: float, errors: float, slower: bool
) -> None:
    inputs = inputs_of([subject(2.0, FIRST), subject(2.0 * np.exp(errors * error), SECOND)])
    assert front.slower_than(inputs, 0, quantile).tolist() == [False, slower]
    assert front.slower_than(inputs, 1, quantile).tolist() == [False, False]
    assert front.confidently_faster(inputs, quantile).tolist() == [[False, slower], [False, False]]


@pytest.mark.parametrize(("lead", "slower"), [(0.0999, False), (0.1001, True)])
def test_no_lead_within_the_floor_counts(lead: float, slower: bool) -> None:
    inputs = inputs_of([subject(2.0, FIRST), subject(2.0 * np.exp(lead), FIRST)], floor=0.1)
    assert front.slower_than(inputs, 0).tolist() == [False, slower]


@pytest.mark.parametrize(("errors", "slower"), [(2.99, False), (3.01, True)])
def test_without_paired_rounds_the_intervals_errors_add(errors: float, slower: bool) -> None:
    own = [np.log(width**2) / (2 * 1.96) for width in (1.1, 1.3)]
    far = 2.0 * np.exp(errors * np.hypot(*own))
    unequal = [subject(2.0, FIRST), subject(far, FIRST[:3], 1.3), None]
    single = [subject(2.0, FIRST[:1]), subject(far, FIRST[:1], 1.3), None]
    for latencies in ([subject(2.0), subject(far, (), 1.3), None], unequal, single):
        slower_ones = front.slower_than(inputs_of(latencies), 0)
        assert slower_ones.tolist() == [False, slower, False]


def test_draws_without_rounds_have_the_intervals_spread_and_none_where_it_is_senseless() -> None:
    odd = replace(subject(2.0), p50=Measured(2.0, 0.0, 3.0))
    turned = replace(subject(4.0), p50=Measured(4.0, 5.0, 3.0))
    inputs = inputs_of([subject(3.0), odd, turned])
    drawn = front.draw_latency(inputs, np.random.default_rng(0), 20_000, "p50")
    np.testing.assert_allclose(drawn.mean(0), np.log([3.0, 2.0, 4.0]), atol=2e-3)
    np.testing.assert_allclose(drawn.std(0), [np.log(1.1) / 1.96, 0.0, 0.0], rtol=0.03, atol=1e-9)
    lone = front.draw_latency(inputs_of([None, odd]), np.random.default_rng(0), 3, "p50")
    assert np.isnan(lone[:, 0]).all()
    assert (lone[:, 1] == np.log(2.0)).all()


def test_who_beats_is_the_surest_of_those_that_may_ship() -> None:
    # columns: whom; 2 is better than 0 by 1 error, than 1 by 3.33; 0 is better than 1 by 3
    inputs = inputs_of([subject(1.0), subject(9.0), subject(1.0)])
    faster = np.ones((3, 3), dtype=bool)
    assert front.beaten(inputs, faster) == [None, 2, None]
    assert front.beaten(inputs, faster, 0.0013) == [2, 0, None]  # 3.3 / 2 errors; 4.3 and 4.2
    assert front.beaten(inputs, faster, 0.0011) == [None, 0, None]  # 3.1 / 2 errors
    assert front.beaten(inputs, faster & (np.arange(3) != 2)[:, None]) == [None, 0, None]
    device = replace(inputs.candidates[2], measuring_device=True)
    shipped = replace(inputs, candidates=(*inputs.candidates[:2], device))
    assert front.beaten(shipped, faster) == [None, 0, None]
    assert front.beaten(replace(inputs, pairs=replace(PAIRS, c_all=3.1)), faster) == [None, 2, None]
    assert front.beaten(replace(inputs, pairs=replace(PAIRS, c_all=3.34)), faster) == [None] * 3


def test_groups_are_runs_in_which_no_pair_differs() -> None:
    def grouped(auc: list[float], c_all: float) -> tuple[tuple[int, ...], ...]:
        value = np.array(auc)
        pairs = Pairs(value[:, None] - value, SE, DF, c_all, 1.0)
        of = tuple(Measured(v, v, v) for v in auc)
        return front.tied_groups(inputs_of([None] * 3, auc=of, pairs=pairs))

    assert grouped([0.70, 0.72, 0.71], 1.0) == ((1,), (2,), (0,))
    assert grouped([0.700, 0.7015, 0.7005], 1.0) == ((1, 2), (2, 0))
    assert grouped([0.700, 0.7009, 0.7005], 1.0) == ((1, 2, 0),)
    assert grouped([0.70, 0.70, 0.70], 1.0) == ((0, 1, 2),)  # ties keep the inputs' order


def test_a_front_leaves_out_who_has_no_latency_or_cannot_ship() -> None:
    rng = np.random.default_rng(1)
    inputs = inputs_of([subject(1.0, FIRST), None, subject(2.0, SECOND)])
    draws = np.array([[0.7, 0.9, 0.71], [0.7, 0.9, 0.69]])
    edge = front.frontier(inputs, draws, rng, margin=0.004, drawn="p99")
    assert edge.on_front == (True, False, True)
    assert edge.probability == (1.0, 0.0, 0.5)
    device = replace(inputs.candidates[2], measuring_device=True)
    inputs = replace(inputs, candidates=(*inputs.candidates[:2], device))
    edge = front.frontier(inputs, draws, rng, margin=0.004, drawn="p99")
    assert (edge.on_front, edge.probability) == ((True, False, False), (1.0, 0.0, 0.0))


def test_the_margin_judges_what_latency_is_worth_and_zero_what_dominates() -> None:
    inputs = inputs_of([subject(9.0), subject(8.0), subject(1.0)])  # 2 is fastest and best
    auc = np.array([[0.70, 0.71, 0.72]])
    edge = front.frontier(inputs, auc, np.random.default_rng(0), margin=0.0013, drawn="p50")
    assert edge.dominated_by == (None, 2, None)
    assert edge.not_worth == (2, 2, None)
    assert edge.on_front == (False, False, True)


def test_the_band_has_its_quantiles_where_every_draw_has_somebody() -> None:
    rng = np.random.default_rng(4)
    gains = rng.normal([0.0, 0.05, 0.02], 0.01, (4000, 3))
    still = [replace(subject(ms), p50=Measured(ms, ms, ms)) for ms in (1.0, 2.0)]
    device = Candidate("x", measuring_device=True, latency=still[0])
    inputs = inputs_of([*still, None])
    grid = np.array([0.99, 1.0, 1.5, 2.0])
    for third in (inputs.candidates[2], device):
        inputs = replace(inputs, candidates=(*inputs.candidates[:2], third))
        band = front.band(inputs, gains, rng, grid, "p50")
        assert band.latency_ms.tolist() == grid.tolist()
        assert np.isnan(band.gain[:, 0]).all()
        slow, both = gains[:, 0], gains[:, :2].max(1)
        for at, best in ((1, slow), (2, slow), (3, both)):
            np.testing.assert_allclose(band.gain[:, at], np.quantile(best, [0.025, 0.5, 0.975]))
    wobbly = replace(
        inputs, candidates=(Candidate("w", latency=subject(1.0)), *inputs.candidates[1:])
    )
    half = front.band(wobbly, gains, rng, np.array([1.0]), "p50")
    assert np.isnan(half.gain).all()  # half the draws are slower than 1 ms


def test_inputs_name_and_count_who_may_ship() -> None:
    inputs = inputs_of([None, None, None])
    device = replace(inputs.candidates[1], measuring_device=True)
    inputs = replace(inputs, candidates=(inputs.candidates[0], device, inputs.candidates[2]))
    assert (inputs.size, inputs.index("s2"), inputs.shippable) == (3, 2, [0, 2])
