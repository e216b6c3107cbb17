"""The result of the policy: a case, its reason, and the missing evidence if nothing can be
chosen."""

from dataclasses import dataclass
from typing import Literal

Case = Literal["clear", "tie", "infeasible", "thin"]
Reason = Literal[
    "better",  # clear: gains over what runs today
    "cheaper",  # clear: not worse than what runs today by more than the margin, and faster
    "limit",  # clear: what runs today misses the limit
    "equivalent",  # tie: the best rival is equivalent to what runs today
    "no_gain",  # tie: no rival under the limit is shown to gain
    "infeasible",
    "cannot_tell",  # thin: a rival may gain, and may lose
    "too_little",  # thin: seeds, clusters, latency or rivals are lacking
]


@dataclass(frozen=True)
class MissingEvidence:
    """Evidence that a decision lacks: the data of its sentence, and the sentence on the command
    line."""

    kind: Literal[
        "limit",
        "latency",
        "session",  # timed, but not well enough to decide
        "clusters",
        "seeds",
        "baseline",
        "rivals",
        "controls",
        "other",
    ]
    strategy: str = ""
    have: float | None = None
    need: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Outcome:
    """The result of the policy; numbers are indices of the inputs' candidates."""

    case: Case
    reason: Reason
    choice: int | None
    leader: int | None  # under the limit: the best lower bound of the gain
    subject: int | None  # the subject of the sentence: the choice, or what could have been chosen
    feasible: tuple[int, ...]
    equivalent: tuple[int, ...]  # not worse than the leader by more than the margin
    lacks: tuple[MissingEvidence, ...] = ()  # what to measure
