"""Every sentence beside the table, word for word, at the counts where it begins and ends."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.joint import Pair
from fusefront.harness.statistics.judging import remarks
from fusefront.harness.statistics.judging.estimates import lacking
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import Panel
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource
from fusefront.reports import numbers
from fusefront.reports.evidence import Interval

MISSING = (
    "Controls missing from this comparison: popularity, counts, boosted, id_only, unimodal, "
    "early_fusion, shuffled."
)


@pytest.fixture(scope="module")
def comparison(uneven):
    return compare(
        uneven, Options("base", margin=0.03, temperature=True, metrics=("auc", "logloss"))
    )


def nothing(names=()):
    return Panel(tuple(names), {}, {}, {}, {})


def test_notes_say_unit_effect_margin_best_set_and_lead(comparison, uneven):
    panel = replace(nothing(comparison.temperature), temperature=comparison.temperature)
    effects = [row.mde for row in comparison.strategies if np.isfinite(row.mde)]
    lead = comparison.winner
    fitted = ", ".join(f"{name} {comparison.temperature[name]:.3f}" for name in panel.strategies)
    users = len(np.unique(uneven.table.group))
    expected = (
        f"Intervals are 95 %, over {users} users and over training seeds; training data and "
        "hyper-parameters are held fixed.",
        f"Differences to base: intervals of 1 strategy ({comparison.c_base:.2f} standard errors) "
        f"and of 2 controls ({comparison.c_controls:.2f} standard errors), right for all of a group"
        " at once; verdicts are read off their ends.",
        (
            f"Smallest difference seen with 80 % power (MDE): {min(effects):.4f} to "
            f"{max(effects):.4f}."
        ),
        "Equivalence margin: ±0.03 (the interval inside it).",
        f"Best on test: up, {numbers.gap(Interval(*lead[1:4]), 0.03)} to base, "
        "the interval corrected for being picked.",
        f"Temperatures fitted on validation: {fitted}.",
    )
    assert remarks.notes(comparison, panel) == comparison.notes == expected
    assert min(effects) < max(effects)


@pytest.mark.parametrize(
    ("expected", "figure"), [(None, ""), (0.05, ""), (0.049, "0.0490"), (0.051, "0.0510")]
)
def test_luck_is_said_where_it_moves_a_twentieth_of_half_the_interval(comparison, expected, figure):
    """Half of it is 0.01, so a shift of 0.0005 is seen."""
    lead = comparison.winner._replace(difference=0.05, low=0.04, high=0.06, expected=expected)
    (line,) = [
        line
        for line in remarks.notes(replace(comparison, winner=lead), nothing())
        if line.startswith("Best on test: ")
    ]
    luck = f"; the figure is that of the luckiest, expect about +{figure}" if figure else ""
    assert line.endswith(f"the interval corrected for being picked{luck}.")


def test_notes_leave_out_what_is_not_known(comparison):
    bare = replace(
        comparison,
        strategies=tuple(row._replace(mde=np.nan, p=np.nan) for row in comparison.strategies),
        winner=None,
        best_set=("up",),
        clusters=12345,
        cluster="user and item",
    )
    assert remarks.notes(bare, nothing()) == (
        "Intervals are 95 %, over 12,345 users and items and over training seeds; training data "
        "and hyper-parameters are held fixed.",
        "Equivalence margin: ±0.03 (the interval inside it).",
    )
    changed = replace(bare, cluster="request", best_set=("up", "side"))
    sentences = remarks.notes(changed, nothing())
    assert sentences[0].startswith("Intervals are 95 %, over 12,345 requests and")
    assert sentences[2] == "Any of these may be the best: up, side."
    unknown = replace(bare, winner=comparison.winner._replace(low=np.nan))
    assert remarks.notes(unknown, nothing()) == remarks.notes(bare, nothing())


def with_seeds(comparison, counts, s2=None):
    """The comparison with other numbers of seeds and other seed variances."""
    rows = tuple(
        row._replace(seeds=count) for row, count in zip(comparison.strategies, counts, strict=True)
    )
    model = replace(
        comparison.model, n=np.array(counts), s2=comparison.model.s2 if s2 is None else s2
    )
    return replace(comparison, strategies=rows, model=model)


UNEQUAL = (
    "Seed variances differ much between strategies and there are fewer than five seeds: 95 % "
    "intervals may cover about 92 %."
)


@pytest.mark.parametrize(
    ("counts", "s2", "sentences"),
    [
        (
            (3, 1, 2, 1, 2),
            (1.0, 1.0, 1.0, 1.0, 1.0),
            [
                "up, lone: one seed; the interval is of these trained models only, no verdict on "
                "the strategy.",
                "side, flat: two seeds; 95 % intervals may cover as little as 88 %.",
            ],
        ),
        ((3, 3, 3, 3, 3), (1.0, 26.0, 1.0, 1.0, 0.0), [UNEQUAL]),
        ((3, 3, 3, 3, 3), (1.0, 25.0, 1.0, 1.0, 0.0), []),
        ((3, 5, 3, 3, 3), (1.0, 99.0, 1.0, 1.0, 0.0), []),  # who differs has five seeds
        ((3, 4, 5, 5, 5), (1.0, 26.0, 1.0, 1.0, 0.0), [UNEQUAL]),
        ((5, 4, 5, 5, 5), (1.0, 26.0, 1.0, 1.0, 0.0), []),  # one variance of few seeds
        (
            (1, 3, 4, 5, 5),
            (99.0, 1.0, 1.0, 1.0, 0.0),  # one seed has no variance
            [
                "base: one seed; the interval is of these trained models only, no verdict on the "
                "strategy."
            ],
        ),
    ],
)
def test_few_seeds_are_warned_of(comparison, counts, s2, sentences):
    assert remarks._seeds(with_seeds(comparison, counts, np.array(s2))) == sentences


def test_two_seeds_say_more_than_unequal_variances(comparison):
    s2 = np.array([1.0, 99.0, 1.0, 1.0, 1.0])
    assert remarks._seeds(with_seeds(comparison, (3, 3, 3, 3, 2), s2)) == [
        "flat: two seeds; 95 % intervals may cover as little as 88 %."
    ]


@pytest.mark.parametrize(
    ("clusters", "mc", "sentence"),
    [
        (1, 1, "One cluster of rows: estimates only, no interval and no verdict."),
        (2, 1, "Only 1 cluster holds one of the classes: estimates, no intervals."),
        (99, 9, "Only 9 clusters hold one of the classes: estimates, no intervals."),
        (99, 10, "Only 10 clusters hold one of the classes: intervals are approximate below 30."),
        (99, 29, "Only 29 clusters hold one of the classes: intervals are approximate below 30."),
        (99, 30, ""),
    ],
)
def test_few_clusters_are_warned_of(comparison, clusters, mc, sentence):
    model = replace(comparison.model, m=clusters, mc=mc)
    few = replace(comparison, clusters=clusters, mc=mc, model=model)
    assert remarks._clusters(few) == ([sentence] if sentence else [])
    assert lacking(model) == {
        (1, 1): "one cluster: an estimate only",
        (2, 1): "no interval: only 1 cluster holds one of the classes, 10 are needed",
        (99, 9): "no interval: only 9 clusters hold one of the classes, 10 are needed",
    }.get((clusters, mc), "")


@pytest.mark.parametrize(("share", "sentences"), [(0.0999, 0), (0.10, 1)])
def test_who_has_a_tenth_of_the_rows_is_named(comparison, share, sentences):
    weight = comparison.weight._replace(largest_share=share, largest=17, rows=40, positives=9)
    by_user = replace(comparison, weight=weight, rows=400, positives=80, clusters=60)
    effective = comparison.model.informative
    expected = (
        f"One user (code 17: 40 of 400 rows, 9 of 80 positives) carries the intervals: 60 users "
        f"count as {effective:.1f} equal ones."
    )
    assert remarks._uneven(by_user) == [expected] * sentences
    assert remarks._uneven(replace(by_user, weight=None)) == []
    if sentences:
        few = replace(by_user, cluster="request", model=replace(comparison.model, mc=9))
        (sentence,) = remarks._uneven(few)
        assert sentence.startswith("One request (code 17: ")
        assert sentence.endswith(": 60 requests count as 9.0 equal ones, too few for an interval.")


@pytest.mark.parametrize(("ratio", "clustered"), [(1.15, False), (1.16, True), (np.nan, False)])
def test_items_that_matter_are_said_above_their_limit(comparison, ratio, clustered):
    sentences = remarks.notes(replace(comparison, two_way_ratio=ratio), nothing())
    expected = (
        f"Items matter here: without them errors would be {ratio:.2f} times too small, so rows are "
        "clustered by item, too."
    )
    assert (expected in sentences) == clustered


def test_a_margin_that_no_outcome_could_reach_is_said(comparison):
    model = comparison.model
    critical = dict.fromkeys(model.names, comparison.c_controls) | {"up": comparison.c_base}
    halves = {
        name: max(stats.t.ppf(0.975, model.df(i, 0)), critical[name]) * model.se[i, 0]
        for i, name in enumerate(model.names)
        if i and model.se[i, 0] > 0
    }
    assert set(halves) == {"up", "side", "flat"}
    order = sorted(halves, key=halves.get)
    between = (halves[order[0]] + halves[order[1]]) / 2
    wide = [name for name in model.names if name in order[1:]]
    assert remarks._margin(replace(comparison, margin=between)) == [
        f"These data could never show equivalence within ±{between:g} for {', '.join(wide)}: "
        "the interval is wider than the margin whatever the difference."
    ]
    assert remarks._margin(replace(comparison, margin=1.01 * halves[order[2]])) == []
    (just,) = remarks._margin(replace(comparison, margin=0.99 * halves[order[2]]))
    assert f" for {order[2]}: the interval" in just  # few seeds: a t quantile, not a normal's
    assert remarks._margin(replace(comparison, margin=1e-9, model=replace(model, mc=9))) == []


def test_names_beyond_six_are_counted():
    assert remarks._some(list("abcdef")) == "a, b, c, d, e, f"
    assert remarks._some(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"


def test_warnings_come_in_their_order(comparison):
    panel = replace(
        nothing(("base", "up", "copy")),
        refused={"broken": "refused: it is broken"},
        constant={"up", "base"},
        digest={"base": ("1", "2"), "up": ("1",), "copy": ("1", "2")},
    )
    sentences = remarks.warnings(replace(comparison, margin=1.0), panel)
    assert sentences == (
        "broken: refused: it is broken",
        *remarks._seeds(comparison),
        *remarks._clusters(comparison),
        "base and copy predicted the very same numbers with every seed.",
        "base: every score is the same, no variation.",
        "up: every score is the same, no variation.",
        MISSING,
        *remarks._controls(comparison),
    )


@pytest.mark.parametrize(
    ("difference", "half", "higher", "missed"),
    [
        (0.1, 0.09, True, False),
        (0.1, 0.09, False, True),
        (-0.1, 0.09, True, True),
        (-0.1, 0.09, False, False),
        (0.1, 0.1, True, True),
        (-0.1, 0.1, False, True),
        (0.1, 0.0999, True, False),
        (0.0, np.nan, True, True),
        (0.1, np.nan, True, False),
    ],
)
def test_a_control_is_beaten_by_a_sure_difference_on_the_right_side(
    difference, half, higher, missed
):
    pair = Pair(difference, 0.1, 9.0, difference - half, difference + half, 0.5)
    assert remarks._misses(pair, higher=higher) == missed


SHARED = np.random.default_rng(2).normal(size=4000)


def world():
    """Three seeds each; the text control is better on test, the image control on validation."""
    rng = np.random.default_rng(0)
    label = (rng.random(4000) < special.expit(SHARED)).astype(np.uint8)
    request = np.arange(4000) // 4
    rows = RowTable(label, request, request, request % 9, np.arange(4000))
    quality = {
        "early_fusion": (0.5, 0.5),
        "strong": (2.0, 2.0),
        "weak": (0.6, 0.6),
        "unimodal_text": (0.9, 0.1),
        "unimodal_image": (0.1, 0.9),
        "id_only_2": (0.6, 0.6),
        "old": (0.1, 0.1),
    }

    def vectors(part):
        return {
            name: {
                seed: (both[part] * SHARED + rng.normal(size=4000)).astype(np.float32)
                for seed in range(3 if name != "old" else 1)
            }
            for name, both in quality.items()
        }

    controls = ("id_only_2", "unimodal_text", "unimodal_image")
    roles = {"old": "ablation", **dict.fromkeys(controls, "control")}
    return MemorySource(rows, vectors(0), roles, (), MemorySource(rows, vectors(1)))


@pytest.mark.parametrize("metric", ["auc", "logloss"])
def test_controls_that_are_not_beaten_are_named_with_what_that_means(metric):
    comparison = compare(world(), Options("early_fusion", metric=metric, metrics=(metric,)))
    assert (
        "Controls missing from this comparison: popularity, counts, boosted, shuffled."
        in comparison.warnings
    )
    expected = []
    for name in ("early_fusion", "strong", "weak"):
        for control in ("early_fusion", "unimodal_image", "id_only_2"):  # text is worse on valid
            pair = comparison.pair(name, control)
            ahead = pair.low if metric == "auc" else -pair.high
            if name != control and not ahead > 0:
                meaning = {
                    "early_fusion": "plain concatenation does as well",
                    "unimodal_image": "one modality alone does as well",
                    "id_only_2": "the modalities add nothing that is seen here",
                }[control]
                expected.append(f"{name} does not beat {control}: {meaning}.")
    assert [line for line in comparison.warnings if "does not beat" in line] == expected
    assert any(line.startswith("weak does not beat id_only_2") for line in expected)


def test_a_kind_of_control_has_its_meaning():
    assert remarks._meaning("shuffled_2") == (
        ": vectors dealt to other items do as well, so their content is not used"
    )
    assert remarks._meaning("own_control") == ""
