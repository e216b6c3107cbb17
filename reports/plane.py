"""The content of the frontier figure, decided before drawing: which points on which axes."""

import math
from dataclasses import dataclass

from fusefront.reports.evidence import AblationStep, Evidence, Interval, Point

LOG_FROM = 5.0  # a latency range this wide gets a log axis
LIMIT_REACH = 8.0  # a limit of more than so many times the slowest latency is named at the edge
BAYES_REACH = 0.4  # the best possible AUC is on the axis when it adds no more than this share
DEPTH = 0.6  # the axis goes at most so many times its upper part below what runs today


@dataclass(frozen=True)
class Spot:
    """A point with its intervals: x in ms, y in AUC (a difference if the plane is relative)."""

    point: Point
    x: Interval
    y: Interval


@dataclass(frozen=True)
class Plane:
    """The axes, and which points are on, below and outside them."""

    spots: tuple[Spot, ...]  # inside the axes
    below: tuple[Spot, ...]  # under the lower edge: an arrow at their latency
    off: tuple[Spot, ...]  # outside on both axes: a clause in the caption
    unmeasured: tuple[Point, ...]  # without latency or gain
    front: tuple[tuple[float, float], ...]  # corners of the staircase, all points
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    log: bool
    relative: bool  # y is the paired difference from what runs today
    base: float | None  # AUC of what runs today: absolute = base + y
    bayes: float | None  # height of the best possible AUC
    slo: float

    @property
    def slo_inside(self) -> bool:
        """Whether the limit lies on the axis."""
        return self.x_limits[0] <= self.slo <= self.x_limits[1]


def plane(evidence: Evidence) -> Plane | None:
    """The plane; None if no strategy has both a latency and an AUC."""
    decision = evidence.decision
    today = evidence.point(decision.today)
    relative = today is not None and any(p.gain for p in evidence.points if p is not today)
    spots = [s for p in evidence.points if (s := spot(p, relative=relative, today=p is today))]
    if not spots:
        return None
    y_limits = _heights(spots, evidence, relative=relative)
    high_enough = [s for s in spots if s.y.value >= y_limits[0]]
    x_limits, log = _widths(high_enough, decision.slo_ms)
    under = [s for s in spots if s.y.value < y_limits[0]]
    placed = {s.point.strategy for s in spots}
    base = today.auc.value if today else None
    bayes = evidence.study.bayes_auc
    if bayes is not None and relative:
        bayes = bayes - base if base is not None else None
    if bayes is not None:
        y_limits = _reach_up(y_limits, bayes)
    return Plane(
        spots=tuple(high_enough),
        below=tuple(s for s in under if x_limits[0] <= s.x.value <= x_limits[1]),
        off=tuple(s for s in under if not x_limits[0] <= s.x.value <= x_limits[1]),
        unmeasured=tuple(p for p in evidence.points if p.strategy not in placed),
        front=front([s for s in spots if s.point.role != "device"]),
        x_limits=x_limits,
        y_limits=y_limits,
        log=log,
        relative=relative,
        base=base if relative else None,
        bayes=bayes,
        slo=decision.slo_ms,
    )


def spot(point: Point, *, relative: bool, today: bool) -> Spot | None:
    """A point on the plane; None where an axis is missing."""
    height = (Interval(0.0) if today else point.gain) if relative else point.auc
    if point.p99 is None or height is None:
        return None
    if not (math.isfinite(height.value) and math.isfinite(point.p99.value) and point.p99.value > 0):
        return None
    return Spot(point, point.p99, height)


def ends(interval: Interval) -> tuple[float, float]:
    """Low and high; the value itself where no interval was measured."""
    low = interval.value if interval.low is None else interval.low
    high = interval.value if interval.high is None else interval.high
    return low, high


def moved(step: AblationStep) -> int:
    """-1 if AUC is shown to fall, 1 if it is shown to rise, 0 if the interval contains 0."""
    low, high = ends(step.gain)
    return -1 if high < 0 else 1 if low > 0 else 0


def front(spots: list[Spot]) -> tuple[tuple[float, float], ...]:
    """The non-dominated points, fastest first: x, y."""
    best, corners = -math.inf, []
    for spot in sorted(spots, key=lambda s: (s.x.value, -s.y.value)):
        if spot.y.value > best:
            best = spot.y.value
            corners.append((spot.x.value, spot.y.value))
    return tuple(corners)


def on_front(plane: Plane, spot: Spot) -> bool:
    """Whether a spot is a corner of the staircase."""
    return (spot.x.value, spot.y.value) in plane.front and spot.point.role != "device"


def _heights(spots: list[Spot], evidence: Evidence, *, relative: bool) -> tuple[float, float]:
    """Lower and upper end of the y axis: the field around and above today, not the far tail."""
    values = sorted(s.y.value for s in spots)
    tall = max(values)
    middle = values[len(values) // 2]
    anchor = min(0.0, middle) if relative else middle
    span = max(tall - anchor, 1e-4)
    lowest, highest = min(ends(s.y)[0] for s in spots), max(ends(s.y)[1] for s in spots)
    deciding = {evidence.decision.choice, evidence.decision.subject, evidence.decision.today}
    must = min((s.y.value for s in spots if s.point.strategy in deciding), default=tall)
    floor = min(max(lowest, anchor - DEPTH * span), must)
    ceiling = min(highest, tall + 0.8 * (tall - floor) + 1e-4)
    if tall - values[0] < 1e-4:  # one strategy, or equal ones: the intervals are the picture
        floor, ceiling = lowest, highest
    if relative:
        floor, ceiling = min(floor, 0.0), max(ceiling, 0.0)
    pad = 0.06 * max(ceiling - floor, 2e-4)
    return floor - pad, ceiling + 2 * pad


def _reach_up(limits: tuple[float, float], bayes: float) -> tuple[float, float]:
    """The axis up to the best possible AUC where that costs the points little height."""
    low, high = limits
    if high < bayes <= high + BAYES_REACH * (high - low):
        return low, bayes + 0.06 * (bayes - low)
    return limits


def _widths(spots: list[Spot], slo: float) -> tuple[tuple[float, float], bool]:
    """Ends of the x axis and whether it is logarithmic; the limit is on it when not too far."""
    low = min(ends(s.x)[0] for s in spots)
    high = max(ends(s.x)[1] for s in spots)
    if low <= slo <= LIMIT_REACH * high or low / LIMIT_REACH <= slo <= low:
        low, high = min(low, slo), max(high, slo)
    low = max(low, 1e-6)
    if high / low >= LOG_FROM:
        pad = (high / low) ** 0.08
        return (low / pad, high * pad), True
    pad = 0.12 * max(high - low, 0.05 * high)
    return (max(low - pad, 0.0), high + pad), False
