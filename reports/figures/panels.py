"""Functions shared by the reviewer's figures: panels of one width, plain axes, a style for each
strategy."""

from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fusefront.reports.evidence import Evidence, Interval
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.ticks import auc_ticks
from fusefront.reports.plane import ends
from fusefront.reports.words.figure import FIGURE
from fusefront.reports.words.phrase import Language


class Look(NamedTuple):
    """How a strategy is drawn in every figure."""

    colour: str
    marker: str
    size: float
    name: str


def look(evidence: Evidence, strategy: str, language: Language, length: int = 30) -> Look:
    """The family's hue and marker; names that are no strategy of the study are drawn as other."""
    point = evidence.point(strategy)
    family = point.family if point else "other"
    name = canvas.drawn_name(point, length) if point else canvas.drawable(strategy[:length])
    shape = style.marker(family)
    return Look(style.hue(family), shape, style.SIZE[shape], name)


def role_name(evidence: Evidence, strategy: str, language: Language, length: int = 30) -> str:
    """The name with its part in the decision."""
    name, decision = look(evidence, strategy, language, length).name, evidence.decision
    key = "choice" if strategy == decision.choice else "today" if strategy == decision.today else ""
    return say(key, language, name=name) if key else name


def say(key: str, language: Language, **values: str) -> str:
    """Words of a figure, only characters that can be drawn."""
    return canvas.drawable(FIGURE[key].pattern(language).format(**values))


def panels(
    width: float, height: float, rows: int, columns: int, edges: tuple[float, float, float, float]
) -> tuple[Figure, list[Axes]]:
    """Axes row by row; edges are pixels left, right, top, bottom of the figure."""
    fig = canvas.figure(width, height)
    left, right, top, bottom = edges
    gap_x, gap_y = (24 if columns > 1 else 0), (46 if rows > 1 else 0)
    each_x = (width - left - right - gap_x * (columns - 1)) / columns
    each_y = (height - top - bottom - gap_y * (rows - 1)) / rows
    axes = []
    for row in range(rows):
        for column in range(columns):
            x = left + column * (each_x + gap_x)
            y = height - top - each_y - row * (each_y + gap_y)
            axes.append(fig.add_axes((x / width, y / height, each_x / width, each_y / height)))
            axes[-1].spines["left"].set_visible(False)
    return fig, axes


def heights(
    ax: Axes, low: float, high: float, *, signed: bool, labelled: bool, most: int = 5
) -> None:
    """Limits, ticks and grid of a quality axis."""
    ax.set_ylim(low, high)
    at, texts = auc_ticks(low, high, signed=signed, most=most)
    ax.set_yticks(at, texts if labelled else [""] * len(at))
    ax.hlines(at, *ax.get_xlim(), color=ink("mist"), lw=0.8, zorder=0)
    if signed and low < 0 < high:
        ax.hlines(0, *ax.get_xlim(), color=ink("off"), lw=0.9, zorder=0.5)


def above(ax: Axes, words: str, *, y: float = 1.04, **kind: Any) -> None:
    """A panel's name on top of it."""
    at: dict[str, Any] = {"transform": ax.transAxes, "va": "bottom", "weight": 600}
    ax.text(0, y, words, **(at | kind))


def span(intervals: list[Interval], pad: float = 0.08) -> tuple[float, float]:
    """Ends of an axis that holds all intervals."""
    low, high = min(ends(i)[0] for i in intervals), max(ends(i)[1] for i in intervals)
    room = pad * max(high - low, 1e-4)
    return low - room, high + room


def apart(heights_: list[float], gap: float) -> list[float]:
    """Heights of labels moved so that neighbours are at least `gap` apart, in the same order.

    >>> apart([0.0, 0.1, 5.0], 1.0)
    [-0.45, 0.55, 5.0]
    """
    groups: list[tuple[float, int]] = []  # mean height, members; from the lowest
    for height in sorted(heights_):
        groups.append((height, 1))
        while len(groups) > 1:
            (a, n), (b, m) = groups[-2:]
            if b - a >= gap * (n + m) / 2:
                break
            groups[-2:] = [((a * n + b * m) / (n + m), n + m)]
    placed = [round(mean + gap * (k - (n - 1) / 2), 9) for mean, n in groups for k in range(n)]
    rank = sorted(range(len(heights_)), key=lambda i: heights_[i])
    spaced = [0.0] * len(heights_)
    for at, i in enumerate(rank):
        spaced[i] = placed[at]
    return spaced
