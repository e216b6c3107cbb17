"""From the plainest strategy to the whole one: what each part adds to those before it."""

from fusefront.reports import numbers
from fusefront.reports.evidence import Ablation, Evidence
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import panels, say
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.figures.ticks import auc_ticks
from fusefront.reports.plane import ends
from fusefront.reports.words.building import part_name
from fusefront.reports.words.names import shorten
from fusefront.reports.words.phrase import Language

ROW, HEAD, FOOT = 30, 34, 50
RIGHT = 1.4  # of the axes: the column of numbers ends there
MOST = 20  # steps; the table has all


def draw_waterfall(
    evidence: Evidence,
    ablation: Ablation,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """Steps from the top down; a black line is the interval of the step, not of the AUC."""
    assert ablation.path_start is not None
    steps = ablation.path[:MOST]
    with canvas.drawing():
        rows = len(steps) + 1
        fig, (ax,) = panels(style.WIDE, HEAD + ROW * rows + FOOT, 1, 1, (190, 230, HEAD, FOOT))
        reach = [ablation.path_start]
        for step in steps:
            before = step.auc - step.gain.value
            reach += [before, step.auc, *(before + end for end in ends(step.gain))]
        room = 0.04 * max(max(reach) - min(reach), 1e-4)
        low, high = min(reach) - room, max(reach) + room
        ax.set_xlim(low, high)
        ax.set_ylim(rows - 0.5, -0.5)
        sideways = ax.get_yaxis_transform()
        ax.text(
            RIGHT, 1 + 10 / (ROW * rows), say("given_before", language), transform=ax.transAxes,
            ha="right", size=style.NOTE, color=ink("soft"),
        )  # fmt: skip
        ax.plot([ablation.path_start] * 2, [-0.32, 0.32], color=ink("ink"), lw=2)
        start = numbers.fixed(ablation.path_start, numbers.AUC_PLACES)
        plainest = say("plainest", language)
        if ablation.path_base:
            plainest = f"{plainest} ({part_name(ablation.path_base)})"
        _line(ax, sideways, 0, plainest, f"AUC {start}", shown=True)
        for row, step in enumerate(steps, 1):
            before = step.auc - step.gain.value
            inner = ends(step.gain)
            shown = inner[0] > 0 or inner[1] < 0
            colour = ink("off" if not shown else "accent")
            ax.barh(row, step.gain.value, left=before, height=0.5, color=colour, lw=0)
            ax.plot([before] * 2, [row - 1, row + 0.25], color=ink("off"), lw=0.9, zorder=0)
            ax.plot([before + end for end in inner], [row, row], color=ink("ink"), lw=1.1, zorder=3)
            cell = f"{numbers.signed(step.gain.value)}  {numbers.bracket(step.gain)}"
            _line(ax, sideways, row, f"+ {part_name(step.name)}", cell, shown=shown)
        ax.set_yticks([])
        at, texts = auc_ticks(low, high, signed=False, most=5)
        ax.set_xticks(at, texts)
        point = evidence.point(ablation.end)
        whole = canvas.drawn_name(point, 30) if point else canvas.drawable(ablation.end)
        ax.set_xlabel(say("built_up", language, name=whole), labelpad=6)
        return finish(fig, name, title, description, printed=printed)


def _line(ax: object, sideways: object, row: int, part: str, cell: str, *, shown: bool) -> None:
    colour = ink("ink" if shown else "soft")
    words = shorten(canvas.drawable(part), 26)
    place = {"transform": sideways, "va": "center", "ha": "right", "color": colour}
    ax.text(-0.02, row, words, **place)  # type: ignore[attr-defined]
    ax.text(RIGHT, row, cell, size=style.NOTE, **place)  # type: ignore[attr-defined]
