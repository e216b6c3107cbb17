"""Lines over load: p99 behind a queue, and predictions a second for larger calls."""

from math import log
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import apart, look, panels, role_name, say
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.figures.ticks import latency_ticks
from fusefront.reports.words.phrase import Language

HEIGHT, EDGES = 340, (70, 250, 46, 52)
MOST = 8  # lines; the table has all
LINE = 16  # pixels between names
NEAR = 4.0  # a limit of more than so many times the largest p99 is not drawn: it would flatten all


class LoadMark(NamedTuple):
    """One measurement of a line; `y` is None if the queue only grew, so that there is no number."""

    x: float
    y: float | None


def queue_lines(evidence: Evidence) -> dict[str, list[LoadMark]]:
    """p99 from arrival over requests a second, of strategies with two rates or more."""
    lines: dict[str, list[LoadMark]] = {}
    for each in evidence.arriving:
        lines.setdefault(each.strategy, []).append(LoadMark(each.per_second, each.p99_ms))
    return _of_several(evidence, lines)


def call_lines(evidence: Evidence) -> dict[str, list[LoadMark]]:
    """Predictions a second over requests in one call, of what ships, with two sizes or more.

    Where several numbers of candidates were timed, the largest.
    """
    most = max((each.candidates for each in evidence.at_once), default=0)
    lines: dict[str, list[LoadMark]] = {}
    for each in evidence.at_once:
        if each.candidates == most and each.backend == "onnx":
            lines.setdefault(each.strategy, []).append(LoadMark(each.requests, each.per_second))
    return _of_several(evidence, lines)


def _of_several(evidence: Evidence, lines: dict[str, list[LoadMark]]) -> dict[str, list[LoadMark]]:
    """Sorted along x, those of the decision first; nothing where no mark has a number."""
    decision = evidence.decision
    order = [decision.choice, decision.today, *decision.alternatives, *lines]
    names = [name for name in dict.fromkeys(order) if name is not None and name in lines]
    several = {
        name: sorted(lines[name], key=lambda mark: mark.x)  # a rate given twice may have no p99
        for name in names
        if len(lines[name]) > 1
    }
    several = {name: marks for name, marks in several.items() if any(m.y for m in marks)}
    return dict(list(several.items())[:MOST])


def draw_queue(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """p99 over requests a second; if the queue only grows, the mark is hollow and at the top
    edge."""
    lines = queue_lines(evidence)
    slo = evidence.decision.slo_ms
    near = slo <= NEAR * max(mark.y or 0.0 for marks in lines.values() for mark in marks)
    with canvas.drawing():
        fig, (ax,) = panels(style.WIDE, HEIGHT, 1, 1, EDGES)
        low, high = _log_axes(ax, lines, reach=[slo] if near else [])
        at, texts = latency_ticks(low, high, log=True)
        ax.set_yticks(at, texts)
        ax.hlines(at, *ax.get_xlim(), color=ink("mist"), lw=0.8, zorder=0)
        if near:
            ax.axhline(slo, color=ink("off"), lw=1, ls=(0, (4, 3)), zorder=0.5)
            words = say("limit", language, slo=numbers.ms_setting(slo))
            ax.text(
                0.005, slo, words, transform=ax.get_yaxis_transform(), va="bottom",
                size=style.NOTE, color=ink("soft"),
            )  # fmt: skip
        _draw_lines(ax, evidence, language, lines)
        ax.set_xlabel(say("arrivals", language), labelpad=6)
        ax.text(0, 1.05, say("queue_p99", language), transform=ax.transAxes, size=style.NOTE,
                color=ink("soft"))  # fmt: skip
        return finish(fig, name, title, description, printed=printed)


def draw_calls(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """Predictions a second over the size of a call, both on log axes: a straight rise means no
    bottleneck."""
    lines = call_lines(evidence)
    sizes = sorted({mark.x for marks in lines.values() for mark in marks})
    with canvas.drawing():
        fig, (ax,) = panels(style.WIDE, HEIGHT, 1, 1, EDGES)
        low, high = _log_axes(ax, lines)
        ax.set_xticks(sizes, [numbers.count(round(size)) for size in sizes])
        at = latency_ticks(low, high, log=True)[0]
        ax.set_yticks(at, [numbers.count(round(tick)) for tick in at])
        ax.hlines(at, *ax.get_xlim(), color=ink("mist"), lw=0.8, zorder=0)
        _draw_lines(ax, evidence, language, lines)
        ax.set_xlabel(say("requests_at_once", language), labelpad=6)
        ax.text(0, 1.05, say("predictions", language), transform=ax.transAxes, size=style.NOTE,
                color=ink("soft"))  # fmt: skip
        return finish(fig, name, title, description, printed=printed)


def _log_axes(
    ax: Axes, lines: dict[str, list[LoadMark]], reach: list[float] | None = None
) -> tuple[float, float]:
    """Both axes in logs, wide enough for every mark and what else y must reach; the ends of y."""
    across = [mark.x for marks in lines.values() for mark in marks]
    up = [mark.y for marks in lines.values() for mark in marks if mark.y] + (reach or [])
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(min(across) / 1.15, max(across) * 1.15)
    low, high = min(up) / 1.3, max(up) * 1.3
    ax.set_ylim(low, high)
    ax.xaxis.minorticks_off()
    ax.yaxis.minorticks_off()
    at = latency_ticks(*ax.get_xlim(), log=True)[0]
    ax.set_xticks(at, [numbers.count(round(tick)) for tick in at])
    return low, high


def _draw_lines(
    ax: Axes, evidence: Evidence, language: Language, lines: dict[str, list[LoadMark]]
) -> None:
    """A line a strategy, dots from its last mark to its name."""
    low, high = ax.get_ylim()
    ends: list[tuple[float, float]] = []  # of each line: x, share of the height
    for name, marks in lines.items():
        how = look(evidence, name, language)
        known = [(mark.x, mark.y) for mark in marks if mark.y]
        solid: dict[str, Any] = {"color": how.colour, "marker": how.marker, "ms": how.size * 0.7}
        width = 2.2 if name == evidence.decision.choice else 1.2
        ax.plot([x for x, _ in known], [y for _, y in known], lw=width, **solid)
        grown = [mark.x for mark in marks if not mark.y]
        ax.plot(grown, [high] * len(grown), ls="", marker="^", ms=7, mfc=ink("paper"),
                mec=how.colour, mew=1.3, clip_on=False, zorder=4)  # fmt: skip
        x, y = known[-1]
        ends.append((x, log(y / low) / log(high / low)))
    places = apart([height for _, height in ends], LINE / (HEIGHT - EDGES[2] - EDGES[3]))
    left, right = (log(end) for end in ax.get_xlim())
    for name, (x, height), place in zip(lines, ends, places, strict=True):
        how = look(evidence, name, language)
        last = (log(x) - left) / (right - left)
        ax.plot([last, 1.015], [height, place], color=how.colour, lw=0.7, ls=(0, (1, 2.5)),
                transform=ax.transAxes, clip_on=False, zorder=0.6)  # fmt: skip
        ax.text(
            1.02, place, role_name(evidence, name, language, 22), transform=ax.transAxes,
            va="center", size=style.NOTE, color=how.colour,
            weight=600 if name == evidence.decision.choice else 400,
        )  # fmt: skip
