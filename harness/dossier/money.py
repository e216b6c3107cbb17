"""What the replayed clicks mean for a study: the choice's gain, the what-if grid, other traffic."""

from dataclasses import replace
from typing import NamedTuple

from fusefront.harness.decision.firmness import Worth
from fusefront.harness.decision.inputs import Inputs
from fusefront.harness.decision.policy import Policy
from fusefront.harness.decision.whatif import Business, Grid, Replayed, assumptions, grid, net_gain
from fusefront.harness.dossier.judged import Judged
from fusefront.harness.dossier.replay import replayed
from fusefront.harness.dossier.shown import interval
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.reports.evidence import ClickRate, Decision, Interval, Replay, WhatIf, WhatIfRow


class Money(NamedTuple):
    """The results; replay and what-if are None if no logged request has an order to replay."""

    decision: Decision  # with what the choice earns at other traffic
    replay: Replay | None
    what_if: WhatIf | None
    worth: Worth | None = None  # what the clicks of whom were replayed, at the study's prices


def money(
    study: StudyFolder, inputs: Inputs, judged: Judged, policy: Policy, entries: list[RunEntry]
) -> Money:
    """Replay the logged requests (once, since the result is kept) and compute what the clicks are
    worth."""
    spec = study.spec.money
    centre = Business(
        policy.slo_ms, spec.price_per_core_hour, spec.requests_per_second, spec.value_per_click
    )
    replay = replayed(study, inputs, judged, entries)
    if replay is None:
        return Money(at_traffic(judged.decision, centre, None), None, None)
    part, clicks = replay
    notes = assumptions(clicks, centre, "USD")
    if part.size < len(inputs.shippable):
        notes += (
            f"Of {len(inputs.shippable)} strategies the {part.size} on the front, named by the "
            "decision or best by AUC were replayed.",
        )
    return Money(
        at_traffic(judged.decision, centre, replay),
        choice_replay(part, clicks, judged.decision.choice),
        what_if(part, clicks, grid(part, clicks, policy, centre), notes),
        Worth(part, clicks, centre),
    )


def what_if(inputs: Inputs, clicks: Replayed, grid: Grid, assumed: tuple[str, ...]) -> WhatIf:
    """The grid for the evidence, with the replayed clicks and the assumptions."""
    rates = click_rates(inputs, clicks)
    if not grid.cells:
        unpriced = "No cost was measured, so no money is computed."
        return WhatIf((), (*assumed, unpriced), clicks=rates)
    rows = tuple(
        WhatIfRow(
            cell.business.slo_ms,
            cell.business.price_core_hour,
            cell.business.requests_per_second,
            cell.business.value_per_click,
            None if cell.winner is None else inputs.candidates[cell.winner].name,
            cell.case,
            None if cell.gain is None else Interval(*cell.gain),
            None if cell.clicks is None else Interval(*cell.clicks),
        )
        for cell in grid.cells
    )
    limits, prices, traffic, values = grid.axes
    return WhatIf(rows, assumed, limits, prices, traffic, values, len(rows) // 2, rates)


def click_rates(inputs: Inputs, clicks: Replayed) -> tuple[ClickRate, ...]:
    """Clicks per 1,000 impressions of every replayed strategy, and their difference to today's."""
    today = inputs.today
    return tuple(
        ClickRate(
            candidate.name,
            interval(clicks.rates[i]),
            None if today in (None, i) else interval(clicks.pairs.shown(i, today, today)),
        )
        for i, candidate in enumerate(inputs.candidates)
    )


def choice_replay(part: Inputs, clicks: Replayed, choice: str | None) -> Replay | None:
    """The clicks of the choice and of what runs today."""
    names = [c.name for c in part.candidates]
    if choice not in names or part.today is None:
        return None
    at = names.index(choice)
    own, today = interval(clicks.rates[at]), interval(clicks.rates[part.today])
    if at == part.today:
        return Replay(clicks.k, own, None, None, clicks.requests)
    gap = interval(clicks.pairs.picked(at, part.today))
    return Replay(clicks.k, own, today, gap, clicks.requests)


def at_traffic(
    decision: Decision, centre: Business, replay: tuple[Inputs, Replayed] | None
) -> Decision:
    """The decision's changes by traffic (requests a second), with the choice's yearly gain at
    each."""
    changes = []
    for change in decision.changes:
        if change.knob == "traffic":
            here = replace(centre, requests_per_second=change.value * centre.requests_per_second)
            change = replace(change, value=here.requests_per_second)
            if replay is not None and change.choice in [c.name for c in replay[0].candidates]:
                gain = net_gain(*replay, here, replay[0].index(str(change.choice)))
                change = replace(change, yearly_gain=interval(gain) if gain else None)
        changes.append(change)
    return replace(decision, changes=tuple(changes))
