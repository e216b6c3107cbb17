"""The model alone and the whole request, one row a strategy: the time of the work around the
model."""

from typing import Any

from matplotlib.axes import Axes

from fusefront.reports import numbers
from fusefront.reports.evidence import Evidence, ScopeGap
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import look, panels, role_name, say
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.figures.ticks import latency_ticks
from fusefront.reports.words.phrase import Language

ROW, HEAD, FOOT = 26, 52, 50
LEFT, RIGHT = 240, 210
MOST = 24  # rows; the table has all
REACH = 1.25  # of the axis beyond the fastest and the slowest


def rows_of(evidence: Evidence) -> list[ScopeGap]:
    """The strategies that are drawn, the fastest request first; choice and today's always."""
    decision = evidence.decision
    order = sorted(evidence.scopes, key=lambda each: each.end_to_end.value)
    always = [each for each in order if each.strategy in (decision.choice, decision.today)]
    others = [each for each in order if each not in always][: MOST - len(always)]
    return [each for each in order if each in always or each in others]


def draw_scopes(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """p50 of both scopes with the gap between them, and p99 of the whole request, on one axis."""
    shown = rows_of(evidence)
    height = HEAD + ROW * len(shown) + FOOT
    with canvas.drawing():
        fig, (ax,) = panels(style.WIDE, height, 1, 1, (LEFT, RIGHT, HEAD, FOOT))
        ax.set_xscale("log")
        ax.set_ylim(len(shown) - 0.5, -0.5)
        ax.set_xlim(*_limits(shown))
        ax.xaxis.minorticks_off()
        at, texts = latency_ticks(*ax.get_xlim(), log=True)
        ax.set_xticks(at, texts)
        ax.set_yticks([])
        ax.vlines(at, -0.5, len(shown) - 0.5, color=ink("mist"), lw=0.8, zorder=0)
        _limit(ax, evidence, language)
        for row, each in enumerate(shown):
            _row(ax, evidence, language, row, each)
        ax.set_xlabel(say("request_ms", language), labelpad=6)
        fig.text(
            8 / style.WIDE, 1 - 14 / height, say("scope_key", language), size=style.NOTE,
            color=ink("soft"), va="center",
        )  # fmt: skip
        return finish(fig, name, title, description, printed=printed)


def _limits(shown: list[ScopeGap]) -> tuple[float, float]:
    first = [min(each.model_only.value, each.end_to_end.value) for each in shown]
    last = [
        max(i.value for i in (each.model_only, each.end_to_end, each.end_to_end_p99) if i)
        for each in shown
    ]
    return min(first) / REACH, max(last) * REACH


def _limit(ax: Axes, evidence: Evidence, language: Language) -> None:
    """The limit on p99, where the axis reaches it."""
    slo = evidence.decision.slo_ms
    low, high = ax.get_xlim()
    if low < slo < high:
        ax.axvline(slo, color=ink("off"), lw=1, ls=(0, (4, 3)), zorder=0.5)
        words = say("limit", language, slo=numbers.ms_setting(slo))
        ax.text(
            slo, 1.0, words, transform=ax.get_xaxis_transform(), ha="center", va="bottom",
            size=style.NOTE, color=ink("soft"),
        )  # fmt: skip


def _row(ax: Axes, evidence: Evidence, language: Language, row: int, each: ScopeGap) -> None:
    how = look(evidence, each.strategy, language)
    model, whole = each.model_only.value, each.end_to_end.value
    chosen = each.strategy == evidence.decision.choice
    ax.plot([model, whole], [row, row], color=how.colour, lw=5, alpha=0.3, zorder=1)
    if each.end_to_end_p99 is not None:
        tail = each.end_to_end_p99.value
        ax.plot([whole, tail], [row, row], color=how.colour, lw=0.9, zorder=1)
        ax.plot([tail, tail], [row - 0.24, row + 0.24], color=how.colour, lw=1.4, zorder=2)
    marks: dict[str, Any] = {
        "ms": how.size * 0.8,
        "marker": how.marker,
        "ls": "",
        "mec": how.colour,
    }
    ax.plot([model], [row], mfc=ink("paper"), mew=1.2, zorder=3, **marks)
    ax.plot([whole], [row], mfc=how.colour, mew=1.2, zorder=4, **marks)
    sideways = ax.get_yaxis_transform()
    ax.text(
        -0.02, row, role_name(evidence, each.strategy, language, 22), transform=sideways,
        ha="right", va="center", weight=600 if chosen else 400,
    )  # fmt: skip
    ax.text(
        1.02, row, gap_words(each), transform=sideways, ha="left", va="center", size=style.NOTE,
        color=ink("soft"),
    )  # fmt: skip


def gap_words(each: ScopeGap) -> str:
    """Both p50 and the share of the request that lies around the model."""
    places = max(numbers.ms_places(each.end_to_end), 2)
    pair = f"{numbers.fixed(each.model_only.value, places)} → "
    pair += f"{numbers.fixed(each.end_to_end.value, places)} ms"
    if each.end_to_end.value <= 0 or each.gap.value <= 0:
        return pair
    return f"{pair}, {numbers.percent(each.gap.value / each.end_to_end.value)}"
