"""What the gains of several rivals may truly be, given what was measured of all of them.

Rivals are alike before the data are seen: true gains are N(mu, tau^2) with mu and tau not known
(Rubin 1981). The largest of several measured gains is then drawn back to the others, which is what
its picking made it too high by. docs/statistics.md has bias, error and coverage.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 2000
STEPS = 24  # of tau


class Spread(NamedTuple):
    """Covariance of the measured gains over one reference."""

    of_gains: Floats  # [k, k]
    own: float  # variance of one gain that it does not share with the others, mean


def covariance_of_gains(variance: Floats, reference: int, rivals: list[int]) -> Spread:
    """From the variances of all differences [S, S] to those of the rivals' gains.

    Cov(i - r, j - r) = (Var(i - r) + Var(j - r) - Var(i - j)) / 2, made positive semidefinite.
    """
    to_reference = variance[rivals, reference]
    between = variance[np.ix_(rivals, rivals)]
    covariance = (to_reference[:, None] + to_reference - between) / 2
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    covariance = (vectors * np.maximum(values, 0.0)) @ vectors.T
    apart = ~np.eye(len(rivals), dtype=bool)
    own = float(between[apart].mean() / 2) if len(rivals) > 1 else 0.0
    return Spread(covariance, own)


def gain_draws(
    measured: Floats,
    spread: Spread,
    alike: NDArray[np.bool_],
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Floats:
    """[draws, k] what the gains may be; `measured` [k] are the differences as they were seen.

    Those that are `alike` [k] are shrunken towards their common mean; the others, and a single
    one, are as measured.
    """
    errors = _normal(spread.of_gains, rng, draws)
    gains: Floats = measured - errors
    places = np.flatnonzero(alike)
    if len(places) < 2:
        return gains
    d, covariance = measured[places], spread.of_gains[np.ix_(places, places)]
    for tau, part in _split(_taus(d, covariance, spread.own), rng, draws):
        here = _AtSpread.tau(tau, d, covariance)
        mu = here.mean + here.sd * rng.standard_normal((len(part), 1))
        before = mu + tau * rng.standard_normal((len(part), len(places)))
        # a draw from the prior, moved by how far its measurement lies from the true one
        apart = d - before - errors[np.ix_(part, places)]
        gains[np.ix_(part, places)] = before + tau**2 * apart @ here.precision
    return gains


def expected_gains(measured: Floats, spread: Spread, alike: NDArray[np.bool_]) -> Floats:
    """[k] the mean of `gain_draws`, worked out: a single one and those not alike as measured."""
    places = np.flatnonzero(alike)
    expected: Floats = measured.copy()
    if len(places) < 2:
        return expected
    d, covariance = measured[places], spread.of_gains[np.ix_(places, places)]
    taus = _taus(d, covariance, spread.own)
    expected[places] = 0.0
    for tau, weight in zip(taus.value, taus.weight, strict=True):
        here = _AtSpread.tau(float(tau), d, covariance)
        expected[places] += weight * (here.mean + tau**2 * here.precision @ (d - here.mean))
    return expected


class _AtSpread(NamedTuple):
    """What is known of the gains at one tau."""

    precision: Floats  # [k, k] of the measured gains around mu
    mean: float  # of mu
    sd: float
    log_weight: float

    @classmethod
    def tau(cls, tau: float, d: Floats, covariance: Floats) -> "_AtSpread":
        total = covariance + (tau**2 + _least(covariance)) * np.eye(len(d))
        precision = np.linalg.inv(total)
        information = float(precision.sum())
        mean = float(precision.sum(0) @ d) / information
        apart = d - mean
        log_weight = -0.5 * float(np.linalg.slogdet(total)[1]) - 0.5 * np.log(information)
        log_weight -= 0.5 * float(apart @ precision @ apart)
        return cls(precision, mean, float(information**-0.5), float(log_weight))


class _Taus(NamedTuple):
    value: Floats  # [STEPS]
    weight: Floats  # [STEPS], adds to 1


def _taus(d: Floats, covariance: Floats, own: float) -> _Taus:
    top = 3 * max(float(d.std(ddof=1)), float(np.sqrt(own)), 1e-12)
    value = top * (np.arange(STEPS) + 0.5) / STEPS
    logs = np.array([_AtSpread.tau(float(tau), d, covariance).log_weight for tau in value])
    weight = np.exp(logs - logs.max())
    return _Taus(value, weight / weight.sum())


def _split(
    taus: _Taus, rng: np.random.Generator, draws: int
) -> list[tuple[float, NDArray[np.intp]]]:
    """Which draws have which tau."""
    which = rng.choice(len(taus.value), draws, p=taus.weight)
    parts = ((float(tau), np.flatnonzero(which == k)) for k, tau in enumerate(taus.value))
    return [(tau, part) for tau, part in parts if len(part)]


def _least(covariance: Floats) -> float:
    """A variance that nothing notices, so that equal gains can be inverted."""
    return 1e-10 * float(np.trace(covariance)) / len(covariance) + 1e-30


def _normal(covariance: Floats, rng: np.random.Generator, draws: int) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise: Floats = rng.standard_normal((draws, len(values))) @ root.T
    return noise
