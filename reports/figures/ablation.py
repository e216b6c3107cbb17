"""What each part is worth: the change of AUC when it is left out, one bar a part."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Ablation, Evidence
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import panels, say, span
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.figures.ticks import auc_ticks
from fusefront.reports.plane import ends, moved
from fusefront.reports.words.building import REMOVED, part_name
from fusefront.reports.words.names import shorten
from fusefront.reports.words.phrase import Language

ROW, HEAD, FOOT = 30, 34, 50
MOST = 20  # parts; the table has all


def draw_ablation(
    evidence: Evidence,
    ablation: Ablation,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """Bars from 0 with their intervals; grey where no change is shown."""
    steps = ablation.steps[:MOST]
    with canvas.drawing():
        height = HEAD + ROW * len(steps) + FOOT
        fig, (ax,) = panels(style.WIDE, height, 1, 1, (190, 300, HEAD, FOOT))
        low, high = span([step.gain for step in steps])
        ax.set_xlim(min(low, 0.0), max(high, 0.0))
        ax.set_ylim(-0.5, len(steps) - 0.5)
        removed = all(step.kind in ("", *REMOVED) for step in steps)
        head = "gain_column" if ablation.additive else "change_column" if removed else "change_any"
        columns = [(1.46, say(head, language))]
        if timed := any(step.latency_ms for step in steps):
            columns.append((1.62, say("ms_column", language)))
        for x, head in columns:
            ax.text(
                x, 1 + 10 / (ROW * len(steps)), head, transform=ax.transAxes, ha="right",
                size=style.NOTE, color=ink("soft"),
            )  # fmt: skip
        sideways = ax.get_yaxis_transform()
        for row, step in enumerate(reversed(steps)):
            inner = ends(step.gain)
            weak = not moved(step)
            text = ink("soft" if weak else "ink")
            ax.barh(row, step.gain.value, height=0.5, color=ink("off" if weak else "accent"), lw=0)
            ax.plot(inner, [row, row], color=ink("ink"), lw=1.1, zorder=3)
            part = shorten(canvas.drawable(part_name(step.name)), 24)
            ax.text(-0.02, row, part, transform=sideways, ha="right", va="center", color=text)
            cells = [f"{numbers.signed(step.gain.value)}  {numbers.bracket(step.gain)}"]
            if timed:
                cells.append(numbers.ms(step.latency_ms.value, 2) if step.latency_ms else "–")
            for (x, _), cell in zip(columns, cells, strict=True):
                ax.text(
                    x, row, cell, transform=sideways, ha="right", va="center", size=style.NOTE,
                    color=text,
                )  # fmt: skip
        ax.set_yticks([])
        ax.vlines(0, -0.5, len(steps) - 0.5, color=ink("off"), lw=0.9, zorder=0)
        at, texts = auc_ticks(*ax.get_xlim(), signed=True, most=5)
        ax.set_xticks(at, texts)
        whole = (
            canvas.drawn_name(point, 30)
            if (point := evidence.point(ablation.end))
            else ablation.end
        )
        below = "left_out" if removed else "against_whole_strategy"
        ax.set_xlabel(say(below, language, name=whole), labelpad=6)
        return finish(fig, name, title, description, printed=printed)
