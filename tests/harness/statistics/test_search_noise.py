"""The noise of a search against resamples that are listed one by one, and simulated searches."""

import functools
import itertools
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.search_noise import (
    FACTOR,
    best_chances,
    doubling_gain,
    noise_of_trials,
    noise_of_tunings,
    over_searches,
    search_variance,
)

FIVE = (0.712, 0.705, 0.690, 0.701, 0.698)  # median .701


def every_best(values, drawn):
    """The best of each of all equally likely resamples."""
    return np.array([max(draw) for draw in itertools.product(values, repeat=drawn)])


def test_the_variance_is_that_over_all_resamples_with_a_floor_at_the_median():
    floored = [max(value, 0.701) for value in FIVE]
    listed = every_best(floored, 5)
    assert len(listed) == 3125
    assert search_variance(FIVE) == pytest.approx(FACTOR * listed.var(), rel=1e-9)
    diverged = (0.5 if value == 0.690 else value for value in FIVE)
    assert search_variance(tuple(diverged)) == search_variance(FIVE)


def test_few_trials_have_no_floor_and_one_says_nothing():
    few = (0.70, 0.60, 0.65)
    assert search_variance(few) == pytest.approx(FACTOR * every_best(few, 3).var(), rel=1e-9)
    assert np.isnan(search_variance((0.7,)))
    assert np.isnan(doubling_gain(()))


def test_a_resample_holds_each_value_as_its_best_as_often_as_listed():
    ranked = (4.0, 3.0, 2.0, 1.0)
    listed = every_best(ranked, 4)
    shares = [float(np.mean(listed == value)) for value in ranked]
    np.testing.assert_allclose(best_chances(4, 4), shares, atol=1e-12)


def test_doubling_is_what_the_second_half_brought():
    ranked = (0.71, 0.70, 0.69, 0.68)
    expected = every_best(ranked, 4).mean() - every_best(ranked, 2).mean()
    assert doubling_gain(ranked) == pytest.approx(expected, rel=1e-9)


def test_four_searches_of_alike_budgets_steady_each_other():
    wide = tuple(0.70 + 0.01 * k for k in range(5))
    own = {name: search_variance(v) for name, v in (("wide", wide), ("five", FIVE))}
    trials = {"a": wide, "b": FIVE, "c": FIVE, "d": FIVE}
    noise = noise_of_trials(trials)
    mean = (own["wide"] + 3 * own["five"]) / 4
    assert noise.df == 4
    assert noise.variance["a"] == pytest.approx((own["wide"] + mean) / 2)
    assert noise.variance["b"] == pytest.approx((own["five"] + mean) / 2)
    three = noise_of_trials({name: trials[name] for name in "abc"})
    assert three == ({"a": own["wide"], "b": own["five"], "c": own["five"]}, 2, "trials")
    longer = noise_of_trials({**trials, "d": FIVE + FIVE + (0.7,)})  # 11 trials beside 5
    assert longer.df == 2
    assert longer.variance["b"] == own["five"]
    fewer = noise_of_trials({**trials, "d": FIVE[:4]})
    assert set(fewer.variance) == {"a", "b", "c"}
    assert noise_of_trials({"a": FIVE[:4]}) is None


def model(size=3, theta=None, s2=4.0, search=None):
    return JointModel(
        tuple("abcdefgh"[:size]),
        np.zeros(size) if theta is None else np.array(theta, float),
        np.full(size, s2),
        np.full(size, 4),
        np.eye(size),
        np.zeros(size),
        np.zeros((size, size)),
        500,
        500,
        search=search,
    )


def test_searches_are_a_third_term_of_variance_and_freedom():
    noise = noise_of_trials({"a": FIVE, "b": (0.0, 1.0, 2.0, 3.0, 5.0)})
    wide = over_searches(model(), ("c", "a"), noise)
    v = noise.variance["a"]
    assert wide.names == ("c", "a")
    assert wide.variance[0, 1] == pytest.approx(2 + 2 * 4 / 4 + v)
    uncertain = 2**2 / 499 + 2 * 1**2 / 3 + v**2 / 2
    assert wide.df(0, 1) == pytest.approx((4 + v) ** 2 / uncertain)
    assert model().variance[0, 1] == 4  # without searches nothing changes


def test_the_largest_difference_is_drawn_with_the_searches_in_it():
    spread = np.array([0.0, 30.0, 10.0, 20.0])
    wide = replace(model(4, search=spread), search_df=4.0)
    rng = np.random.default_rng(5)
    draws = 40_000
    freedom = np.array([3, 3, 3, 3])
    value = rng.standard_normal((draws, 4)) * np.sqrt(1 + 1 + spread)
    seeds = rng.chisquare(freedom, (draws, 4)) / freedom
    search = spread * rng.chisquare(4, (draws, 4)) / 4
    rows = rng.chisquare(499, draws)[:, None] / 499
    part = 1 * rows + seeds + search
    t = np.abs(value[:, 1:] - value[:, :1]) / np.sqrt(part[:, 1:] + part[:, :1])
    assert wide.c_base(0) == pytest.approx(np.quantile(t.max(1), 0.95), rel=0.02)
    every = [
        np.abs(value[:, i] - value[:, j]) / np.sqrt(part[:, i] + part[:, j])
        for i, j in itertools.combinations(range(4), 2)
    ]
    assert wide.c_all == pytest.approx(np.quantile(np.max(every, 0), 0.95), rel=0.02)
    assert wide.c_base(0) > 1.1 * model(4).c_base(0)


def test_whole_searches_that_were_repeated_are_the_estimate_of_choice():
    tuned = {"a": [1.0, 5.0, 3.0], "b": [2.0, 2.0, 8.0]}
    noise = noise_of_tunings(model(), tuned)
    expected = np.mean([np.var(values, ddof=1) - 4 / 4 for values in tuned.values()])
    assert noise.variance == pytest.approx({"a": expected, "b": expected})
    assert (noise.df, noise.source) == (4, "tuning runs")
    assert noise_of_tunings(model(), {"a": [1.0, 2.0], "b": [1.0]}) is None
    assert noise_of_tunings(model(), {"a": [1.0, 1.0]}).variance == {"a": 0.0}


def test_searches_that_go_by_their_trials_are_wider_and_long_ones_the_more():
    """Placed where earlier ones were good they resemble each other more than another search."""
    rng = np.random.default_rng(4)
    for count, times in (
        (5, 1.25),
        (10, 1.25),
        (20, 1.25 * 2 ** (2 / 3)),
        (40, 1.25 * 4 ** (2 / 3)),
    ):
        values = rng.random(count).tolist()
        plain = noise_of_trials({"a": values})
        guided = noise_of_trials({"a": values}, guided=True)
        assert guided.variance["a"] == pytest.approx(times * plain.variance["a"])
        assert guided.df == plain.df


@pytest.mark.parametrize(("left", "right"), [(5, 5), (20, 20), (20, 5)])
def test_intervals_hold_the_truth_over_random_searches(searching: ModuleType, left, right):
    sides = [searching.pools(searching.random_search, t, 6, 40) for t in (left, right)]
    cell = searching.coverage(*sides, error=3.0, draws=400)
    assert 0.925 <= cell.covered <= 0.99
    assert cell.without < 0.8


@pytest.fixture(scope="module")
def real_pools(searching: ModuleType):
    """Forty searches of each of nine surfaces, by sampler and trials; each made once."""
    return functools.cache(
        lambda searcher, trials: searching.pools(searching.SEARCHERS[searcher], trials, 9, 40)
    )


EQUAL, UNEQUAL = [(n, n) for n in (5, 10, 20, 40)], [(20, 5), (20, 10), (40, 10)]


@pytest.mark.slow
@pytest.mark.parametrize(("left", "right"), [*EQUAL, *UNEQUAL])
@pytest.mark.parametrize("searcher", ["random", "TPE"])
def test_intervals_hold_the_truth_over_real_searches(
    searching: ModuleType, real_pools, searcher, left, right
):
    sides = real_pools(searcher, left), real_pools(searcher, right)
    cell = searching.coverage(*sides, error=5.0, draws=2000, guided=searcher == "TPE")
    assert 0.925 <= cell.covered <= 0.99
    assert cell.without < cell.covered - 0.05


@pytest.mark.slow
@pytest.mark.parametrize("trials", [10, 40])
def test_intervals_of_eight_searched_strategies_hold_at_once(
    searching: ModuleType, real_pools, trials
):
    cell = searching.simultaneous(real_pools("TPE", trials)[:8], 3.0, 200, guided=True)
    assert cell.covered >= 0.91  # .95 less 2.5 standard errors
    assert cell.without < 0.5
