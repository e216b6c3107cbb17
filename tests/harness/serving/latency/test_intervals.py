"""Intervals, floor and smallest differences on planted arrays; no clock is read."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.serving.latency.intervals import (
    Difference,
    beyond_floor,
    difference,
    log_quantiles,
    quantile_interval,
    smallest_difference,
)


def _woodruff_by_hand(rounds: list[np.ndarray], p: float) -> tuple[float, float, float]:
    """The reference's formula, spelled out with loops; shares are exact fractions."""
    everything = sorted(float(x) for r in rounds for x in r)
    value = float(np.percentile(everything, 100 * p))
    shares = [Fraction(sum(bool(x <= value) for x in r), len(r)) for r in rounds]
    mean = sum(shares) / len(shares)
    top = sum((a - mean) * (b - mean) for a, b in zip(shares[1:], shares[:-1], strict=True))
    bottom = sum((a - mean) ** 2 for a in shares)
    r = min(max(float(top / bottom), 0.0), 0.8) if bottom else 0.0
    sd = float(bottom / (len(shares) - 1)) ** 0.5
    se = max(sd / len(shares) ** 0.5, (p * (1 - p) / len(everything)) ** 0.5)
    se *= ((1 + r) / (1 - r)) ** 0.5
    t = stats.t.ppf(0.975, len(shares) - 1)
    ends = []
    for sign in (-1, 1):
        logit = np.log(p / (1 - p)) + sign * t * se / (p * (1 - p))
        ends.append(float(np.percentile(everything, 100 / (1 + np.exp(-logit)))))
    return value, ends[0], ends[1]


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_interval_is_woodruffs_with_rounds_as_clusters(p):
    rng = np.random.default_rng(3)
    rounds = [rng.lognormal(0.1 * rng.normal(), 0.2, 60) for _ in range(12)]
    result = quantile_interval(rounds, p)
    assert result[:3] == pytest.approx(_woodruff_by_hand(rounds, p), rel=1e-9)


def _coverage(draw, truth, p, draws=200):
    hits = sum(
        low <= truth <= high
        for low, high in (quantile_interval(draw(), p)[1:3] for _ in range(draws))
    )
    return hits / draws


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_interval_covers_the_truth_of_independent_samples(p):
    rng = np.random.default_rng(17)
    truth = float(stats.lognorm(0.15).ppf(p))
    covered = _coverage(lambda: [rng.lognormal(0, 0.15, 100) for _ in range(20)], truth, p)
    assert 0.91 <= covered <= 1.0


def test_interval_covers_where_rounds_differ_and_samples_alone_would_not():
    rng = np.random.default_rng(5)

    def draw():
        return [np.exp(0.03 * rng.normal() + 0.05 * rng.normal(size=100)) for _ in range(20)]

    assert 0.91 <= _coverage(draw, 1.0, 0.5) <= 1.0
    merged = 0
    for _ in range(200):  # the same samples, dealt to rounds at random: the clusters are lost
        pooled = np.concatenate(draw())
        result = quantile_interval(list(rng.permutation(pooled).reshape(20, 100)), 0.5)
        merged += result.low <= 1.0 <= result.high
    assert merged / 200 < 0.75


def test_slow_drift_widens_the_interval_by_the_lag_term():
    rng = np.random.default_rng(9)
    level = np.sin(np.arange(20) / 3) * 0.1
    rounds = [np.exp(x + 0.01 * rng.normal(size=100)) for x in level]
    mixed = [rounds[i] for i in rng.permutation(20)]
    width = [f.high - f.low for f in (quantile_interval(r, 0.5) for r in (rounds, mixed))]
    assert width[0] > 1.3 * width[1]


def test_interval_says_where_its_upper_end_is_open():
    rng = np.random.default_rng(1)
    rounds = [rng.lognormal(0, 1, 10) for _ in range(5)]
    assert quantile_interval(rounds, 0.99).at_least
    assert not quantile_interval(rounds, 0.5).at_least


def test_one_round_is_refused():
    with pytest.raises(ValueError, match="got 1 rounds, expected at least 2"):
        quantile_interval([np.ones(5)], 0.5)
    with pytest.raises(ValueError, match="got 1 rounds, expected at least 2"):
        difference([1.0], [2.0])


def test_difference_is_students_paired_interval():
    rng = np.random.default_rng(2)
    a, b = rng.normal(0.1, 0.02, 20), rng.normal(0, 0.02, 20)
    result = difference(a, b)
    oracle = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((oracle.low, oracle.high))


def test_log_quantiles_are_taken_by_round():
    rounds = [np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 30.0])]
    assert np.exp(log_quantiles(rounds, 0.5)) == pytest.approx([2.0, 20.0])


@pytest.mark.parametrize("p", [0.5, 0.99])
def test_planted_equal_subjects_seldom_differ(p):
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        x, y, z = (rng.lognormal(0, 0.1, (20, 100)) for _ in range(3))
        twins = difference(log_quantiles(x, p), log_quantiles(y, p))
        wrong += beyond_floor(difference(log_quantiles(x, p), log_quantiles(z, p)), twins)
    assert wrong / 200 <= 0.05


def test_floor_is_the_distance_plus_the_half_width():
    a = np.log([1.02, 1.00, 1.04, 1.02])
    result = difference(a, np.zeros(4))
    assert result.floor == pytest.approx(abs(result.mean) + result.half)
    lasting = 0.005  # equal sessions that stay apart for longer than a round
    rng = np.random.default_rng(4)
    under, under_distance = 0, 0
    for _ in range(100):
        offsets = rng.normal(0, lasting, 3)
        x, y, z = (o + rng.normal(0, 0.01, 20) for o in offsets)
        pair = difference(x, y)
        under += abs(difference(x, z).mean) < pair.floor
        under_distance += abs(difference(x, z).mean) < abs(pair.mean)
    assert under >= 85  # |d| + h
    assert under_distance < 65  # |d| alone


def test_a_difference_must_pass_the_floor_and_its_own_interval():
    sharp, wide = Difference(0.010, 0.002, 0.001, 20), Difference(0.10, 0.12, 0.06, 20)
    assert not beyond_floor(sharp, Difference(0.01, 0.01, 0.005, 20))
    assert beyond_floor(sharp, Difference(-0.002, 0.003, 0.0015, 20))
    assert not beyond_floor(wide, Difference(-0.002, 0.003, 0.0015, 20))
    assert not beyond_floor(Difference(-0.10, 0.09, 0.045, 20), Difference(0.02, 0.001, 0.0005, 20))


def test_a_burst_in_one_visit_of_one_session_makes_no_difference():
    """One visit in forty slowed by 20 to 40 %, as neighbours of a virtual machine do it."""
    rng = np.random.default_rng(5)
    over_bar, over_twins = 0, 0
    for _ in range(400):
        x, y, z = rng.normal(0, 0.005, (3, 20)) + (rng.random((3, 20)) < 0.025) * rng.uniform(
            0.2, 0.4, (3, 20)
        )
        twins, pair = difference(x, y), difference(x, z)
        over_bar += beyond_floor(pair, twins)
        over_twins += abs(pair.mean) > twins.floor
    assert over_bar <= 4
    assert over_twins >= 40  # what the twins alone would have let through


def test_smallest_difference_is_found_four_times_out_of_five():
    rng = np.random.default_rng(8)
    sd, rounds, twins = 0.05, 20, Difference(0.0, 0.0, 0.0, 20)
    claimed = smallest_difference([sd / rounds**0.5], rounds, twins)
    results = [
        beyond_floor(difference(claimed + rng.normal(0, sd, rounds), np.zeros(rounds)), twins)
        for _ in range(1000)
    ]
    assert 0.74 <= np.mean(results) <= 0.86


def test_smallest_difference_is_never_below_the_floor():
    twins = Difference(-0.003, 0.010, 0.005, 20)
    assert smallest_difference([1e-6], 20, twins) == pytest.approx(0.013, rel=1e-3)


@pytest.mark.parametrize("rounds", [3, 8])
@pytest.mark.parametrize("half", [0.0, 0.9])
@pytest.mark.parametrize("power", [None, 0.9])
def test_smallest_difference_is_the_bar_and_what_power_adds(rounds, half, power):
    """By hand, where t of few rounds is far from a normal's: the typical error is the median."""
    twins = Difference(-0.03, half, half / 4, rounds)
    free = rounds - 1
    bar = 0.03 + max(half, stats.t.ppf(0.975, free) * 0.02)
    expected = bar + stats.t.ppf(power or 0.8, free) * 0.02
    options = {} if power is None else {"power": power}
    errors = [0.5, 0.01, 0.02]
    assert smallest_difference(errors, rounds, twins, **options) == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_two_rounds_are_enough_for_an_interval(level):
    result = difference([0.3, 0.1], [0.1, 0.2], level)
    oracle = stats.ttest_rel([0.3, 0.1], [0.1, 0.2]).confidence_interval(level)
    assert (result.low, result.high) == pytest.approx((oracle.low, oracle.high))
    assert result.error == pytest.approx(np.std([0.2, -0.1], ddof=1) / np.sqrt(2))
    assert result.rounds == 2
    assert quantile_interval([[1.0, 3.0], [2.0, 5.0]], 0.5, level).value == 2.5


def test_neighbouring_rounds_alike_widen_the_interval_by_a_correlation_up_to_eight_tenths():
    """Against the formula by hand: rounds in two long runs, in turns, in pairs, and all alike."""
    for shape in ([0] * 10 + [1] * 10, [0, 1] * 10, [0, 0, 1, 1] * 5, [0] * 20, [0] * 5):
        rounds = [np.arange(1.0, 8.0) + 2.0 * at for at in shape]
        rounds = [np.concatenate([part, [9.0] * 3]) for part in rounds]
        result = quantile_interval(rounds, 0.5)
        assert result[:3] == pytest.approx(_woodruff_by_hand(rounds, 0.5), rel=1e-9)


@pytest.mark.parametrize("groups", [5, 10, 20, 30])
def test_rounds_with_the_same_share_have_no_correlation(groups):
    """The mean of equal shares may be off in its last digit, which is none, either."""
    for below in range(1, 100):
        rounds = [np.repeat([1.0, 3.0], [below, 100 - below])] * groups
        value, low, high, _ = quantile_interval(rounds, below / 200)
        error = (below / 200 * (1 - below / 200) / (100 * groups)) ** 0.5
        reach = stats.t.ppf(0.975, groups - 1) * error / (below / 200 * (1 - below / 200))
        center = np.log(below / (200 - below))
        ends = [100 / (1 + np.exp(-(center + by))) for by in (-reach, reach)]
        assert value == 1.0
        assert (low, high) == pytest.approx(tuple(np.percentile(rounds, ends)))


def test_an_upper_end_is_open_above_the_last_but_one_sample():
    """Of samples 0, 1, ... the end itself says between which two it lies."""
    results = set()
    for count in range(4, 40):
        for p in (0.5, 0.8, 0.9, 0.95):
            samples = np.arange(2.0 * count)
            result = quantile_interval([samples[::2], samples[1::2]], p)
            assert result.at_least == (result.high > 2 * count - 2)
            results.add(result.at_least)
    assert results == {True, False}


def test_a_difference_at_the_bar_is_none():
    change = Difference(0.75, 0.25, 0.125, 20)
    for twins in (Difference(0.5, 0.25, 0.125, 20), Difference(-0.5, 0.125, 0.0625, 20)):
        assert not beyond_floor(change, twins)
        assert beyond_floor(change._replace(mean=-0.7500001), twins)


@pytest.mark.parametrize("seed", range(6))
def test_samples_at_the_quantile_count_as_below_it(seed):
    """Whole milliseconds, most of them equal to the median itself."""
    rng = np.random.default_rng(seed)
    rounds = [rng.integers(1, 4, 9 + 2 * at).astype(float) for at in range(6)]
    result = quantile_interval(rounds, 0.5, 0.95)
    assert result.value == 2.0
    assert result[:3] == pytest.approx(_woodruff_by_hand(rounds, 0.5), rel=1e-9)
