"""Figures of a latency session: every mark stands where its number is, and none is invented."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from fusefront.reports.evidence import Arriving, AtOnce, Evidence, Interval, ScopeGap
from fusefront.reports.figures import load, scopes
from fusefront.reports.figures.svg import Drawing
from fusefront.reports.provenance import provenance
from fusefront.reports.sections import sections

WORDS = {"name": "x", "title": "t", "description": "d"}


def scope(name: str, model: float, whole: float, p99: float | None = None) -> ScopeGap:
    tail = None if p99 is None else Interval(p99)
    return ScopeGap(name, Interval(model), Interval(whole), Interval(whole - model), None, tail)


GAPS = (scope("pca64", 3.0, 4.0, 12.0), scope("pca16", 2.0, 2.5), scope("early_sum", 0.6, 0.5, 0.9))
QUEUE = (
    Arriving("pca32", 0.7, 210.0, Interval(0.2), 9.0),
    Arriving("pca32", 0.3, 90.0, Interval(0.0), 4.0),
    Arriving("pca64", 0.3, 80.0, Interval(0.0), 6.0),
    Arriving("pca64", 0.7, 190.0, Interval(0.9), None, 5, 4),
    Arriving("din", 0.3, 100.0, Interval(0.0), 5.0),
    *(Arriving("qin", load, 500 * load, Interval(1.0), None) for load in (0.7, 0.9)),
)
CALLS = (
    AtOnce("pca64", "onnx", 16, 100, 4e5),
    AtOnce("pca64", "onnx", 1, 100, 1e5),
    AtOnce("pca64", "onnx", 1, 50, 9e4),
    AtOnce("pca64", "onnx-int8", 1, 100, 2e5),
    AtOnce("din", "onnx", 16, 100, 3e5),
)


@pytest.fixture(scope="module")
def timed(full_evidence: Evidence) -> Evidence:
    lean = replace(full_evidence, calibration=(), missing=None, training=(), ablations=())
    return replace(
        lean, scopes=GAPS, arriving=QUEUE, at_once=CALLS, hashes={"bench/bench.json": "ab" * 32}
    )


@pytest.fixture
def axes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Draws a figure of a module and gives its axes instead of its bytes."""
    drawn: list[Figure] = []

    def finish(fig: Figure, *_: object, **__: object) -> Drawing:
        drawn.append(fig)
        return Drawing("", "", "", "", "", b"")

    for module in (load, scopes):
        monkeypatch.setattr(module, "finish", finish)

    def draw(function: Any, evidence: Evidence, language: str = "en") -> Any:
        function(evidence, language, **WORDS)
        return drawn[-1].axes[0]

    return draw


def marks(ax: Any, marker: str) -> list[tuple[list[float], list[float]]]:
    lines = [line for line in ax.lines if line.get_marker() == marker]
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in lines]


def words(ax: Any) -> list[str]:
    return [text.get_text().replace("\u00a0", " ") for text in ax.texts]


def test_every_request_stands_at_its_two_medians_the_fastest_first(
    timed: Evidence, axes: Any
) -> None:
    ax = axes(scopes.draw_scopes, timed)
    assert marks(ax, "s") == [([0.6], [0]), ([0.5], [0])]  # faster whole than alone: as measured
    assert marks(ax, "o") == [([2.0], [1]), ([2.5], [1]), ([3.0], [2]), ([4.0], [2])]
    tails = [line for line in ax.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata())
             == 2 and line.get_marker() == "None"]  # fmt: skip
    assert sorted({line.get_xdata()[0] for line in tails}) == [0.9, 10.0, 12.0]  # 10: the limit
    ticks = sorted([list(line.get_ydata()) for line in tails if line.get_xdata()[0] != 10.0])
    assert ticks == [[-0.24, 0.24], [1.76, 2.24]]
    beside = {text.get_position()[0] for text in ax.texts if "→" in text.get_text()}
    assert beside == {1.02}  # within the figure, right of the axes
    shown = words(ax)
    assert {"PCA-64, the choice", "PCA-16", "3.00 → 4.00 ms, 25%", "limit 10 ms"} <= set(shown)
    assert "0.60 → 0.50 ms" in shown  # no share of what is no gap
    low, high = ax.get_xlim()
    assert low < 0.5
    assert high > 12.0


def test_a_limit_beyond_the_axis_is_not_drawn(timed: Evidence, axes: Any) -> None:
    far = replace(timed, decision=replace(timed.decision, slo_ms=100.0))
    assert "limit 100 ms" not in words(axes(scopes.draw_scopes, far))
    assert "limit 100 ms" not in words(axes(load.draw_queue, far))
    assert "上限 10 ms" in words(axes(load.draw_queue, timed, "ja"))
    edge = replace(timed, decision=replace(timed.decision, slo_ms=36.0))  # 4 times the largest
    assert "limit 36 ms" in words(axes(load.draw_queue, edge))


def test_of_many_strategies_the_fastest_are_drawn_and_those_of_the_decision(
    full_evidence: Evidence,
) -> None:
    names = [f"s{i}" for i in range(30)] + ["late_weighted", "pca64"]
    gaps = tuple(scope(name, 1.0 + i, 1.5 + i) for i, name in enumerate(names))
    shown = [each.strategy for each in scopes.rows_of(replace(full_evidence, scopes=gaps[::-1]))]
    assert shown == [*names[:22], "late_weighted", "pca64"]


def test_a_rate_given_twice_needs_no_order_of_its_figures(timed: Evidence) -> None:
    both = [each for each in timed.arriving if each.strategy == "pca64"]
    twice = replace(timed, arriving=(*both, *(replace(each, p99_ms=None) for each in both)))
    assert [mark.x for mark in load.queue_lines(twice)["pca64"]] == [80.0, 80.0, 190.0, 190.0]


def test_a_queue_is_drawn_by_rate_and_one_that_only_grows_at_the_edge(
    timed: Evidence, axes: Any
) -> None:
    assert {name: [tuple(m) for m in line] for name, line in load.queue_lines(timed).items()} == {
        "pca64": [(80.0, 6.0), (190.0, None)],
        "pca32": [(90.0, 4.0), (210.0, 9.0)],
    }  # the choice first; no line of one rate, none without a number
    ax = axes(load.draw_queue, timed)
    assert marks(ax, "o") == [([80.0], [6.0]), ([90.0, 210.0], [4.0, 9.0])]
    top = ax.get_ylim()[1]
    assert [mark for mark in marks(ax, "^") if mark[0]] == [([190.0], [top])]
    assert {"PCA-64, the choice", "PCA-32", "limit 10 ms"} <= set(words(ax))
    assert [line.get_linewidth() for line in ax.lines if line.get_marker() == "o"] == [2.2, 1.2]
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert left < 80.0 < 210.0 < right
    assert all(low < tick < high for tick in ax.get_yticks())
    assert len(ax.get_yticks()) >= 2


def test_names_of_lines_are_apart_and_dots_lead_to_them(timed: Evidence, axes: Any) -> None:
    near = (*QUEUE[:3], Arriving("pca64", 0.7, 190.0, Interval(0.9), 9.001))
    ax = axes(load.draw_queue, replace(timed, arriving=near))
    names = [text for text in ax.texts if text.get_position()[0] == 1.02]
    heights = sorted(text.get_position()[1] for text in names)
    pixels = ax.get_window_extent().height / ax.figure.dpi * 72
    assert (heights[1] - heights[0]) * pixels == pytest.approx(16)
    pairs = [line for line in ax.lines if len(line.get_xdata()) == 2]
    dots = [line for line in pairs if line.get_xdata()[1] == 1.015]
    assert sorted(line.get_ydata()[1] for line in dots) == heights
    to_data = ax.transAxes + ax.transData.inverted()
    ends = sorted(tuple(to_data.transform((d.get_xdata()[0], d.get_ydata()[0]))) for d in dots)
    assert ends == [pytest.approx((190.0, 9.001)), pytest.approx((210.0, 9.0))]


def test_throughput_is_that_of_what_ships_at_the_most_candidates(
    timed: Evidence, axes: Any
) -> None:
    assert load.call_lines(timed) == {"pca64": [(1, 1e5), (16, 4e5)]}
    ax = axes(load.draw_calls, timed)
    assert marks(ax, "o") == [([1, 16], [1e5, 4e5])]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "16"]
    assert np.allclose(ax.get_ylim(), (1e5 / 1.3, 4e5 * 1.3))


def test_a_figure_stands_above_its_table_where_there_is_a_line(timed: Evidence) -> None:
    by_key = {each.key: each for each in sections(timed, "en")}
    for key in ("scopes", "arriving", "at_once"):
        section = by_key[key]
        assert section.table is not None
        assert section.table.rows
        assert section.captions == (section.table.note,)
        assert [figure.name for figure in section.figures] == [f"{key}-wide"]
        assert section.figures[0].description
    runs = provenance(timed, ["scopes-wide", "arriving-wide", "at_once-wide"], [])["figures"]
    for name, strategies in (
        ("scopes-wide", ("pca64", "pca16", "early_sum")),
        ("at_once-wide", ("pca64", "din")),
        ("arriving-wide", ("pca32", "pca64", "din", "qin")),
    ):
        own = [timed.point(each).run_ids for each in strategies]  # type: ignore[union-attr]
        assert runs[name]["runs"] == [run for ids in own for run in ids]
        assert "bench/bench.json" in runs[name]["files"]
    few = replace(timed, scopes=GAPS[:1], arriving=QUEUE[4:], at_once=CALLS[:1])
    for section in sections(few, "en"):
        if section.key in ("scopes", "arriving", "at_once"):
            assert not section.figures
            assert section.notes
