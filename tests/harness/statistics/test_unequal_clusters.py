"""Clusters of very unequal size: leaving one out, effective clusters, who carries the intervals."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from fusefront.harness.statistics.auc import auc_influence, exact_auc, tie_groups
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.leverage import (
    auc_sums,
    cluster_shares,
    cluster_sums,
    effective_clusters,
)
from fusefront.harness.statistics.measures.metrics import METRICS, Layout, measure
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.record import model_of, model_record
from fusefront.harness.statistics.rows import MOST_CELLS, Axis, RowTable, cell_axis, row_axis
from fusefront.harness.statistics.score_source import MemorySource

SIZES = (700, 60, 1, 45, 90, 3, 22, 31, 80, 12, 54, 64)


@pytest.fixture(scope="module")
def rows() -> RowTable:
    """One user of 60 % of the rows; user 2 has one row; codes are no places."""
    rng = np.random.default_rng(3)
    user = np.repeat(np.arange(len(SIZES)) * 7 + 100, SIZES)
    count = len(user)
    label = (rng.random(count) < 0.3).astype(np.uint8)
    order = rng.permutation(count)
    request = (np.arange(count) // 3)[order]
    return RowTable(label, user[order], request, rng.integers(0, 40, count), np.arange(count))


@pytest.fixture(scope="module")
def scores(rows: RowTable) -> np.ndarray:
    """Rounded, so that many are tied."""
    rng = np.random.default_rng(4)
    return np.round(rng.standard_normal(len(rows.label)) + rows.label, 1).astype(np.float32)


def test_auc_sums_are_what_leaving_each_cluster_out_changes(
    rows: RowTable, scores: np.ndarray
) -> None:
    axis = row_axis(rows.group, rows.label)
    auc = auc_influence(tie_groups(scores, rows.label))
    sums = auc_sums(axis, auc, scores, rows.label)
    for code in range(axis.size):
        left = axis.code != code
        change = auc.value - roc_auc_score(rows.label[left], scores[left])
        exact = code in (axis.large.cluster if axis.large else ())
        near = pytest.approx(change * (axis.size - 1) / axis.size, abs=1e-12 if exact else 2e-4)
        assert sums[code] == near
    assert axis.large is not None
    assert len(axis.large.cluster) == 9  # but for the users of 1, 3 and 12 rows


def test_sums_of_a_mean_are_what_leaving_each_cluster_out_changes(
    rows: RowTable, scores: np.ndarray
) -> None:
    layout = Layout(rows)
    value = measure(layout, scores, ("logloss",)).values["logloss"]
    sums = value.summed(layout.axis, "rows")
    losses = np.logaddexp(0, scores.astype(float)) - rows.label * scores
    for code in range(layout.axis.size):
        left = layout.axis.code != code
        change = losses.mean() - losses[left].mean()
        assert sums[code] == pytest.approx(change * 11 / 12, abs=1e-12)


def test_group_auc_by_leaving_users_out(rows: RowTable, scores: np.ndarray) -> None:
    layout = Layout(rows)
    value = measure(layout, scores, ("group_auc",)).values["group_auc"]
    axis = layout.group_axis
    sums = value.summed(axis, METRICS["group_auc"].lever)
    users = [u for u in np.unique(rows.group) if 0 < rows.label[rows.group == u].mean() < 1]
    aucs = np.array(
        [exact_auc(scores[rows.group == u], rows.label[rows.group == u]) for u in users]
    )
    weight = np.array([(rows.group == u).sum() for u in users])
    whole = np.average(aucs, weights=weight)
    scale = (len(users) - 1) / len(users)
    for k in range(len(users)):
        left = np.arange(len(users)) != k
        change = whole - np.average(aucs[left], weights=weight[left])
        assert sums[k] == pytest.approx(change * scale, abs=1e-12)


def test_effective_clusters_by_hand() -> None:
    label = np.array([1, 0] * 10 + [1, 1, 1, 0], np.uint8)
    axis = row_axis(np.repeat(np.arange(11), [2] * 10 + [4]), label)
    share = np.array([(1 / 13 + 1 / 11) / 2] * 10 + [(3 / 13 + 1 / 11) / 2])
    assert cluster_shares(axis, "classes") == pytest.approx(share)
    assert effective_clusters(axis, "classes") == pytest.approx(1 / (share**2).sum())
    assert effective_clusters(axis, "rows") == pytest.approx(1 / (10 / 144 + 16 / 576))


def test_equal_clusters_count_as_many_and_change_little() -> None:
    rng = np.random.default_rng(0)
    label = np.tile(np.array([1, 0, 0, 1], np.uint8), 200)
    axis = row_axis(np.repeat(np.arange(200), 4), label)
    assert effective_clusters(axis, "classes") == pytest.approx(200)
    scores = rng.standard_normal(800).astype(np.float32)
    auc = auc_influence(tie_groups(scores, label))
    plain = np.bincount(axis.code, auc.rows, axis.size)
    assert auc_sums(axis, auc, scores, label) == pytest.approx(plain, rel=3 / 200, abs=1e-5)


def test_one_cluster_with_all_positives_divides_by_nothing() -> None:
    label = np.array([1, 1, 0, 0, 0, 0], np.uint8)
    axis = row_axis(np.array([0, 0, 0, 1, 2, 3]), label)
    auc = auc_influence(tie_groups(np.arange(6, dtype=np.float32), label))
    assert np.isfinite(auc_sums(axis, auc, np.arange(6, dtype=np.float32), label)).all()


def study(rows: RowTable, seeds: int = 3) -> MemorySource:
    rng = np.random.default_rng(5)
    base = rng.standard_normal(len(rows.label)) + rows.label
    scores = {
        name: {
            seed: (base + 0.5 * rng.standard_normal(len(base))).astype(np.float32)
            for seed in range(seeds)
        }
        for name in ("today", "rival")
    }
    return MemorySource(rows, scores)


def test_a_comparison_names_who_carries_its_intervals(rows: RowTable) -> None:
    comparison = compare(study(rows), Options("today", metrics=("auc",), workers=1))
    weight = comparison.weight
    assert weight is not None
    assert (weight.largest, weight.rows) == (100, 700)
    assert weight.positives == int(rows.label[rows.group == 100].sum())
    assert comparison.model.informative == pytest.approx(weight.effective)
    assert 2.0 < weight.effective < 3.0
    assert f"code 100: 700 of {sum(SIZES):,} rows" in " ".join(comparison.warnings)
    assert Comparison.from_dict(comparison.to_dict()).weight == weight


def test_an_interval_by_plain_loops(rows: RowTable) -> None:
    """Leaving users out one by one, the sums of seeds pair by pair, twice the effective users."""
    rng, users = np.random.default_rng(8), np.unique(rows.group)
    scores_of: dict[str, dict[int, np.ndarray]] = {}
    for name in ("today", "rival"):
        own = 2 * rng.standard_normal(len(users))[np.searchsorted(users, rows.group)] + rows.label
        scores_of[name] = {
            seed: (own + rng.standard_normal(len(own))).astype(np.float32) for seed in range(3)
        }
    source = MemorySource(rows, scores_of)
    model = collect(source, PanelRequest(Layout(rows), "test", ("auc",), workers=1)).models["auc"]
    m, n = len(users), 3
    whole, change = {}, {}
    for name in source.strategies:
        for seed in source.seeds(name):
            scores = source.logits(name, seed, "test")
            whole[name, seed] = roc_auc_score(rows.label, scores)
            change[name, seed] = [
                whole[name, seed] - roc_auc_score(rows.label[left], scores[left])
                for left in (rows.group != user for user in users)
            ]
    between = trained = 0.0
    for i in range(n):
        for j in range(n):
            pairs = zip(
                change["today", i], change["rival", i], change["today", j], change["rival", j],
                strict=True,
            )  # fmt: skip
            for a, b, c, d in pairs:
                trained += (m - 1) / m * (a - b) * (c - d) / n**2
                between -= (m - 1) / m * (a * d + b * c) / n**2
                if i != j:
                    between += (m - 1) / m * (a * c + b * d) / (n * (n - 1))
    seeds = [np.var([whole[name, s] for s in range(n)], ddof=1) / n for name in source.strategies]
    click = rows.label == 1
    shares = [
        (
            click[rows.group == u].sum() / click.sum()
            + (~click)[rows.group == u].sum() / (~click).sum()
        )
        / 2
        for u in users
    ]
    effective = 1 / sum(share**2 for share in shares)
    assert 2 < effective < 3
    assert between > 5 * sum(seeds)  # the rows' degrees of freedom are what is tested
    variance = max(between + sum(seeds), trained)
    freedom = 2 * effective - 1
    df = variance**2 / (between**2 / freedom + sum(s**2 for s in seeds) / (n - 1))
    pair = model.pair(0, 1)
    assert pair.df == pytest.approx(df, rel=1e-2)
    half = stats.t.ppf(0.975, df) * np.sqrt(variance)
    assert (pair.high - pair.low) / 2 == pytest.approx(half, rel=1e-2)  # small users: 2e-4 of AUC
    alone = model.alone(0)  # a metric by itself: every effective user but one
    rows_alone = model.K[0, 0] ** 2 / (effective - 1) + seeds[0] ** 2 / (n - 1)
    assert alone.df == pytest.approx(alone.se**4 / rows_alone, rel=1e-2)


@pytest.mark.parametrize(
    ("mc", "effective", "bound", "freedom", "alone"),
    [
        (12, 12.0, 1.0, 11, 11),
        (12, 12.0, 1.5, 17, 11),
        (150, 4.0, 1.0, 7, 3),
        (150, 4.0, 1.5, 7, 3),
        (40, 25.0, 1.0, 39, 24),
        (40, 25.0, 1.5, 49, 24),
        (40, 35.0, 1.5, 59, 34),
        (30, None, 1.0, 29, 29),
        (12, 1.0, 1.5, 1, 1),
    ],
)
def test_degrees_of_freedom_of_rows(
    mc: int, effective: float | None, bound: float, freedom: float, alone: float
) -> None:
    """With a bound: twice the effective clusters, at most so many times all; one metric: once."""
    unit = np.ones(1)
    model = JointModel(
        ("a",), unit, unit, np.array([3]), np.eye(1), unit, np.eye(1), mc, mc, effective=effective
    )
    assert (model.row_df, model.alone_df) == (alone, alone)
    bounded = replace(model, df_bound=bound)
    assert (bounded.row_df, bounded.alone_df) == (freedom, alone)
    assert model_of(model_record(bounded)).row_df == freedom
    assert bounded.crossed(bounded, bounded).row_df == freedom
    assert bounded.crossed(model, bounded).row_df == alone
    less = replace(model, df_bound=1.0)
    assert bounded.crossed(less, bounded).row_df == min(freedom, mc - 1)


def test_only_metrics_whose_coverage_was_simulated_count_clusters_twice(rows: RowTable) -> None:
    metrics = ("auc", "pr_auc", "logloss", "group_auc")
    models = collect(study(rows), PanelRequest(Layout(rows), "test", metrics, workers=1)).models
    assert [models[name].df_bound for name in metrics] == [1.5, 0.0, 1.0, 1.0]
    assert models["auc"].row_df == pytest.approx(2 * models["auc"].informative - 1)
    assert models["pr_auc"].row_df == pytest.approx(models["pr_auc"].informative - 1)


def test_one_who_is_nearly_all_leaves_no_interval() -> None:
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(40), [4000] + [4] * 39)
    label = np.tile(np.array([1, 0], np.uint8), len(user) // 2)
    rows = RowTable(label, user, user, rng.integers(0, 30, len(user)), np.arange(len(user)))
    comparison = compare(study(rows), Options("today", metrics=("auc",), workers=1))
    row = comparison.row("rival")
    assert (row.verdict, comparison.best_set) == ("no verdict", ())
    assert "one cluster holds so much" in row.reason
    assert np.isnan(row.differences["auc"].low)


def test_older_files_count_every_cluster_as_one(rows: RowTable) -> None:
    comparison = compare(study(rows), Options("today", metrics=("auc",), workers=1))
    record = comparison.to_dict()
    del record["weight"], record["two_way_ratio"], record["model"]["effective"]
    older = Comparison.from_dict(record)
    assert older.weight is None
    assert np.isnan(older.two_way_ratio)
    assert older.model.informative == older.model.mc == comparison.mc
    assert older.model.row_df == comparison.mc - 1


def crossed_rows(effect: float, seed: int = 7) -> MemorySource:
    """Strategies whose errors are common to an item's rows by `effect`."""
    rng = np.random.default_rng(seed)
    count = 6000
    user, item = rng.integers(0, 150, count), rng.integers(0, 50, count)
    known = rng.standard_normal(count)
    label = (rng.random(count) < 1 / (1 + np.exp(1 - known))).astype(np.uint8)
    scores = {}
    for name in ("today", "rival", "third"):
        own = known + effect * rng.standard_normal(50)[item] + 0.3 * rng.standard_normal(count)
        scores[name] = {
            seed: (own + 0.1 * rng.standard_normal(count)).astype(np.float32) for seed in range(3)
        }
    return MemorySource(RowTable(label, user, np.arange(count), item, np.arange(count)), scores)


def test_items_that_matter_cluster_the_rows_by_item_too() -> None:
    options = Options("today", metrics=("auc", "logloss"), workers=1)
    source = crossed_rows(1.2)
    comparison = compare(source, options)
    assert comparison.cluster == "user and item"
    assert comparison.two_way_ratio > 1.3
    both = compare(source, replace(options, two_way=True))
    assert comparison.model.se == pytest.approx(both.model.se)
    layout = Layout(source.table)
    single = collect(source, PanelRequest(layout, "test", ("auc",), workers=1)).models["auc"]
    ratio = np.median(comparison.model.se[1:, 0] / single.se[1:, 0])
    assert comparison.two_way_ratio == pytest.approx(ratio)
    assert "Items matter here" in " ".join(comparison.notes)


def test_items_that_do_not_matter_leave_the_rows_as_they_are() -> None:
    source = crossed_rows(0.0)
    comparison = compare(source, Options("today", metrics=("auc",), workers=1))
    assert comparison.cluster == "user"
    assert 0.85 < comparison.two_way_ratio < 1.15
    layout = Layout(source.table)
    single = collect(source, PanelRequest(layout, "test", ("auc",), workers=1)).models["auc"]
    assert comparison.model.se == pytest.approx(single.se)
    assert not any("Items matter" in note for note in comparison.notes)


def test_of_many_cells_a_part_stands_for_all() -> None:
    rng = np.random.default_rng(2)
    count = 3 * MOST_CELLS
    user, item = np.arange(count), rng.integers(0, 9, count)
    label = rng.integers(0, 2, count).astype(np.uint8)
    axis = cell_axis(user, item, label)
    assert axis.size == MOST_CELLS
    influence = rng.standard_normal(count)
    sums = cluster_sums(axis, influence, None)
    assert (sums**2).sum() == pytest.approx((influence**2).sum(), rel=0.02)


@pytest.mark.parametrize("absent", ["positive", "rows", "units"])
def test_a_share_of_what_an_axis_does_not_count_is_refused(absent: str) -> None:
    counts = {name: np.full(4, 2.0) for name in ("positive", "rows", "units") if name != absent}
    axis = Axis(np.arange(4, dtype=np.int32), 4, 4, **counts)
    with pytest.raises(ValueError, match="got an axis without"):
        cluster_shares(axis, "units" if absent == "units" else "classes")
