"""AUC against the width of nested codes: a panel a strategy, a line a run."""

import numpy as np

from fusefront.reports.evidence import Evidence, WidthCurve
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import above, heights, look, panels, say, span
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.plane import ends
from fusefront.reports.words.phrase import Language

PANELS, COLUMNS = 8, 4
PANEL = 150.0  # pixels
MOST_TICKS = 6


def with_panels(evidence: Evidence) -> list[str]:
    """The strategies that are drawn: those of the decision first."""
    decision = evidence.decision
    order = [decision.choice, decision.today, *decision.alternatives]
    nested = dict.fromkeys(curve.strategy for curve in evidence.widths)
    first = [name for name in dict.fromkeys(order) if name is not None and name in nested]
    return [*first, *(name for name in nested if name not in first)][:PANELS]


def draw_widths(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """Difference of validation AUC from the whole code, with its 95 % interval, on common axes."""
    shown = with_panels(evidence)
    curves = [curve for curve in evidence.widths if curve.strategy in shown]
    rows, columns = -(-len(shown) // COLUMNS), min(COLUMNS, max(len(shown), 2))
    narrowest, widest = (f(w for c in curves for w in c.widths) for f in (min, max))
    limits = span([change for curve in curves for change in curve.change])
    with canvas.drawing():
        height = 50 + rows * PANEL + (rows - 1) * 46 + 48
        fig, axes = panels(style.WIDE, height, rows, columns, (62, 14, 50, 48))
        for at, ax in enumerate(axes):
            if at >= len(shown):
                ax.remove()
                continue
            own = [curve for curve in curves if curve.strategy == shown[at]]
            ax.set_xscale("log", base=2)
            ax.set_xlim(narrowest / 1.2, widest * 1.2)
            ax.xaxis.minorticks_off()
            ticks = _ticks(own)
            ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
            heights(ax, *limits, signed=True, labelled=at % columns == 0, most=4)
            line_style = look(evidence, shown[at], language, 24)
            for number, curve in enumerate(own):
                x = np.asarray(curve.widths) * 2 ** (0.06 * (number - (len(own) - 1) / 2))
                low, high = zip(*(ends(change) for change in curve.change), strict=True)
                ax.vlines(x, low, high, color=line_style.colour, lw=0.9, alpha=0.5)
                ax.plot(x, [change.value for change in curve.change], "-",
                        color=line_style.colour, lw=1.2, alpha=0.75,
                        marker=line_style.marker, ms=3.6, mew=0)  # fmt: skip
            ax.set_xlabel(say("code_width", language), labelpad=4)
            above(ax, line_style.name, color=line_style.colour, size=style.NOTE)
        words = say("against_whole", language)
        fig.text(
            8 / style.WIDE, 1 - 14 / height, words, size=style.NOTE, color=ink("soft"), va="center"
        )
        return finish(fig, name, title, description, printed=printed)


def _ticks(curves: list[WidthCurve]) -> list[int]:
    """The widths themselves, thinned from the widest down."""
    every = sorted({width for curve in curves for width in curve.widths}, reverse=True)
    ticks: list[int] = []
    for width in every:
        if not ticks or ticks[-1] >= 1.6 * width:
            ticks.append(width)
    return sorted(ticks[:MOST_TICKS])
