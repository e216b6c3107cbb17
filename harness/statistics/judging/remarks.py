"""Sentences that accompany the numbers: notes first, then warnings."""

from collections import Counter

import numpy as np

from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.joint import FEW_CLUSTERS, FEWEST_CLUSTERS, Pair
from fusefront.harness.statistics.judging.estimates import clusters_hold
from fusefront.harness.statistics.panel import ITEMS_MATTER, Panel
from fusefront.reports import numbers
from fusefront.reports.evidence import Interval

LUCK = 0.05  # of half the interval: with a smaller shift one number is enough
CARRIES = 0.10  # a user or request with this share of the rows is named
_STANDARD = ("popularity", "counts", "boosted", "id_only", "unimodal", "early_fusion", "shuffled")
_MEANING = {
    "popularity": "how often an item was clicked predicts as well",
    "counts": "numbers and small fields alone, without ids and content, do as well",
    "boosted": "trees on numbers and small fields alone do as well",
    "id_only": "the modalities add nothing that is seen here",
    "unimodal": "one modality alone does as well",
    "early_fusion": "plain concatenation does as well",
    "shuffled": "vectors dealt to other items do as well, so their content is not used",
}


def notes(comparison: Comparison, panel: Panel) -> tuple[str, ...]:
    """Sentences on how to read the table: target, margin, smallest visible effect, best set."""
    unit = {"user": "users", "request": "requests"}.get(comparison.cluster, "users and items")
    sentences = [
        f"Intervals are {100 * comparison.model.level:.3g} %, over {comparison.clusters:,} {unit} "
        "and over training seeds; training data and hyper-parameters are held fixed.",
        *_families(comparison),
    ]
    if comparison.look > 1:
        sentences.append(
            f"This is look {comparison.look} at the {comparison.split} split: the first spends 5 % "
            "of errors, all later ones together as much again, look k 5 % / (k (k − 1))."
        )
    if comparison.two_way_ratio > ITEMS_MATTER:
        sentences.append(
            "Items matter here: without them errors would be "
            f"{comparison.two_way_ratio:.2f} times too small, so rows are clustered by item, too."
        )
    visible = [row.mde for row in comparison.strategies if np.isfinite(row.mde)]
    if visible:
        sentences.append(
            f"Smallest difference seen with 80 % power (MDE): {min(visible):.4f} to "
            f"{max(visible):.4f}."
        )
    sentences.append(f"Equivalence margin: ±{comparison.margin:g} (the interval inside it).")
    if len(comparison.best_set) > 1:
        sentences.append(f"Any of these may be the best: {', '.join(comparison.best_set)}.")
    if comparison.winner is not None and np.isfinite(comparison.winner.low):
        lead = comparison.winner
        half = (lead.high - lead.low) / 2
        shown = numbers.gap(Interval(lead.difference, lead.low, lead.high), comparison.margin)
        expected = lead.difference if lead.expected is None else lead.expected
        lucky = abs(lead.difference - expected) > LUCK * half
        expect = (
            f"; the figure is that of the luckiest, expect about {numbers.signed(expected)}"
            if lucky
            else ""
        )
        sentences.append(
            f"Best on {comparison.split}: {lead.name}, {shown} to {comparison.baseline}, the "
            f"interval corrected for being picked{expect}."
        )
    if redrawn := [name for name, about in comparison.own_metrics.items() if about.draws]:
        draws = comparison.own_metrics[redrawn[0]].draws
        sentences.append(
            f"Intervals of {', '.join(redrawn)}: from {draws} redraws of whole {unit}."
        )
    if panel.temperature:
        fitted = [f"{name} {panel.temperature[name]:.3f}" for name in panel.strategies]
        sentences.append(f"Temperatures fitted on validation: {', '.join(fitted)}.")
    return tuple(sentences)


def _families(comparison: Comparison) -> list[str]:
    """How many differences hold together, and how wide their intervals therefore are."""
    sizes = Counter(row.family for row in comparison.strategies if np.isfinite(row.p))
    kinds = (("strategies", comparison.c_base), ("controls", comparison.c_controls))
    reach = [
        f"of {sizes[kind]} {kind if sizes[kind] > 1 else kind.replace('ies', 'y').rstrip('s')} "
        f"({c:.2f} standard errors)"
        for kind, c in kinds
        if sizes[kind] and np.isfinite(c)
    ]
    if not reach:
        return []
    return [
        f"Differences to {comparison.baseline}: intervals {' and '.join(reach)}, right for all of "
        "a group at once; verdicts are read off their ends."
    ]


def warnings(comparison: Comparison, panel: Panel) -> tuple[str, ...]:
    """Sentences on what limits the statements, and on strategies that do not beat their
    controls."""
    sentences = [f"{name}: {sentence}" for name, sentence in panel.refused.items()]
    sentences += _seeds(comparison)
    sentences += _clusters(comparison)
    sentences += _same(panel)
    sentences += [
        f"{name}: every score is the same, no variation." for name in sorted(panel.constant)
    ]
    sentences += _margin(comparison)
    sentences += _missing_controls(comparison)
    sentences += _controls(comparison)
    return tuple(sentences)


def _seeds(comparison: Comparison) -> list[str]:
    single = [row.name for row in comparison.strategies if row.seeds == 1]
    pairs = [row.name for row in comparison.strategies if row.seeds == 2]
    sentences = []
    if single:
        sentences.append(
            f"{_some(single)}: one seed; the interval is of these trained models only, "
            "no verdict on the strategy."
        )
    if pairs:
        sentences.append(f"{_some(pairs)}: two seeds; 95 % intervals may cover as little as 88 %.")
    s2 = comparison.model.s2[(comparison.model.n > 1) & (comparison.model.n < 5)]
    s2 = s2[s2 > 0]
    few = len(s2) and s2.max() > 25 * s2.min() and not pairs
    if few and comparison.model.has_intervals:
        sentences.append(
            "Seed variances differ much between strategies and there are fewer than five seeds: "
            "95 % intervals may cover about 92 %."
        )
    return sentences


def _clusters(comparison: Comparison) -> list[str]:
    if comparison.clusters < 2:
        return ["One cluster of rows: estimates only, no interval and no verdict."]
    if comparison.mc < FEWEST_CLUSTERS:
        return [f"Only {clusters_hold(comparison.mc)} one of the classes: estimates, no intervals."]
    uneven = _uneven(comparison)
    if comparison.mc < FEW_CLUSTERS:
        return [
            f"Only {clusters_hold(comparison.mc)} one of the classes: intervals are approximate "
            "below 30.",
            *uneven,
        ]
    return uneven


def _uneven(comparison: Comparison) -> list[str]:
    """A sentence on the user or request that has much of the rows and so dominates the
    intervals."""
    weight = comparison.weight
    if weight is None or weight.largest_share < CARRIES:
        return []
    unit = "request" if comparison.cluster.startswith("request") else "user"
    effective = comparison.model.informative
    count = f"count as {effective:.1f} equal ones"
    intervals = "" if comparison.model.has_intervals else ", too few for an interval"
    return [
        f"One {unit} (code {weight.largest}: {weight.rows:,} of {comparison.rows:,} rows, "
        f"{weight.positives:,} of {comparison.positives:,} positives) carries the intervals: "
        f"{comparison.clusters:,} {unit}s {count}{intervals}."
    ]


def _same(panel: Panel) -> list[str]:
    names = panel.strategies
    return [
        f"{a} and {b} predicted the very same numbers with every seed."
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if panel.identical(a, b)
    ]


def _margin(comparison: Comparison) -> list[str]:
    """A sentence if no outcome could have shown equivalence."""
    model = comparison.model
    base = model.index(comparison.baseline)
    never = []
    for place, name in enumerate(model.names):
        se = float(model.se[place, base])
        if place == base or not se > 0 or not model.has_intervals:
            continue
        pair = comparison.pair(name, comparison.baseline)
        if pair.high - pair.difference >= comparison.margin:
            never.append(name)
    if not never:
        return []
    return [
        f"These data could never show equivalence within ±{comparison.margin:g} for "
        f"{_some(never)}: the interval is wider than the margin whatever the difference."
    ]


def _missing_controls(comparison: Comparison) -> list[str]:
    names = [row.name for row in comparison.strategies]
    missing = [kind for kind in _STANDARD if not any(name.startswith(kind) for name in names)]
    if not missing:
        return []
    return [f"Controls missing from this comparison: {', '.join(missing)}."]


def _controls(comparison: Comparison) -> list[str]:
    """Every strategy against every control; of the unimodal ones only the best on validation.

    Nothing is said where no test is possible (few clusters, a control with one seed).
    """
    controls = [
        row
        for row in comparison.strategies
        if row.metrics and (row.role == "control" or row.name.startswith(_STANDARD))
    ]
    higher = comparison.about[comparison.metric].higher_is_better
    unimodal = [row for row in controls if row.name.startswith("unimodal")]
    if unimodal and not any(np.isnan(row.valid) for row in unimodal):
        best = max(unimodal, key=lambda row: row.valid if higher else -row.valid)
        controls = [row for row in controls if row is best or row not in unimodal]
    sentences = []
    for row in comparison.strategies:
        if row.role != "strategy" or row.seeds < 2 or not row.metrics:
            continue
        beaten = [
            control.name
            for control in controls
            if control is not row
            and _misses(comparison.pair(row.name, control.name), higher=higher)
        ]
        sentences += [f"{row.name} does not beat {name}{_meaning(name)}." for name in beaten]
    return sentences


def _misses(pair: Pair, *, higher: bool) -> bool:
    """Whether the shown interval reaches 0; without an interval, whether the two are equal."""
    if np.isnan(pair.low):
        return pair.difference == 0
    return pair.low <= 0 if higher else pair.high >= 0


def _meaning(control: str) -> str:
    meanings = [text for kind, text in _MEANING.items() if control.startswith(kind)]
    return f": {meanings[0]}" if meanings else ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
