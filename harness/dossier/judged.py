"""Everything that the policy says about one set of inputs: outcome, front, and what would change
it."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fusefront.harness.decision.alternatives import alternatives, runner_up
from fusefront.harness.decision.frontier import DRAWS, Frontier, band, frontier, log_latency
from fusefront.harness.decision.inputs import Floats, Inputs
from fusefront.harness.decision.latency import tail
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import Policy, decide, gain
from fusefront.harness.decision.sensitivity import flips, what_would_change
from fusefront.harness.dossier.shown import interval
from fusefront.reports.evidence import Change, Decision, FrontierBand, Lack, Margins

SEED = 20_261_125  # of the descriptive draws, so that equal inputs give equal figures
GRID = 121
DRAWN = "p99"  # the axis of the figure; the rules for confident statements use p50


class Drawable(Protocol):
    """The joint normal model, as far as this module uses it."""

    def draw(self, rng: np.random.Generator, n: int) -> Floats:
        """[n, S] draws of the true metrics, with all their uncertainty."""


@dataclass(frozen=True)
class Signature:
    """Who is responsible for the decision, and when to decide again."""

    owner: str = ""
    date: str = ""
    recheck: str = ""


@dataclass(frozen=True)
class Judged:
    """The result of the policy and the figures that belong to it."""

    outcome: Outcome
    front: Frontier
    band: FrontierBand | None
    decision: Decision


def judge(inputs: Inputs, joint: Drawable, policy: Policy, signature: Signature) -> Judged:
    """Decide, compute the front, and apply the policy again at other limits, margins and prices."""
    outcome = decide(inputs, policy)
    rng = np.random.default_rng(SEED)
    auc = joint.draw(rng, DRAWS)
    return Judged(
        outcome,
        frontier(inputs, auc, np.random.default_rng(SEED + 1), margin=policy.margin, drawn=DRAWN),
        _band(inputs, auc),
        _decision(inputs, policy, outcome, signature),
    )


def margins(inputs: Inputs, policy: Policy, choice: int | None, second: int | None) -> Margins:
    """How far the choice is ahead, in AUC, p99 and cost."""
    if choice is None:
        return Margins()
    candidate = inputs.candidates[choice]
    cost = None if candidate.cost is None else candidate.cost * policy.cost_factor
    reach = tail(candidate.latency, inputs.floor_p99) if candidate.latency else None
    return Margins(
        interval(gain(inputs, choice)) if inputs.today not in (None, choice) else None,
        interval(inputs.pairs.shown(choice, second, inputs.today)) if second is not None else None,
        None if reach is None else policy.slo_ms - reach.high,
        None if cost is None or policy.max_cost is None else policy.max_cost - cost,
    )


def _band(inputs: Inputs, auc: Floats) -> FrontierBand | None:
    """The height of the front over today's AUC; absolute if nothing runs today."""
    centre = log_latency(inputs, DRAWN)
    if not np.isfinite(centre).any():
        return None
    height = auc - auc[:, [inputs.today]] if inputs.today is not None else auc
    low, high = np.nanmin(centre) - 0.1, np.nanmax(centre) + 0.1
    grid = np.asarray(np.round(np.exp(np.linspace(low, high, GRID)), 6), np.float64)
    envelope = band(inputs, height, np.random.default_rng(SEED + 2), grid, DRAWN)
    rows = [
        tuple(None if np.isnan(v) else round(float(v), 6) for v in row) for row in envelope.gain
    ]
    return FrontierBand(tuple(float(g) for g in grid), rows[0], rows[1], rows[2], DRAWS)


def _decision(inputs: Inputs, policy: Policy, outcome: Outcome, signature: Signature) -> Decision:
    names = [c.name for c in inputs.candidates]
    second = runner_up(inputs, policy, outcome)
    best = best_strategy(inputs)

    def name(i: int | None) -> str | None:
        return None if i is None else names[i]

    return Decision(
        case=outcome.case,
        reason=outcome.reason,
        slo_ms=policy.slo_ms,
        margin=policy.margin,
        choice=name(outcome.choice),
        today=name(inputs.today),
        subject=name(outcome.subject),
        leader=name(outcome.leader),
        runner_up=name(second),
        margins=margins(inputs, policy, outcome.choice, second),
        max_cost=policy.max_cost,
        feasible=tuple(names[i] for i in outcome.feasible),
        equivalent=tuple(names[i] for i in outcome.equivalent),
        alternatives=tuple(names[i] for i in alternatives(inputs, policy, outcome)),
        changes=_changes(inputs, policy, outcome),
        lacks=tuple(Lack(**vars(lack)) for lack in outcome.lacks),
        owner=signature.owner,
        date=signature.date,
        recheck=signature.recheck,
        best=name(best),
        unbeaten=tuple(names[i] for i in unbeaten(inputs, best)),
    )


def best_strategy(inputs: Inputs) -> int | None:
    """The index of the highest AUC among shippable strategies that are no controls."""
    fusions = [i for i in inputs.shippable if not inputs.candidates[i].control]
    known = [i for i in fusions if np.isfinite(inputs.auc[i].value)]
    return max(known, key=lambda i: inputs.auc[i].value, default=None)


def unbeaten(inputs: Inputs, best: int | None) -> list[int]:
    """The controls that the best strategy is not shown to beat, the highest AUC first.

    () if there are no intervals.
    """
    if best is None:
        return []
    controls = [
        i
        for i, candidate in enumerate(inputs.candidates)
        if candidate.control and inputs.pairs.shown(best, i, inputs.today).low <= 0
    ]
    return sorted(controls, key=lambda i: -inputs.auc[i].value)


def _changes(inputs: Inputs, policy: Policy, outcome: Outcome) -> tuple[Change, ...]:
    """Fixed steps of each setting, then the nearest value on either side that changes the
    decision."""
    changes = []
    for step in what_would_change(inputs, policy, outcome):
        chosen = step.outcome.choice
        name = None if chosen is None else inputs.candidates[chosen].name
        changes.append(Change(step.knob, step.value, "at", step.outcome.case, name, step.changed))
    for flip in flips(inputs, policy, outcome):
        chosen = flip.outcome.choice
        name = None if chosen is None else inputs.candidates[chosen].name
        changes.append(Change(flip.knob, flip.value, flip.side, flip.outcome.case, name, True))
    return tuple(changes)
