"""What would change the decision, found by applying the policy again to other values."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from fusefront.harness.decision.inputs import Inputs
from fusefront.harness.decision.latency import tail
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import Policy, decide

Knob = Literal["slo", "margin", "price", "traffic"]
SCALES: dict[Knob, tuple[float, ...]] = {
    "slo": (0.8, 1.2),
    "margin": (0.5, 2.0),
    "price": (0.5, 2.0),
    "traffic": (0.5, 2.0),
}


@dataclass(frozen=True)
class ChangedDecision:
    """The decision at another value of one setting, all others unchanged."""

    knob: Knob
    value: float  # ms, AUC, or factor on the price per core-hour or on the traffic
    outcome: Outcome
    changed: bool


@dataclass(frozen=True)
class Flip:
    """The nearest value at which the decision changes."""

    knob: Knob
    side: Literal["below", "from"]  # it changes below the value, or at and above it
    value: float
    outcome: Outcome


def what_would_change(inputs: Inputs, policy: Policy, base: Outcome) -> tuple[ChangedDecision, ...]:
    """The decision at the limit +-20 %, and at half and twice the margin, the price and the
    traffic."""
    changes = []
    for knob, scales in SCALES.items():
        for scale in scales:
            value = scale * _value(policy, knob)
            other = decide(inputs, _with(policy, knob, value))
            changes.append(ChangedDecision(knob, value, other, not same(base, other)))
    return tuple(changes)


def flips(inputs: Inputs, policy: Policy, base: Outcome) -> tuple[Flip, ...]:
    """The nearest exact change on either side of the limit, the margin and the price.

    The decision is a step function of each setting. Its steps can only lie at the deciding ends of
    p99, at the margins equal to an end of an interval, and at the prices at which a strategy meets
    the cost limit, so that only these values are tried.
    """
    changes: list[Flip] = []
    steps_of: dict[Knob, set[float]] = {
        "slo": _limits(inputs),
        "margin": _margins(inputs, policy),
        "price": _prices(inputs, policy),
    }
    for knob, steps in steps_of.items():
        here = _value(policy, knob)
        for step in sorted((s for s in steps if s <= here), reverse=True):
            other = decide(inputs, _with(policy, knob, step * (1 - 1e-9)))
            if not same(base, other):
                changes.append(Flip(knob, "below", step, other))
                break
        for step in sorted(s for s in steps if s >= here):
            other = decide(inputs, _with(policy, knob, step * (1 + 1e-9)))
            if not same(base, other):
                changes.append(Flip(knob, "from", step, other))
                break
    return tuple(changes)


def same(a: Outcome, b: Outcome) -> bool:
    """Whether a reader would act in the same way on both."""
    return (a.case, a.choice) == (b.case, b.choice)


def _value(policy: Policy, knob: Knob) -> float:
    return {
        "slo": policy.slo_ms,
        "margin": policy.margin,
        "price": policy.cost_factor,
        "traffic": 1.0,
    }[knob]


def _with(policy: Policy, knob: Knob, value: float) -> Policy:
    if knob == "slo":
        return replace(policy, slo_ms=value)
    if knob == "margin":
        return replace(policy, margin=value)
    if knob == "price":
        return replace(policy, cost_factor=value)
    return policy  # latency, AUC and cost per prediction are those of one request at any traffic


def _limits(inputs: Inputs) -> set[float]:
    """The limits at which a strategy starts to be known to keep it, and stops to be known to miss
    it."""
    latencies = [c.latency for c in inputs.candidates if c.latency is not None]
    reaches = [tail(latency, inputs.floor_p99) for latency in latencies]
    return {end for reach in reaches if reach for end in (reach.low, reach.high)}


def _prices(inputs: Inputs, policy: Policy) -> set[float]:
    if not policy.max_cost:
        return set()
    return {policy.max_cost / c.cost for c in inputs.candidates if c.cost}


def _margins(inputs: Inputs, policy: Policy) -> set[float]:
    """The ends of the intervals against the leader and against today's."""
    outcome = decide(inputs, policy)
    if outcome.leader is None or inputs.today is None:
        return set()
    steps = set()
    for i in outcome.feasible:
        for other in (outcome.leader, inputs.today):
            steps.add(-inputs.pairs.shown(i, other, inputs.today).low)
            steps.add(inputs.pairs.shown(i, other, inputs.today).high)
    return {s for s in steps if 0 < s < math.inf}
