"""Power and plans by the non-central t of scipy, one number at a time: no search, no bound."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.planner import plan
from fusefront.harness.statistics.power import (
    Components,
    components,
    detectable,
    endless_seeds,
    power,
    round_up,
    rows_factor,
    seeds_needed,
    settle,
)

PARTS = Components(rows=4e-6, seeds=3e-6, interaction=2e-6, mc=40)


def chance(effect, variance, df, alpha=0.05):
    """Power of a two-sided t test on its own side."""
    return stats.nct.sf(stats.t.ppf(1 - alpha / 2, df), df, effect / np.sqrt(variance))


def of_parts(parts, effect, factor, seeds, alpha=0.05):
    """Power with `factor` times the rows and `seeds` seeds each; each side has half the seeds'."""
    rows = parts.rows / factor
    half = (parts.seeds + parts.interaction / factor) / seeds / 2
    df = (rows + 2 * half) ** 2 / (
        rows**2 / max(parts.mc * factor - 1, 1) + 2 * half**2 / (seeds - 1)
    )
    return chance(effect, rows + 2 * half, df, alpha)


def test_variance_and_freedom_at_more_rows_and_seeds():
    assert PARTS.variance(4, 5) == pytest.approx(1e-6 + (3e-6 + 0.5e-6) / 5)
    rows, seeds = 1e-6, 0.7e-6
    expected = (rows + seeds) ** 2 / (rows**2 / 159 + seeds**2 / 8)
    assert PARTS.df(4, 5) == pytest.approx(expected)
    assert PARTS.df(0.01, 1) == pytest.approx(  # never fewer than one degree of freedom
        (4e-4 + 2.03e-4) ** 2 / (4e-4**2 + 2.03e-4**2 / 2)
    )
    assert Components(0.0, 0.0, 0.0, 40).df(1, 3) == 1e9


def test_parts_of_a_pair_leave_out_a_strategy_of_one_seed():
    K = np.array([[3.0, 1.0, 0.5], [1.0, 4.0, 0.0], [0.5, 0.0, 2.0]])
    model = JointModel(
        ("a", "b", "c"), np.zeros(3), np.array([9.0, 4.0, np.nan]), np.array([3, 2, 1]),
        K, np.array([1.0, 6.0, 0.0]), K, 70, 55,
    )  # fmt: skip
    assert components(model, 0, 1) == Components(5.0, 8.0, 7.0, 55)
    assert components(model, 0, 2) == Components(4.0, 8.0, 1.0, 55)


@pytest.mark.parametrize(("effect", "df", "alpha"), [(2.0, 3.5, 0.05), (4.0, 12.0, 0.01)])
def test_power_is_that_of_the_noncentral_t(effect, df, alpha):
    assert power(effect, 2.25, df, alpha) == pytest.approx(chance(effect, 2.25, df, alpha))


def test_with_many_degrees_of_freedom_power_is_the_normals():
    for df in (4999.0, 5001.0, 1e9):
        expected = stats.norm.sf(stats.norm.ppf(0.995) - 2.0)
        assert power(3.0, 2.25, df, 0.01) == pytest.approx(expected, abs=3e-4)
    assert power(3.0, 2.25, 1e9, 0.01) == pytest.approx(expected, abs=1e-9)
    assert power(1e-9, 0.0, 5.0) == 1.0


@pytest.mark.parametrize(("df", "alpha", "target"), [(4.0, 0.05, 0.8), (30.0, 0.01, 0.9)])
def test_the_detectable_effect_solves_the_power(df, alpha, target):
    expected = optimize.brentq(lambda e: chance(e, 9.0, df, alpha) - target, 1e-6, 90)
    assert detectable(9.0, df, alpha, target) == pytest.approx(expected, abs=6e-4)
    assert detectable(0.0, df) == 0.0
    assert np.isnan(detectable(-1.0, df))


@pytest.mark.parametrize(("seeds", "effect"), [(2, 0.013), (3, 0.01), (8, 0.008)])
def test_the_factor_on_the_rows_solves_the_power(seeds, effect):
    factor = rows_factor(PARTS, effect, seeds, 0.02)
    assert of_parts(PARTS, effect, factor, seeds, 0.02) == pytest.approx(0.8, abs=1e-4)
    lower = rows_factor(PARTS, effect, seeds, 0.02, 0.6)
    assert of_parts(PARTS, effect, lower, seeds, 0.02) == pytest.approx(0.6, abs=1e-4)


def test_rows_never_fall_below_ten_clusters_of_each_class():
    assert rows_factor(PARTS, 1.0, 3) == pytest.approx(10 / 40)
    assert rows_factor(PARTS._replace(mc=0), 1.0, 3) == pytest.approx(10.0)
    assert rows_factor(PARTS, 1.0, 1) is None


def test_rows_are_endless_at_a_million_times():
    still = Components(4e-6, 0.0, 0.0, 4000)  # power grows with the root of the rows for ever
    needed = ((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * 2e-3) ** 2
    assert rows_factor(still, np.sqrt(needed / 0.98e6), 3) == pytest.approx(0.98e6, rel=1e-3)
    assert rows_factor(still, np.sqrt(needed / 1.02e6), 3) is None


@pytest.mark.parametrize("effect", [0.0095, 0.0075, 0.5])
def test_the_fewest_seeds_are_those_of_a_plain_search(effect):
    expected = next(n for n in range(2, 1001) if of_parts(PARTS, effect, 1, n, 0.02) >= 0.8)
    assert seeds_needed(PARTS, effect, 0.02) == expected


def test_a_thousand_seeds_are_the_most():
    noisy = Components(0.0, 2.0, 0.0, 10**6)
    assert seeds_needed(noisy, np.sqrt(7.849 * 2 / 990) * 1.0005) == 990
    assert seeds_needed(noisy, np.sqrt(7.849 * 2 / 1010)) is None


def test_endless_seeds_leave_the_rows_error():
    edge = optimize.brentq(lambda e: chance(e, 4e-6, 39) - 0.8, 1e-6, 1)
    assert endless_seeds(PARTS, edge * 1.001)
    assert not endless_seeds(PARTS, edge * 0.999)
    strict = optimize.brentq(lambda e: chance(e, 4e-6, 39, 0.01) - 0.8, 1e-6, 1)
    assert not endless_seeds(PARTS, strict * 0.999, 0.01)
    assert endless_seeds(PARTS._replace(mc=1), 1.0)


def pilot(names=("base", "quiet", "loud")):
    """Seeds 2, 4 and 3; `loud` differs most from `base`; its rows' own error is not its K."""
    K = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 0.4], [0.5, 0.4, 4.0]]) * 1e-6
    return JointModel(
        names,
        np.array([0.7, 0.701, 0.702]),
        np.array([5e-6, 1e-6, 8e-6]),
        np.array([2, 4, 3]),
        K,
        np.array([1e-6, 0.2e-6, 2e-6]),
        K + np.diag([0.5, 0.1, 0.7]) * 1e-6,
        900,
        50,
    )


def test_what_settles_a_pair_counts_from_its_fewer_seeds():
    model = replace(pilot(), K=20 * pilot().K)
    parts = Components(120e-6, 10e-6, 3e-6, 50)
    needs = settle(model, 30_000, 2, 0, 0.036, 0.02)
    factor = rows_factor(parts, 0.036, 2, 0.02)
    assert of_parts(parts, 0.036, factor, 2, 0.02) == pytest.approx(0.8, abs=1e-4)
    assert needs.rows == round_up((factor - 1) * 30_000)
    assert 1_000 <= needs.rows <= 1_100
    assert needs.seeds == 6 - 2
    assert of_parts(parts, 0.036, 1, 6, 0.02) >= 0.8 > of_parts(parts, 0.036, 1, 5, 0.02)
    assert settle(model, 30_000, 2, 0, 0.5) == (0, 0)
    assert settle(model, 30_000, 2, 0, 1e-6) == (None, None)


def bound(s2, seeds):
    return s2 * (seeds - 1) / stats.chi2.ppf(0.2, seeds - 1)


@pytest.mark.parametrize(("among", "name"), [((), "loud"), (("quiet",), "quiet")])
def test_a_plan_from_a_pilot_takes_the_noisiest_rival_at_its_upper_bounds(among, name):
    place = {"quiet": 1, "loud": 2}[name]
    model = pilot()
    result = plan(0.01, model, pilot_rows=20_000, baseline="base", among=among, comparisons=4)
    seeds, s2, both = model.n, model.s2, model.interaction
    net = sum(bound(s2[i], seeds[i]) - both[i] for i in (0, place))
    slack = stats.norm.ppf(0.8) * np.sqrt(2 / 50)
    rows = model.row_part[place, 0] + slack * model.trained_variance[place, 0]
    parts = Components(rows, net, both[0] + both[place], 50)
    assert result.basis == f"pilot: {name} against base, seed variance at its upper bound"
    assert result.row_se == pytest.approx(np.sqrt(rows))
    assert result.seed_sd == pytest.approx(np.sqrt((net + parts.interaction) / 2))
    assert (result.effect, result.alpha, result.rows, result.seeds) == (0.01, 0.0125, 20_000, 2)
    assert result.power_now == pytest.approx(of_parts(parts, 0.01, 1, 2, 0.0125), abs=1e-6)
    assert result.seeds_alone == seeds_needed(parts, 0.01, 0.0125)
    assert [line.seeds for line in result.lines] == [2, 3, 5, 8, 10, 20, 40]
    for line in result.lines:
        factor = rows_factor(parts, 0.01, line.seeds, 0.0125)
        assert line.rows == (None if factor is None else round_up(factor * 20_000))
        assert line.days is None
    fewest = [n for n in range(2, 41) if rows_factor(parts, 0.01, n, 0.0125)]
    assert result.fewest_seeds == fewest[0]


def test_the_pilots_own_seeds_are_a_line_of_the_plan():
    model = replace(pilot(), n=np.array([7, 4, 9]))
    result = plan(0.01, model, among=("loud",))
    assert result.seeds == 7
    assert [line.seeds for line in result.lines] == [2, 3, 5, 7, 8, 10, 20, 40]
    assert plan(0.01, model, baseline="loud", among=("base",)).basis.startswith(
        "pilot: base against loud"
    )


def test_a_seed_variance_below_its_interaction_is_none():
    steady = replace(pilot(), s2=np.full(3, 1e-9))
    assert plan(0.01, steady).seed_sd == pytest.approx(np.sqrt(3e-6 / 2))


def test_a_plan_without_a_pilot_says_what_it_assumes():
    result = plan(0.002, rows_per_day=50_000)
    parts = Components(0.00034**2, 2 * 0.001**2, 0.0, 50_000)
    assert result.basis == "assumed: no pilot was given"
    assert (result.rows, result.seeds, result.alpha) == (1_000_000, 3, 0.05)
    assert (result.row_se, result.seed_sd) == pytest.approx((0.00034, 0.001))
    assert result.power_now == pytest.approx(of_parts(parts, 0.002, 1, 3), abs=1e-6)
    assert result.power_now == pytest.approx(0.5, abs=0.2)
    for line in result.lines:
        factor = rows_factor(parts, 0.002, line.seeds)
        assert line.rows == (None if factor is None else round_up(factor * 1_000_000))
        assert line.days == (None if line.rows is None else line.rows / 50_000)
    assert plan(0.002, comparisons=0).alpha == 0.05


@pytest.mark.parametrize(
    ("effect", "row_se", "seed_sd", "sentences"),
    [
        (0.004, 0.0005, 0.001, ["On 1,000,000 rows 3 seeds each decide it."]),
        (
            0.001,
            0.0001,
            0.002,
            [
                "With 3 seeds rows alone can never decide 0.001: seeds differ too much.",
                "On 1,000,000 rows 70 seeds each decide it.",
                "No number of rows decides it with up to 40 seeds; make training less noisy or "
                "look for a larger effect.",
            ],
        ),
        (
            0.001,
            0.0001,
            0.001,
            [
                "With 3 seeds rows alone can never decide 0.001: seeds differ too much.",
                "On 1,000,000 rows 18 seeds each decide it.",
                "However many rows, at least 17 seeds each are needed.",
            ],
        ),
        (
            0.001,
            0.001,
            0.0001,
            ["On 1,000,000 rows seeds alone can never decide 0.001: rows are too few."],
        ),
        (
            0.002,
            0.0001,
            0.05,
            [
                "With 3 seeds rows alone can never decide 0.002: seeds differ too much.",
                "On 1,000,000 rows more than 1,000 seeds each would decide it: seeds differ too "
                "much.",
                "No number of rows decides it with up to 40 seeds; make training less noisy or "
                "look for a larger effect.",
            ],
        ),
    ],
)
def test_the_plan_is_said_in_sentences(effect, row_se, seed_sd, sentences):
    result = plan(effect, row_se=row_se, seed_sd=seed_sd)
    assert list(result.sentences) == sentences
    if result.seeds_alone is not None:
        parts = Components(row_se**2, 2 * seed_sd**2, 0.0, 50_000)
        reached = (n for n in range(2, 1001) if of_parts(parts, effect, 1, n) >= 0.8)
        assert result.seeds_alone == next(reached)


def test_a_pilot_that_cannot_tell_noise_is_refused():
    model = pilot()
    sentence = "the pilot cannot tell the noise of 'base' and another strategy"
    for changes in ({"n": np.array([1, 4, 3])}, {"n": np.array([2, 1, 1])}, {"mc": 9}):
        with pytest.raises(ValueError, match=sentence):
            plan(0.01, replace(model, **changes))
    with pytest.raises(ValueError, match=sentence):
        plan(0.01, model, among=("base", "nobody"))
    with pytest.raises(ValueError, match="got effect 0, expected a difference above 0"):
        plan(0)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [(-3.0, 0), (0.0, 0), (0.2, 1), (9.01, 10), (99.0, 99), (100.0, 100), (1_201.0, 1_300)],
)
def test_numbers_are_rounded_up_to_two_digits(value, rounded):
    assert round_up(value) == rounded
