"""Calibration curves, their intervals and what chance alone would show; the record of it all."""

import json

import numpy as np
import polars as pl
import pytest
from scipy import optimize, special, stats
from statsmodels.stats.proportion import proportion_confint

from fusefront.harness.statistics.auc import tie_groups
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.measures.calibration import (
    Curve,
    calibration_error,
    equal_mass_bins,
    fit_temperature,
    normalised_entropy,
    row_losses,
    share_intervals,
)
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import PanelRequest, _mean_curve, collect
from fusefront.harness.statistics.result_rows import Estimate
from fusefront.harness.statistics.rows import row_axis


def curve(rows, positives, se=None):
    rows, share = np.array(rows, float), np.array(positives) / np.array(rows)
    plain = np.sqrt(share * (1 - share) / rows)
    return Curve(rows, share, share, plain if se is None else np.array(se, float))


def test_shares_of_independent_rows_have_wilsons_interval():
    positives, rows = [0, 3, 20, 50], [50, 50, 80, 50]
    low, high = share_intervals(curve(rows, positives))
    expected = [
        proportion_confint(k, n, method="wilson") for k, n in zip(positives, rows, strict=True)
    ]
    np.testing.assert_allclose(np.transpose([low, high]), expected, atol=1e-12)


def test_clustered_rows_count_as_fewer_and_never_as_more():
    plain = np.sqrt(0.2 * 0.8 / 100)
    low, high = share_intervals(curve([100, 100], [20, 20], [2 * plain, plain / 3]))
    fewer = proportion_confint(5, 25, method="wilson")  # twice the error: a quarter of the rows
    assert (low[0], high[0]) == pytest.approx(fewer)
    assert (low[1], high[1]) == pytest.approx(proportion_confint(20, 100, method="wilson"))


def sample(rows=600):
    rng = np.random.default_rng(8)
    logits = np.round(rng.normal(-1, 1.5, rows), 1).astype(np.float32)  # many ties
    label = (rng.random(rows) < special.expit(0.6 * logits)).astype(np.uint8)
    return logits, label, rng.integers(0, 90, rows) * 4


def test_bins_hold_whole_ties_by_the_middle_of_their_places():
    logits, label, _ = sample()
    first = equal_mass_bins(tie_groups(logits, label), 7)
    number, place = {}, 0
    for value in np.unique(logits):
        count = int((logits == value).sum())
        number[value] = int((place + count / 2) * 7 // 600)
        place += count
    expected = [sum(logits < v) for v in number if number[v] != number.get(before(logits, v))]
    assert first.tolist() == expected


def before(logits, value):
    lower = logits[logits < value]
    return lower.max() if len(lower) else None


def test_what_chance_shows_is_the_mean_of_a_half_normal():
    logits, label, cluster = sample()
    groups = tie_groups(logits, label)
    error = calibration_error(logits, groups, equal_mass_bins(groups), row_axis(cluster, label))
    expected = (stats.halfnorm.mean() * error.curve.se * error.curve.rows).sum() / 600
    assert error.chance == pytest.approx(expected)
    assert error.curve.rows.sum() == 600


def test_influence_on_ece_is_its_derivative():
    logits, label, cluster = sample(60)
    groups = tie_groups(logits, label)
    first = equal_mass_bins(groups)
    error = calibration_error(logits, groups, first, row_axis(cluster, label))
    bins = np.searchsorted(first, np.argsort(groups.order), side="right") - 1
    gap = special.expit(logits.astype(float)) - label

    def ece(weight):
        return np.abs(np.bincount(bins, weight * gap)).sum() / weight.sum()

    for row in range(60):
        up, down = np.ones(60), np.ones(60)
        up[row], down[row] = 1 + 1e-6, 1 - 1e-6
        slope = (ece(up) - ece(down)) / 2e-6
        assert error.rows[row] == pytest.approx(slope, abs=1e-8)


def test_losses_of_extreme_logits_are_not_clipped():
    losses = row_losses(np.float32([-100, 100, 80, -80]), np.uint8([1, 1, 0, 0]))
    np.testing.assert_allclose(losses, [100, 0, 80, 0], atol=1e-12)


def test_one_class_has_no_entropy():
    for value in (0, 1):
        entropy = normalised_entropy(np.array([0.2, 0.4]), np.full(2, value, np.uint8))
        assert np.isnan(entropy.value)
        assert entropy.rows.tolist() == [0, 0]


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_temperature_is_exact_at_any_scale(scale):
    logits, label, _ = sample()
    scaled = (logits * scale).astype(np.float32)
    scaled[0] = 0.0

    def slope(inverse):
        p = special.expit(inverse * scaled.astype(float))
        return np.dot(p - label, scaled.astype(float)) / scale

    expected = 1 / optimize.brentq(slope, 1e-3 / scale, 10 / scale, xtol=1e-14 / scale)
    assert fit_temperature(scaled, label) == pytest.approx(expected, rel=1e-7)


def test_a_strategys_curve_is_the_mean_of_its_seeds_of_as_many_bins():
    three = [
        Curve(*np.array([[10.0, 20], [0.1, 0.4], [0.2, 0.3], [0.02, 0.05]])),
        Curve(*np.array([[14.0, 16], [0.2, 0.6], [0.1, 0.9], [0.04, 0.01]])),
        Curve(*np.ones((4, 1))),
    ]
    curve = _mean_curve(three)
    np.testing.assert_allclose(curve[:3], [[12, 18], [0.15, 0.5], [0.15, 0.6]])
    gaps = np.array([[0.1, -0.1], [-0.1, 0.3]])
    expected = np.sqrt(
        np.array([0.02**2 + 0.04**2, 0.05**2 + 0.01**2]) / 2 + gaps.var(0, ddof=1) / 2
    )
    np.testing.assert_allclose(curve.se, expected)
    assert _mean_curve(three[:1]).se.tolist() == [0.02, 0.05]


def test_points_of_the_record_are_the_mean_curve_with_wilsons_ends(uneven):
    comparison = compare(uneven, Options("base", metrics=("auc", "ece"), temperature=True))
    tuning = Layout(uneven.rows("valid"))
    request = PanelRequest(Layout(uneven.rows("test")), "test", ("auc", "ece"), tuning=tuning)
    panel = collect(uneven, request)
    assert set(comparison.curves) == {"ece", "ece_scaled"}
    for kind in comparison.curves:
        mean = panel.curves[kind]["up"]
        expected = np.column_stack([*mean[:3], *share_intervals(mean)])
        np.testing.assert_allclose(np.array(comparison.curves[kind]["up"]), expected)


def test_scaling_divides_every_seed_by_its_own_temperature(uneven):
    tuning = Layout(uneven.rows("valid"))
    layout = Layout(uneven.rows("test"))
    panel = collect(uneven, PanelRequest(layout, "test", ("logloss",), tuning=tuning))
    label, losses, fitted = uneven.table.label, [], []
    for seed, vector in uneven.scores["up"].items():
        fitted.append(fit_temperature(uneven.valid.scores["up"][seed], tuning.rows.label))
        scaled = vector.astype(float) / fitted[-1]
        losses.append(np.logaddexp(0, scaled).mean() - (label * scaled).mean())
    assert len(set(np.round(fitted, 6))) == 4
    assert panel.temperature["up"] == pytest.approx(np.mean(fitted))
    assert panel.values["logloss_scaled"]["up"] == pytest.approx(losses, rel=1e-6)
    model = panel.models["logloss_scaled"]
    assert model.theta[model.index("up")] == pytest.approx(np.mean(losses), rel=1e-6)
    entropy = special.entr([label.mean(), 1 - label.mean()]).sum()
    assert panel.values["normalised_entropy_scaled"]["up"] == pytest.approx(
        np.array(losses) / entropy, rel=1e-6
    )


def test_the_record_is_plain_json_and_comes_back(uneven):
    comparison = compare(uneven, Options("base", temperature=True), "a study")
    content = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert content["format"] == 2
    up, lone = (next(r for r in content["strategies"] if r["name"] == n) for n in ("up", "lone"))
    assert up["metrics"]["auc"] == comparison.row("up").metrics["auc"]._asdict()
    assert (lone["p"], lone["mde"]) == (None, None)
    again = Comparison.from_dict(content)
    assert again.to_dict() == comparison.to_dict()
    for name in ("auc", "logloss", "mrr"):
        assert again.row("up").metrics[name] == comparison.row("up").metrics[name]
        assert again.row("up").differences[name] == comparison.row("up").differences[name]
    assert again.row("side").needs == comparison.row("side").needs
    assert again.winner == comparison.winner
    assert again.selected == comparison.selected
    assert again.slices[1].difference == comparison.slices[1].difference
    assert again.slices[1].metrics["auc"] == comparison.slices[1].metrics["auc"]
    assert again.variance[0][:4] == comparison.variance[0][:4]
    assert again.curves == comparison.curves
    assert (again.notes, again.warnings) == (comparison.notes, comparison.warnings)
    assert np.isnan(again.row("lone").p)
    nobody = Comparison.from_dict({**content, "winner": None, "selected": None, "c_all": None})
    assert (nobody.winner, nobody.selected) == (None, None)
    assert np.isnan(nobody.c_all)
    assert again.row("side").family == "controls"


def test_a_record_of_format_1_is_read_with_its_families(uneven):
    comparison = compare(uneven, Options("base", metrics=("auc",)))
    record = json.loads(json.dumps(comparison.to_dict()))
    for key in ("c_controls", "c_strategies"):
        del record[key]
    former = {"strategies": "holm", "controls": "bh", "": ""}
    for row in record["strategies"]:
        row["adjustment"] = former[row.pop("family")]
    older = Comparison.from_dict(record)
    assert [row.family for row in older.strategies] == [r.family for r in comparison.strategies]
    # the critical value of controls was not on record: all pairs' stands in
    pair = older.model.pair(older.model.index("side"), 0)
    half = max(older.c_all * pair.se, pair.high - pair.difference)
    assert older.pair("side", "base").high == pytest.approx(pair.difference + half)


def test_the_frame_has_a_row_a_strategy_with_typed_columns(uneven):
    comparison = compare(uneven, Options("base", metrics=("auc",)))
    frame = comparison.to_polars()
    assert frame["strategy"].to_list() == [row.name for row in comparison.strategies]
    assert frame.schema["needs_seeds"] == frame.schema["seeds"] == pl.Int64()
    assert frame.schema["in_best_set"] == pl.Boolean()
    assert frame.schema["reason"] == pl.String()
    for name, row in zip(frame["strategy"], frame.iter_rows(named=True), strict=True):
        of = comparison.row(name)
        assert (row["role"], row["seeds"], row["verdict"]) == (of.role, of.seeds, of.verdict)
        assert (row["rank_low"], row["rank_high"]) == (of.rank_low, of.rank_high)
        assert (row["needs_rows"], row["needs_seeds"]) == tuple(of.needs)
        ends = Estimate(row["auc"], row["auc_low"], row["auc_high"])
        assert ends[:3] == of.metrics["auc"][:3] or name == "flat"
        for column, value in (("p", of.p), ("p_adjusted", of.p_adjusted), ("mde", of.mde)):
            assert row[column] == (value if np.isfinite(value) else None)
        assert row["valid"] == of.valid
        if name == "up":
            assert row["difference_auc_low"] == of.differences["auc"].low
    assert frame.filter(pl.col("strategy") == "base")["difference_auc"].to_list() == [None]
    assert frame.filter(pl.col("strategy") == "flat")["auc_low"].to_list() == [None]


def test_a_row_that_is_not_there_is_named(uneven):
    comparison = compare(uneven, Options("base", metrics=("auc",)))
    with pytest.raises(ValueError, match="got strategy 'x', expected one of: base, up, side"):
        comparison.row("x")
    pair = comparison.pair("up", "side")
    alone = comparison.model.pair(1, 2)
    half = max(comparison.c_all * alone.se, alone.high - alone.difference)  # side is an ablation
    assert pair[:3] == alone[:3]
    assert (pair.low, pair.high) == (alone.difference - half, alone.difference + half)
    assert comparison.pair("up", "base")[3:5] == comparison.row("up").differences["auc"][1:3]
    assert comparison.pair("base", "side").low == -comparison.row("side").differences["auc"].high
