"""The main figure: AUC gain against p99 latency, the frontier with its uncertainty, and the
choice."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon

from fusefront.reports.evidence import Evidence, FrontierBand
from fusefront.reports.figures import canvas, hull, style
from fusefront.reports.figures.legend import legend
from fusefront.reports.figures.naming import name_everything
from fusefront.reports.figures.sheet import Sheet, pixels
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.figures.ticks import auc_ticks, latency_ticks
from fusefront.reports.plane import Plane, Spot, ends, plane
from fusefront.reports.words.frontier import SURE_KNEE
from fusefront.reports.words.phrase import Language

SIZE, SIZE_NARROW = (style.WIDE, 590), (style.NARROW, 430)
DASHED, DOTTED = (0, (4, 3)), (0, (1, 2.2))


def draw_frontier(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    narrow: bool = False,
    printed: bool = False,
) -> Drawing | None:
    """The figure; None if no strategy has both a latency and an AUC."""
    chart = plane(evidence)
    if chart is None:
        return None
    with canvas.drawing(narrow=narrow):
        fig = canvas.figure(*(SIZE_NARROW if narrow else SIZE))
        box = (0.135, 0.115, 0.845, 0.70) if narrow else (0.066, 0.088, 0.872, 0.818)
        ax = fig.add_axes(box)
        sheet = Sheet(fig, ax, chart, evidence, language, narrow)
        scaffold(sheet)
        if evidence.band is not None:
            band(ax, evidence.band, chart)
        staircase(ax, chart)
        crosses(sheet)
        markers(sheet)
        knee(sheet)
        name_everything(sheet, lasso(sheet))
        legend(sheet)
        return finish(fig, name, title, description, printed=printed)


def scaffold(sheet: Sheet) -> None:
    """Axes, grid, zero line, the limit with the shaded region beyond it, absolute AUC on the
    right."""
    ax, chart = sheet.ax, sheet.plane
    (left, right), (low, high) = chart.x_limits, chart.y_limits
    if chart.log:
        ax.set_xscale("log")
    ax.set(xlim=chart.x_limits, ylim=chart.y_limits)
    at, texts = latency_ticks(left, right, log=chart.log)
    ax.set_xticks(at, texts)
    ax.xaxis.minorticks_off()
    rows, names = auc_ticks(low, high, signed=chart.relative, most=8)
    ax.set_yticks(rows, names)
    ax.hlines(rows, left, right, color=ink("mist"), lw=0.8, zorder=0.5)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", pad=4)
    if chart.slo < right:
        ax.axvspan(max(chart.slo, left), right, color=ink("veil"), lw=0, zorder=0)
    if chart.slo_inside:
        ax.vlines(chart.slo, low, high, color=ink("ink"), lw=1.1, zorder=0.7)
    if chart.relative:
        ax.hlines(0, left, right, color=ink("off"), lw=0.9, zorder=0.6)
    if chart.bayes is not None and low < chart.bayes < high:
        ax.hlines(chart.bayes, left, right, color=ink("ink"), lw=0.9, ls=DASHED, zorder=0.8)
    axis_names(sheet)


def axis_names(sheet: Sheet) -> None:
    """Axis titles on top of their axes; the right axis has ticks of its own."""
    ax, chart, narrow = sheet.ax, sheet.plane, sheet.narrow
    ax.set_xlabel(
        sheet.say(f"x{'_log' if chart.log else ''}{'_narrow' if narrow else ''}"), labelpad=6
    )
    look: dict[str, Any] = {
        "size": sheet.note,
        "color": ink("soft"),
        "va": "bottom",
        "transform": ax.transAxes,
    }
    ax.text(-0.13 if narrow else -0.062, 1.018, sheet.say("y" if chart.relative else "auc"), **look)
    if narrow or chart.base is None:
        return
    ax.text(1.058, 1.018, sheet.say("auc"), ha="right", **look)
    low, high = chart.y_limits
    at, texts = auc_ticks(chart.base + low, chart.base + high, signed=False, most=6)
    sideways = ax.get_yaxis_transform()
    for auc, text in zip(at, texts, strict=True):
        y = auc - chart.base
        ax.plot([1, 1.006], [y, y], color=ink("hair"), lw=0.8, clip_on=False, transform=sideways)
        ax.text(1.011, y, text, size=sheet.note, color=ink("soft"), va="center", transform=sideways)


def band(ax: Axes, drawn: FrontierBand, chart: Plane) -> None:
    """95 % range of the frontier's height at each latency."""
    columns = (drawn.grid_ms, drawn.low, drawn.high)
    grid, low, high = (np.array([np.nan if v is None else v for v in c], float) for c in columns)
    floor = chart.y_limits[0] - 1.0
    if len(grid) and grid[-1] < chart.x_limits[1]:  # beyond the slowest nothing rises any more
        grid, low, high = (
            np.append(column, end)
            for column, end in zip(
                (grid, low, high), (chart.x_limits[1], low[-1], high[-1]), strict=True
            )
        )
    ax.fill_between(
        grid,
        np.maximum(low, floor),
        high,
        where=np.isfinite(low) & np.isfinite(high),
        color=ink("band"),
        alpha=style.BAND_ALPHA,
        lw=0,
        zorder=1,
    )


def staircase(ax: Axes, chart: Plane) -> None:
    """The frontier as steps, since nothing was measured between points; solid under the limit,
    dashed beyond."""
    if not chart.front:
        return
    x = [chart.front[0][0], *(a for a, _ in chart.front), chart.x_limits[1]]
    y = [chart.y_limits[0] - 1.0, *(b for _, b in chart.front), chart.front[-1][1]]
    under = [(a, b) for a, b in zip(x, y, strict=True) if a <= chart.slo]
    over = [(a, b) for a, b in zip(x, y, strict=True) if a > chart.slo]
    if under:
        edge = min(chart.slo, chart.x_limits[1])
        steps = [*under, (edge, under[-1][1])]
        ax.step(*zip(*steps, strict=True), where="post", color=ink("accent"), lw=1.8, zorder=2)
        over = [(edge, under[-1][1]), *over]
    if len(over) > 1:
        look: dict[str, Any] = {"color": ink("off"), "lw": 1.2, "ls": DASHED}
        ax.step(*zip(*over, strict=True), where="post", zorder=2, **look)


def crosses(sheet: Sheet) -> None:
    """Both intervals of every point, one artist a look; the choice opaque."""
    groups: dict[tuple[str, bool], list[list[tuple[float, float]]]] = {}
    for spot in sheet.plane.spots:
        (left, right), (low, high) = ends(spot.x), ends(spot.y)
        x, y = spot.x.value, spot.y.value
        look = (colour_of(spot), is_choice(sheet, spot))
        groups.setdefault(look, []).extend([[(left, y), (right, y)], [(x, low), (x, high)]])
    thin = 0.9 if sheet.narrow else 1.0
    for (colour, chosen), lines in groups.items():
        width, alpha = (1.6 * thin, 1.0) if chosen else (thin, 0.5)
        sheet.ax.add_collection(
            LineCollection(lines, colors=colour, linewidths=width, alpha=alpha, zorder=3),
            autolim=False,
        )


def markers(sheet: Sheet) -> None:
    """A marker a point, by family; hollow and grey when not wholly under the limit."""
    groups: dict[tuple[str, str, bool, bool, bool], list[Spot]] = {}
    for spot in sheet.plane.spots:
        veiled, chosen = spot.x.value > sheet.plane.slo, is_choice(sheet, spot)
        shape = style.marker(spot.point.family)
        key = (shape, colour_of(spot), spot.point.feasible, veiled, chosen)
        groups.setdefault(key, []).append(spot)
    scale = 0.82 if sheet.narrow else 1.0
    for (shape, colour, feasible, veiled, chosen), spots in groups.items():
        x, y = [s.x.value for s in spots], [s.y.value for s in spots]
        ground = ink("veil" if veiled else "paper")
        if chosen:
            ring: dict[str, Any] = {"mfc": ink("paper"), "mec": ink("accent"), "mew": 1.6}
            sheet.ax.plot(x, y, "o", ms=17 * scale, zorder=5, **ring)
        look: dict[str, Any] = {"mfc": colour, "mec": ink("paper"), "mew": 0.7}
        if not feasible:
            look = {"mfc": ground, "mec": colour, "mew": 1.4}
        size = style.SIZE[shape] * scale * (1.18 if chosen else 1)
        sheet.ax.plot(x, y, shape, ms=size, zorder=6, **look)


def knee(sheet: Sheet) -> None:
    """A thin ring around the bend of the frontier, as wide as it is certain; none if it is
    uncertain."""
    front = sheet.evidence.front
    if front is None or front.knee is None or front.knee_chance < SURE_KNEE:
        return
    scale = 0.82 if sheet.narrow else 1.0
    for spot in sheet.plane.spots:
        if spot.point.strategy == front.knee:
            look: dict[str, Any] = {"mfc": "none", "mec": ink("ink"), "mew": front.knee_chance}
            sheet.ax.plot([spot.x.value], [spot.y.value], "o", ms=22 * scale, zorder=4.5, **look)


def colour_of(spot: Spot) -> str:
    """The family's hue; grey when not wholly under the limit."""
    return style.hue(spot.point.family) if spot.point.feasible else ink("off")


def is_choice(sheet: Sheet, spot: Spot) -> bool:
    """Whether the decision names this point."""
    return spot.point.strategy == sheet.evidence.decision.choice


def lasso(sheet: Sheet) -> hull.Floats | None:
    """A dotted outline around everything equivalent to the choice; None if nothing is."""
    choice = sheet.evidence.decision.choice
    members = [
        s for s in sheet.plane.spots if s.point.equivalent_to_choice or s.point.strategy == choice
    ]
    if choice is None or len(members) < 2 or choice not in {s.point.strategy for s in members}:
        return None
    points = np.array([sheet.at(s.x.value, s.y.value) for s in members])
    outline = hull.lasso(points, 13.0 if sheet.narrow else 18.0)
    patch = Polygon(outline, closed=True, fill=False, ec=ink("lasso"), lw=1.1, ls=DOTTED)
    patch.set(transform=pixels(sheet.fig), capstyle="round", zorder=4)
    sheet.ax.add_patch(patch)
    return outline
