"""Expected true gains of several rivals, given the measured gains of all of them (shrinkage).

Before the data are seen, rivals are alike: true gains are N(mu, tau^2) with mu flat and tau uniform
(Rubin 1981). This shrinks the largest of several measured gains towards the others, by about as
much as choosing the largest made it too high. docs/statistics.md has bias, error and coverage.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 2000
STEPS = 24  # of tau


class Spread(NamedTuple):
    """Covariance of the measured gains over one reference strategy."""

    of_gains: Floats  # [k, k]
    own: float  # mean variance of a gain that is not shared with the other gains


def steadied(variance: Floats, seeds: Floats) -> Floats:
    """[S, S] variances of the differences after shrinking each seed variance halfway to the mean of
    all.

    `seeds` [S] is the variance of each mean from its seeds, nan or 0 if there is none. A variance
    estimated from few seeds is noisy; shrinking steadies what is drawn from it.
    """
    own = np.nan_to_num(seeds)
    known = own > 0
    change = np.where(known, (own[known].mean() - own) / 2, 0.0) if known.any() else own
    steady: Floats = np.maximum(variance + change[:, None] + change, 0.0)
    np.fill_diagonal(steady, 0.0)
    return steady


def covariance_of_gains(variance: Floats, reference: int, rivals: list[int]) -> Spread:
    """The covariance of the rivals' gains, from the variances of all differences [S, S].

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
    """[draws, k] draws of the true gains, given the differences `measured` [k].

    In one half of the draws, gains are distributed around the measured ones. In the other half,
    those that are `alike` [k], and what they are compared with, have the prior N(mu, tau^2). Either
    half alone is too often wrong when it is sure; both together are not. If only one gain is alike,
    both halves are as measured.
    """
    errors = _normal(spread.of_gains, rng, draws)
    gains: Floats = measured - errors
    places = np.flatnonzero(alike)
    if len(places) < 2:
        return gains
    d, covariance = measured[places], spread.of_gains[np.ix_(places, places)]
    prior = np.eye(len(d)) + 1  # times tau^2: gains over a reference that is itself alike
    top = 3 * max(float(np.append(d, 0.0).std(ddof=1)), float(np.sqrt(spread.own)), 1e-12)
    value = top * (np.arange(STEPS) + 0.5) / STEPS
    least = _least(covariance) * np.eye(len(d))
    totals = [covariance + tau**2 * prior + least for tau in value]
    logs = np.array(
        [-0.5 * np.linalg.slogdet(t)[1] - 0.5 * d @ np.linalg.solve(t, d) for t in totals]
    )
    weight = np.exp(logs - logs.max())
    half = draws // 2
    which = rng.choice(STEPS, draws, p=weight / weight.sum())[half:]
    for k in np.unique(which):
        part = half + np.flatnonzero(which == k)
        truth = rng.standard_normal((len(part), len(d) + 1)) * value[k]
        before = truth[:, 1:] - truth[:, :1]
        # a prior draw, corrected by how far its simulated measurement lies from the real one
        apart = d - before - errors[np.ix_(part, places)]
        moved = value[k] ** 2 * np.linalg.solve(totals[k], prior).T
        gains[np.ix_(part, places)] = before + apart @ moved.T
    return gains


def expected_gains(measured: Floats, spread: Spread, alike: NDArray[np.bool_]) -> Floats:
    """[k] expected gains, those that are `alike` [k] shrunk towards each other.

    The reference keeps its measured value; so do gains that are not alike, and a single one that
    is.
    """
    places = np.flatnonzero(alike)
    expected: Floats = measured.copy()
    if len(places) < 2:
        return expected
    d, covariance = measured[places], spread.of_gains[np.ix_(places, places)]
    taus = _taus(d, covariance, spread.own)
    expected[places] = 0.0
    for tau, weight in np.stack(taus, axis=1):
        here = _AtSpread.tau(float(tau), d, covariance)
        expected[places] += weight * (here.mean + tau**2 * here.precision @ (d - here.mean))
    return expected


class _AtSpread(NamedTuple):
    """The posterior of the gains at one value of tau."""

    precision: Floats  # [k, k] of the measured gains around mu
    mean: float  # of mu
    log_weight: float

    @classmethod
    def tau(cls, tau: float, d: Floats, covariance: Floats) -> "_AtSpread":
        total = covariance + (tau**2 + _least(covariance)) * np.eye(len(d))
        precision: Floats = np.asarray(np.linalg.inv(total), np.float64)
        information = float(precision.sum())
        mean = float(precision.sum(0) @ d) / information
        apart = d - mean
        log_weight = -0.5 * float(np.linalg.slogdet(total)[1]) - 0.5 * np.log(information)
        log_weight -= 0.5 * float(apart @ precision @ apart)
        return cls(precision, mean, float(log_weight))


class _Taus(NamedTuple):
    value: Floats  # [STEPS]
    weight: Floats  # [STEPS], adds to 1


def _taus(d: Floats, covariance: Floats, own: float) -> _Taus:
    top = 3 * max(float(d.std(ddof=1)), float(np.sqrt(own)), 1e-12)
    value = top * (np.arange(STEPS) + 0.5) / STEPS
    logs = np.array([_AtSpread.tau(float(tau), d, covariance).log_weight for tau in value])
    weight = np.exp(logs - logs.max())
    return _Taus(value, weight / weight.sum())


def _least(covariance: Floats) -> float:
    """A negligible variance, added so that the covariance of equal gains can be inverted."""
    return 1e-10 * float(np.trace(covariance)) / len(covariance) + 1e-30


def _normal(covariance: Floats, rng: np.random.Generator, draws: int) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    noise: Floats = rng.standard_normal((draws, len(values))) @ root.T
    return noise
