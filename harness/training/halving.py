"""Where the trainings of a search pause; only the better half of those that get there goes on."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from fusefront.harness.runs.spec import Cell

SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the epochs, where a trial pauses


class Leg(NamedTuple):
    """A cell that is trained to the end of epoch `until` and paused there."""

    cell: Cell
    until: int


def rungs(epochs: int) -> tuple[int, ...]:
    """The epochs after which a training of `epochs` epochs pauses; the last epoch is none of them.

    >>> rungs(16), rungs(3), rungs(1)
    ((2, 4, 8), (1, 2), ())
    """
    return tuple(sorted({math.ceil(epochs * share) for share in SHARES} - {epochs}))


def best_at_rungs(aucs: Sequence[float | None], epochs: int) -> dict[str, float]:
    """The best AUC so far at each pause (rung) that was reached: epoch as text -> AUC.

    `aucs` [epochs so far] has the AUC on validation after each epoch, None where it is not a
    number.

    >>> best_at_rungs([0.5, 0.7, None, 0.6], 16)
    {'2': 0.7, '4': 0.7}
    """
    best: dict[str, float] = {}
    for rung in rungs(epochs):
        known = [auc for auc in aucs[:rung] if auc is not None]
        if len(aucs) >= rung and known:
            best[str(rung)] = max(known)
    return best
