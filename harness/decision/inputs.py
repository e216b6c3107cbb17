"""What a decision is made from: arrays of quality, latency and cost, one entry a configuration."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Measured(NamedTuple):
    """A number with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Latency:
    """One subject of the bench, milliseconds; the rounds are the resampling unit."""

    p50: Measured
    p95: Measured
    p99: Measured
    log_p50: tuple[float, ...] = ()  # per round, natural log of ms; () = only the intervals known
    log_p99: tuple[float, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A strategy as it would ship: what is not in the quality arrays."""

    name: str
    family: str = "strategy"
    control: bool = False  # popularity, id-only: may win, and then it is said
    measuring_device: bool = False  # shuffled vectors, ablation variants: can never ship
    seeds: int = 1
    trained: bool = True  # popularity has no seed to vary
    parameters: int = 0
    latency: Latency | None = None
    cost: float | None = None  # per million predictions, in the study's currency
    core_ms: float | None = None  # processor time of one request, ms (mean)


@dataclass(frozen=True)
class Pairs:
    """Differences of AUC, row minus column, from the joint normal model."""

    diff: Floats  # [S, S]
    se: Floats  # [S, S]; 0 on the diagonal
    df: Floats  # [S, S]
    c_all: float  # 95 % quantile of the largest |t| over all pairs
    c_base: float  # the same over the pairs with what runs today

    def interval(self, a: int, b: int) -> Measured:
        """a - b with its own 95 % interval."""
        return self._around(a, b, 0.975)

    def equivalence_bound(self, a: int, b: int) -> float:
        """The smallest margin at which a and b are equivalent (TOST at 5 %)."""
        low, high = self._around(a, b, 0.95)[1:]
        return max(abs(low), abs(high))

    def picked(self, a: int, b: int) -> Measured:
        """a - b with the interval that stays right although a was picked for its AUC."""
        own = self.interval(a, b)
        half = max(self.c_base * float(self.se[a, b]), own.high - own.value)
        return Measured(own.value, own.value - half, own.value + half)

    def _around(self, a: int, b: int, level: float) -> Measured:
        from scipy import special

        half = 0.0
        if self.se[a, b] > 0:
            half = float(special.stdtrit(max(self.df[a, b], 1.0), level) * self.se[a, b])
        value = float(self.diff[a, b])
        return Measured(value, value - half, value + half)


class Settle(NamedTuple):
    """What would decide a comparison; None = that alone never does."""

    rows: int | None
    seeds: int | None


@dataclass(frozen=True)
class Inputs:
    """Everything a decision reads; axes S follow `candidates`."""

    candidates: tuple[Candidate, ...]
    auc: tuple[Measured, ...]  # absolute, each with its own interval
    pairs: Pairs
    today: int | None  # which candidate runs today
    clusters: int  # the smaller of clusters with a click and clusters without
    floor: float = 0.0  # log ratio below which two latencies cannot be told apart
    bench: bool = True  # a latency session exists
    settle: Callable[[int, int], Settle] | None = None
    problems: tuple[str, ...] = field(default=())  # read on the way: one sentence each

    @property
    def size(self) -> int:
        """Number of configurations, S."""
        return len(self.candidates)

    def index(self, name: str) -> int:
        """Position of a configuration by name."""
        return [c.name for c in self.candidates].index(name)

    @property
    def shippable(self) -> list[int]:
        """Configurations that could go to production."""
        return [i for i, c in enumerate(self.candidates) if not c.measuring_device]
