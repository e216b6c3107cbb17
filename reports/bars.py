"""Small interval bars in a table: one axis for the whole column; intervals beyond it end in an
arrow."""

from markupsafe import Markup

from fusefront.reports.evidence import Interval
from fusefront.reports.figures.style import ink
from fusefront.reports.plane import ends

WIDTH, HEIGHT = 130, 16
REACH = 3.0  # the axis goes at most so many times its upper part below 0: far losses flatten all


def axis(intervals: list[Interval]) -> tuple[float, float]:
    """Ends of the column's axis, zero within; gains whole, far losses cut.

    >>> axis([Interval(0.01, 0.0, 0.02), Interval(-0.9, -1.0, -0.8), Interval(0.0, -0.01, 0.01)])
    (-0.064, 0.024)
    """
    if not intervals:
        return -1.0, 1.0
    low = sorted(ends(i)[0] for i in intervals)
    right = max(0.0, *(ends(i)[1] for i in intervals))
    left = min(0.0, max(low[0], min(-REACH * right, low[len(low) // 2])))
    pad = 0.05 * max(right - left, 1e-6)
    return round(left - pad, 6), round(right + pad, 6)


def bar(interval: Interval, limits: tuple[float, float], *, chosen: bool) -> Markup:
    """An SVG of the interval; the numbers are printed beside it."""
    low, high = limits

    def x(value: float) -> float:
        return round(WIDTH * (value - low) / (high - low), 1)

    (left, right), middle = ends(interval), HEIGHT / 2
    colour = ink("accent" if chosen else "ink")
    parts = [f'<path d="M{x(0.0)} 0V{HEIGHT}" stroke="{ink("off")}"/>']
    if right < low or left > high:
        at, tip = (2, 8) if right < low else (WIDTH - 2, WIDTH - 8)
        parts.append(f'<path d="M{at} {middle}L{tip} 4V12Z" fill="{colour}"/>')
    else:
        a, b = x(max(left, low)), x(min(right, high))
        parts.append(f'<path d="M{a} {middle}H{b}" stroke="{colour}" stroke-width="1.4"/>')
        if low <= interval.value <= high:
            parts.append(f'<circle cx="{x(interval.value)}" cy="{middle}" r="3" fill="{colour}"/>')
    inner = "".join(parts)
    return Markup(
        f'<svg class="bar" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'aria-hidden="true">{inner}</svg>'
    )
