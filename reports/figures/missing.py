"""The remaining gain when a modality, items or users are disturbed at serving time, one panel
each."""

from fusefront.reports.evidence import Evidence
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import (
    above,
    apart,
    heights,
    look,
    panels,
    role_name,
    say,
    span,
)
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.plane import ends
from fusefront.reports.words.names import shorten
from fusefront.reports.words.phrase import Language

MOST = 4  # panels
GROUPS: dict[str, tuple[str, ...]] = {  # kinds that share a figure
    "wide": ("items",),
    "requests": ("requests",),
    "noise": ("noise",),
    "stale": ("stale",),
    "other": ("other",),
    "cold": ("cold_items", "cold_users"),
}
TITLE = {
    "noise": "with_noise",
    "stale": "of_others",
    "other": "of_file",
    "cold_items": "new_items",
    "cold_users": "new_users",
}
HEIGHT = 340
LINE = 15.0  # pixels between two names


def draw_missing(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
    kinds: tuple[str, ...] = ("items",),
) -> Drawing:
    """Lines with 95 % bands over the share that is disturbed, of the kinds that share a figure."""
    missing = evidence.missing
    assert missing is not None
    shown = [curve for curve in missing.curves if curve.kind in kinds]
    places = list(dict.fromkeys((curve.kind, curve.modality) for curve in shown))[:MOST]
    with canvas.drawing():
        edges = (62, 200, 62, 52)
        fig, axes = panels(style.WIDE, HEIGHT, 1, len(places), edges)
        low, high = span([g for curve in shown for g in curve.gain], 0.1)
        low, high = min(low, 0.0), max(high, 0.0)
        for ax, (kind, modality) in zip(axes, places, strict=True):
            ax.set_xlim(-3, 103)
            heights(ax, low, high, signed=True, labelled=ax is axes[0])
            curves = [c for c in shown if (c.kind, c.modality) == (kind, modality)]
            for curve in curves:
                line_style = look(evidence, curve.strategy, language)
                x = [100 * share for share in curve.shares]
                inner = [ends(g) for g in curve.gain]
                ax.fill_between(
                    x,
                    [e[0] for e in inner],
                    [e[1] for e in inner],
                    color=line_style.colour,
                    alpha=0.15,
                    lw=0,
                )
                y = [g.value for g in curve.gain]
                ax.plot(x, y, "-", marker=line_style.marker, ms=5.5, color=line_style.colour,
                        lw=1.5, mec=ink("paper"), mew=0.6)  # fmt: skip
            ax.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100%"])
            ax.set_xlabel(say(kind, language), labelpad=6)
            of = shorten(canvas.drawable(modality), 16)
            above(ax, say(TITLE.get(kind, "without"), language, modality=of))
        last = axes[-1]
        final = [curve for curve in shown if (curve.kind, curve.modality) == places[-1]]
        pixel = (high - low) / (HEIGHT - edges[2] - edges[3])
        at = apart([curve.gain[-1].value for curve in final], LINE * pixel)
        for curve, height in zip(final, at, strict=True):
            line_style = look(evidence, curve.strategy, language)
            last.text(106, height, role_name(evidence, curve.strategy, language, 16),
                      color=line_style.colour, va="center", size=style.NOTE)  # fmt: skip
        reference = evidence.point(missing.reference)
        who = canvas.drawn_name(reference, 24) if reference else missing.reference
        words = say("gain_over", language, name=who)
        fig.text(
            8 / style.WIDE, 1 - 14 / HEIGHT, words, size=style.NOTE, color=ink("soft"), va="center"
        )
        return finish(fig, name, title, description, printed=printed)
