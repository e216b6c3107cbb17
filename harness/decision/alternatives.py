"""The alternatives to the choice: the runner-up and the strategies worth showing."""

from dataclasses import replace

import numpy as np

from fusefront.harness.decision.inputs import Inputs
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import Policy, decide

ALTERNATIVES = 5


def runner_up(inputs: Inputs, policy: Policy, outcome: Outcome) -> int | None:
    """Index of the candidate that the policy would choose if the choice did not exist."""
    if outcome.choice is None:
        return None
    excluded = replace(inputs.candidates[outcome.choice], measuring_device=True)
    rest = tuple(excluded if i == outcome.choice else c for i, c in enumerate(inputs.candidates))
    return decide(replace(inputs, candidates=rest), policy).choice


def alternatives(inputs: Inputs, policy: Policy, outcome: Outcome) -> list[int]:
    """The runner-up, the best strategy over the limit if its AUC is higher, then the closest in
    AUC."""
    pivot = outcome.choice if outcome.choice is not None else outcome.subject
    if pivot is None:
        return []
    auc = np.array([a.value for a in inputs.auc])
    left_out = {pivot, inputs.today}
    timed = [i for i in inputs.shippable if inputs.candidates[i].latency and i not in left_out]
    higher = [i for i in timed if i not in outcome.feasible and auc[i] > auc[pivot]]
    first = [runner_up(inputs, policy, outcome), max(higher, key=lambda i: auc[i], default=None)]
    order = [i for i in first if i is not None and i not in left_out]
    order += sorted(timed, key=lambda i: (abs(auc[i] - auc[pivot]), i))
    return list(dict.fromkeys(order))[:ALTERNATIVES]
