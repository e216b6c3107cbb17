"""What the policy says: a case, its reason, and what is lacking where nothing can be chosen."""

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
    """What is missing for a decision: data for a sentence, and the sentence of the command line."""

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
    """What the policy says; numbers are positions in the inputs' candidates."""

    case: Case
    reason: Reason
    choice: int | None
    leader: int | None  # best lower bound of the gain under the limit
    subject: int | None  # whom the sentence is about: the choice, or the one that could have been
    feasible: tuple[int, ...]
    equivalent: tuple[int, ...]  # not worse than the leader by more than the margin, itself, too
    lacks: tuple[MissingEvidence, ...] = ()  # what to measure
