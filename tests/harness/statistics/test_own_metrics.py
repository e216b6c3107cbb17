"""A person's metric beside AUC: its numbers by plain loops, its interval by influences or
redraws."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from scipy import special

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.contract import QualityMetric
from fusefront.harness.statistics.measures.metrics import METRICS, Layout
from fusefront.harness.statistics.measures.own_metrics import DRAWS, SEED, measure_own
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import PanelRequest, collect
from fusefront.harness.statistics.rows import RowTable, row_axis
from fusefront.harness.statistics.score_source import MemorySource, SliceCodes


class Brier(QualityMetric):
    """Redrawn: it says nothing of its influences."""

    name: ClassVar[str] = "brier"
    title: ClassVar[str] = "Brier"
    higher_is_better: ClassVar[bool] = False

    def value(self, probability, label, group):
        return float(np.mean((probability - label) ** 2))


class SmoothBrier(Brier):
    name: ClassVar[str] = "smooth_brier"

    def influence(self, probability, label, group):
        loss = (probability - label) ** 2
        return (loss - loss.mean()) / len(loss)


class LogLoss(QualityMetric):
    """The shipped logloss once more, from probabilities."""

    name: ClassVar[str] = "mine"
    higher_is_better: ClassVar[bool] = False

    def _losses(self, probability, label):
        return -np.log(np.where(label == 1, probability, 1 - probability))

    def value(self, probability, label, group):
        return float(self._losses(probability, label).mean())

    def influence(self, probability, label, group):
        losses = self._losses(probability, label)
        return (losses - losses.mean()) / len(losses)


class Wordy(Brier):
    """Says much where it breaks."""

    def value(self, probability, label, group):
        raise ValueError("x\n" + 300 * "y")


class BestGroup(QualityMetric):
    """Not smooth, and about groups: the share of groups whose mean probability is above 0.4."""

    name: ClassVar[str] = "best_group"
    higher_is_better: ClassVar[bool] = True

    def value(self, probability, label, group):
        means = np.bincount(group, probability) / np.bincount(group)
        return float((means > 0.4).mean())


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(4)
    users = rng.integers(0, 150, 900) * 3
    truth = rng.normal(size=900) + np.repeat(rng.normal(size=150), 6)[users // 3]
    label = (truth + rng.normal(size=900) > 0.5).astype(np.uint8)
    rows = RowTable(label, users, users * 5 + rng.integers(0, 3, 900), users % 7, np.arange(900))
    scores = {
        name: {seed: (q * truth + rng.normal(size=900)).astype(np.float32) for seed in range(seeds)}
        for name, q, seeds in (("base", 0.6, 3), ("up", 1.6, 4))
    }
    declared = SliceCodes("half", ("low", "high"), (users % 2).astype(np.int32))
    return MemorySource(rows, scores, declared=(declared,))


def options(*metrics, **more):
    own = {metric.name: metric() for metric in metrics}
    return Options("base", metrics=(*METRICS, *own), own=own, workers=1, **more)


def test_with_influences_it_is_judged_like_a_shipped_metric(source):
    comparison = compare(source, options(LogLoss, metric="mine"))
    shipped = compare(source, options(metric="logloss"))
    for row, like in zip(comparison.strategies, shipped.strategies, strict=True):
        np.testing.assert_allclose(row.metrics["mine"][:3], like.metrics["logloss"][:3], rtol=1e-6)
        assert (row.verdict, row.rank_low) == (like.verdict, like.rank_low)
    assert comparison.row("up").verdict == "better"
    np.testing.assert_allclose(
        comparison.row("up").differences["mine"][:3],
        shipped.row("up").differences["logloss"][:3],
        1e-6,
    )
    low, like = (
        [s.metrics[m].value for s in f.slices]
        for f, m in ((comparison, "mine"), (shipped, "logloss"))
    )
    np.testing.assert_allclose(low, like, rtol=1e-6)


def test_its_value_is_the_mean_over_seeds_of_a_plain_loop(source):
    comparison = compare(source, options(Brier, BestGroup))
    for name, seeds in source.scores.items():
        brier, best = [], []
        for logits in seeds.values():
            p = [1 / (1 + np.exp(-float(z))) for z in logits]
            brier.append(
                sum((a - b) ** 2 for a, b in zip(p, source.table.label, strict=True)) / 900
            )
            by_user = {}
            for user, share in zip(source.table.group, p, strict=True):
                by_user.setdefault(user, []).append(share)
            best.append(np.mean([np.mean(all_) > 0.4 for all_ in by_user.values()]))
        assert comparison.row(name).metrics["brier"].value == pytest.approx(
            np.mean(brier), rel=1e-6
        )
        assert comparison.row(name).metrics["best_group"].value == pytest.approx(
            np.mean(best), rel=1e-9
        )


def redrawn(source, metric, clusters, *, copies):
    """[draws] of the metric by the book: a list of the clusters drawn, their rows one by one."""
    p = special.expit(source.scores["up"][0].astype(np.float64))
    label, group = source.table.label, source.table.group
    distinct = sorted(set(clusters.tolist()))
    values = []
    for draw in range(DRAWS):
        drawn = np.random.default_rng([SEED, draw]).integers(0, len(distinct), len(distinct))
        rows, groups = [], []
        for copy, place in enumerate(drawn):
            for row in np.flatnonzero(clusters == distinct[place]):
                rows.append(row)
                groups.append((copy, group[row]) if copies else group[row])
        codes = {g: k for k, g in enumerate(sorted(set(groups)))}
        values.append(metric.value(p[rows], label[rows], np.array([codes[g] for g in groups])))
    return np.array(values)


@pytest.mark.parametrize(
    ("cluster", "copies"), [("user", True), ("request", False)], ids=["user", "request"]
)
def test_redraws_are_those_of_a_plain_loop(source, cluster, copies):
    """A user drawn twice is two groups; a request drawn twice is more rows of one user."""
    layout = Layout(source.table, cluster)
    metric = BestGroup()
    deviations = measure_own(layout, source.scores["up"][0], metric, "best").summed(layout.axis)
    clusters = source.table.group if cluster == "user" else source.table.request
    values = redrawn(source, metric, clusters, copies=copies)
    deviations_of_loop = (values - values.mean()) / np.sqrt(DRAWS - 1)
    np.testing.assert_allclose(deviations, deviations_of_loop, atol=1e-12)
    assert float(deviations @ deviations) == pytest.approx(values.var(ddof=1), rel=1e-9)


def test_redraws_give_the_errors_that_influences_give(source):
    request = PanelRequest(
        Layout(source.table),
        "test",
        ("brier", "smooth_brier"),
        own={"brier": Brier(), "smooth_brier": SmoothBrier()},
    )
    models = collect(source, request).models
    drawn, smooth = models["brier"], models["smooth_brier"]
    np.testing.assert_allclose(drawn.theta, smooth.theta, rtol=1e-12)
    np.testing.assert_allclose(np.sqrt(np.diag(drawn.K)), np.sqrt(np.diag(smooth.K)), rtol=0.12)
    assert drawn.se[0, 1] == pytest.approx(smooth.se[0, 1], rel=0.12)  # paired: the same draws
    users, label = source.table.group, source.table.label
    both = min(len({*users[label == 1]}), len({*users[label == 0]}))
    assert (drawn.m, drawn.mc) == (smooth.m, smooth.mc) == (len({*users}), both)


def test_two_way_clusters_are_redrawn_by_user_by_item_and_by_both(source):
    own = {"brier": Brier(), "smooth_brier": SmoothBrier()}
    request = PanelRequest(Layout(source.table), "test", tuple(own), two_way=True, own=own)
    models = collect(source, request).models
    np.testing.assert_allclose(
        np.sqrt(np.diag(models["brier"].K)), np.sqrt(np.diag(models["smooth_brier"].K)), rtol=0.2
    )


def test_slices_measure_a_redrawn_metric_only_where_verdicts_are_on_it(source):
    beside = compare(source, options(Brier, LogLoss))
    assert all("brier" not in row.metrics and "mine" in row.metrics for row in beside.slices)
    primary = compare(source, options(Brier, metric="brier"))
    assert all("brier" in row.metrics for row in primary.slices)
    assert any("from 400 redraws of whole users" in note for note in primary.notes)
    assert not any("redraws" in note for note in compare(source, options(LogLoss)).notes)


def test_the_record_says_what_it_is_called_and_which_way_is_up(source):
    comparison = compare(source, options(Brier, BestGroup))
    again = Comparison.from_dict(comparison.to_dict())
    assert again.about["brier"][:2] == ("Brier", False)
    assert again.about["best_group"][:2] == ("best_group", True)
    assert again.row("up").metrics["brier"] == comparison.row("up").metrics["brier"]
    old = comparison.to_dict()
    del old["own_metrics"]  # as comparisons were recorded before
    assert Comparison.from_dict(old).own_metrics == {}


class Undefined(Brier):
    name: ClassVar[str] = "undefined"

    def value(self, probability, label, group):
        return float("nan")


class Raises(Brier):
    name: ClassVar[str] = "raises"

    def value(self, probability, label, group):
        raise KeyError("no such word")


class TwoNumbers(Brier):
    name: ClassVar[str] = "two"

    def value(self, probability, label, group):
        return np.zeros(2)


class ShortInfluence(Brier):
    name: ClassVar[str] = "short"

    def influence(self, probability, label, group):
        return np.zeros(3)


def test_a_metric_without_a_value_says_so(source):
    row = compare(source, options(Undefined)).row("up")
    assert row.metrics["undefined"].note == "undefined: it has no value on these rows"
    assert np.isnan(row.differences["undefined"].low)


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (Wordy, r"metric 'brier' raised ValueError \(x y{198}\); mend it"),
        (Raises, r"metric 'raises' raised KeyError \('no such word'\); mend it, `fusefront check`"),
        (TwoNumbers, r"metric 'two': value gives shape \(2,\), expected one number"),
        (ShortInfluence, r"metric 'short': influence gives shape \(3,\), expected one .* \(900\)"),
    ],
)
def test_what_it_does_wrong_is_one_sentence(source, metric, sentence):
    with pytest.raises(UsageError, match=sentence):
        compare(source, options(metric))


def test_draws_without_a_value_are_left_out():
    class Rare(QualityMetric):
        """Undefined where the one positive is not drawn: in about a third of the draws."""

        higher_is_better = True

        def value(self, probability, label, group):
            return float(probability[label == 1].mean()) if label.any() else float("nan")

    label = np.zeros(40, np.uint8)
    label[:2] = 1
    rows = RowTable(label, np.arange(40), np.arange(40), np.arange(40), np.arange(40))
    layout = Layout(rows)
    logits = np.linspace(-1, 1, 40).astype(np.float32)
    deviations = measure_own(layout, logits, Rare(), "rare").summed(row_axis(rows.group, label))
    values = []
    for draw in range(DRAWS):
        drawn = np.random.default_rng([SEED, draw]).integers(0, 40, 40)
        hit = [special.expit(float(logits[row])) for row in drawn if label[row]]
        values.append(np.mean(hit) if hit else np.nan)
    known = np.array(values)[np.isfinite(values)]
    assert DRAWS / 2 < len(known) < DRAWS
    assert float(deviations @ deviations) == pytest.approx(known.var(ddof=1), rel=1e-6)
    assert (deviations[~np.isfinite(values)] == 0).all()


def test_options_know_which_way_is_up_and_what_can_be_named(source):
    assert options(BestGroup, metric="best_group").higher
    assert not options(Brier, metric="brier").higher
    with pytest.raises(UsageError, match="got metric 'brier' for verdicts, expected one of: auc"):
        compare(source, replace(options(), metric="brier"))
