"""Names in the frontier figure: measured on the boxes that were drawn."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.reports.evidence import Evidence, Interval
from fusefront.reports.figures import canvas, frontier
from fusefront.reports.figures.sheet import Sheet
from fusefront.reports.figures.svg import HALO
from fusefront.reports.plane import plane

Boxes = list[tuple[float, float, float, float]]


def drawn(evidence: Evidence, *, narrow: bool = False) -> tuple[dict[str, Boxes], Sheet]:
    """The boxes of every name as rendered, and the figure that they are in."""
    sheets: list[Sheet] = []
    results: dict[str, Boxes] = {}

    def keep(sheet: Sheet, *_: object) -> None:
        sheets.append(sheet)
        renderer = canvas.renderer(sheet.fig)
        for text in sheet.ax.texts:
            if (text.get_gid() or "").startswith(HALO):
                box = tuple(map(float, text.get_window_extent(renderer).extents))
                results.setdefault(text.get_text(), []).append(box)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frontier, "legend", keep)
        patch.setattr(frontier, "finish", lambda *_, **__: None)
        frontier.draw_frontier(evidence, "en", name="f", title="t", description="d", narrow=narrow)
    return results, sheets[0]


def touching(box: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes share area, by plain comparison."""
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("size", [6, 20, 60])
@pytest.mark.parametrize("draw", [1, 2])
def test_no_name_touches_a_name_or_a_marker(
    crowd: Callable[..., Evidence], size: int, draw: int, narrow: bool
) -> None:
    result, sheet = drawn(crowd(size, draw=draw), narrow=narrow)
    boxes = [box for group in result.values() for box in group]
    assert len(boxes) >= (3 if narrow else min(size, 12))
    for at, box in enumerate(boxes):
        assert not any(touching(box, other) for other in boxes[:at])
    for spot in sheet.plane.spots:
        x, y = sheet.at(spot.x.value, spot.y.value)
        marker = (x - 3.5, y - 3.5, x + 3.5, y + 3.5)  # the smallest marker is 7 pixels wide
        assert not any(touching(box, marker) for box in boxes), spot.point.strategy
    left, bottom, right, top = sheet.ax.get_window_extent().extents
    for x0, y0, x1, y1 in boxes:
        assert left <= x0
        assert x1 <= right
        assert bottom <= y0
        assert y1 <= top


def test_a_marker_under_a_name_would_have_been_seen() -> None:
    assert touching((0, 0, 10, 10), (9, 9, 12, 12))
    assert not touching((0, 0, 10, 10), (10, 0, 12, 10))


def test_of_200_strategies_the_decision_and_the_frontier_are_named(
    crowd: Callable[..., Evidence],
) -> None:
    result, sheet = drawn(crowd(200))
    assert len(result) <= 26  # the others are in the table
    assert any(name.startswith("Ship PCA-64") for name in result)
    assert "Late, weighted (runs today)" in result
    corners = [s for s in sheet.plane.spots if (s.x.value, s.y.value) in sheet.plane.front]
    feasible = [s.point.label for s in corners if s.point.feasible]
    assert np.mean([any(label in name for name in result) for label in feasible]) > 0.6


def test_a_phone_names_the_choice_today_and_the_frontier_alone(full_evidence: Evidence) -> None:
    result, sheet = drawn(full_evidence, narrow=True)
    assert len(result) <= 11
    assert "Runs today" in result
    width, _ = sheet.fig.get_size_inches() * 72
    assert width == 344


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("🦊 tails", ":fox face: tails"),
        ("🦊️ tails", ":fox face: tails"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("日本語の方式", "日本語の方式"),
        ("a" * 200, "a" * 17 + "…" + "a" * 8),
        ("$x^2$ 100%", "$x^2$ 100%"),
        ("\u202eback\x07", "back"),
    ],
)
def test_odd_names_are_drawn_in_characters_that_the_fonts_have(
    full_evidence: Evidence, name: str, shown: str
) -> None:
    points = tuple(
        replace(p, strategy=name, label="") if p.strategy == "naml" else p
        for p in full_evidence.points
    )
    result, _ = drawn(replace(full_evidence, points=points))
    assert shown in result
    with canvas.drawing():
        assert canvas.drawable(shown) == shown  # nothing is left that would be an empty box


def test_the_best_possible_auc_is_a_line_where_it_fits_and_an_arrow_where_it_does_not(
    full_evidence: Evidence,
) -> None:
    def with_bayes(auc: float) -> Sheet:
        study = replace(full_evidence.study, bayes_auc=auc)
        return drawn(replace(full_evidence, study=study))[1]

    near, far = with_bayes(0.7020), with_bayes(0.7500)
    dashed = [c for c in near.ax.collections if c.get_linestyle()[0][1] is not None]
    heights = [path.vertices[0, 1] for c in dashed for path in c.get_paths()]
    assert any(h == pytest.approx(0.7020 - 0.6894) for h in heights)
    assert near.plane.y_limits[1] > 0.7020 - 0.6894
    texts = [text.get_text() for text in far.ax.texts]
    assert "best possible 0.7500 ↑" in texts
    assert plane(full_evidence).y_limits == far.plane.y_limits  # points keep their height


def test_the_frontier_falls_nowhere_and_its_corners_are_strategies(
    crowd: Callable[..., Evidence],
) -> None:
    first = plane(crowd(60))
    assert first is not None
    heights = [y for _, y in first.front]
    assert heights == sorted(heights)
    measured = {(p.p99.value, p.gain.value) for p in crowd(60).points if p.p99 and p.gain}
    assert all(corner in measured or corner[1] == 0.0 for corner in first.front)


LOW = ("id_only", "unimodal_image", "unimodal_text", "unimodal_audio")


@pytest.mark.parametrize(
    "shares", [(0.40, 0.42, 0.49, 0.59), (0.5, 0.51, 0.52, 0.53), (0.45, 0.62, 0.66, 0.69)]
)
def test_every_arrow_of_a_few_has_its_name_and_no_name_lies_between(
    full_evidence: Evidence, shares: tuple[float, ...]
) -> None:
    left, right = drawn(full_evidence)[1].plane.x_limits
    low = [
        replace(
            full_evidence.points[-1],
            strategy=name,
            label=name,
            family="control",
            gain=Interval(-0.1, -0.11, -0.09),
            p99=Interval(left * (right / left) ** share),
        )
        for name, share in zip(LOW, shares, strict=True)
    ]
    _, sheet = drawn(replace(full_evidence, points=(*full_evidence.points, *low)))
    arrows = {s.point.strategy: sheet.at(s.x.value, sheet.plane.y_limits[0])
              for s in sheet.plane.below}  # fmt: skip
    assert set(arrows) >= set(LOW)
    renderer = canvas.renderer(sheet.fig)
    boxes = {}
    for text in sheet.ax.texts:
        for name in LOW:
            if text.get_text().startswith(name):
                boxes[name] = tuple(map(float, text.get_window_extent(renderer).extents))
    assert set(boxes) == set(LOW)
    for at, first in enumerate(LOW):
        assert not any(touching(boxes[first], boxes[other]) for other in LOW[:at])
        x, y = arrows[first]
        assert boxes[first][0] - 9 <= x <= boxes[first][2] + 9
        way = (x - 0.5, y + 20, x + 0.5, boxes[first][1])
        assert not any(touching(way, boxes[other]) for other in LOW if other != first)


def test_one_strategy_alone_is_shown_with_its_whole_interval(full_evidence: Evidence) -> None:
    alone = replace(full_evidence.points[0], gain=None, auc=Interval(0.59, 0.579, 0.602))
    decision = replace(full_evidence.decision, choice=None, case="thin", reason="too_little")
    first = plane(replace(full_evidence, points=(alone,), decision=decision))
    assert first is not None
    assert first.y_limits[0] <= 0.579
    assert first.y_limits[1] >= 0.602
