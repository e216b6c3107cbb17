"""How firm the decision is, computed from a study's comparison, replay and searches."""

from collections.abc import Sequence

import numpy as np

from fusefront.harness.decision import firmness as computed
from fusefront.harness.decision.extent import front_extent
from fusefront.harness.decision.inputs import Inputs, Measured
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import Policy
from fusefront.harness.dossier.shown import interval
from fusefront.harness.statistics.comparison import Comparison
from fusefront.reports.evidence import (
    Firmness,
    FirmnessReason,
    FlipPoint,
    FrontShape,
    Interval,
    OtherVerdict,
    Regret,
    Rising,
)


def graded(
    inputs: Inputs,
    policy: Policy,
    outcome: Outcome,
    comparison: Comparison,
    worth: computed.Worth | None,
    beside: Sequence[computed.GradeReason],
) -> Firmness:
    """The firmness of the decision as the page and decision.json show it."""
    known = computed.firmness(
        inputs,
        policy,
        outcome,
        worth=worth,
        searches=searches_of(comparison),
        beside=beside,
    )
    return Firmness(
        grade=known.grade,
        of=known.of,
        reasons=tuple(
            FirmnessReason(reason.key, dict(reason.numbers), reason.strategy, reason.text)
            for reason in known.reasons
        ),
        rivals=known.rivals,
        probability=known.probability,
        probability_half=known.probability_half,
        probability_double=known.probability_double,
        probability_searched=known.probability_searched,
        regret=None if known.regret is None else Regret(**vars(known.regret)),
        gain=_interval(known.gain),
        measured_gain=known.measured_gain,
        picked_of=known.picked_of,
        clicks=_interval(known.clicks),
        money=_interval(known.money),
        flips=tuple(FlipPoint(**vars(flip)) for flip in known.flips),
        format=known.format,
    )


def front_shape(inputs: Inputs, under: Sequence[int] = ()) -> FrontShape | None:
    """The front as a whole for the evidence; None without a front. `under` are the candidates that
    keep the limit."""
    extent = front_extent(inputs, under=under)
    if extent is None:
        return None
    knee = None if extent.knee is None else inputs.candidates[extent.knee].name
    names = [candidate.name for candidate in inputs.candidates]
    return FrontShape(
        interval(extent.area),
        extent.slowest_ms,
        knee,
        extent.knee_chance,
        {name: chance for name, chance in zip(names, extent.knees, strict=True) if chance > 0},
        {
            name: interval(lost)
            for name, lost in zip(names, extent.regret, strict=True)
            if lost is not None
        },
    )


def searches_of(comparison: Comparison) -> computed.Searches | None:
    """What the comparison knows of the searches; None if it knows nothing.

    A strategy without a row was not searched (a control).
    """
    if comparison.search is None:
        return None
    rows = {row.name: row for row in comparison.search.rows}
    trials = tuple(rows[name].trials if name in rows else 0 for name in comparison.model.names)
    variance = np.array(
        [
            rows[name].sd ** 2 if count else 0.0
            for name, count in zip(comparison.model.names, trials, strict=True)
        ]
    )
    return computed.Searches(trials, variance, comparison.search.df)


def known_beside(
    choice: str | None, rising: Sequence[Rising], others: Sequence[OtherVerdict]
) -> list[computed.GradeReason]:
    """Reasons against the choice that do not come from test: unfinished training, another
    recipe."""
    reasons = [
        computed.GradeReason(
            "training",
            {"by": rise.by, "unsure": rise.unsure},
            rise.strategy,
            f"The validation AUC of {rise.strategy!r} rose by {rise.by:.4f} in its last epoch.",
        )
        for rise in rising
        if rise.strategy == choice
    ]
    reasons += [
        computed.GradeReason(
            "recipe",
            {"difference": other.difference.value},
            other.strategy,
            f"By the recipe {other.recipe} {other.strategy!r} is {other.other!r}, "
            f"not {other.verdict!r}.",
        )
        for other in others
        if other.strategy == choice and other.verdict != other.other
    ]
    return reasons


def _interval(measured: Measured | None) -> Interval | None:
    return None if measured is None else interval(measured)
