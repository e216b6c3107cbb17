"""The joint model's numbers by the formulas of docs/statistics.md, pair by pair, nothing equal."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.statistics import largest_t
from fusefront.harness.statistics.accumulate import Accumulator, _gram
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.record import model_record

NAMES = ("a", "b", "c", "d")
SEEDS = (3, 5, 1, 2)
S2 = (4e-6, 9e-6, float("nan"), 1e-6)
M, MC = 50, 21


def uneven(rho=0.0, n=SEEDS, mc=MC):
    """Four strategies of other seeds, variances and covariances; c has one seed.

    The trained models' own variance is above that of the strategies for c and d only.
    """
    root = np.array([[3, 0, 0, 0], [2, 1.5, 0, 0], [1, 1, 2, 0], [2.5, -1, 0.5, 1]]) * 1e-3
    K = root @ root.T
    floor = K + np.diag([1e-7, 2e-7, 5e-6, 4e-6])
    theta = np.array([0.71, 0.722, 0.70, 0.735])
    interaction = np.array([1e-6, 2.5e-6, 0.0, 3e-6])
    return JointModel(NAMES, theta, np.array(S2), np.array(n), K, interaction, floor, M, mc, rho)


def parts(model, a, b):
    """Variance of a - b from rows, from the seeds of each, and of the trained models."""
    rows = model.K[a, a] + model.K[b, b] - 2 * model.K[a, b]
    floor = model.floor[a, a] + model.floor[b, b] - 2 * model.floor[a, b]
    return rows, model.s2[a] / model.n[a], model.s2[b] / model.n[b], floor


@pytest.mark.parametrize("rho", [0.0, 0.4])
@pytest.mark.parametrize(("a", "b"), [(0, 1), (1, 0), (0, 3), (1, 3)])
def test_a_difference_has_the_error_of_rows_and_of_both_sides_seeds(a, b, rho):
    model = uneven(rho)
    rows, of_a, of_b, floor = parts(model, a, b)
    variance = max(rows + of_a + of_b - 2 * rho * np.sqrt(of_a * of_b), floor)
    df = max(rows + of_a + of_b, floor) ** 2 / (
        rows**2 / (MC - 1) + of_a**2 / (model.n[a] - 1) + of_b**2 / (model.n[b] - 1)
    )
    difference = model.theta[a] - model.theta[b]
    for pair, level in ((model.pair(a, b), 0.95), (model.pair(a, b, 0.90), 0.90)):
        half = stats.t.ppf(0.5 + level / 2, df) * np.sqrt(variance)
        assert pair.difference == pytest.approx(difference, rel=1e-12)
        assert (pair.se, pair.df) == pytest.approx((np.sqrt(variance), df), rel=1e-9)
        assert (pair.low, pair.high) == pytest.approx((difference - half, difference + half))
        assert pair.p == pytest.approx(2 * stats.t.sf(abs(difference) / np.sqrt(variance), df))


def test_the_trained_models_differ_by_their_own_rows_alone():
    model = uneven()
    floor = parts(model, 2, 1)[3]
    half = stats.t.ppf(0.975, MC - 1) * np.sqrt(floor)
    pair = model.trained_pair(2, 1)
    assert (pair.se, pair.df) == pytest.approx((np.sqrt(floor), MC - 1), rel=1e-12)
    assert (pair.low, pair.high) == pytest.approx((-0.022 - half, -0.022 + half), rel=1e-9)
    ninety = model.trained_pair(2, 1, 0.90)
    assert ninety.high + 0.022 == pytest.approx(stats.t.ppf(0.95, MC - 1) * np.sqrt(floor))


@pytest.mark.parametrize("place", range(4))
def test_one_strategy_has_its_own_error(place):
    model = uneven()
    rows = model.K[place, place]
    seeds = 0.0 if SEEDS[place] == 1 else S2[place] / SEEDS[place]
    total = max(rows + seeds, model.floor[place, place])
    df = total**2 / (rows**2 / (MC - 1) + seeds**2 / max(SEEDS[place] - 1, 1))
    value, se, freedom = model.alone(place)
    assert value == model.theta[place]
    assert (se, freedom) == pytest.approx((np.sqrt(total), df), rel=1e-9)


def test_nothing_that_varies_has_no_error_and_the_clusters_freedom():
    zero = np.zeros((2, 2))
    still = JointModel(
        ("a", "b"),
        np.array([0.5, 0.6]),
        np.zeros(2),
        np.array([3, 3]),
        zero,
        np.zeros(2),
        zero,
        9,
        8,
    )
    assert still.alone(0).df == 7
    assert np.isnan(still.alone(0).se)  # eight clusters of a class are too few for an interval
    assert still.df(0, 1) == np.inf


def test_net_variance_is_what_endless_rows_leave_and_never_negative():
    model = uneven()
    np.testing.assert_allclose(model.net_s2, [3e-6, 6.5e-6, np.nan, 0.0])


def test_equal_rows_that_rounding_parts_are_equal():
    K = np.array([[0.3, 0.3], [0.3, 0.3 + 3e-17]])
    model = JointModel(
        ("a", "b"), np.zeros(2), np.ones(2), np.array([3, 3]), K, np.zeros(2), K, 99, 99
    )
    assert K[1, 1] > K[0, 0]
    assert model.row_part[0, 1] == 0.0
    apart_K = np.array([[0.3, 0.3], [0.3, 0.3 + 3e-9]])
    apart = replace(model, K=apart_K)
    assert apart.row_part[0, 1] == pytest.approx(3e-9, rel=1e-6)


def test_draws_of_many_seeds_have_rows_seeds_and_their_correlation():
    model = uneven(rho=0.5, n=(400, 600, 1, 500))
    model = replace(model, s2=np.array([4e-3, 9e-3, np.nan, 1e-3]))
    draws = model.draw(np.random.default_rng(3), 100_000)
    seeds = np.sqrt(np.nan_to_num(model.s2) / model.n)
    expected = model.K + 0.5 * np.outer(seeds, seeds) + 0.5 * np.diag(seeds**2)
    np.testing.assert_allclose(np.cov(draws.T), expected, atol=0.02 * expected.max())
    np.testing.assert_allclose(draws.mean(0), model.theta, atol=1e-4)
    assert draws.shape == (100_000, 4)


def test_the_null_draws_what_would_be_seen_were_all_equal():
    model = uneven(rho=0.3)
    value, observed, rows, _ = model.null
    seeds = np.nan_to_num(np.array(S2)) / SEEDS
    expected = model.K + 0.3 * np.sqrt(np.outer(seeds, seeds)) + 0.7 * np.diag(seeds)
    assert value.shape == observed.shape == (4, 50_000)
    np.testing.assert_allclose(np.cov(value), expected, atol=0.02 * expected.max())
    np.testing.assert_allclose(value.mean(1), 0.0, atol=1e-4)
    freedom = np.maximum(np.array(SEEDS) - 1, 1)
    np.testing.assert_allclose(observed.mean(1), seeds, rtol=0.03)
    np.testing.assert_allclose(observed.var(1), 2 * seeds**2 / freedom, rtol=0.08)
    assert rows.mean() == pytest.approx(1.0, abs=0.005)
    assert rows.var() == pytest.approx(2 / (MC - 1), rel=0.05)


@pytest.mark.parametrize(
    ("size", "draws"), [(2, 50_000), (50, 50_000), (100, 25_000), (133, 18_796), (300, 10_000)]
)
def test_the_null_keeps_within_bounded_memory(size, draws):
    first = np.ones(size)
    model = JointModel(
        tuple(map(str, range(size))), first, first, np.full(size, 3), np.eye(size), 0 * first,
        np.eye(size), 99, 99,
    )  # fmt: skip
    assert model.null.value.shape == (size, draws)


@pytest.mark.parametrize("baseline", [0, 1, 3])
def test_c_base_is_the_quantile_over_the_baselines_pairs(baseline):
    model = uneven(rho=0.3)
    value, observed, rows, _ = model.null
    largest = np.zeros(len(rows))
    for other in range(4):
        if other == baseline or not model.variance[baseline, other] > 0:  # c has one seed
            continue
        error = model.row_part[baseline, other] * rows + observed[baseline] + observed[other]
        error -= 0.6 * np.sqrt(observed[baseline] * observed[other])
        error = np.maximum(error, model.trained_variance[baseline, other] * rows)
        largest = np.maximum(largest, np.abs(value[baseline] - value[other]) / np.sqrt(error))
    expected = max(1.96, np.quantile(largest, 0.95))
    assert model.c_base(baseline) == pytest.approx(expected, abs=1e-12)


def test_a_family_is_of_its_members_alone():
    model = uneven(rho=0.3)
    members = np.array([True, True, False, True])  # the baseline itself counts not
    every, some, lone = (
        model.family(1, np.array(mask))
        for mask in ([True] * 4, members, [False, False, False, True])
    )
    assert some.members.tolist() == [True, False, False, True]
    assert lone.critical(0.95) < some.critical(0.95) <= every.critical(0.95)
    assert some.critical(0.95) == model.c_base(1)  # c has one seed
    counted = np.mean(lone.largest > 1.7)
    assert lone.exceeded(1.7) == lone.exceeded(-1.7) == counted
    assert 0 < counted < some.exceeded(1.7) < 1
    nobody = model.family(1, np.zeros(4, bool))
    assert np.isnan(nobody.critical(0.95))


def test_all_pairs_of_some_are_the_pairs_of_a_model_without_the_others():
    model = uneven(rho=0.3)
    assert model.c_among(np.ones(4, bool)) == model.c_all
    two = model.c_among(np.array([True, False, False, True]))
    assert two == pytest.approx(
        model.family(0, np.array([False, False, False, True])).critical(0.95)
    )
    assert two < model.c_all


def test_a_critical_value_is_at_least_that_of_one_comparison():
    assert largest_t._critical(np.full(100, 1.9), 0.95) == 1.96
    assert largest_t._critical(np.full(100, 2.5), 0.95) == pytest.approx(2.5)
    assert np.isnan(largest_t._critical(np.zeros(100), 0.95))
    t = np.arange(1001) / 100.0
    assert largest_t._critical(t, 0.95) == pytest.approx(9.5)


def test_two_ways_take_the_fewer_clusters_and_no_negative_part():
    user, item = uneven(), uneven(mc=15)
    item = replace(item, m=40)
    cell = replace(uneven(), interaction=np.array([3e-6, 1e-6, 0, 9e-6]))
    both = user.crossed(item, cell)
    np.testing.assert_allclose(both.interaction, [0.0, 4e-6, 0.0, 0.0])
    assert (both.m, both.mc) == (40, 15)
    other = item.crossed(user, cell)
    assert (other.m, other.mc) == (40, 15)


def test_the_record_holds_the_errors_as_they_were():
    model = uneven(rho=0.2)
    content = model_record(model)
    np.testing.assert_array_equal(np.array(content["se"], float), model.se)  # null is NaN
    np.testing.assert_array_equal(np.array(content["df"], float), model.dfs)
    assert (content["m"], content["mc"], content["rho"]) == (50, 21, 0.2)


def test_a_matrix_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"K: got \(4, 4\), expected \[S, S\] with S = 2"):
        replace(uneven(), names=("a", "b"))


def test_a_strategy_of_one_seed_is_its_trained_model():
    rng = np.random.default_rng(0)
    result = Accumulator.empty(("one", "two"), 30, 12)
    column = {name: rng.normal(size=30) for name in ("one", "two 0", "two 1")}
    result.add("one", 0.6, column["one"])
    result.add("two", 0.7, column["two 0"])
    result.add("two", 0.8, column["two 1"])
    model = result.joint(0.25)
    scale = 30 / 29
    assert (model.m, model.mc, model.rho) == (30, 12, 0.25)
    assert model.n.tolist() == [1, 2]
    np.testing.assert_allclose(model.theta, [0.6, 0.75])
    np.testing.assert_allclose(model.s2, [np.nan, 0.005])
    mean = (column["two 0"] + column["two 1"]) / 2
    expected = scale * column["one"] @ column["one"]
    assert model.K[0, 0] == pytest.approx(expected, rel=1e-5)
    assert model.floor[0, 0] == pytest.approx(expected, rel=1e-5)
    assert model.interaction[0] == 0.0
    between = scale * column["two 0"] @ column["two 1"]
    assert model.K[1, 1] == pytest.approx(between, rel=1e-4)
    assert model.floor[1, 1] == pytest.approx(scale * mean @ mean, rel=1e-5)
    assert model.K[0, 1] == pytest.approx(scale * column["one"] @ mean, rel=1e-4)
    own = scale * (column["two 0"] @ column["two 0"] + column["two 1"] @ column["two 1"]) / 2
    assert model.interaction[1] == pytest.approx(own - between, rel=1e-4)
    alone = result.select(("two",)).joint()
    assert alone.theta.tolist() == pytest.approx([0.75])
    assert alone.K[0, 0] == model.K[1, 1]


def test_one_cluster_divides_by_one():
    result = Accumulator.empty(("a",), 1, 1)
    result.add("a", 0.5, np.array([2.0]))
    assert result.joint().K[0, 0] == 4.0


def test_the_gram_matrix_is_the_same_in_blocks():
    columns = np.random.default_rng(1).normal(size=(3, 10)).astype(np.float32)
    wide = columns.astype(np.float64)
    np.testing.assert_allclose(_gram(columns, block=3), wide @ wide.T, rtol=1e-12)
