"""Each condition of a row by itself: where an interval, a verdict or an effect begins and ends."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import optimize, special, stats

from fusefront.harness.statistics import largest_t, panel
from fusefront.harness.statistics import rows as tables
from fusefront.harness.statistics.auc import ordered_bits
from fusefront.harness.statistics.exchangeable import covariance_of_gains
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.estimates import (
    TRAINED_ONLY,
    alone,
    difference,
    ends,
    lacking,
)
from fusefront.harness.statistics.judging.table import may_be_judged, minimum_effect
from fusefront.harness.statistics.measures.metrics import ALL_METRICS, Layout
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import PanelRequest
from fusefront.harness.statistics.planner import plan
from fusefront.harness.statistics.power import Components, power, rows_factor, seeds_needed
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource

SE = 0.002


def model(theta: tuple[float, float] = (0.7, 0.8), se: float = SE, **more: object) -> JointModel:
    """Two strategies of three seeds whose errors come from 400 clusters of rows alone."""
    zero, K = np.zeros(2), np.eye(2) * se**2
    joint = JointModel(("a", "b"), np.array(theta), zero, np.full(2, 3), K, zero, K, 400, 400)
    return replace(joint, **cast(Any, more))


def panel_of(joint: JointModel, metric: str, constant: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(
        models={metric: joint},
        about=ALL_METRICS,
        constant=set(constant),
        chance={"ece": {"a": 0.01, "b": 0.0}, "ece_scaled": {"a": 0.03, "b": 0.0}},
        identical=lambda a, b: False,
    )


def test_two_effective_clusters_are_enough() -> None:
    for effective, enough in ((2.0, True), (1.99, False)):
        joint = model(effective=effective)
        assert joint.has_intervals == enough
        assert (lacking(joint) == "") == enough
    assert "count as 2.0 equal ones, 2 are needed" in lacking(joint)


@pytest.mark.parametrize(
    ("metric", "value", "constant", "note"),
    [
        ("auc", 0.7, (), ""),
        ("auc", 0.7, ("b",), ""),
        ("auc", 0.7, ("a",), "no variation: every score is the same"),
        ("logloss", 0.7, ("a",), ""),
        ("logloss", 1.0, (), ""),
        ("logloss", 1.7, (), ""),
        ("auc", 1.0, (), "no interval: the value is at its limit"),
        ("auc", 0.0, (), "no interval: the value is at its limit"),
        ("auc", 1.0 + 1e-9, (), "no interval: the value is at its limit"),
    ],
)
def test_a_metric_has_its_interval_or_says_why_not(
    metric: str, value: float, constant: tuple[str, ...], note: str
) -> None:
    estimate = alone(panel_of(model((value, 0.5)), metric, constant), metric, "a")
    assert (estimate.value, estimate.note) == (value, note)
    if note:
        assert np.isnan([estimate.low, estimate.high]).all()
        return
    half = stats.t.ppf(0.975, 399) * SE
    expected = [value - half, value + half]
    if metric == "auc":
        moved = half / (value * (1 - value))
        expected = [special.expit(special.logit(value) + way * moved) for way in (-1, 1)]
    assert [estimate.low, estimate.high] == pytest.approx(expected, rel=1e-9)


def test_an_error_that_cannot_be_negative_is_widened_downwards_by_its_bias() -> None:
    half = stats.t.ppf(0.975, 399) * SE
    joint = model((0.05, 0.003))
    for metric, bias in (("ece", 0.01), ("ece_scaled", 0.03)):
        of_a, of_b = (alone(panel_of(joint, metric), metric, name) for name in ("a", "b"))
        assert of_a[1:3] == pytest.approx((0.05 - bias - half, 0.05 + half))
        assert of_b[1:3] == pytest.approx((0.0, 0.003 + half))
    assert ends(joint, 0, "biased") == pytest.approx((0.05 - half, 0.05 + half))


@pytest.mark.parametrize(("seeds", "note"), [(1, TRAINED_ONLY), (2, ""), (3, "")])
def test_one_seed_is_a_trained_model_on_either_side(seeds: int, note: str) -> None:
    for n in ((seeds, 3), (3, seeds)):
        joint = model(n=np.array(n), s2=np.where(np.array(n) > 1, 3e-6, np.nan))
        shown = panel_of(joint, "auc")
        assert alone(shown, "auc", "ab"[n.index(seeds)]).note == note
        gap = difference(shown, "auc", "a", "b", 3.0)
        assert gap.note == note
        pair = joint.trained_pair(0, 1) if note else joint.simultaneous(0, 1, 3.0)
        assert gap[:3] == (pair.difference, pair.low, pair.high)
        assert may_be_judged(shown, Options("b"), "a") == (seeds > 1)
        assert may_be_judged(shown, Options("a"), "b") == (seeds > 1)


def test_neither_a_baseline_nor_its_twin_is_judged() -> None:
    shown = panel_of(model(), "auc")
    assert may_be_judged(shown, Options("a"), "b")
    assert not may_be_judged(shown, Options("a"), "a")
    shown.identical = lambda a, b: True
    assert not may_be_judged(shown, Options("a"), "b")
    assert difference(shown, "auc", "b", "a", 2.0).note == "identical predictions to 'a'"


def test_a_difference_that_nothing_moves_has_no_ends() -> None:
    still = difference(panel_of(model(se=0.0), "auc"), "auc", "b", "a", 2.0)
    assert still.note == "no interval: the difference varies neither with rows nor seeds"
    assert np.isnan(still.low)
    assert "nothing varies" in alone(panel_of(model(se=0.0), "auc"), "auc", "a").note


def test_the_smallest_effect_is_of_two_that_have_an_interval() -> None:
    assert minimum_effect(model(), 0, 1, 0.05) > 0
    assert np.isnan(minimum_effect(model(), 1, 1, 0.05))
    assert np.isnan(minimum_effect(model(mc=9), 0, 1, 0.05))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_one_vector_more_than_workers_is_in_memory(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    label = (np.arange(40) % 2).astype(np.uint8)
    rows = RowTable(label, *(np.arange(40) for _ in range(4)))
    seeds = {seed: np.arange(40, dtype=np.float32) * (seed + 1) for seed in range(7)}
    started: list[int] = []

    class Sequential:
        def __init__(self, count: int) -> None:
            assert count == workers

        def __enter__(self) -> "Sequential":
            return self

        def __exit__(self, *error: object) -> None: ...

        def submit(self, call: Callable[..., object], *arguments: Any) -> object:
            started.append(arguments[-1])
            result = call(*arguments)
            return SimpleNamespace(result=lambda: result)

    monkeypatch.setattr(panel, "ThreadPoolExecutor", Sequential)
    request = PanelRequest(Layout(rows), "test", ("auc",), workers=workers)
    vectors = panel._vectors(MemorySource(rows, {"a": seeds}), request)
    for place in range(7):
        assert next(vectors).seed == place
        assert started == list(range(min(place + workers + 1, 7)))
    assert list(vectors) == []


def test_the_number_of_workers_is_the_same_wherever_it_is_not_given() -> None:
    rows = RowTable(*(np.zeros(1, np.uint8) for _ in range(5)))
    assert PanelRequest(Layout(rows), "test", ()).workers == Options("a").workers == 2


def test_pairs_of_all_draws_are_exact_without_a_limit() -> None:
    joint = replace(model(), s2=np.full(2, 3e-6))
    null = joint.null.take(slice(300))
    error = joint.row_part[0, 1] * null.rows + null.estimated.sum(0)
    t2 = (null.value[0] - null.value[1]) ** 2 / error
    np.testing.assert_allclose(largest_t._largest(joint, null), t2)
    assert (t2 < 1).any()


def test_only_draws_that_may_pass_the_limit_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in which two values differ by more than what their own errors reach, loop by loop."""
    names = ("a", "b", "c", "d")
    variances = np.array([1.0, 2.0, 3.0, 5.0]) * 1e-6
    joint = JointModel(
        names, np.zeros(4), variances, np.full(4, 3), np.diag(variances), np.zeros(4),
        np.zeros((4, 4)), 400, 400, rho=0.3,
    )  # fmt: skip
    null, least = joint.null.take(slice(400)), 3.0
    reach = np.zeros((4, 400))
    for a in range(4):
        own = min(joint.row_part[a, b] for b in range(4) if b != a) / 2
        reach[a] = np.sqrt(least * (own * null.rows + 0.7 * null.estimated[a]) / 2)
    whole, computed = largest_t._t2, dict[int, int]()

    def counted(of: Any, a: int, some: largest_t.Null) -> object:
        computed[a] = len(some.rows)
        return whole(of, a, some)

    monkeypatch.setattr(largest_t, "_t2", counted)
    largest_t._largest(joint, null, least)
    for a in range(4):
        lowest = (null.value + reach).min(0)
        assert computed[a] == np.sum(null.value[a] - reach[a] > lowest) < 400


def test_codes_are_sorted_only_where_a_table_would_be_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unique, calls = np.unique, list[int]()

    def counted(values: Any, **more: Any) -> Any:
        calls.append(len(values))
        return unique(values, **more)

    monkeypatch.setattr(tables.np, "unique", counted)
    for values, sorted_them in (([5, 7, 6], False), ([5, 8, 6], True), ([-1, 1, 0], False)):
        calls.clear()
        assert (
            tables.contiguous(np.array(values))[0].tolist()
            == np.argsort(np.argsort(values)).tolist()
        )
        assert bool(calls) == sorted_them


def test_neighbouring_floats_keep_their_order() -> None:
    up = np.nextafter(np.float32([-3.0, -1.0, 1.0, 3.0]), np.float32(np.inf))
    both = np.stack([np.float32([-3.0, -1.0, 1.0, 3.0]), up]).T.ravel()
    bits = ordered_bits(both).astype(np.int64)
    assert (np.diff(bits) > 0).all()
    assert np.diff(bits)[::2].tolist() == [1, 1, 1, 1]


def test_power_is_the_normals_above_5000_degrees_of_freedom() -> None:
    normal = stats.norm.sf(stats.norm.ppf(0.975) - 2.0)
    exact = stats.nct.sf(stats.t.ppf(0.975, 5000), 5000, 2.0)
    assert abs(exact - normal) > 1e-5
    assert power(2.0, 1.0, 5000.0) == pytest.approx(exact, abs=1e-8)
    assert power(2.0, 1.0, 5000.5) == pytest.approx(normal, abs=1e-12)


def test_a_million_times_the_rows_and_a_thousand_seeds_are_the_most() -> None:
    still = Components(4e-6, 0.0, 0.0, 4000)
    needed = ((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * 2e-3) ** 2
    assert rows_factor(still, np.sqrt(needed / 1e6) * (1 + 1e-7), 3) is not None
    assert rows_factor(still, np.sqrt(needed / 1e6) * (1 - 1e-7), 3) is None

    def lack(effect: float, seeds: float) -> float:
        freedom = 2 * (seeds - 1)
        reach = stats.t.ppf(0.975, freedom)
        return float(stats.nct.sf(reach, freedom, effect / np.sqrt(2 / seeds))) - 0.8

    noisy = Components(0.0, 2.0, 0.0, 10**6)
    for seeds, fewest in ((999.5, 1000), (1000.5, None)):
        effect = optimize.brentq(lack, 0.05, 0.3, args=(seeds,), xtol=1e-12)
        assert seeds_needed(noisy, effect) == fewest


def test_two_clusterings_have_the_fewer_effective_clusters_and_the_lower_bound() -> None:
    many = model(effective=12.0, df_bound=1.5)
    few = model(effective=7.0, df_bound=1.0)
    for user, item in ((many, few), (few, many)):
        both = user.crossed(item, model())
        assert (both.effective, both.df_bound) == (7.0, 1.0)


def test_the_error_of_a_comparison_alone_is_at_most_the_level() -> None:
    joint = model()
    assert joint.alone_alpha(0, 1, 3.0) == pytest.approx(2 * stats.t.sf(3.0, joint.df(0, 1)))
    assert joint.alone_alpha(0, 1, 1.0) == pytest.approx(0.05)
    assert joint.alone_alpha(0, 1, np.nan) == pytest.approx(0.05)
    single = replace(joint, n=np.array([1, 3]), s2=np.array([np.nan, 1e-6]))
    assert single.alone_alpha(0, 1, 3.0) == pytest.approx(0.05)


def test_a_gain_that_is_alone_shares_nothing() -> None:
    assert covariance_of_gains(model().variance, 0, [1]).own == 0.0


@pytest.mark.parametrize(("rows", "needed"), [(219, 220), (1999, 210)])
def test_without_a_pilot_a_cluster_is_assumed_for_every_twenty_rows(rows: int, needed: int) -> None:
    """An effect that is seen at once needs ten of them."""
    assert {line.rows for line in plan(9.0, pilot_rows=rows).lines} == {needed}
