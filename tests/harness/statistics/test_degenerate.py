"""Inputs that carry no interval or no number get the sentence instead."""

from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource


def source(rows=2000, seeds=3, spread=0.05, seed=0):
    """Two strategies on requests of four rows; `spread` 0 = every seed gives the same scores."""
    rng = np.random.default_rng(seed)
    known = rng.normal(size=rows)
    label = (known + rng.normal(size=rows) > 1).astype(np.uint8)
    scores = {}
    for name, quality in (("a", 1.0), ("b", 0.5)):
        own = quality * known + rng.normal(size=rows)
        scores[name] = {
            r: (own + spread * rng.normal(size=rows)).astype(np.float32) for r in range(seeds)
        }
    request = np.arange(rows) // 4
    return MemorySource(RowTable(label, request, request, request % 50, np.arange(rows)), scores)


def judged(of, **options):
    return compare(of, Options("b", metrics=("auc",), **options))


def test_seeds_that_do_not_differ_leave_the_rows_variance():
    comparison = judged(source(spread=0.0))
    model = comparison.model
    assert (model.s2 == 0).all()
    assert model.variance[0, 1] == pytest.approx(model.row_part[0, 1])
    assert model.df(0, 1) == pytest.approx(1.5 * comparison.mc - 1)  # the bound of an AUC
    assert comparison.row("a").verdict == "better"


@pytest.mark.parametrize(("clusters", "interval"), [(9, False), (10, True), (29, True), (30, True)])
def test_few_clusters_are_warned_of_and_fewer_have_no_interval(clusters, interval):
    of = source()
    label = np.zeros(2000, np.uint8)
    label[np.arange(clusters) * 4] = 1
    comparison = judged(replace(of, table=of.table._replace(label=label)))
    assert comparison.mc == clusters
    assert np.isfinite(comparison.row("a").metrics["auc"].low) == interval
    assert np.isfinite(comparison.row("a").differences["auc"].low) == interval
    text = "\n".join(comparison.warnings)
    assert ("estimates, no intervals" in text) == (not interval)
    assert ("intervals are approximate below 30" in text) == (interval and clusters < 30)
    if not interval:
        assert comparison.row("a").verdict == "no verdict"
        assert comparison.row("a").reason.startswith(
            "no interval: only 9 clusters hold one of the classes"
        )
        assert comparison.best_set == ()
        assert np.isnan(comparison.winner.low)


def test_a_split_without_rows_is_refused():
    of = source()
    empty = of.table.take(np.zeros(2000, bool))
    with pytest.raises(UsageError, match=r"the test split has no rows \(0 rows\)"):
        judged(replace(of, table=empty))


def test_all_ties_everywhere_are_a_half_without_verdict():
    of = source()
    flat = {r: np.zeros(2000, np.float32) for r in range(3)}
    comparison = judged(replace(of, scores={"a": {r: v + 1 for r, v in flat.items()}, "b": flat}))
    assert comparison.row("a").metrics["auc"].value == 0.5
    assert comparison.row("a").metrics["auc"].note == "no variation: every score is the same"
    assert comparison.row("a").verdict == "no verdict"
    assert "the difference varies neither with rows nor with seeds" in comparison.row("a").reason


def test_scores_that_sort_perfectly_have_no_interval_of_their_own():
    of = source()
    perfect = {r: of.table.label.astype(np.float32) + np.float32(r) for r in range(3)}
    comparison = judged(replace(of, scores={**of.scores, "a": perfect}))
    assert comparison.row("a").metrics["auc"].value == 1.0
    assert "nothing varies" in comparison.row("a").metrics["auc"].note
    assert comparison.row("a").verdict == "better"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_number_is_refused_in_a_sentence(bad):
    of = source()
    broken = {r: v.copy() for r, v in of.scores["a"].items()}
    broken[2][7] = bad
    comparison = judged(replace(of, scores={**of.scores, "a": broken}))
    assert comparison.row("a").verdict == "no verdict"
    assert comparison.row("a").reason == (
        "refused: seed 2 has 1 score that is NaN or infinite; train it again or leave the "
        "strategy out"
    )
    assert f"a: {comparison.row('a').reason}" in comparison.warnings
