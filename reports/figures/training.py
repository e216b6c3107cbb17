"""Training curves, a panel a strategy with a line a seed, and the best so far along the trials."""

import numpy as np
from matplotlib.collections import LineCollection

from fusefront.reports.curves import WITHIN, epochs, trials, with_panels
from fusefront.reports.evidence import Evidence, TrainingCurve
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import above, apart, heights, look, panels, role_name, say
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.words.phrase import Language

COLUMNS = 4
PANEL, LINE = 118.0, 15.0  # pixels: height of a panel, between two names
MOST_LABELLED = 8


def draw_epochs(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """Validation AUC after each epoch, on common axes."""
    shown = with_panels(evidence).shown
    rows = -(-len(shown) // COLUMNS)
    columns = min(COLUMNS, len(shown))
    with canvas.drawing():
        height = 50 + rows * PANEL + (rows - 1) * 46 + 48
        fig, axes = panels(style.WIDE, height, rows, columns, (62, 14, 50, 48))
        curves = [c for c in epochs(evidence) if c.strategy in shown]
        values = np.concatenate([np.asarray(c.value) for c in curves])
        low, high = max(values.min(), values.max() - 2 * WITHIN), values.max()
        pad = 0.06 * max(high - low, 1e-4)
        longest = max(len(c.value) for c in curves)
        for at, ax in enumerate(axes):
            if at >= len(shown):
                ax.remove()
                continue
            strategy = shown[at]
            ax.set_xlim(0.8, longest + 0.2)
            heights(ax, low - pad, high + pad, signed=False, labelled=at % columns == 0, most=3)
            line_style = look(evidence, strategy, language)
            for curve in (c for c in curves if c.strategy == strategy):
                x = np.arange(1, len(curve.value) + 1)
                ax.plot(x, curve.value, "-", color=line_style.colour, lw=1.2, alpha=0.75,
                        marker=line_style.marker if longest <= 10 else "", ms=3.6,
                        mew=0)  # fmt: skip
            step = max(1, longest // 5)
            ticks = list(range(1, longest + 1, step))
            last_row = at + columns >= len(shown)
            ax.set_xticks(ticks, [str(t) for t in ticks] if last_row else [""] * len(ticks))
            if last_row:
                ax.set_xlabel(say("epochs", language), labelpad=4)
            above(
                ax,
                look(evidence, strategy, language, 24).name,
                color=line_style.colour,
                size=style.NOTE,
            )
        words = say("valid_auc", language)
        fig.text(
            8 / style.WIDE, 1 - 14 / height, words, size=style.NOTE, color=ink("soft"), va="center"
        )
        return finish(fig, name, title, description, printed=printed)


def draw_trials(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """Each search below its own best; the decision's and those that still climbed are named."""
    curves = trials(evidence)
    decision = evidence.decision
    with canvas.drawing():
        height, edges = 300.0, (62, 270, 40, 50)
        fig, (ax,) = panels(style.WIDE, height, 1, 1, edges)
        timed = all(c.seconds and c.seconds[-1] > 0 for c in curves)
        longest = max(c.seconds[-1] if timed else len(c.value) for c in curves)
        labelled = [c for c in curves if c.strategy in (decision.choice, decision.today)]
        climbing = [c for c in curves if c.settled is False and c not in labelled]
        labelled += climbing[: MOST_LABELLED - len(labelled)]
        low = min(min(c.value) - max(c.value) for c in curves)
        low = max(min(low, -1e-3), -0.1)
        ax.set_xlim(0 if timed else 1, max(longest, 2))
        heights(ax, 1.08 * low, -0.06 * low, signed=True, labelled=True)
        quiet = [_steps(c, timed=timed) for c in curves if c not in labelled]
        ax.add_collection(
            LineCollection(quiet, colors=ink("off"), linewidths=0.8, zorder=1), autolim=False
        )
        for curve in labelled:
            colour = look(evidence, curve.strategy, language).colour
            ax.plot(*_steps(curve, timed=timed).T, color=colour, lw=1.8, zorder=3)
        pixel = (-1.14 * low) / (height - edges[2] - edges[3])
        ordered = sorted(labelled, key=lambda c: c.settled is not False)  # settled ones on top
        places = apart(
            [-0.001 * pixel * (len(ordered) - i) for i in range(len(ordered))], LINE * pixel
        )
        shift = -0.06 * low - max(places, default=0.0)
        for curve, y in zip(ordered, places, strict=True):
            key = {True: "settled", False: "climbing", None: "unjudged"}[curve.settled]
            who = role_name(evidence, curve.strategy, language, 18)
            ax.text(1.015, y + shift, say(key, language, name=who), va="top", size=style.NOTE,
                    transform=ax.get_yaxis_transform(),
                    color=look(evidence, curve.strategy, language).colour)  # fmt: skip
        if not timed:
            ax.set_xticks(list(range(1, int(longest) + 1, max(1, int(longest) // 8))))
        ax.set_xlabel(say("compute" if timed else "trials", language), labelpad=6)
        words = say("below_best", language)
        fig.text(
            8 / style.WIDE, 1 - 14 / height, words, size=style.NOTE, color=ink("soft"), va="center"
        )
        return finish(fig, name, title, description, printed=printed)


def _steps(
    curve: TrainingCurve, *, timed: bool
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """A staircase below the curve's best, [n, 2]; a search that ended early ends early."""
    y = np.asarray(curve.value, float) - max(curve.value)
    x = np.asarray(curve.seconds, float) if timed else np.arange(1, len(y) + 1, dtype=float)
    x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    return np.stack([x, y], 1)
