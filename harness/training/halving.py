"""Successive halving inside a search: a trial that lags behind at a rung ends there."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fusefront.harness.runs.spec import Cell

SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the epochs, where a trial is looked at
ETA = 2  # one of so many goes on


class StoppedError(Exception):
    """A training lagged behind at a rung: no fault of it."""


class RacedCell(NamedTuple):
    """A cell that ends at the first of `stops` (epoch -> AUC) that its best so far is below."""

    cell: Cell
    stops: Mapping[int, float]


def rungs(epochs: int) -> tuple[int, ...]:
    """After which epochs a training of so many is looked at; never after the last.

    >>> rungs(16), rungs(3), rungs(1)
    ((2, 4, 8), (1, 2), ())
    """
    return tuple(sorted({math.ceil(epochs * share) for share in SHARES} - {epochs}))


def stop_below(earlier: Sequence[float]) -> float | None:
    """What the best AUC so far must reach at a rung that `earlier` trials have passed.

    It is to be among the better half of them and itself; None where it is the first.

    >>> stop_below([]), stop_below([0.6]), stop_below([0.6, 0.8, 0.7])
    (None, 0.6, 0.7)
    """
    if not earlier:
        return None
    better = max(1, (len(earlier) + 1) // ETA)
    return sorted(earlier, reverse=True)[better - 1]


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


class Race:
    """Told of a training's epochs; raises at the rung where it lags behind."""

    def __init__(self, stops: Mapping[int, float]) -> None:
        self.stops, self.best = stops, -math.inf

    def epoch(self, number: object, auc: object) -> None:
        """One epoch has ended.

        Raises:
            StoppedError: the best AUC so far is below what this rung asks for.
        """
        if isinstance(auc, int | float):
            self.best = max(self.best, float(auc))
        bar = self.stops.get(number) if isinstance(number, int) else None
        if bar is not None and self.best < bar:
            raise StoppedError(
                f"stopped after epoch {number}: its best AUC {self.best:.4f} is below {bar:.4f}, "
                "the better half of the trials before"
            )
