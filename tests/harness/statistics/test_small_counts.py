"""Numbers at their smallest and limits at their boundary: two clusters, one row, one value too
many."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.statistics import largest_t, student
from fusefront.harness.statistics import rows as tables
from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.compare import _of_strategies
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.slices import _few
from fusefront.harness.statistics.judging.table import _why_none
from fusefront.harness.statistics.judging.variance import shares
from fusefront.harness.statistics.leverage import (
    cluster_shares,
    cluster_sums,
    effective_clusters,
)
from fusefront.harness.statistics.measures.calibration import _clustered_se
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.paired import pooled_correlation
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.rows import Axis, RowTable, cell_axis, contiguous, row_axis, units
from fusefront.harness.statistics.score_source import MemorySource


@pytest.mark.parametrize("clusters", [2, 3])
def test_a_bins_error_has_the_factor_of_its_few_clusters(clusters: int) -> None:
    """m / (m - 1) times the squares of the clusters' sums, a bin of two rows and one of three."""
    gap = np.array([0.3, -0.3, 0.4, -0.1, -0.3])
    code = np.array([0, 1, 0, 0, clusters - 1], np.int32)
    expected = []
    for bin_rows in (range(2), range(2, 5)):
        sums = [sum(gap[r] for r in bin_rows if code[r] == c) for c in range(clusters)]
        variance = clusters / (clusters - 1) * sum(each**2 for each in sums)
        expected.append(np.sqrt(variance) / len(bin_rows))
    np.testing.assert_allclose(_clustered_se(gap, np.array([0, 2]), code, clusters), expected)


def test_two_clusters_have_twice_the_products_of_their_influences() -> None:
    """m / (m - 1) is 2; one seed has no interaction, whatever its influences."""
    sums = Accumulator.empty(("a", "b"), 2, 2)
    for name, column in (("a", [0.5, -0.5]), ("b", [0.25, -0.25]), ("b", [0.5, -0.75])):
        sums.add(name, 0.7, np.array(column))
    model = sums.joint()
    b = np.array([[0.25, -0.25], [0.5, -0.75]])
    products = 2 * b @ b.T
    assert model.K[0, 0] == 2 * (0.25 + 0.25)
    assert model.K[0, 1] == pytest.approx(2 * np.array([0.5, -0.5]) @ b.mean(0))
    assert model.K[1, 1] == pytest.approx(products[0, 1])
    assert model.interaction.tolist() == pytest.approx(
        [0.0, np.trace(products) / 2 - model.K[1, 1]]
    )


def test_two_clusters_are_left_out_as_more_are() -> None:
    """(m - 1) / m times what a mean loses without each of them."""
    values, code = np.array([0.5, 2.0, 4.0]), np.array([0, 0, 1])
    axis = row_axis(code, np.array([0, 1, 1], np.uint8))
    sums = cluster_sums(axis, (values - values.mean()) / 3, "rows")
    expected = [(values.mean() - values[code != c].mean()) / 2 for c in (0, 1)]
    np.testing.assert_allclose(sums, expected)


def test_a_difference_that_varies_with_nothing_has_no_shares() -> None:
    zero, K = np.zeros(2), np.zeros((2, 2))
    model = JointModel(("a", "b"), zero, zero, np.full(2, 3), K, zero, K, 400, 400)
    assert shares(model, "a") == ()
    (share,) = shares(replace(model, s2=np.array([0.0, 3e-6])), "a")
    assert (share.strategy, share.rows, share.seeds, share.both) == ("b", 0.0, 1.0, 0.0)
    assert (share.buy, np.isnan(share.tuning)) == ("more seeds", True)


def test_one_row_or_unit_is_all_of_its_cluster_and_none_is_nothing() -> None:
    code = np.zeros(1, np.int32)
    for count, share, effective in ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)):
        axis = Axis(code, 1, 1, rows=np.array([count]), units=np.array([count]))
        assert cluster_shares(axis, "rows") == cluster_shares(axis, "units") == share
        assert effective_clusters(axis, "rows") == effective


def test_a_slice_is_warned_of_below_thirty_clusters() -> None:
    assert _few(30) == ""
    assert _few(29) == "few clusters (29): the interval is approximate below 30"


def test_predictions_are_identical_where_every_number_is() -> None:
    """Both zeros are one number; a difference of 1e-9 is one."""
    n = 40
    label = (np.arange(n) % 2).astype(np.uint8)
    rows = RowTable(label, *(np.arange(n) for _ in range(4)))
    base = np.where(np.arange(n) < 3, 0.0, np.arange(n)).astype(np.float32)
    scores = {"base": base, "minus": np.where(base == 0, np.float32(-0.0), base)}
    scores["near"] = np.where(base == 0, np.float32(1e-9), base)
    source = MemorySource(rows, {name: {0: each} for name, each in scores.items()})
    panel = collect(source, PanelRequest(Layout(rows), "test", ("auc",)))
    assert panel.identical("base", "minus")
    assert not panel.identical("base", "near")


def test_a_family_has_every_draw_of_the_null() -> None:
    zero = np.zeros(3)
    model = JointModel(
        ("a", "b", "c"), zero, zero + 1e-6, np.full(3, 3), np.eye(3) * 1e-6, zero, np.eye(3) * 0,
        400, 400,
    )  # fmt: skip
    largest = model.family(0, np.ones(3, bool)).largest
    null = model.null
    error = [
        model.row_part[0, b] * null.rows + null.estimated[0] + null.estimated[b] for b in (1, 2)
    ]
    t = [np.abs(null.value[0] - null.value[b]) / np.sqrt(error[b - 1]) for b in (1, 2)]
    np.testing.assert_allclose(largest, np.sort(np.maximum(*t)))


def test_the_least_critical_value_is_the_normals_in_two_digits() -> None:
    for level, least in ((0.95, 1.96), (0.975, 2.24), (0.99, 2.58)):
        for largest in (1.5, 0.5):
            assert largest_t._critical(np.full(10, largest), level) == least


@pytest.mark.parametrize(
    "values",
    [
        [7],
        [9, 2, 9],
        [0, 16],
        [0, 15],
        [3, 2**60, 3],
        [-5, 40, 0, -5],
        [0, 31, 7, 7],
        [-(2**62), 2**62],
    ],
)
def test_codes_are_places_among_the_distinct_values(values: list[int]) -> None:
    """However far apart they are: no table of all values between is made."""
    code, size = contiguous(np.array(values))
    distinct = sorted(set(values))
    assert (code.tolist(), size) == ([distinct.index(each) for each in values], len(distinct))


def test_a_cluster_is_large_above_a_ten_thousandth_of_all_pairs() -> None:
    """A positive and a negative each: 1 of 100 x 100 pairs is not, 1 of 99 x 99 is."""
    label = np.tile([0, 1], 100).astype(np.uint8)
    assert row_axis(np.arange(200) // 2, label).large is None
    large = row_axis(np.arange(198) // 2, label[:198]).large
    assert large is not None
    assert large.cluster.tolist() == list(range(99))
    assert row_axis(np.arange(4) // 2, label[:4] * 0).large is None  # one class


def test_rows_of_a_unit_keep_their_order() -> None:
    of = units(np.array([5, 2, 5, 2, 2, 9]), np.array([1, 0, 0, 1, 0, 1], np.uint8))
    assert of.order.tolist() == [1, 3, 4, 0, 2, 5]
    assert (of.start.tolist(), of.size.tolist()) == ([0, 3, 5], [3, 2, 1])
    assert of.both.tolist() == [True, True, False]


def test_as_many_cells_as_the_limit_are_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    user, item = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 0])
    label = np.array([0, 1, 0, 1, 0, 1], np.uint8)
    monkeypatch.setattr(tables, "MOST_CELLS", 5)
    whole = cell_axis(user, item, label)
    assert (whole.size, whole.chosen, whole.scale) == (5, None, 1.0)
    monkeypatch.setattr(tables, "MOST_CELLS", 4)
    part = cell_axis(user, item, label)
    assert part.chosen is not None
    assert (part.size, part.scale) == (4, pytest.approx(np.sqrt(5 / 4)))
    assert set(part.code.tolist()) == set(range(4))


def test_students_t_has_any_degrees_of_freedom() -> None:
    for df in (1.0, 2.5, 30.0, 1e12, np.inf):
        assert float(student.quantile(df, 0.9)) == pytest.approx(stats.t.ppf(0.9, df), rel=1e-8)
        for t in (-1.5, 1.5):
            assert student.two_sided(df, t) == pytest.approx(2 * stats.t.sf(1.5, df), rel=1e-8)
    several = student.quantile(np.array([3.0, np.inf]), 0.975)
    np.testing.assert_allclose(several, stats.t.ppf(0.975, [3.0, np.inf]), rtol=1e-8)


def four(n: int, clusters: int = 400) -> JointModel:
    zero = np.zeros(4)
    return JointModel(
        ("a", "b", "c", "d"), zero, zero + 1e-6, np.full(4, n), np.eye(4) * 1e-6, zero,
        np.zeros((4, 4)), clusters, clusters,
    )  # fmt: skip


def test_two_seeds_are_no_reason_for_no_verdict() -> None:
    panel = cast(Any, SimpleNamespace(identical=lambda a, b: False))
    for n, reason in ((1, "'b' has one seed: "), (2, "no interval: only 5 clusters hold ")):
        assert _why_none(panel, four(n, clusters=5), "b", "a").startswith(reason)


def test_pairs_of_strategies_leave_controls_out() -> None:
    model = four(3)
    some = np.array([True, True, True, False])
    assert _of_strategies(model, some) == model.c_among(some) < model.c_all
    assert _of_strategies(model, np.ones(4, bool)) == model.c_all


@pytest.mark.parametrize(("strategies", "seeds"), [(2, 40), (3, 12), (40, 2), (6, 3)])
def test_the_correlation_of_seeds_is_the_mean_of_all_pairs_less_an_error(
    strategies: int, seeds: int
) -> None:
    rng = np.random.default_rng(strategies)
    values = 2 * np.resize([-1.0, 1.0, 0.5], seeds) + rng.normal(size=(strategies, seeds))
    values += rng.normal(size=(strategies, 1))  # levels of their own
    covariance = np.cov(values)
    apart = ~np.eye(strategies, dtype=bool)
    mean = covariance[apart].mean() / np.diag(covariance).mean()
    expected = mean - 1 / np.sqrt((strategies - 1) * (seeds - 1))
    assert 0.05 < expected < 0.95
    assert pooled_correlation(values) == pytest.approx(expected)
    alone = values - values.mean(0)
    assert pooled_correlation(alone) == 0.0  # what differs on purpose is not correlated


def test_equal_seeds_of_equal_strategies_keep_a_twentieth_apart() -> None:
    assert pooled_correlation(np.tile(np.arange(50.0), (50, 1))) == 0.95
