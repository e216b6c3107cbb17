"""Two factors of a factorial plan as lines: parallel where they do not interact, crossing or
fanning out where they do."""

from statistics import fmean
from typing import Any

from fusefront.reports import numbers
from fusefront.reports.evidence import Ablation, CrossedEffect, Evidence
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import above, apart, heights, panels, say
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.words.building import part_name
from fusefront.reports.words.names import shorten
from fusefront.reports.words.phrase import Language

OWN = "as it is"
MOST = 3  # panels: the largest interactions
HEIGHT = 300


def strongest(ablation: Ablation) -> list[CrossedEffect]:
    """The interactions that are shown, then the largest others."""
    pairs = [effect for effect in ablation.effects if len(effect.factors) == 2]
    return sorted(pairs, key=lambda e: (not shown(e), -abs(e.effect.value)))[:MOST]


def shown(effect: CrossedEffect) -> bool:
    """Whether its interval leaves zero out."""
    low, high = effect.effect.low, effect.effect.high
    return low is not None and high is not None and (low > 0 or high < 0)


def corner(ablation: Ablation, effect: CrossedEffect, first: bool, second: bool) -> float | None:
    """Mean AUC over the other factors where the two are at their level (True) or their own."""
    levels = [
        level if at else OWN for level, at in zip(effect.levels, (first, second), strict=True)
    ]
    values = [
        cell.auc
        for cell in ablation.cells
        if all(
            dict(cell.levels).get(factor, OWN) == level
            for factor, level in zip(effect.factors, levels, strict=True)
        )
    ]
    return fmean(values) if values else None


def draw_crossing(
    evidence: Evidence,
    ablation: Ablation,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """One panel a pair of factors: x is the second, a line each level of the first."""
    chosen = strongest(ablation)
    corners = [
        [[corner(ablation, effect, a, b) for b in (False, True)] for a in (False, True)]
        for effect in chosen
    ]
    values = [v for panel in corners for line in panel for v in line if v is not None]
    with canvas.drawing():
        fig, axes = panels(style.WIDE, HEIGHT, 1, len(chosen), (62, 130, 62, 52))
        room = 0.12 * max(max(values) - min(values), 1e-3)
        low, high = min(values) - room, max(values) + room
        for ax, effect, lines in zip(axes, chosen, corners, strict=True):
            ax.set_xlim(-0.25, 2.3)  # the lines' names stand beside them
            heights(ax, low, high, signed=False, labelled=ax is axes[0])
            hue = "accent" if shown(effect) else "soft"
            first, second = (words(effect, at, language) for at in (0, 1))
            final = [line[1] if line[1] is not None else line[0] for line in lines]
            pixel = (high - low) / (HEIGHT - 62 - 52)
            places = apart([y if y is not None else low for y in final], 15 * pixel)
            for at, line in enumerate(lines):
                marks = [(x, y) for x, y in enumerate(line) if y is not None]
                look: dict[str, Any] = {"color": ink(hue), "ls": "-" if at == 0 else (0, (4, 2))}
                ax.plot(*zip(*marks, strict=True), marker="o" if at == 0 else "s", ms=5, **look)
                label = say("with_part", language, part=first[0]) if at == 0 else first[1]
                ax.text(
                    marks[-1][0] + 0.06, places[at], shorten(canvas.drawable(label), 18),
                    va="center", size=style.NOTE, color=ink(hue),
                )  # fmt: skip
            ax.set_xticks([0, 1], [say("with_part", language, part=second[0]), second[1]])
            gap = f"{numbers.signed(effect.effect.value)} {numbers.bracket(effect.effect)}"
            above(ax, f"{shorten(first[0], 14)} × {shorten(second[0], 14)}", y=1.1)
            above(ax, gap, y=1.02, size=style.NOTE, weight=400, color=ink("soft"))
        fig.text(
            8 / style.WIDE, 1 - 14 / HEIGHT, say("crossed_auc", language), size=style.NOTE,
            color=ink("soft"), va="center",
        )  # fmt: skip
        return finish(fig, name, title, description, printed=printed)


def words(effect: CrossedEffect, at: int, language: Language) -> tuple[str, str]:
    """The factor as it is, and its other level, short enough for an axis."""
    factor, level = effect.factors[at], effect.levels[at]
    if level == factor:
        return part_name(factor), say("without_part", language, part=part_name(factor))
    return part_name(factor), part_name(level)
