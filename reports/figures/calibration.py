"""Observed over predicted click rate by bin: as trained, and scaled by a temperature."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fusefront.reports import numbers
from fusefront.reports.evidence import Calibration, Evidence, Interval
from fusefront.reports.figures import canvas, style
from fusefront.reports.figures.panels import above, look, panels, role_name, say
from fusefront.reports.figures.style import ink
from fusefront.reports.figures.svg import Drawing, finish
from fusefront.reports.figures.ticks import nice_limits
from fusefront.reports.words.phrase import Language

HEIGHT = 366
LOG_FROM = 10.0  # a range of rates this wide gets a log axis
Rates = tuple[tuple[float, ...], tuple[Interval, ...]]


def draw_calibration(
    evidence: Evidence,
    language: Language,
    *,
    name: str,
    title: str,
    description: str,
    printed: bool = False,
) -> Drawing:
    """One panel a strategy, on common axes; hollow markers are the scaled rates."""
    curves = evidence.calibration
    with canvas.drawing():
        fig, axes = panels(style.WIDE, HEIGHT, 1, len(curves), (62, 14, 78, 52))
        every = [r for c in curves for r in (_raw(c), _scaled(c)) if r[0]]
        rates = np.array([p for predicted, _ in every for p in predicted])
        ratios = [r for pair in every for r in _ratio(pair)]
        low, high = nice_limits(ratios, floor=1.0)
        wide = rates.min() > 0 and rates.max() / rates.min() >= LOG_FROM
        pad = (rates.max() / rates.min()) ** 0.06 if wide else 0.05 * np.ptp(rates)
        limits = (
            (rates.min() / pad, rates.max() * pad)
            if wide
            else (rates.min() - pad, rates.max() + pad)
        )
        for ax, curve in zip(axes, curves, strict=True):
            if wide:
                ax.set_xscale("log")
            ax.set_xlim(*limits)
            _scaffold(ax, low, high, labelled=ax is axes[0])
            _rates(ax, *limits, log=wide)
            ax.set_xlabel(say("predicted", language), labelpad=6)
            _curve(ax, evidence, curve, language)
        words = say("ratio", language)
        at = (8 / style.WIDE, 1 - 14 / HEIGHT)
        fig.text(*at, words, size=style.NOTE, color=ink("soft"), va="center")
        return finish(fig, name, title, description, printed=printed)


def _curve(ax: Axes, evidence: Evidence, curve: Calibration, language: Language) -> None:
    line_style = look(evidence, curve.strategy, language)
    scaled = _scaled(curve)
    if scaled[0]:
        _points(
            ax,
            scaled,
            line_style.colour,
            line_style.marker,
            {"mfc": ink("paper"), "mec": line_style.colour},
        )
    _points(
        ax,
        _raw(curve),
        line_style.colour,
        line_style.marker,
        {"mfc": line_style.colour, "mec": ink("paper")},
    )
    above(ax, role_name(evidence, curve.strategy, language, 30), color=line_style.colour, y=1.12)
    if curve.ece is not None:
        words = say("ece", language, ece=numbers.fixed(curve.ece.value, 4))
        if curve.scaled_ece is not None:
            after = numbers.fixed(curve.scaled_ece.value, 4)
            words += say("ece_scaled", language, ece=after)
        above(ax, words, weight=400, size=style.NOTE, color=ink("soft"))


def _points(ax: Axes, rates: Rates, colour: str, marker: str, face: dict[str, Any]) -> None:
    ratio = _ratio(rates)
    shown = [(x, r) for x, r in zip(rates[0], ratio, strict=True) if r.low is not None]
    ax.vlines(
        [x for x, _ in shown],
        [r.low or 0.0 for _, r in shown],
        [r.high or 0.0 for _, r in shown],
        color=colour,
        lw=1.2,
        alpha=0.6,
    )
    ax.plot(rates[0], [r.value for r in ratio], marker, ms=6.5, mew=0.9, **face)


def _scaffold(ax: Axes, low: float, high: float, *, labelled: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    at = [float(t) for t in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)]
    places = 1 if at[1] - at[0] >= 0.0999 else 2
    at = [t for t in at if low <= t <= high]
    ax.set_ylim(low, high)
    ax.set_yticks(at, [numbers.fixed(t, places) for t in at] if labelled else [""] * len(at))
    ax.hlines(at, *ax.get_xlim(), color=ink("mist"), lw=0.8, zorder=0)
    ax.hlines(1, *ax.get_xlim(), color=ink("off"), lw=0.9, zorder=0.5)


def _rates(ax: Axes, low: float, high: float, *, log: bool) -> None:
    """Ticks as percent."""
    if log:
        at = [float(f"{m}e{d}") for d in range(-6, 1) for m in (1, 2, 5)]
    else:
        at = [round(0.1 * k, 1) for k in range(11)]
    at = [t for t in at if low <= t <= high]
    ax.set_xticks(at, [f"{numbers.plain(round(100 * t, 6))}%" for t in at])
    ax.xaxis.minorticks_off()


def _raw(curve: Calibration) -> Rates:
    return curve.predicted, curve.observed


def _scaled(curve: Calibration) -> Rates:
    return curve.scaled_predicted, curve.scaled_observed


def _ratio(rates: Rates) -> list[Interval]:
    ratios = []
    for predicted, rate in zip(*rates, strict=True):
        ends = (None if end is None else end / predicted for end in (rate.low, rate.high))
        ratios.append(Interval(rate.value / predicted, *ends))
    return ratios
