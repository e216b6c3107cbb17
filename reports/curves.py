"""Which training curves the report shows."""

from typing import NamedTuple

import numpy as np

from fusefront.reports.evidence import Evidence, TrainingCurve

PANELS = 12
WITHIN = 0.03  # a strategy gets a panel if its AUC is at most this far below the best


class Panels(NamedTuple):
    """Which strategies have a panel, and which are only mentioned in the text."""

    shown: list[str]
    left_out: list[str]


def with_panels(evidence: Evidence) -> Panels:
    """Those that the decision names first, then the best; strategies far below are left out, since
    they would flatten all panels."""
    decision = evidence.decision
    best: dict[str, float] = {}
    for curve in epochs(evidence):
        best[curve.strategy] = max(best.get(curve.strategy, -np.inf), *curve.value)
    deciding = [decision.choice, decision.today, decision.subject, *decision.alternatives[:3]]
    order = [n for n in dict.fromkeys(deciding) if n in best]
    order += sorted(set(best) - set(order), key=lambda n: (-best[n], n))
    top = max(best.values(), default=0.0)
    near = [n for n in order if best[n] >= top - WITHIN][:PANELS]
    return Panels(near, [n for n in order if n not in near])


def epochs(evidence: Evidence) -> list[TrainingCurve]:
    """Curves over epochs."""
    return [curve for curve in evidence.training if curve.kind == "epochs"]


def trials(evidence: Evidence) -> list[TrainingCurve]:
    """Curves over trials, best so far."""
    return [curve for curve in evidence.training if curve.kind == "trials"]
