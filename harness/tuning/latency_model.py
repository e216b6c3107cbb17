"""Predicts a request's latency from counts, by a fit to strategies that were timed.

    ms = fixed + macs * (MACs of a request) + bytes * (bytes of codes that a request looks up)

All three coefficients are 0 or more. The fit minimises relative errors (non-negative least squares,
Lawson & Hanson 1974), so that a fast strategy counts as much as a slow one. The stated error comes
from predicting each strategy by a fit to the others.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from fusefront.harness.errors import UsageError
from fusefront.harness.runs.records import LatencyFit

FEWEST = 6  # strategies: twice as many as there are coefficients


class RequestCost(NamedTuple):
    """The counted cost of one request; nothing is timed."""

    macs: float
    bytes: float  # of the codes of its candidates and its history


class Timed(NamedTuple):
    """One strategy of a bench with its counted cost and its measured times in ms."""

    counted: RequestCost
    p50_ms: float
    p99_ms: float


class LatencyModel(NamedTuple):
    """Predicts p50 and p99 of a request, in ms, from what is counted of it."""

    p50: tuple[float, ...]  # fixed, a MAC, a byte
    p99: tuple[float, ...]
    error: float  # typical relative error of p99, leave-one-out: .2 is a fifth
    worst: float
    strategies: int

    def p50_ms(self, of: RequestCost) -> float:
        """The predicted median, ms."""
        return float(_design([of])[0] @ self.p50)

    def p99_ms(self, of: RequestCost) -> float:
        """The predicted 99th percentile, ms."""
        return float(_design([of])[0] @ self.p99)

    @property
    def sentence(self) -> str:
        """What the model was fitted to and its error, in words."""
        return (
            f"p99 is predicted from {self.strategies} timed strategies, each left out in turn: "
            f"off by {self.error:.0%} (the worst by {self.worst:.0%})"
        )

    def to_json(self) -> LatencyFit:
        """The model as search.json stores it."""
        return {
            "p50": list(self.p50),
            "p99": list(self.p99),
            "error": self.error,
            "worst": self.worst,
            "strategies": self.strategies,
        }


def model_of(record: LatencyFit) -> LatencyModel:
    """The model that `to_json` stored."""
    return LatencyModel(
        tuple(record["p50"]),
        tuple(record["p99"]),
        record["error"],
        record["worst"],
        record["strategies"],
    )


def fitted(points: Sequence[Timed]) -> LatencyModel:
    """The model fitted to timed strategies.

    Raises:
        UsageError: fewer than six strategies, or predictions no better than their mean.
    """
    different = len({point.counted for point in points})
    if different < FEWEST:
        raise UsageError(
            f"tuning.slo_ms: {different} different strategies of this study were timed with a p99, "
            f"expected at least {FEWEST} to predict those of a search from; bench more strategies "
            "(`fusefront run` without slo_ms, or `fusefront bench`), or limit MACs with budget_macs"
        )
    design = _design([point.counted for point in points])
    median = np.array([point.p50_ms for point in points])
    tail = np.array([point.p99_ms for point in points])
    away = _left_out(design, tail)
    mean = _left_out(design[:, :1], tail)
    error, plain = (math.sqrt(float(np.mean(some**2))) for some in (away, mean))
    if not error < plain:
        raise UsageError(
            f"tuning.slo_ms: counts predict the p99 of the {len(points)} timed strategies no "
            f"better than their mean does (off by {math.expm1(error):.0%} and "
            f"{math.expm1(plain):.0%}); time them on a quiet machine, or limit MACs with "
            "budget_macs"
        )
    worst = float(np.abs(away).max())
    return LatencyModel(
        _coefficients(design, median),
        _coefficients(design, tail),
        math.expm1(error),
        math.expm1(worst),
        len(points),
    )


def _design(counted: Sequence[RequestCost]) -> NDArray[np.float64]:
    """The design matrix [n, 3]: 1, MACs, bytes."""
    return np.array([(1.0, of.macs, of.bytes) for of in counted])


def _coefficients(design: NDArray[np.float64], ms: NDArray[np.float64]) -> tuple[float, ...]:
    """The non-negative coefficients with the least relative errors, from design [n, 3] and times
    [n] in ms."""
    scale = np.maximum(design.max(0), 1e-12)  # counts are millions, coefficients billionths
    solved, _ = nnls(design / scale / ms[:, None], np.ones(len(ms)))
    return tuple(float(value) for value in solved / scale)


def _left_out(design: NDArray[np.float64], ms: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n] log of predicted over measured time, each strategy predicted by a fit to the others."""
    logs = []
    for at in range(len(ms)):
        others = np.arange(len(ms)) != at
        predicted = design[at] @ np.array(_coefficients(design[others], ms[others]))
        logs.append(math.log(max(float(predicted), 1e-9) / ms[at]))
    return np.array(logs)
