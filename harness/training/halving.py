"""Where trainings of a search pause, to go on later if they are among the better half there."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from fusefront.harness.runs.spec import Cell

SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the epochs, where a trial pauses


class Leg(NamedTuple):
    """A cell that is trained until the end of an epoch, and put by there."""

    cell: Cell
    until: int


def rungs(epochs: int) -> tuple[int, ...]:
    """After which epochs a training of so many pauses; never after the last.

    >>> rungs(16), rungs(3), rungs(1)
    ((2, 4, 8), (1, 2), ())
    """
    return tuple(sorted({math.ceil(epochs * share) for share in SHARES} - {epochs}))


def best_at_rungs(aucs: Sequence[float | None], epochs: int) -> dict[str, float]:
    """The best AUC so far at each rung that was reached, by epoch as text; `aucs` one an epoch.

    >>> best_at_rungs([0.5, 0.7, None, 0.6], 16)
    {'2': 0.7, '4': 0.7}
    """
    best: dict[str, float] = {}
    for rung in rungs(epochs):
        known = [auc for auc in aucs[:rung] if auc is not None]
        if len(aucs) >= rung and known:
            best[str(rung)] = max(known)
    return best
