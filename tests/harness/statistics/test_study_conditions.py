"""Conditions of a whole comparison: validation of one class, slices by themselves, items, the
winner's expected lead, and the numbers that the page promises."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fusefront.harness.statistics import compare as comparing
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.exchangeable import STEPS
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.families import families
from fusefront.harness.statistics.measures.own_metrics import DRAWS, MetricRows, deviations
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.panel import ITEMS_MATTER
from fusefront.harness.statistics.rows import MOST_CELLS, RowTable, row_axis
from fusefront.harness.statistics.score_source import MemorySource, SliceCodes

PAGE = Path(__file__).parents[3] / "docs" / "statistics.md"
ROWS = 1200


@pytest.fixture(scope="module")
def source() -> MemorySource:
    """Two strategies of three seeds on 100 users, whose 300 requests are crossed by 40 items."""
    rng = np.random.default_rng(11)
    user = np.repeat(np.arange(100), 12)
    truth = rng.normal(size=ROWS)
    label = (truth + rng.normal(size=ROWS) > 0.4).astype(np.uint8)
    item = rng.integers(0, 40, ROWS)
    rows = RowTable(label, user, np.arange(ROWS) // 4, item, np.arange(ROWS))
    scores = {
        name: {
            seed: (quality * truth + rng.normal(size=ROWS)).astype(np.float32) for seed in range(3)
        }
        for name, quality in (("today", 0.8), ("rival", 1.0))
    }
    return MemorySource(rows, scores)


def compared(source: MemorySource, **more: Any) -> Comparison:
    return compare(source, Options("today", **{"metrics": ("auc",), "workers": 1, **more}))


@pytest.mark.parametrize("value", [0, 1])
def test_a_validation_of_one_class_selects_nobody(source: MemorySource, value: int) -> None:
    """Not even by a loss, which has a value there."""
    label = np.full(ROWS, value, np.uint8)
    valid = replace(source, table=source.table._replace(label=label))
    comparison = compared(
        replace(source, valid=valid), metric="logloss", metrics=("auc", "logloss")
    )
    assert np.isnan([row.valid for row in comparison.strategies]).all()
    assert comparison.selected is None
    for few in (1, ROWS - 1):  # a single row of the other class is enough
        label = np.full(ROWS, value, np.uint8)
        label[0] = 1 - value
        some = replace(source, table=source.table._replace(label=label))
        assert compared(replace(source, valid=some)).selected is not None, few


def test_two_strategies_have_a_best_set_and_one_has_none(source: MemorySource) -> None:
    assert "rival" in compared(source).best_set
    alone = MemorySource(source.table, {"today": source.scores["today"]})
    assert compared(alone).best_set == ()
    assert compared(source, ranked=False).best_set == ()
    single = {**source.scores, "rival": {0: source.scores["rival"][0]}}
    assert compared(replace(source, scores=single)).best_set == ()


def test_rows_are_clustered_by_item_above_the_limit_of_the_ratio(
    source: MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    ratio = compared(source).two_way_ratio
    assert 0.5 < ratio < 1.15
    for limit, cluster in ((ratio, "user"), (ratio - 1e-9, "user and item")):
        monkeypatch.setattr(comparing, "ITEMS_MATTER", limit)
        comparison = compared(source)
        assert (comparison.cluster, comparison.two_way_ratio) == (cluster, ratio)
        assert (comparison.clusters == 40) == (cluster == "user and item")


def test_by_user_and_item_the_ratio_is_over_users_alone(source: MemorySource) -> None:
    both, user = compared(source, two_way=True), compared(source)
    assert both.two_way_ratio == user.two_way_ratio
    assert both.model.se[0, 1] / user.model.se[0, 1] == pytest.approx(both.two_way_ratio)
    request = compared(source, two_way=True, cluster="request")
    assert np.isnan(request.two_way_ratio)  # there is no error by request to divide by
    assert np.isfinite(compared(source, cluster="request").two_way_ratio)


def test_a_single_slice_value_has_the_whole_level(source: MemorySource) -> None:
    """Values without an interval take no share of it."""
    few = np.where(np.arange(ROWS) >= ROWS - 60, 1, np.where(np.arange(ROWS) < 900, 0, -1))
    declared = (SliceCodes("time", ("early", "late"), few),)
    rows = {row.value: row for row in compared(replace(source, declared=declared)).slices[1::2]}
    early = few == 0
    part = MemorySource(
        source.table.take(early),
        {n: {s: v[early] for s, v in of.items()} for n, of in source.scores.items()},
    )
    whole = compared(part).row("rival")
    assert rows["late"].note.startswith("no interval: only ")
    assert rows["early"].difference == whole.differences["auc"]
    assert rows["early"].p_adjusted == whole.p_adjusted
    assert rows["early"].mde == whole.mde
    late = (SliceCodes("time", ("late",), few - 1),)
    (today, rival) = compared(replace(source, declared=late)).slices
    assert (today.verdict, rival.verdict) == ("baseline", "no verdict")


def test_an_expected_lead_stays_within_the_winners_interval() -> None:
    """Seeds of the others vary so much that shrinking alone would leave the interval."""
    names = ("today", "first", "second", "third")
    s2 = np.array([1e-10, 1e-10, 4e-4, 4e-4])
    zero, K = np.zeros(4), np.eye(4) * 1e-9
    for sign, higher in ((1, True), (-1, False)):
        theta = 0.7 + sign * np.array([0.0, 0.02, 0.0, 0.0])
        model = JointModel(names, theta, s2, np.full(4, 3), K, zero, K, 400, 400)
        own = families(model, "today", np.array([False, True, True, True]))
        roles = cast(Any, SimpleNamespace(role=lambda name: "strategy"))
        metric = "auc" if higher else "logloss"
        winner = comparing._picked_here(roles, Options("today", metric=metric), own)
        assert winner is not None
        assert winner.name == "first"
        assert winner.expected == (winner.low if higher else winner.high)
        assert winner.high - winner.low < 0.01


def test_an_undefined_metric_never_wins() -> None:
    names = ("today", "broken", "good")
    for theta, metric in (([0.7, np.nan, 0.8], "auc"), ([0.7, np.nan, 0.6], "logloss")):
        zero, K = np.zeros(3), np.eye(3) * 1e-6
        K[1], K[:, 1] = np.nan, np.nan
        model = JointModel(names, np.array(theta), zero + 1e-6, np.full(3, 3), K, zero, K, 400, 400)
        own = families(model, "today", np.array([False, True, True]))
        controls = cast(Any, SimpleNamespace(role=lambda name: "control"))
        winner = comparing._picked_here(controls, Options("today", metric=metric), own)
        assert winner is not None
        assert winner.name == "good"
        assert winner.expected == winner.difference  # a control is not shrunk


def test_the_page_says_how_many_redraws_pairs_and_steps_there_are() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"redrawn with replacement {DRAWS} times" in page
    assert f"more than {MOST_CELLS:,} pairs" in page
    assert f"Above {ITEMS_MATTER} rows are clustered by item, too" in page
    assert f"in {STEPS} steps (Rubin 1981)" in page


@pytest.mark.parametrize("known", [DRAWS // 2, DRAWS // 2 - 1])
def test_redraws_count_where_half_of_them_have_a_value(known: int) -> None:
    label = (np.arange(12) % 2).astype(np.uint8)
    rows = MetricRows(np.linspace(0.1, 0.9, 12), label, np.arange(12, dtype=np.int32))
    values = np.where(np.arange(DRAWS) < known, np.arange(DRAWS, dtype=float), np.nan)
    drawn = iter(values.tolist())
    result = deviations(lambda each: next(drawn), rows, 0.5, row_axis(rows.group, label))
    spread = values[:known].var(ddof=1) if known == DRAWS / 2 else 0.0
    assert result @ result == pytest.approx(spread)
