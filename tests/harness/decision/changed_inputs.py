"""The same inputs of a decision with other values of one candidate, and what is said of them."""

from dataclasses import replace

from fusefront.harness.decision.inputs import Inputs, Latency, Measured
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import Policy

from ..planted_inputs import Build

__all__ = ["POLICY", "Build", "changed", "tail", "texts"]

POLICY = Policy(slo_ms=10.0, margin=0.001)


def changed(inputs: Inputs, place: int, **values: object) -> Inputs:
    """The inputs with other values of one candidate."""
    candidates = list(inputs.candidates)
    candidates[place] = replace(candidates[place], **values)
    return replace(inputs, candidates=tuple(candidates))


def tail(low: float, high: float) -> Latency:
    middle = Measured((low + high) / 2, low, high)
    return Latency(middle, middle, middle)


def texts(outcome: Outcome) -> list[str]:
    return [lack.text for lack in outcome.lacks]
