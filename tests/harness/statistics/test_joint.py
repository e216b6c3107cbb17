"""The joint model against the full covariance matrix, scipy's quantiles and planted truth."""

import json
import time

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.paired import pooled_correlation
from fusefront.harness.statistics.record import model_of, model_record

SEEDS = {"a": 3, "b": 4, "c": 2}


def planted(seed=0, clusters=500):
    """An accumulator and the columns it saw."""
    rng = np.random.default_rng(seed)
    sums = Accumulator.empty(tuple(SEEDS), clusters, clusters)
    common = rng.normal(size=clusters)
    columns, values = {}, {}
    for name, count in SEEDS.items():
        own = rng.normal(size=clusters)
        for r in range(count):
            column = (common + 0.5 * own + 0.3 * rng.normal(size=clusters)) / clusters
            columns[name, r] = column - column.mean()
            values[name, r] = 0.7 + 0.01 * rng.normal()
            sums.add(name, values[name, r], columns[name, r])
    return sums.joint(), columns, values


def test_parts_equal_the_formulas_on_the_full_matrix():
    model, columns, values = planted()
    m = 500
    psi = np.array(list(columns.values()))
    sigma = m / (m - 1) * psi @ psi.T
    place = {name: [i for i, key in enumerate(columns) if key[0] == name] for name in SEEDS}
    for i, a in enumerate(SEEDS):
        block = sigma[np.ix_(place[a], place[a])]
        n = len(block)
        inside = (block.sum() - np.trace(block)) / (n * (n - 1))
        assert model.K[i, i] == pytest.approx(inside, rel=1e-5)
        assert model.interaction[i] == pytest.approx(np.trace(block) / n - inside, rel=1e-4)
        assert model.s2[i] == pytest.approx(
            np.var([values[k] for k in values if k[0] == a], ddof=1)
        )
        for j, b in enumerate(SEEDS):
            if i == j:
                continue
            assert model.K[i, j] == pytest.approx(
                sigma[np.ix_(place[a], place[b])].mean(), rel=1e-5
            )
            weights = np.zeros(len(columns))
            weights[place[a]], weights[place[b]] = 1 / len(place[a]), -1 / len(place[b])
            expected = weights @ sigma @ weights
            assert model.trained_variance[i, j] == pytest.approx(expected, rel=1e-4)


def simple(K, s2, n, mc=100_000, theta=None):
    size = len(s2)
    return JointModel(
        tuple(f"s{i}" for i in range(size)),
        np.zeros(size) if theta is None else np.array(theta, float),
        np.array(s2, float),
        np.array(n),
        np.array(K, float),
        np.zeros(size),
        np.zeros((size, size)),
        mc,
        mc,
    )


def test_seeds_alone_give_welchs_test():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=4), 0.5 + 3 * rng.normal(size=6)
    model = simple(
        np.zeros((2, 2)), [a.var(ddof=1), b.var(ddof=1)], [4, 6], theta=[a.mean(), b.mean()]
    )
    expected = stats.ttest_ind(a, b, equal_var=False)
    pair = model.pair(0, 1)
    interval = expected.confidence_interval(0.95)
    assert pair.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert pair.df == pytest.approx(expected.df, rel=1e-9)
    assert (pair.low, pair.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    narrow = expected.confidence_interval(0.90)
    assert model.pair(0, 1, 0.90).low == pytest.approx(narrow.low, rel=1e-9)


def test_a_simultaneous_interval_is_never_narrower_than_that_of_one_difference():
    model = simple([[2.0, 1.5], [1.5, 2.0]], [0.0, 0.0], [3, 3], mc=41)
    alone = model.pair(0, 1)
    wide = model.simultaneous(0, 1, 2.5)
    assert (wide.low, wide.high) == pytest.approx((wide.difference - 2.5, wide.difference + 2.5))
    for critical in (2.0, float("nan")):  # t of 40 degrees of freedom is 2.02
        assert model.simultaneous(0, 1, critical) == pytest.approx(alone)
    few = simple(np.eye(2), [np.nan, 1.0], [1, 3])
    assert np.isnan(few.simultaneous(0, 1, 2.5)[3:]).all()


def test_the_error_of_one_difference_at_the_width_of_many():
    model = simple([[2.0, 1.5], [1.5, 2.0]], [0.0, 0.0], [3, 3], mc=41)
    assert model.alone_alpha(0, 1, 2.7) == pytest.approx(2 * stats.t.sf(2.7, 40))
    for critical in (1.96, float("nan")):
        assert model.alone_alpha(0, 1, critical) == pytest.approx(0.05)


def test_without_seed_variance_only_rows_count():
    model = simple([[2.0, 1.5], [1.5, 2.0]], [0.0, 0.0], [3, 3], mc=41)
    assert model.variance[0, 1] == pytest.approx(1.0)
    assert model.df(0, 1) == pytest.approx(40)


def test_one_seed_gives_no_interval_for_the_strategies():
    model = simple(np.eye(2), [np.nan, 1.0], [1, 3])
    pair = model.pair(0, 1)
    assert np.isnan([pair.low, pair.high, pair.p]).all()
    assert np.isfinite(model.draw(np.random.default_rng(0), 10)).all()


def test_variance_is_never_below_that_of_the_trained_models():
    model = simple(np.zeros((2, 2)), [0.0, 0.0], [3, 3])
    floored = JointModel(**{**vars_of(model), "floor": np.diag([1.0, 2.0])})
    assert floored.variance[0, 1] == pytest.approx(3.0)


def vars_of(model):
    return {name: getattr(model, name) for name in JointModel.__dataclass_fields__}


@pytest.mark.parametrize("size", [2, 3, 6])
def test_c_all_without_seed_variance_is_the_studentized_range(size):
    model = simple(np.eye(size), [0.0] * size, [3] * size)
    expected = stats.studentized_range.ppf(0.95, size, np.inf) / np.sqrt(2)
    assert model.c_all == pytest.approx(expected, abs=0.03)


def test_c_base_without_seed_variance_is_dunnetts():
    size = 5
    model = simple(np.eye(size), [0.0] * size, [3] * size)
    half = np.full((size - 1, size - 1), 0.5) + 0.5 * np.eye(size - 1)
    rng = np.random.default_rng(0)
    t = np.abs(rng.multivariate_normal(np.zeros(size - 1), half, 400_000)).max(1)
    assert model.c_base(0) == pytest.approx(np.quantile(t, 0.95), abs=0.03)


def test_c_all_grows_when_seeds_are_few():
    few, many = (simple(np.zeros((4, 4)), [1.0] * 4, [n] * 4).c_all for n in (3, 30))
    assert few > many + 0.5


def uneven(size, rho=0.0):
    """Strategies whose row parts, seed variances and seeds differ; one has one seed, one none."""
    rng = np.random.default_rng(size)
    A = rng.normal(size=(size, size // 2)) / np.sqrt(size)
    s2, n = rng.uniform(0.1, 4, size), rng.integers(2, 6, size)
    s2[1], n[1], s2[2] = np.nan, 1, 0.0
    K = A @ A.T + 0.3 * np.eye(size)
    K[3] = K[0]
    K[:, 3] = K[:, 0]  # the same rows as another, to the last digit
    K[3, 3] = K[0, 3] = K[3, 0] = K[0, 0]
    floor = K + np.diag(0.4 * np.nan_to_num(s2) / n)
    names = tuple(f"s{i}" for i in range(size))
    return JointModel(names, np.zeros(size), s2, n, K, np.zeros(size), floor, 900, 200, rho)


@pytest.mark.parametrize(("size", "rho"), [(5, 0.0), (5, 0.6), (16, 0.0), (16, 0.6)])
def test_pairs_that_are_passed_over_do_not_change_the_quantile(size, rho):
    model = uneven(size, rho)
    null = model.null
    largest = np.zeros(len(null.rows))
    for a in range(size):
        for b in range(a):
            if model.variance[a, b] > 0:
                error = model.row_part[a, b] * null.rows + null.estimated[a] + null.estimated[b]
                error -= 2 * rho * np.sqrt(null.estimated[a] * null.estimated[b])
                error = np.maximum(error, model.trained_variance[a, b] * null.rows)
                t = np.abs(null.value[a] - null.value[b]) / np.sqrt(error)
                largest = np.maximum(largest, t)
    assert model.c_all == pytest.approx(np.quantile(largest, 0.95), abs=1e-12)


def test_c_all_of_many_strategies_is_the_studentized_range():
    model = simple(np.eye(200), [0.0] * 200, [10] * 200)
    expected = stats.studentized_range.ppf(0.95, 200, np.inf) / np.sqrt(2)
    assert model.c_all == pytest.approx(expected, abs=0.06)


@pytest.mark.slow
@pytest.mark.timed
def test_200_strategies_cost_less_than_a_third_of_the_plain_loop_over_pairs():
    model = uneven(200)
    start = time.process_time()
    assert model.c_all > model.c_base(0) > 1.96
    own = time.process_time() - start
    null = model.null
    start = time.process_time()
    for b in range(1, 200):  # one in a hundred of the pairs, with every draw
        t = (null.value[0] - null.value[b]) / np.sqrt(
            np.maximum(
                model.row_part[0, b] * null.rows + null.estimated[0] + null.estimated[b],
                model.trained_variance[0, b] * null.rows,
            )
        )
        assert np.isfinite(t).all()
    plain = 100 * (time.process_time() - start)
    assert own < plain / 3


def test_draws_have_the_models_errors():
    model, _, _ = planted()
    model = simple(model.K, [1e-4] * 3, [12] * 3, theta=[0.1, 0.2, 0.3])
    draws = model.draw(np.random.default_rng(0), 200_000)
    np.testing.assert_allclose(draws.mean(0), model.theta, atol=5e-4)
    # a seed variance that is only estimated widens the draws by df / (df - 2)
    expected = model.K + np.diag(model.s2 / 12 * 11 / 9)
    np.testing.assert_allclose(np.cov(draws.T), expected, rtol=0.05, atol=2e-5)


def test_two_way_errors_are_user_plus_item_minus_cell():
    user, item = planted(1)[0], planted(2)[0]
    cell = planted(3)[0]
    crossed = user.crossed(item, cell)
    np.testing.assert_allclose(crossed.K, user.K + item.K - cell.K)
    np.testing.assert_allclose(crossed.floor, user.floor + item.floor - cell.floor)


def test_a_model_survives_json():
    model = planted()[0]
    again = model_of(json.loads(json.dumps(model_record(model))))
    for name in JointModel.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    assert again.c_all == model.c_all


@pytest.mark.parametrize("name", ["theta", "s2", "interaction"])
def test_a_record_whose_arrays_do_not_fit_is_refused(name):
    record = model_record(planted()[0])
    record[name] = record[name][:2]
    with pytest.raises(ValueError, match=rf"^{name}: got \[2\], expected \[3\]$"):
        model_of(record)


def test_an_unknown_strategy_is_named():
    with pytest.raises(ValueError, match="got strategy 'x', expected one of: a, b, c"):
        planted()[0].index("x")


def test_few_clusters_give_no_interval():
    model = simple(np.eye(2), [1.0, 1.0], [3, 3], mc=9)
    assert np.isnan(model.pair(0, 1).low)
    assert np.isnan(model.trained_pair(0, 1).low)


def test_shared_seed_effects_are_found_and_absent_ones_are_not_invented():
    rng = np.random.default_rng(0)
    shared = np.sqrt(0.7) * rng.normal(size=(1, 200)) + np.sqrt(0.3) * rng.normal(size=(8, 200))
    assert pooled_correlation(shared) == pytest.approx(0.7, abs=0.1)
    correlations = [pooled_correlation(rng.normal(size=(5, 3))) for _ in range(300)]
    assert np.mean(correlations) < 0.03
    assert pooled_correlation(np.zeros((3, 3))) == 0.0
    for few in (shared[:1], shared[:, :1], np.where(np.arange(8)[:, None] < 1, np.nan, shared)):
        assert pooled_correlation(few) == 0.0
