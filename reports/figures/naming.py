"""Names in the frontier figure: which points get one, in which order, and what names must not
cover."""

from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.text import Text

from fusefront.reports import numbers
from fusefront.reports.figures import hull as lasso
from fusefront.reports.figures.canvas import drawn_name
from fusefront.reports.figures.edges import edge_blocks
from fusefront.reports.figures.label_placement import Placed, PointLabel, place, scene
from fusefront.reports.figures.sheet import Sheet, pixels
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import HALO
from fusefront.reports.plane import Spot, ends, on_front

MOST_NAMES = 60
NAMES_IN_A_CROWD = 24  # of more points than that: the decision's, the frontier, the best
RADIUS, RADIUS_CHOSEN = 5.5, 10.0
Segments = list[tuple[float, float, float, float]]


def name_everything(sheet: Sheet, hull: lasso.Floats | None) -> list[Placed]:
    """Place the names, draw them with halos and leaders; what does not fit stays in the table."""
    blocks = edge_blocks(sheet)
    spots = order(sheet)
    texts, labels = [], []
    for spot in spots:
        text = name_text(sheet, spot)
        chosen = spot.point.strategy == sheet.evidence.decision.choice
        keep = chosen or spot.point.strategy == sheet.evidence.decision.today
        x, y = sheet.at(spot.x.value, spot.y.value)
        x0, y0, x1, y1 = sheet.extent(text)
        radius = RADIUS_CHOSEN if chosen else RADIUS
        labels.append(PointLabel(x, y, x1 - x0 + 2, y1 - y0, radius, keep))
        texts.append(text)
    veiled = [spot.x.value > sheet.plane.slo for spot in spots]
    if hull is not None:
        text, label = hull_label(sheet, hull)
        at = min(1, len(labels))
        labels.insert(at, label)
        texts.insert(at, text)
        veiled.insert(at, label.x > sheet.at(sheet.plane.slo, 0)[0])
    segments, weights = lines(sheet, hull)
    bounds = sheet.ax.get_window_extent().extents + np.array([2, 2, -2, -2])
    labelled = {s.point.strategy for s in spots}
    rest = [s for s in sheet.plane.spots if s.point.strategy not in labelled]
    marks = [(*sheet.at(s.x.value, s.y.value), RADIUS) for s in rest]
    placed = place(labels, scene(bounds, segments, weights, blocks, marks))
    for text, label, label_place, over in zip(texts, labels, placed, veiled, strict=True):
        put(sheet, text, label, label_place, "veil" if over else "paper")
    return placed


def order(sheet: Sheet) -> list[Spot]:
    """Most important first; on a phone only the choice, today and the frontier."""
    plane, decision = sheet.plane, sheet.evidence.decision

    def rank(spot: Spot) -> tuple[bool, bool, bool, bool, bool, float]:
        point = spot.point
        front = on_front(plane, spot)
        return (
            point.strategy != decision.choice,
            point.strategy not in (decision.today, decision.subject),
            not (front and point.feasible),
            not front,
            not point.feasible,
            -spot.y.value,
        )

    spots = sorted(plane.spots, key=rank)
    if sheet.narrow:
        deciding = (decision.choice, decision.today, decision.subject)
        spots = [
            s
            for s in spots
            if s.point.strategy in deciding
            or (on_front(plane, s) and not s.point.equivalent_to_choice)
        ]
        return spots[:10]
    return spots if len(spots) <= MOST_NAMES else spots[:NAMES_IN_A_CROWD]


def name_text(sheet: Sheet, spot: Spot) -> Text:
    """The text of one point, not yet placed."""
    decision, point = sheet.evidence.decision, spot.point
    front = on_front(sheet.plane, spot)
    chosen, today = point.strategy == decision.choice, point.strategy == decision.today
    deciding = chosen or today or point.strategy == decision.subject
    name = drawn_name(point, 18 if sheet.narrow else 26)
    look: dict[str, Any] = {"size": sheet.label if front or deciding else sheet.note}
    look["color"] = ink("ink") if deciding or (front and point.feasible) else ink("soft")
    if deciding:
        look["weight"] = 600
    if chosen:
        verb = "keep" if today else "ship"
        height = (
            numbers.signed(spot.y.value) if sheet.plane.relative else numbers.fixed(spot.y.value, 4)
        )
        tail = "chosen_narrow" if sheet.narrow else "chosen"
        if sheet.plane.relative and today:
            height = numbers.fixed(point.auc.value, 4)
        p99 = numbers.ms(spot.x.value, numbers.ms_places(spot.x))
        name = f"{sheet.say(verb, name=name)}\n{sheet.say(tail, gain=height, p99=p99)}"
        look |= {"color": ink("accent"), "linespacing": 1.25}
    elif today:
        name = sheet.say("today_narrow") if sheet.narrow else sheet.say("today", name=name)
    return sheet.ax.text(0, 0, name, transform=pixels(sheet.fig), **look)


def hull_label(sheet: Sheet, outline: lasso.Floats) -> tuple[Text, PointLabel]:
    """The lasso's own words, anchored at the middle of its lower edge."""
    margin = numbers.plain(sheet.evidence.decision.margin)
    words = sheet.say("lasso_narrow" if sheet.narrow else "lasso", margin=margin)
    look: dict[str, Any] = {"size": sheet.note, "color": ink("ink"), "transform": pixels(sheet.fig)}
    text = sheet.ax.text(0, 0, words, **look)
    x0, y0, x1, y1 = sheet.extent(text)
    return text, PointLabel(*lasso.lower_middle(outline), x1 - x0 + 2, y1 - y0, 1.0)


def lines(sheet: Sheet, hull: lasso.Floats | None) -> tuple[Segments, list[float]]:
    """Every drawn line in pixels and what crossing it costs."""
    plane, at = sheet.plane, sheet.at
    (left, right), (low, high) = plane.x_limits, plane.y_limits
    segments: list[tuple[tuple[float, float, float, float], float]] = []
    for s in plane.spots:
        x0, x1 = ends(s.x)
        y0, y1 = ends(s.y)
        weight = 2.0 if s.point.strategy == sheet.evidence.decision.choice else 0.45
        segments.append(((*at(max(x0, left), s.y.value), *at(x1, s.y.value)), weight))
        segments.append(((*at(s.x.value, y0), *at(s.x.value, y1)), weight))
    stairs = (
        [(plane.front[0][0], low), *plane.front, (right, plane.front[-1][1])] if plane.front else []
    )
    for (a, b), (c, d) in pairwise(stairs):
        segments += [((*at(a, b), *at(c, b)), 3.0), ((*at(c, b), *at(c, d)), 3.0)]
    if plane.relative:
        segments.append(((*at(left, 0), *at(right, 0)), 2.0))
    if plane.bayes is not None and low < plane.bayes < high:
        segments.append(((*at(left, plane.bayes), *at(right, plane.bayes)), 3.0))
    if plane.slo_inside:
        segments.append(((*at(plane.slo, low), *at(plane.slo, high)), 8.0))
    if hull is not None:
        loop = np.concatenate([hull, np.roll(hull, -1, 0)], 1)
        segments += [((a, b, c, d), 1.0) for a, b, c, d in loop.tolist()]
    return [segment for segment, _ in segments], [weight for _, weight in segments]


def put(sheet: Sheet, text: Text, label: PointLabel, label_place: Placed, ground: str) -> None:
    """Move a text to its box, or take it off."""
    if label_place.dropped:
        text.remove()
        return
    x0, y0, x1, y1 = label_place.box
    middle = (x0 + x1) / 2
    text.set(position=(middle, (y0 + y1) / 2), ha="center", va="center", zorder=8)
    if "\n" in text.get_text():
        text.set_multialignment("right" if middle < label.x else "left")
    text.set_gid(f"{HALO}{ground}-{round(x0)}-{round(y0)}")
    if label_place.leader:
        a, b, c, d = label_place.leader
        look: dict[str, Any] = {"color": ink("off"), "lw": 0.8, "zorder": 2.9}
        sheet.ax.add_line(Line2D([a, c], [b, d], transform=pixels(sheet.fig), **look))
