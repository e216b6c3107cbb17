"""The inputs of a decision: arrays of quality, latency and cost, one entry a configuration."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.exchangeable import steadied
from fusefront.harness.statistics.power import Settle

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Measured(NamedTuple):
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Latency:
    """The latency of one strategy in ms; rounds are the unit of resampling."""

    p50: Measured
    p95: Measured
    p99: Measured | None  # None: too few requests for a p99
    log_p50: tuple[float, ...] = ()  # per round, natural log of ms; () = only intervals are known
    log_p99: tuple[float, ...] = ()
    p99_open: bool = False  # the true upper end is at or above the given one
    sessions: tuple[int, ...] = ()  # number of rounds of each session, in order; () = one session


@dataclass(frozen=True)
class Candidate:
    """A strategy as it would ship: everything except the quality arrays."""

    name: str
    family: str = "strategy"
    control: bool = False  # popularity, id-only: may win, which is then reported
    measuring_device: bool = False  # shuffled vectors, ablation variants: can never ship
    seeds: int = 1
    trained: bool = True  # popularity has no seed to vary
    parameters: int = 0
    latency: Latency | None = None
    cost: float | None = None  # per million predictions, in the study's currency
    core_ms: float | None = None  # processor time of one request, ms (mean)


@dataclass(frozen=True)
class Pairs:
    """Differences of AUC, row minus column [S, S], from the joint normal model."""

    diff: Floats  # [S, S]
    se: Floats  # [S, S]; 0 on the diagonal
    df: Floats  # [S, S]
    c_all: float  # 95 % quantile of the largest |t| over all pairs
    c_base: float  # the same over the strategies' pairs with what runs today
    seeds: Floats | None = None  # [S] variance of each mean from its seeds; None = unknown
    level: float = 0.95  # of the intervals; more after several looks at test
    controls: Bools | None = None  # [S] controls, which form a family of their own
    c_controls: float = float("nan")  # over their pairs with what runs today; nan = c_base
    c_strategies: float = float("nan")  # over the pairs without any of them; nan = c_all

    @cached_property
    def steady_variance(self) -> Floats:
        """[S, S] variances of the differences, seed variances shrunk towards their mean."""
        return self.se**2 if self.seeds is None else steadied(self.se**2, self.seeds)

    @cached_property
    def half95(self) -> Floats:
        """[S, S] half widths of the unadjusted intervals."""
        return self._half(0.5 + self.level / 2)

    @cached_property
    def bound(self) -> Floats:
        """[S, S] the smallest margin at which a pair is equivalent (TOST at 5 %)."""
        return np.abs(self.diff) + self._half(self.level)

    def interval(self, a: int, b: int) -> Measured:
        """a - b with its own 95 % interval."""
        return self._around(a, b, float(self.half95[a, b]))

    def equivalence_bound(self, a: int, b: int) -> float:
        """The smallest margin at which a and b are equivalent."""
        return float(self.bound[a, b])

    def picked(self, a: int, b: int) -> Measured:
        """a - b, if b runs today and a was picked for its AUC: the interval holds for all of a's
        family."""
        own = self.controls is not None and self.controls[a]
        return self._reaching(a, b, self.c_controls if own else self.c_base, self.c_base)

    def any_pair(self, a: int, b: int) -> Measured:
        """a - b, with an interval that holds for all pairs at once, or for all pairs of
        strategies."""
        mixed = self.controls is None or bool(self.controls[[a, b]].any())
        return self._reaching(a, b, self.c_all if mixed else self.c_strategies, self.c_all)

    def shown(self, a: int, b: int, today: int | None) -> Measured:
        """a - b, with an interval that holds whichever was picked: c_base against today's, else
        c_all."""
        if today not in (a, b):
            return self.any_pair(a, b)
        if today == b:
            return self.picked(a, b)
        value, low, high = self.picked(b, a)
        return Measured(-value, -high, -low)

    def _reaching(self, a: int, b: int, c: float, otherwise: float) -> Measured:
        """a - b, `c` standard errors to either side; `otherwise` if c is nan."""
        c = otherwise if np.isnan(c) else c
        return self._around(a, b, max(c * float(self.se[a, b]), float(self.half95[a, b])))

    def _around(self, a: int, b: int, half: float) -> Measured:
        value = float(self.diff[a, b])
        return Measured(value, value - half, value + half)

    def _half(self, level: float) -> Floats:
        from scipy import special

        quantile = special.stdtrit(np.maximum(self.df, 1.0), level)
        return np.where(self.se > 0, quantile * self.se, 0.0)


@dataclass(frozen=True)
class Inputs:
    """Everything that a decision reads; axes S follow `candidates`."""

    candidates: tuple[Candidate, ...]
    auc: tuple[Measured, ...]  # absolute, each with its own interval
    pairs: Pairs
    today: int | None  # which candidate runs today
    clusters: int  # clusters with a click, or clusters without: the smaller number
    floor: float = 0.0  # log ratio below which two latencies cannot be told apart at p50
    floor_p99: float = 0.0  # the same at p99, where the limit is checked
    disturbed: tuple[str, ...] = ()  # why the session cannot support a decision, in words
    bench: bool = True  # a latency session exists
    bench_command: str = "fusefront bench STUDY"  # the command that times a session
    settle: Callable[[int, int], Settle] | None = None
    controlled: bool = True  # whether controls were run
    problems: tuple[str, ...] = field(default=())  # problems met while reading: one sentence each

    @cached_property
    def scaled_rounds(self) -> dict[str, Floats | None]:
        """Cache of the scaled rounds, [S, rounds] by quantile; None if a round is missing."""
        return {}

    @cached_property
    def paired_latencies(self) -> dict[tuple[int, str], Bools]:
        """Cache by (configuration, quantile): which others are slower, [S] bool; hundreds of
        policies need it."""
        return {}

    @property
    def size(self) -> int:
        """The number of configurations, S."""
        return len(self.candidates)

    def index(self, name: str) -> int:
        """The index of a configuration by name."""
        return [c.name for c in self.candidates].index(name)

    @property
    def shippable(self) -> list[int]:
        """The indices of configurations that could go to production."""
        return [i for i, c in enumerate(self.candidates) if not c.measuring_device]
