"""Places labels without overlap: a ring of candidate boxes for each point, then coordinate descent.

All lengths are pixels of the drawn figure. Boxes and segments are x0, y0, x1, y1. The result is
deterministic: no random start, ties go to the first candidate. Labels that cannot be placed without
overlap are dropped, the least important first.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
ANGLES = np.deg2rad([0, 180, 35, -35, 145, -145, 90, -90, 18, -18, 162, -162, 60, -60, 120, -120])
TASTE = np.array([0, 10, 12, 12, 20, 20, 15, 15, 10, 10, 20, 20, 30, 30, 30, 30]) / 100
GAPS = np.array([3.0, 7.0, 13.0, 22.0, 34.0, 50.0, 70.0])
LEADER_FROM = 12.0  # a gap as wide as this gets a leader line
FIRST_LEADER = len(ANGLES) * int(np.searchsorted(GAPS, LEADER_FROM))  # candidates go by gap
HARD = 100.0  # an overlap; everything softer stays far below
SWEEPS = 30


class PointLabel(NamedTuple):
    """A text to place beside a point."""

    x: float
    y: float
    width: float
    height: float
    radius: float = 4.0  # of the marker
    keep: bool = False  # never dropped


class Placed(NamedTuple):
    """The place of a label; `leader` is the line from the marker to the box."""

    box: tuple[float, float, float, float]
    leader: tuple[float, float, float, float] | None
    dropped: bool


class LabelScene(NamedTuple):
    """What the labels must not cover."""

    bounds: Floats  # [4]
    segments: Floats  # [n, 4] drawn lines
    weights: Floats  # [n] cost of crossing one, per label height
    blocks: Floats  # [n, 4] boxes nothing may touch
    marks: Floats  # [n, 3] x, y, radius of markers that have no label of their own


def scene(
    bounds: ArrayLike,
    segments: ArrayLike = (),
    weights: ArrayLike = (),
    blocks: ArrayLike = (),
    marks: ArrayLike = (),
) -> LabelScene:
    """Lists to arrays."""
    return LabelScene(
        np.asarray(bounds, float),
        np.reshape(np.asarray(segments, float), (-1, 4)),
        np.asarray(weights, float),
        np.reshape(np.asarray(blocks, float), (-1, 4)),
        np.reshape(np.asarray(marks, float), (-1, 3)),
    )


class _Ring(NamedTuple):
    boxes: Floats  # [C, 4]
    leaders: Floats  # [C, 4]
    cost: Floats  # [C] that does not depend on other labels


def place(labels: list[PointLabel], around: LabelScene) -> list[Placed]:
    """Labels in order of priority, most important first."""
    rings = [_ring(i, labels, around) for i in range(len(labels))]
    near = _neighbours(rings)
    live: list[int] = list(range(len(labels)))
    pick: dict[int, int] = {}
    while True:
        _descend(rings, near, live, pick)
        costs = {i: float(_total(i, rings, near, pick)[pick[i]]) for i in live}
        bad = [i for i in live if not labels[i].keep and costs[i] >= HARD]
        if not bad:
            break
        for i in bad[len(bad) - max(1, len(bad) // 4) :]:  # the least important quarter
            live.remove(i)
            pick.pop(i)
    return [_placed(rings[i], pick.get(i)) for i in range(len(labels))]


def _neighbours(rings: list[_Ring]) -> list[list[int]]:
    """For each label those whose boxes or leaders can come near its own."""
    if not rings:
        return []
    every = np.stack([np.concatenate([r.boxes, r.leaders]) for r in rings])  # [L, 2 C, 4]
    low = np.minimum(every[..., :2], every[..., 2:]).min(1) - 2
    high = np.maximum(every[..., :2], every[..., 2:]).max(1) + 2
    meet = ((low[:, None] <= high) & (low <= high[:, None])).all(-1)
    np.fill_diagonal(meet, val=False)
    return [np.flatnonzero(row).tolist() for row in meet]


def _descend(
    rings: list[_Ring], near: list[list[int]], live: list[int], pick: dict[int, int]
) -> None:
    """Give each label in turn its cheapest box until nothing moves."""
    for _ in range(SWEEPS):
        before = dict(pick)
        for i in live:
            pick[i] = int(np.argmin(_total(i, rings, near, pick)))
        if pick == before:
            return


def _placed(ring: _Ring, at: int | None) -> Placed:
    x0, y0, x1, y1 = (float(v) for v in ring.boxes[at or 0])
    a, b, c, d = (float(v) for v in ring.leaders[at or 0])
    long = at is not None and np.hypot(c - a, d - b) > 4
    return Placed((x0, y0, x1, y1), (a, b, c, d) if long else None, at is None)


def _ring(i: int, labels: list[PointLabel], around: LabelScene) -> _Ring:
    """Candidate boxes of one label, their leaders and what they cost on their own."""
    label = labels[i]
    gap, angle = (g.ravel() for g in np.meshgrid(GAPS, ANGLES, indexing="ij"))
    cost = np.tile(TASTE, len(GAPS)) + 0.035 * gap + 0.4 * (gap >= LEADER_FROM)
    direction = np.stack([np.cos(angle), np.sin(angle)], 1)
    half = np.array([label.width / 2, label.height / 2])
    at = np.array([label.x, label.y])
    reach = (label.radius + gap)[:, None] * direction
    centre = at + reach + half * np.clip(1.6 * direction, -1, 1)
    boxes = np.concatenate([centre - half, centre + half], 1)
    near = np.clip(at, boxes[:, :2], boxes[:, 2:])
    leaders = np.concatenate([at + label.radius * direction, near], 1)
    short = gap < LEADER_FROM
    leaders[short, 2:] = leaders[short, :2]  # no leader: no length
    others = [m for j, m in enumerate(labels) if j != i]
    cost = cost + _obstacles(label, boxes, leaders, around, others)
    return _Ring(boxes, leaders, cost + _belongs(label, boxes, leaders, around, others))


def _obstacles(
    label: PointLabel, boxes: Floats, leaders: Floats, around: LabelScene, others: list[PointLabel]
) -> Floats:
    """Cost of leaving the plot and of touching markers, lines and blocks."""
    low, high = around.bounds[:2], around.bounds[2:]
    outside = (boxes[:, :2] < low).any(1) | (boxes[:, 2:] > high).any(1)
    cost = np.asarray(50 * HARD * outside, float)
    marks = np.array([(m.x, m.y, m.radius) for m in (label, *others)])
    marks = np.concatenate([marks, around.marks])
    squares = np.concatenate([marks[:, :2] - marks[:, 2:], marks[:, :2] + marks[:, 2:]], 1)
    cost += HARD * (overlap(boxes, squares) > 0).sum(1)
    cost += 1.5 * (inside(leaders, squares[1:]) > 0).sum(0)
    if len(around.segments):
        close = _reachable(around.segments, boxes)
        crossed = inside(around.segments[close], boxes) / label.height
        cost += (crossed * around.weights[close]).sum(1)
    if len(around.blocks):
        cost += HARD * (overlap(boxes, around.blocks) > 0).sum(1)
    return cost


def _belongs(
    label: PointLabel, boxes: Floats, leaders: Floats, around: LabelScene, others: list[PointLabel]
) -> Floats:
    """Cost of looking as if the label belonged to a neighbour."""
    centres = np.concatenate(
        [np.array([(m.x, m.y) for m in others]).reshape(-1, 2), around.marks[:, :2]]
    )
    if not len(centres):
        return np.zeros(len(boxes))
    gap = np.maximum(boxes[:, None, :2] - centres, centres - boxes[:, None, 2:]).clip(0)
    nearest = np.hypot(gap[..., 0], gap[..., 1]).min(1)
    own = np.hypot(leaders[:, 2] - label.x, leaders[:, 3] - label.y)
    return np.asarray(0.9 * np.clip(1.4 - nearest / (own + 4), 0, None))


def _reachable(segments: Floats, boxes: Floats) -> NDArray[np.bool_]:
    """Segments whose own box meets that around all boxes: the others are crossed by none."""
    low = np.minimum(segments[:, :2], segments[:, 2:]) <= boxes[:, 2:].max(0)
    high = np.maximum(segments[:, :2], segments[:, 2:]) >= boxes[:, :2].min(0)
    return np.asarray((low & high).all(1))


def _total(i: int, rings: list[_Ring], near: list[list[int]], pick: dict[int, int]) -> Floats:
    """Cost of each candidate of label i, given where the others are."""
    others = [j for j in near[i] if j in pick]
    ring = rings[i]
    if not others:
        return ring.cost
    boxes = np.array([rings[j].boxes[pick[j]] for j in others]) + np.array([-2, -1, 2, 1])
    cost = ring.cost + HARD * (overlap(ring.boxes, boxes) > 0).sum(1)
    if drawn := [j for j in others if pick[j] >= FIRST_LEADER]:
        leaders = np.array([rings[j].leaders[pick[j]] for j in drawn])
        cost += 8.0 * (inside(leaders, ring.boxes) > 0).sum(1)
    cost[FIRST_LEADER:] += 8.0 * (inside(ring.leaders[FIRST_LEADER:], boxes) > 0).sum(0)
    return np.asarray(cost)


def inside(segments: Floats, boxes: Floats) -> Floats:
    """Length of each segment within each box: [boxes, segments]."""
    straight = (segments[:, :2] == segments[:, 2:]).any(1)
    if not straight.any():
        return _slanted(segments, boxes)
    lengths = np.empty((len(boxes), len(segments)))
    lengths[:, straight] = _straight(segments[straight], boxes)
    lengths[:, ~straight] = _slanted(segments[~straight], boxes)
    return lengths


def _straight(segments: Floats, boxes: Floats) -> Floats:
    """Along an axis: what the segment and the box share."""
    low, high = (np.sort(segments[:, i::2], 1).T for i in (0, 1))
    across = np.minimum(low[1], boxes[:, 2:3]) - np.maximum(low[0], boxes[:, 0:1])
    up = np.minimum(high[1], boxes[:, 3:4]) - np.maximum(high[0], boxes[:, 1:2])
    return np.asarray(np.where((across >= 0) & (up >= 0), across + up, 0.0))


def _slanted(segments: Floats, boxes: Floats) -> Floats:
    """Liang and Barsky 1984."""
    line, box = segments[None, :, :], boxes[:, None, :]
    delta = line[..., 2:] - line[..., :2]
    safe = np.where(np.abs(delta) < 1e-9, 1e-9, delta)
    first, second = (box[..., :2] - line[..., :2]) / safe, (box[..., 2:] - line[..., :2]) / safe
    enter = np.minimum(first, second).max(-1).clip(0, 1)
    leave = np.maximum(first, second).min(-1).clip(0, 1)
    return np.asarray(np.maximum(leave - enter, 0) * np.hypot(delta[..., 0], delta[..., 1]))


def overlap(boxes: Floats, other: Floats) -> Floats:
    """Shared area of boxes: [one, other]."""
    across = np.minimum(boxes[:, 2:3], other[:, 2]) - np.maximum(boxes[:, 0:1], other[:, 0])
    up = np.minimum(boxes[:, 3:4], other[:, 3]) - np.maximum(boxes[:, 1:2], other[:, 1])
    return np.asarray(across.clip(0) * up.clip(0))
