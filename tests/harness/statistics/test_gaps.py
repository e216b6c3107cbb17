"""Gaps between groups against plain loops and scikit-learn, and their error over simulated
worlds."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fusefront.harness.statistics.contrasts import contrasts
from fusefront.harness.statistics.gaps import (
    FEWEST_ROWS,
    GroupGap,
    Groups,
    group_gaps,
    top_places,
)
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource, SliceCodes

SEEDS = (1, 2, 3)
K = 2


def world(
    seed: int, users: int = 60, gap: float = 0.0, bias: float = 0.0
) -> tuple[MemorySource, RowTable, np.ndarray]:
    """Requests of five rows; group 1's items are ranked worse by `gap` and lower by `bias`."""
    rng = np.random.default_rng(seed)
    requests, width = users * 2, 5
    n = requests * width
    request = np.repeat(np.arange(requests), width)
    group = rng.integers(0, 2, n)
    taste = np.repeat(rng.normal(0, 0.5, users), 2 * width)
    logit = taste + rng.normal(0, 1, n)
    label = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    scores = {
        s: (logit + rng.normal(0, 0.3 + gap * group, n) - bias * group + rng.normal(0, 0.02))
        .astype(np.float32) for s in SEEDS
    }  # fmt: skip
    rows = RowTable(label, request // 2, request, np.zeros(n, np.int32), np.arange(n))
    slices = (
        SliceCodes("maker", ("large", "small", "rare"), group, sensitive=True),
        SliceCodes("hour", ("am", "pm"), rng.integers(0, 2, n)),
    )
    return MemorySource(rows, {"mine": scores}, declared=slices), rows, group


def gaps_of(source: MemorySource, rows: RowTable) -> dict[str, GroupGap]:
    measured = group_gaps(source, Layout(rows, "user"), ("mine",), K)
    return {gap.measure: gap for gap in measured}


def test_gaps_are_differences_of_the_groups_own_measures() -> None:
    source, rows, group = world(4, gap=1.0, bias=1.5)
    gaps = gaps_of(source, rows)
    assert set(gaps) == {"auc", "pcoc", "exposure"}  # of the sensitive slice alone
    auc, pcoc, exposure = [], [], []
    for logits in source.scores["mine"].values():
        parts = [(rows.label[group == g], logits[group == g]) for g in (0, 1)]
        (y0, s0), (y1, s1) = parts
        auc.append(roc_auc_score(y0, s0) - roc_auc_score(y1, s1))
        p0, p1 = (1 / (1 + np.exp(-s.astype(float))) for s in (s0, s1))
        pcoc.append(p0.sum() / y0.sum() - p1.sum() / y1.sum())
        top = np.zeros(len(logits), bool)
        for request in np.unique(rows.request):
            own = np.flatnonzero(rows.request == request)
            top[own[np.argsort(-logits[own], kind="stable")[:K]]] = True
        exposure.append(top[group == 0].mean() - top[group == 1].mean())
    for name, values in (("auc", auc), ("pcoc", pcoc), ("exposure", exposure)):
        gap = gaps[name]
        assert gap.value == pytest.approx(np.mean(values), abs=1e-6)
        assert (gap.strategy, gap.slice, gap.group, gap.other) == (
            "mine",
            "maker",
            "large",
            "small",
        )
        assert gap.low < gap.value < gap.high
    assert gaps["exposure"].shown
    assert gaps["exposure"].value > 0
    assert gaps["exposure"].p < 0.05


def test_the_first_places_of_a_request() -> None:
    logits = np.array([0.1, 0.3, 0.3, 0.2, 5.0, 4.0], np.float32)
    request = np.array([7, 7, 7, 7, 2, 2])
    assert top_places(logits, request, 2).tolist() == [False, True, True, False, True, True]
    assert top_places(logits, request, 1).tolist() == [False, True, False, False, True, False]


def test_the_error_of_a_gap_is_that_over_users() -> None:
    """Against redrawing the users, one seed."""
    source, rows, group = world(9, users=120, gap=0.5)
    single = MemorySource(rows, {"mine": {1: source.scores["mine"][1]}}, declared=source.declared)
    gap = gaps_of(single, rows)["auc"]
    rng, users = np.random.default_rng(0), np.unique(rows.group)
    own = {u: np.flatnonzero(rows.group == u) for u in users}
    logits, drawn = source.scores["mine"][1], []
    for _ in range(300):
        rows_of = np.concatenate([own[u] for u in rng.choice(users, len(users))])
        both = [rows_of[group[rows_of] == g] for g in (0, 1)]
        a, b = (roc_auc_score(rows.label[r], logits[r]) for r in both)
        drawn.append(a - b)
    se = (gap.high - gap.low) / 2 / 2.4  # Bonferroni over three measures: t of .05 / 3
    assert se == pytest.approx(np.std(drawn), rel=0.15)


@pytest.mark.parametrize(
    ("share", "positives", "groups_left"), [(30, 1, 2), (30, 0, 1), (29, 1, 1)]
)
def test_a_group_has_thirty_rows_and_both_classes(
    share: int, positives: int, groups_left: int
) -> None:
    group, label = np.zeros(90, int), np.tile([0, 1], 45).astype(np.uint8)
    group[:share], label[:share] = 1, 0
    label[:positives] = 1
    rows = RowTable(label, *(np.arange(90) // 2 for _ in range(4)))
    groups = Groups.of(SliceCodes("maker", ("a", "b"), group), rows, "user")
    assert list(groups.chosen) == ["a", "b"][:groups_left]
    assert len(groups.clusters) == groups_left
    assert groups.clusters[1:] == (1,) * (groups_left - 1)  # the user of the positive


def test_the_ends_of_a_gap_hold_for_slices_strategies_and_measures() -> None:
    """Of exposure with one seed: by the users' sums, at a twelfth of the error."""
    source, rows, _ = world(4, gap=1.0)
    maker, hour = source.declared
    both = (maker, hour._replace(sensitive=True))
    scores = {name: {1: source.scores["mine"][seed]} for name, seed in (("mine", 1), ("other", 2))}
    planted = MemorySource(rows, scores, declared=both)
    gaps = group_gaps(planted, Layout(rows, "user"), ("mine", "other"), K)
    assert len(gaps) == 12
    users = rows.group.max() + 1
    for gap in (each for each in gaps if each.measure == "exposure"):
        code = np.asarray(maker.code if gap.slice == "maker" else hour.code)
        shown = top_places(scores[gap.strategy][1], rows.request, K)
        value, sums, fewest = 0.0, np.zeros(users), users
        for at, sign in ((0, 1), (1, -1)):
            inside = np.flatnonzero(code == at)
            share = shown[inside].mean()
            value += sign * share
            for row in inside:
                sums[rows.group[row]] += sign * (shown[row] - share) / len(inside)
            for label in (0, 1):
                fewest = min(fewest, len({rows.group[r] for r in inside if rows.label[r] == label}))
        error = np.array([[users / (users - 1) * (sums**2).sum()]])
        zero = np.zeros(1)
        model = JointModel(
            ("gap",), zero + value, zero, np.ones(1, int), error, zero, error, users, fewest,
            level=1 - 0.05 / 12,
        )  # fmt: skip
        expected = contrasts(model, np.eye(1))
        assert gap.value == pytest.approx(value)
        assert (gap.low, gap.high) == pytest.approx((expected.low[0], expected.high[0]), rel=1e-4)
        assert gap.p == pytest.approx(min(12 * expected.p[0], 1.0))


def test_small_groups_and_slices_that_are_not_sensitive_are_left_out() -> None:
    source, rows, group = world(4)
    few = group.copy()
    few[few == 1] = 0
    few[: FEWEST_ROWS - 1] = 1
    bare = MemorySource(
        rows, source.scores, declared=(SliceCodes("maker", ("a", "b"), few, sensitive=True),)
    )
    assert group_gaps(bare, Layout(rows, "user"), ("mine",), K) == []
    none = MemorySource(rows, source.scores, declared=source.declared[1:])
    assert group_gaps(none, Layout(rows, "user"), ("mine",), K) == []


@pytest.mark.slow
def test_a_planted_gap_is_told_and_none_where_there_is_none() -> None:
    """100 worlds each: of three gaps at most 6 worlds claim one that is not there."""
    false_claims, finds = 0, 0
    for seed in range(100):
        false_claims += any(gap.shown for gap in gaps_of(*world(seed)[:2]).values())
        finds += gaps_of(*world(1000 + seed, gap=2.5)[:2])["auc"].low > 0
    assert false_claims <= 6
    assert finds >= 80


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (0.01, 0.5, True),
        (-0.5, -0.01, True),
        (0.0, 0.5, False),
        (-0.5, 0.0, False),
        (-0.01, 0.5, False),
        (float("nan"), float("nan"), False),
    ],
)
def test_a_gap_is_shown_where_its_interval_leaves_zero_out(
    low: float, high: float, *, shown: bool
) -> None:
    gap = GroupGap("mine", "maker", "auc", "large", "small", (low + high) / 2, low, high, 0.5)
    assert gap.shown is shown
