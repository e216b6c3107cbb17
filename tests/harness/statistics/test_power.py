"""Power and planning against statsmodels, scipy and simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.table import in_words
from fusefront.harness.statistics.planner import plan, upper_bound
from fusefront.harness.statistics.power import (
    Components,
    Settle,
    detectable,
    power,
    round_up,
    rows_factor,
    seeds_needed,
    settle,
)


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_power_over_seeds_equals_statsmodels(seeds):
    parts = Components(0.0, 2.0, 0.0, 1000)
    result = power(1.5, parts.variance(1, seeds), parts.df(1, seeds))
    expected = TTestIndPower().power(1.5, seeds, 0.05, alternative="two-sided")
    assert result == pytest.approx(expected, abs=2e-3)  # theirs counts the wrong side, too


def test_the_detectable_effect_is_seen_with_80_percent():
    for variance, df in ((1.0, 4.0), (2.5e-7, 11.3), (1.0, 1e6)):
        effect = detectable(variance, df, 0.01)
        assert power(effect, variance, df, 0.01) == pytest.approx(0.80, abs=1e-3)
    assert detectable(1.0, 1e6) == pytest.approx(
        stats.norm.ppf(0.975) + stats.norm.ppf(0.8), abs=1e-3
    )
    assert np.isnan(detectable(np.nan, 3.0))
    for df in (4.0, 1e6):  # in units of the error
        assert detectable(900.0, df) == pytest.approx(30 * detectable(1.0, df), rel=1e-3)


def test_promised_power_is_kept_in_simulation():
    rng = np.random.default_rng(0)
    K, sd, seeds, draws = 1.0, 1.5, 5, 20_000
    parts = Components(K, 2 * sd**2, 0.0, 100_000)
    effect = detectable(parts.variance(1, seeds), parts.df(1, seeds))
    theta = sd * rng.normal(size=(draws, 2, seeds))
    means, s2 = theta.mean(2), theta.var(2, ddof=1)
    difference = effect + np.sqrt(K) * rng.normal(size=draws) + means[:, 0] - means[:, 1]
    variance = K + s2.sum(1) / seeds
    df = variance**2 / (K**2 / 1e5 + ((s2 / seeds) ** 2).sum(1) / (seeds - 1))
    observed = difference / np.sqrt(variance) > stats.t.ppf(0.975, df)
    assert observed.mean() == pytest.approx(0.80, abs=0.02)


def test_rows_and_seeds_found_reach_the_power_and_fewer_do_not():
    parts = Components(1e-6, 2e-6, 1e-6, 50_000)
    factor = rows_factor(parts, 0.004, 5)
    assert power(0.004, parts.variance(factor, 5), parts.df(factor, 5)) == pytest.approx(
        0.8, abs=1e-3
    )
    seeds = seeds_needed(parts, 0.004)
    reached = [power(0.004, parts.variance(1, n), parts.df(1, n)) for n in (seeds - 1, seeds)]
    assert reached[0] < 0.8 <= reached[1]


def test_some_differences_are_out_of_reach_of_rows_or_of_seeds():
    noisy_seeds = Components(1e-8, 2e-6, 0.0, 50_000)
    assert rows_factor(noisy_seeds, 0.001, 3) is None
    assert seeds_needed(noisy_seeds, 0.001) is not None
    few_rows = Components(1e-6, 2e-8, 0.0, 50_000)
    assert seeds_needed(few_rows, 0.001) is None
    assert rows_factor(few_rows, 0.001, 3) is not None
    assert rows_factor(few_rows, 0.001, 1) is None  # one seed never decides


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Settle(None, 4), "rows alone cannot decide 0.001; needs about 4 more seeds each"),
        (Settle(5000, None), "seeds alone cannot decide 0.001; needs about 5,000 more rows"),
        (Settle(5000, 4), "needs about 5,000 more rows or 4 more seeds each for 0.001"),
        (Settle(None, None), "neither rows nor seeds alone can decide 0.001; needs more of both"),
        (Settle(0, 0), "a difference of 0.001 would have been seen with 80 % power"),
    ],
)
def test_what_would_settle_it_is_said_in_words(needs, words):
    assert in_words(needs, 0.001) == words


def test_rounding_goes_up_to_two_digits():
    assert [round_up(v) for v in (0, 7.2, 101, 123_456)] == [0, 8, 110, 130_000]


def pilot(seed_sd, seeds=3, row_se=0.0005):
    return JointModel(
        ("base", "rival"),
        np.array([0.7, 0.701]),
        np.full(2, seed_sd**2),
        np.full(2, seeds),
        np.eye(2) * row_se**2 / 2,
        np.zeros(2),
        np.zeros((2, 2)),
        20_000,
        20_000,
    )


def test_the_pilots_seed_variance_is_taken_at_its_upper_bound():
    assert upper_bound(2.0, 3) == pytest.approx(2.0 * 2 / stats.chi2.ppf(0.2, 2))
    result = plan(0.002, pilot(0.001), pilot_rows=100_000)
    assert result.seed_sd == pytest.approx(0.001 * np.sqrt(2 / stats.chi2.ppf(0.2, 2)), rel=1e-6)


def test_the_plan_says_when_rows_alone_can_never_decide():
    result = plan(0.001, pilot(0.002), pilot_rows=100_000)
    assert result.lines[1].rows is None
    assert any("rows alone can never decide 0.001" in line for line in result.sentences)


def test_the_plan_says_when_seeds_alone_can_never_decide():
    result = plan(0.0005, pilot(0.00001), pilot_rows=100_000)
    assert result.seeds_alone is None
    assert any("seeds alone can never decide 0.0005" in line for line in result.sentences)


def test_the_plan_does_not_call_rows_too_few_where_seeds_are_too_noisy():
    result = plan(0.002, pilot_rows=1_000_000, row_se=0.00034, seed_sd=0.02)
    assert result.seeds_alone is None
    assert any("more than 1,000 seeds each would decide it" in line for line in result.sentences)
    assert not any("rows are too few" in line for line in result.sentences)


def test_days_of_traffic_are_rows_over_rows_a_day():
    result = plan(0.002, pilot(0.0003), pilot_rows=100_000, rows_per_day=5_000)
    line = result.lines[-1]
    assert line.days == pytest.approx(line.rows / 5_000)


def test_more_seeds_never_need_more_rows():
    rows = [line.rows for line in plan(0.002, pilot(0.0005)).lines if line.rows is not None]
    assert rows == sorted(rows, reverse=True)


def test_a_pilot_without_seeds_is_refused():
    with pytest.raises(ValueError, match="at least two seeds each"):
        plan(0.002, pilot(0.001, seeds=1))
    with pytest.raises(ValueError, match="expected a difference above 0"):
        plan(0.0)


def test_settle_counts_from_what_there_is():
    model = pilot(0.001, seeds=3)
    needs = settle(model, 100_000, 1, 0, 0.002)
    parts = Components(0.0005**2, 2 * 0.001**2, 0.0, 20_000)
    assert needs.seeds == seeds_needed(parts, 0.002) - 3


@pytest.mark.parametrize("alpha", [0.05, 1e-6, 3e-20])
def test_an_effect_is_found_at_every_error_that_a_family_may_leave_to_one(alpha):
    effect = detectable(1.0, 40.0, alpha)
    reach = -stats.t.ppf(alpha / 2, 40.0)
    assert stats.nct.sf(reach, 40.0, effect) == pytest.approx(0.80, abs=1e-3)
