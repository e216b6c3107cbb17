"""What a comparison of unequal seeds says of each strategy, from the model and other packages."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.judging.verdicts import read
from fusefront.harness.statistics.measures.metrics import ALL_METRICS, METRICS, Layout
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.score_source import MemorySource

SEEDS = {"base": (0, 1, 2), "up": (0, 1, 2, 7), "side": (1, 4), "lone": (3,), "flat": (0, 1, 2)}
ROLES = {"flat": "control", "side": "ablation"}


FAMILIES = {"up": ["up"], "side": ["side", "flat"], "flat": ["side", "flat"]}


def largest(model, names):
    """[D] of each draw in which all are equal the largest |t| to the baseline, loop by loop."""
    value, observed, rows, _ = model.null
    t = np.zeros(len(rows))
    for name in names:
        i = model.names.index(name)
        error = np.maximum(
            model.row_part[i, 0] * rows + observed[i] + observed[0],
            model.trained_variance[i, 0] * rows,
        )
        if not error.any():  # no request has more than ten rows: recall does not vary
            continue
        t = np.maximum(t, np.abs(value[i] - value[0]) / np.sqrt(error))
    return t


def critical(model, names):
    return max(np.quantile(largest(model, names), model.level), 1.96)


@pytest.fixture(scope="module")
def source(uneven):
    return uneven


@pytest.fixture(scope="module")
def comparison(source):
    return compare(source, Options("base", margin=0.03, effect=0.05), "uneven")


def test_every_strategy_has_the_interval_of_its_scale(source, comparison):
    panel = collect(source, PanelRequest(Layout(source.rows("test")), "test", tuple(METRICS)))
    for name in ("base", "up", "side", "lone"):
        for metric in METRICS:
            estimate = comparison.row(name).metrics[metric]
            value, se, df = panel.models[metric].alone(panel.models[metric].index(name))
            half = stats.t.ppf(0.975, df) * se
            if value == 1:  # no request has more than ten rows
                assert (metric, estimate.note) == (
                    "recall_at_10",
                    "no interval: nothing varies",
                )
                continue
            if ALL_METRICS[metric].scale == "logit":
                half /= value * (1 - value)
                ends = special.expit([special.logit(value) - half, special.logit(value) + half])
            elif ALL_METRICS[metric].scale == "log":
                ends = [value * np.exp(-half / value), value * np.exp(half / value)]
            elif metric == "ece":
                ends = [max(value - panel.chance["ece"][name] - half, 0), value + half]
            else:
                ends = [value - half, value + half]
            assert (estimate.value, estimate.low, estimate.high) == pytest.approx((value, *ends))
            trained = "these trained models only; no verdict on the strategy"
            assert estimate.note == (trained if name == "lone" else "")


def test_differences_have_the_interval_of_the_pair_or_of_the_trained_models(source, comparison):
    panel = collect(source, PanelRequest(Layout(source.rows("test")), "test", tuple(METRICS)))
    for name in ("up", "side", "lone", "flat"):
        for metric in METRICS:
            estimate = comparison.row(name).differences[metric]
            model = panel.models[metric]
            a, b = model.index(name), model.index("base")
            assert estimate.value == pytest.approx(model.theta[a] - model.theta[b], abs=1e-12)
            pair = model.trained_pair(a, b)
            if name != "lone":
                pair = model.simultaneous(a, b, critical(model, FAMILIES[name]))
            if metric == "ece":
                assert estimate[1:] == pytest.approx((np.nan, np.nan, estimate.note), nan_ok=True)
                assert estimate.note == "no interval: its coverage is not proven"
            else:
                ends = pytest.approx((pair.low, pair.high), rel=1e-12, nan_ok=True)
                assert (estimate.low, estimate.high) == ends
    assert comparison.row("base").differences == {}


def test_p_values_say_how_often_luck_shows_more_in_the_family(comparison):
    model, rows = comparison.model, {row.name: row for row in comparison.strategies}
    for name, family in FAMILIES.items():
        pair = model.pair(model.index(name), 0)
        assert rows[name].p == pair.p
        share = np.mean(largest(model, family) > abs(pair.difference) / pair.se)
        assert rows[name].p_adjusted == pytest.approx(max(share, pair.p), rel=1e-12)
        sure = rows[name].differences["auc"].low > 0 or rows[name].differences["auc"].high < 0
        assert (rows[name].p_adjusted < 0.05) == sure
    # `up` is alone in the family: lone has one seed and no p value, the others are no strategies
    assert {name: row.family for name, row in rows.items()} == {
        "base": "",
        "up": "strategies",
        "lone": "strategies",
        "side": "controls",
        "flat": "controls",
    }
    assert np.isnan([rows["lone"].p, rows["lone"].p_adjusted, rows["base"].p]).all()


def test_a_family_that_was_named_is_right_together(source):
    chosen = ("side", "flat", "up")
    comparison = compare(source, Options("base", metrics=("auc",), family=chosen))
    model = comparison.model
    c = critical(model, chosen)
    assert comparison.c_base == pytest.approx(c)
    for name in chosen:
        pair = model.simultaneous(model.index(name), 0, c)
        assert comparison.row(name).differences["auc"][1:3] == pytest.approx((pair.low, pair.high))
    assert comparison.row("lone").family == "controls"
    assert np.isnan(comparison.c_controls)


def test_the_smallest_effect_is_at_the_level_of_its_family(comparison):
    model = comparison.model
    base = model.index("base")
    for name, family in FAMILIES.items():
        place = model.index(name)
        variance, df = model.variance[place, base], model.df(place, base)
        shift = comparison.row(name).mde / np.sqrt(variance)
        reach = max(critical(model, family), stats.t.ppf(0.975, df))
        assert stats.nct.sf(reach, df, shift) == pytest.approx(0.80, abs=1e-4)
    assert np.isnan([comparison.row("base").mde, comparison.row("lone").mde]).tolist() == [
        True,
        True,
    ]


def test_verdicts_say_why(comparison):
    words = {row.name: row.verdict for row in comparison.strategies}
    assert words == {
        "base": "baseline",
        "up": "better",
        "side": "cannot tell",
        "lone": "no verdict",
        "flat": "worse",
    }
    up, flat = comparison.row("up"), comparison.row("flat")
    gap = comparison.model.theta[1] - comparison.model.theta[0]
    assert up.reason == f"better by {gap:.4f}, adjusted p = {up.p_adjusted:.2g}"
    fall = comparison.model.theta[0] - 0.5
    assert flat.reason == f"worse by {fall:.4f}, adjusted p = {flat.p_adjusted:.2g}"
    assert comparison.row("lone").reason == (
        "'lone' has one seed: these trained models only; no verdict on the strategy"
    )
    assert comparison.row("side").reason.startswith("cannot tell (")
    assert "for 0.05)" in comparison.row("side").reason or "0.05;" in comparison.row("side").reason
    assert comparison.row("side").needs != (None, None)
    assert comparison.row("up").needs == (None, None)


def test_rows_carry_role_seeds_validation_and_the_recorded_gap(source, comparison):
    label = source.valid.table.label
    for row in comparison.strategies:
        assert row.seeds == len(SEEDS[row.name])
        assert row.role == ROLES.get(row.name, "strategy")
        values = [roc_auc_score(label, v) for v in source.valid.scores[row.name].values()]
        assert row.valid == pytest.approx(np.mean(values), abs=1e-12)
    gap = comparison.row("up").metrics["gap"]
    assert gap.value == pytest.approx((0.1 + 0.4 + 0.7) / 3)
    assert gap.note == "no interval: train scores are not kept"
    assert comparison.row("side").metrics["gap"].note == "not recorded"
    assert np.isnan(comparison.row("side").metrics["gap"].value)


def test_whoever_is_picked_has_the_interval_of_the_table(comparison):
    model = comparison.model
    base, up, side = (model.index(name) for name in ("base", "up", "side"))
    assert comparison.winner.name == "up"
    assert comparison.selected.name == "side"
    c = max(comparison.c_base, stats.t.ppf(0.975, model.df(up, base)))
    lead = model.theta[up] - model.theta[base]
    half = c * model.se[up, base]
    assert comparison.winner[1:4] == pytest.approx((lead, lead - half, lead + half))
    pair = model.simultaneous(side, base, comparison.c_controls)
    assert comparison.selected[1:4] == (pair.difference, pair.low, pair.high)
    for lead in (comparison.winner, comparison.selected):  # one interval a pair
        assert lead[1:4] == comparison.row(lead.name).differences["auc"][:3]
    assert comparison.selected[4:] == ("picked on validation", None)
    assert comparison.c_base == pytest.approx(critical(model, ["up"]), rel=1e-12)
    assert comparison.c_controls == pytest.approx(critical(model, ["side", "flat"]), rel=1e-12)
    assert comparison.c_all == model.c_all


def test_of_a_loss_the_least_is_the_best(source):
    comparison = compare(source, Options("base", metric="logloss", metrics=("logloss",)))
    best = comparison.model.names[int(np.argmin(comparison.model.theta))]
    assert comparison.winner.name == best
    valid = {row.name: row.valid for row in comparison.strategies}
    assert comparison.selected.name == min(valid, key=valid.get)
    lead = comparison.row(best).differences["logloss"]
    assert lead.value < 0 < comparison.row("lone").differences["logloss"].value
    assert comparison.row(best).verdict in ("better", "cannot tell")


def test_on_validation_nobody_is_picked_twice(source):
    comparison = compare(source, Options("base", split="valid", metrics=("auc",)))
    assert comparison.selected is None
    assert comparison.winner.name == "side"
    assert comparison.rows == len(source.valid.table.label)


def test_slices_are_compared_on_their_own_rows_in_one_family(source, comparison):
    by_name = {(row.slice, row.value, row.strategy): row for row in comparison.slices}
    assert {key[:2] for key in by_name} == {("age", "old"), ("age", "new"), ("some", "part")}
    label = source.table.label
    family = []
    for declared in source.declared:
        for code, value in enumerate(declared.values):
            chosen = declared.code == code
            if not chosen.any():
                continue
            users = source.table.group[chosen]
            sides = min(len(np.unique(users[label[chosen] == k])) for k in (0, 1))
            for name in SEEDS:
                row = by_name[declared.name, value, name]
                aucs = [
                    roc_auc_score(label[chosen], v[chosen]) for v in source.scores[name].values()
                ]
                assert (row.rows, row.positives) == (chosen.sum(), label[chosen].sum())
                assert row.metrics["auc"].value == pytest.approx(np.mean(aucs), abs=1e-12)
                assert row.mc == sides
            part = MemorySource(
                source.table.take(chosen),
                {n: {s: v[chosen] for s, v in of.items()} for n, of in source.scores.items()},
                ROLES,
            )
            alone = compare(part, Options("base", metrics=("auc",)))
            model = alone.model
            family += [
                (by_name[declared.name, value, name], alone, model.index(name))
                for name in ("up", "side", "flat")
            ]
    parts = len({(row.slice, row.value) for row, *_ in family})
    for row, alone, place in family:
        strict = replace(alone.model, level=1 - 0.05 / parts)  # each value spends its share
        same = FAMILIES[row.strategy]
        pair = strict.simultaneous(place, 0, critical(strict, same))
        assert row.difference[1:3] == pytest.approx((pair.low, pair.high), rel=1e-9)
        assert row.verdict == read(row.difference.low, row.difference.high, 0.03)
        share = np.mean(largest(strict, same) > abs(pair.difference) / pair.se)
        assert row.p_adjusted == pytest.approx(min(max(share, pair.p) * parts, 1), rel=1e-9)
        reach = (pair.high - pair.difference) / pair.se
        power = stats.nct.sf(reach, pair.df, row.mde / pair.se)
        assert power == pytest.approx(0.80, abs=1e-4)
    assert {row.verdict for row, *_ in family} >= {"better", "worse", "cannot tell"}
    assert by_name["age", "old", "base"].verdict == "baseline"
    assert by_name["age", "old", "lone"].verdict == "no verdict"
    assert np.isnan(by_name["age", "old", "lone"].mde)


def test_variance_is_shared_out_among_rows_seeds_and_both(comparison):
    model = comparison.model
    for share in comparison.variance:
        a, b = model.index(share.strategy), model.index("base")
        rows = model.K[a, a] + model.K[b, b] - 2 * model.K[a, b]
        both = model.interaction[a] / model.n[a] + model.interaction[b] / model.n[b]
        seeds = sum(max(model.s2[i] - model.interaction[i], 0) / model.n[i] for i in (a, b))
        total = rows + both + seeds
        assert share[1:4] == pytest.approx((rows / total, seeds / total, both / total), abs=1e-9)
        largest = max((rows, "more test rows"), (seeds, "more seeds"))
        assert share.buy == largest[1] or both > largest[0]
    assert [share.strategy for share in comparison.variance] == ["up", "side", "flat"]


def test_tuning_runs_spread_beyond_what_seeds_explain(source):
    tuned = {"up": [0.70, 0.76, 0.85], "base": [0.60, 0.68]}
    comparison = compare(source, Options("base", metrics=("auc",), tuned=tuned))
    share = next(share for share in comparison.variance if share.strategy == "up")
    model = comparison.model
    parts = [
        np.var(tuned[name], ddof=1) - model.s2[i] / model.n[i]
        for i, name in ((1, "up"), (0, "base"))
    ]
    assert share.tuning / share.rows == pytest.approx(sum(parts) / model.row_part[1, 0])
    assert sum(share[1:5]) == pytest.approx(1)
    single = compare(source, Options("base", metrics=("auc",), tuned={**tuned, "base": [0.6]}))
    assert np.isnan(single.variance[0].tuning)
    assert sum(single.variance[0][1:4]) == pytest.approx(1)
    calm = {"up": [0.70, 0.70 + 1e-9], "base": [0.60, 0.60 + 1e-9]}
    assert compare(source, Options("base", metrics=("auc",), tuned=calm)).variance[0].tuning == 0
