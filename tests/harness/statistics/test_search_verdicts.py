"""Verdicts on ways of fusing beside those on the configurations trained."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special, stats

from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging import searches
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource
from fusefront.harness.statistics.search_noise import (
    SearchNoise,
    doubling_gain,
    search_variance,
)

ROWS = 4000
QUALITY = {"base": 0.6, "good": 1.0, "given": 0.8, "control": 0.3}
STEADY = tuple(0.7 + 1e-5 * k for k in range(6))
LOOSE = (0.60, 0.62, 0.64, 0.66, 0.70, 0.76)


@pytest.fixture(scope="module")
def source() -> MemorySource:
    rng = np.random.default_rng(3)
    known = rng.normal(size=ROWS)
    label = (rng.random(ROWS) < special.expit(known - 1)).astype(np.uint8)
    request = np.repeat(np.arange(ROWS // 4), 4)
    rows = RowTable(label, request // 2, request, request, np.arange(ROWS))
    scores = {
        name: {
            seed: (quality * known + 0.7 * rng.normal(size=ROWS)).astype(np.float32)
            for seed in range(3)
        }
        for name, quality in QUALITY.items()
    }
    return MemorySource(rows, scores, roles={"control": "control"})


def judged(source: MemorySource, trials: dict[str, tuple[float, ...]] | None, **more) -> Comparison:
    options = Options("base", metrics=("auc",), margin=0.005, trials=trials, **more)
    return compare(source, options)


def test_a_steady_search_leaves_the_verdict_and_a_loose_one_takes_it(source):
    steady = judged(source, {"base": STEADY, "good": STEADY})
    assert steady.row("good").verdict == "better"
    rows = {row.name: row for row in steady.search.rows}
    assert list(rows) == ["base", "good", "given"]  # controls are configurations
    assert (rows["base"].verdict, rows["good"].verdict) == ("baseline", "better")
    assert rows["given"].trials == 0
    assert rows["good"].share < 0.01
    loose = judged(source, {"base": STEADY, "good": LOOSE})
    assert loose.row("good").verdict == "better"  # of the configuration trained
    row = next(row for row in loose.search.rows if row.name == "good")
    assert row.verdict == "cannot tell"
    assert row.share > 0.9
    assert "the search makes" in row.reason
    assert "more trials would narrow it most" in row.reason
    assert row.sd == pytest.approx(np.sqrt(search_variance(LOOSE)))
    share = next(share for share in loose.variance if share.strategy == "good")
    assert (share.tuning > 0.9, share.buy) == (True, "more trials")


def test_the_interval_is_the_t_interval_with_three_terms(source):
    comparison = judged(source, {"base": STEADY, "good": LOOSE})
    row = next(row for row in comparison.search.rows if row.name == "good")
    model = comparison.model
    i, j = model.index("good"), model.index("base")
    v, w = search_variance(LOOSE), search_variance(STEADY)
    total = model.variance[i, j] + v + w
    seeds = sum(model.seed_part[k] ** 2 / 2 for k in (i, j))
    df = total**2 / (model.row_part[i, j] ** 2 / (model.mc - 1) + seeds + (v**2 + w**2) / 2)
    half = stats.t.ppf(0.975, df) * np.sqrt(total)
    difference = model.theta[i] - model.theta[j]
    assert (row.difference.value, row.difference.low, row.difference.high) == pytest.approx(
        (difference, difference - half, difference + half), rel=1e-6
    )
    assert row.share == pytest.approx((v + w) / total)
    shares = {share.strategy: share for share in comparison.variance}
    for name, searched in (("good", v + w), ("given", w)):  # which was not searched
        pair = [model.index(name), j]
        rest = model.row_part[tuple(pair)]
        rest += ((model.net_s2 + model.interaction)[pair] / model.n[pair]).sum()
        assert shares[name].tuning == pytest.approx(searched / (searched + rest))


def test_below_five_trials_there_is_no_verdict_on_strategies(source):
    comparison = judged(source, {"base": LOOSE[:2], "good": LOOSE[:2]})
    assert comparison.row("good").verdict == "better"
    row = next(row for row in comparison.search.rows if row.name == "good")
    assert row.verdict == "no verdict"
    assert np.isnan(row.difference.low)
    assert "2 completed trials of 'good' and 2 completed trials of 'base'" in row.reason
    sd = np.sqrt(search_variance(LOOSE[:2]))
    (sentence,) = comparison.search.sentences[:1]
    assert sentence.startswith(
        f"2 completed trials each: the search alone moves the AUC by about ±{sd:.4f} (sd)."
    )
    assert "no verdict on strategies" in sentence


def test_unlike_numbers_of_too_few_trials_are_said_from_the_fewest_to_the_most(source):
    comparison = judged(source, {"base": STEADY, "good": STEADY[:3], "given": STEADY[:4]})
    assert comparison.search.sentences[0].startswith("3 to 4 completed trials each (good, given): ")


def test_who_has_too_few_trials_alone_has_no_verdict(source):
    comparison = judged(source, {"base": STEADY, "good": STEADY, "given": STEADY[:4]})
    verdict = {row.name: row.verdict for row in comparison.search.rows}
    assert verdict == {"base": "baseline", "good": "better", "given": "no verdict"}
    lacking, unequal = comparison.search.sentences
    assert lacking.startswith("4 completed trials each (given): ")
    assert "base 6, good 6, given 4" in unequal


def test_what_a_search_would_still_gain_is_said(source):
    comparison = judged(source, {"base": STEADY, "good": (0.6, 0.6, 0.6, 0.6, 0.8)})
    assert any(
        line.startswith("good: search not converged; doubling the trials would bring about")
        for line in comparison.search.sentences
    )
    assert not any(line.startswith("base: ") for line in comparison.search.sentences)


def test_without_a_search_nothing_is_said_on_other_choices(source):
    comparison = judged(source, {})
    assert comparison.search.rows == ()
    assert comparison.search.sentences[0].startswith("Hyper-parameters are as given")
    assert judged(source, None).search is None
    assert judged(source, {"base": STEADY}, metric="auc").search is not None


def test_verdicts_on_ways_of_fusing_outlive_the_record(source):
    for trials in ({"base": STEADY, "good": LOOSE}, {"base": LOOSE[:2], "good": LOOSE[:1]}, None):
        comparison = judged(source, trials)
        record = json.loads(json.dumps(comparison.to_dict()))
        again = Comparison.from_dict(record)
        assert json.dumps(again.to_dict()) == json.dumps(comparison.to_dict())
        if trials is None:
            record.pop("search")  # a record of before
            assert Comparison.from_dict(record).search is None


def test_two_ways_of_fusing_have_a_best(source):
    """Steady searches: the better of two is alone in the set."""
    names = ("base", "good")
    two = MemorySource(source.table, {name: source.scores[name] for name in names})
    assert judged(two, dict.fromkeys(names, STEADY)).search.best_set == ("good",)


def test_searches_that_were_repeated_say_more_than_their_trials(source):
    """Mean variance of the tuning runs beyond that of the seeds, with the degrees of freedom of
    both; those of a control do not count."""
    runs = {"base": [0.70, 0.74], "good": [0.78, 0.72, 0.75], "control": [0.5, 0.9]}
    comparison = judged(source, {"base": LOOSE, "good": LOOSE}, tuned=runs)
    search, model = comparison.search, comparison.model
    seeds = dict(zip(model.names, model.s2 / model.n, strict=True))
    excess = [np.var(runs[name], ddof=1) - seeds[name] for name in ("base", "good")]
    assert (search.source, search.df) == ("tuning runs", 1 + 2)
    assert [row.sd for row in search.rows[:2]] == pytest.approx([np.sqrt(np.mean(excess))] * 2)
    assert np.isnan(search.rows[2].sd)  # given, not searched
    by_trials = judged(source, {"base": LOOSE, "good": LOOSE}).search
    assert (by_trials.source, by_trials.df) == ("trials", 2.0)


def test_a_way_that_cannot_be_judged_says_why(source):
    """The same numbers as the baseline, one seed, or both in trials that are too few."""
    scores = {name: source.scores[name] for name in ("base", "good")}
    scores |= {"twin": scores["base"], "lone": {0: scores["good"][0]}}
    some = MemorySource(source.table, scores)
    search = judged(some, dict.fromkeys(scores, STEADY)).search
    rows = {row.name: row for row in search.rows}
    assert rows["twin"].reason == "identical predictions to 'base', seed by seed"
    assert (rows["twin"].difference.value, rows["twin"].verdict) == (0.0, "no verdict")
    assert rows["lone"].reason.startswith("'lone' has one seed: these trained models only")
    assert np.isnan([rows["lone"].p_adjusted, rows["twin"].p_adjusted]).all()
    assert rows["good"].verdict == "better"
    assert search.best_set == ()  # who may be the best is not known with one seed
    few = judged(some, {"base": (0.7,), "good": (0.7,)}).search
    assert few.sentences[0].startswith("1 completed trial each: what the search moves is not known")


def test_a_baseline_is_a_way_of_fusing_whatever_its_role(source):
    options = Options("control", metrics=("auc",), trials={"control": STEADY, "good": STEADY})
    rows = compare(source, options).search.rows
    assert {row.name: row.verdict for row in rows}["control"] == "baseline"
    assert [row.name for row in rows] == ["base", "good", "given", "control"]


def test_a_search_that_would_gain_the_margin_or_less_has_converged(source):
    trials = {"base": STEADY, "good": LOOSE}
    gain = doubling_gain(LOOSE)
    for margin, open_ended in ((gain, False), (gain - 1e-9, True)):
        options = Options("base", metrics=("auc",), margin=margin, trials=trials)
        lines = compare(source, options).search.sentences
        line = (
            f"good: search not converged; doubling the trials would bring about another {gain:.4f}."
        )
        assert (line in lines) == open_ended


def test_few_users_leave_neither_p_nor_verdict(source):
    few = source.table._replace(group=np.arange(ROWS) % 5)
    scores = {name: source.scores[name] for name in ("base", "good")}
    search = judged(MemorySource(few, scores), dict.fromkeys(scores, STEADY)).search
    base, good = search.rows
    reason = "no interval: only 5 clusters hold one of the classes, 10 are needed"
    assert (base.verdict, good.verdict, good.reason) == ("baseline", "no verdict", reason)
    assert (good.difference.note, search.best_set) == (reason, ())
    assert np.isnan([base.p_adjusted, good.p_adjusted, good.difference.low, good.share]).all()


def test_a_difference_that_nothing_moves_has_neither_p_nor_verdict():
    """Neither rows nor seeds nor another search."""
    zero, K = np.zeros(2), np.zeros((2, 2))
    model = JointModel(
        ("base", "good"), np.array([0.7, 0.8]), zero, np.full(2, 3), K, zero, K, 400, 400
    )
    noise = SearchNoise({"base": 0.0, "good": 0.0}, 2.0, "trials")
    panel = SimpleNamespace(models={"auc": model}, identical=lambda a, b: a == b)
    ways = searches._ways(replace(model, search=zero), "base")
    judge = searches._Judge(Options("base"), panel, dict.fromkeys(model.names, 6), noise, ways)
    row = searches._row(judge, "good", 0.0)
    assert (row.verdict, row.reason) == ("no verdict", "the difference varies with nothing")
    assert row.difference.value == pytest.approx(0.1)
    assert np.isnan([row.p_adjusted, row.difference.low, row.share]).all()


@pytest.mark.parametrize(
    ("share", "more"), [(0.5, ""), (0.51, "; more trials would narrow it most")]
)
def test_more_trials_are_advised_where_the_search_is_most_of_the_variance(share, more):
    judge = searches._Judge(Options("base"), SimpleNamespace(), {}, None, None)
    expected = f"cannot tell: the search makes {share:.0%} of the variance{more}"
    assert searches._reason(judge, "cannot tell", 0.01, 0.3, share) == expected
