"""What is left of the gain when a modality is hidden at serving time, one panel a modality."""

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
) -> Drawing:
    """Lines with 95 % bands over the share of items that lost the modality."""
    missing = evidence.missing
    assert missing is not None
    modalities = list(dict.fromkeys(curve.modality for curve in missing.curves))[:MOST]
    with canvas.drawing():
        edges = (62, 200, 62, 52)
        fig, axes = panels(style.WIDE, HEIGHT, 1, len(modalities), edges)
        low, high = span([g for curve in missing.curves for g in curve.gain], 0.1)
        low, high = min(low, 0.0), max(high, 0.0)
        for ax, modality in zip(axes, modalities, strict=True):
            ax.set_xlim(-3, 103)
            heights(ax, low, high, signed=True, labelled=ax is axes[0])
            curves = [curve for curve in missing.curves if curve.modality == modality]
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
            ax.set_xlabel(say("lost", language), labelpad=6)
            above(ax, say("without", language, modality=shorten(canvas.drawable(modality), 16)))
        last = axes[-1]
        final = [curve for curve in missing.curves if curve.modality == modalities[-1]]
        pixel = (high - low) / (HEIGHT - edges[2] - edges[3])
        places = apart([curve.gain[-1].value for curve in final], LINE * pixel)
        for curve, height in zip(final, places, strict=True):
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
