"""Gains drawn back to those of the other rivals, against quadrature and a plain loop of draws."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from fusefront.harness.statistics.exchangeable import (
    STEPS,
    Spread,
    covariance_of_gains,
    expected_gains,
    gain_draws,
    steadied,
)

ROWS = np.array(
    [[2.0, 0.4, 0.1, 0.0], [0.4, 1.0, 0.2, 0.1], [0.1, 0.2, 1.5, 0.3], [0, 0.1, 0.3, 3]]
)
VARIANCE = np.diag(ROWS)[:, None] + np.diag(ROWS) - 2 * ROWS  # of the differences
GAINS = np.array([3.0, 1.0, 0.5])
ALIKE = np.ones(3, bool)


def test_covariance_of_gains_is_that_of_the_joint_errors() -> None:
    spread = covariance_of_gains(VARIANCE, 0, [1, 2, 3])
    contrast = np.hstack([-np.ones((3, 1)), np.eye(3)])
    assert spread.of_gains == pytest.approx(contrast @ ROWS @ contrast.T)
    between = [VARIANCE[i, j] for i, j in ((1, 2), (1, 3), (2, 3))]
    assert spread.own == pytest.approx(np.mean(between) / 2)
    two = covariance_of_gains(VARIANCE, 0, [1, 2])
    assert two.own == pytest.approx(VARIANCE[1, 2] / 2)


def posterior(d: np.ndarray, spread: Spread) -> np.ndarray:
    """Expected gains by brute force: mu and tau on a grid, normal algebra for the gains."""
    c = spread.of_gains
    top = 3 * max(d.std(ddof=1), spread.own**0.5)
    mus = np.linspace(d.mean() - 40, d.mean() + 40, 4001)
    total, weights = np.zeros(len(d)), 0.0
    for tau in (np.arange(STEPS) + 0.5) / STEPS * top:
        w = np.linalg.inv(c + tau**2 * np.eye(len(d)))
        apart = d - mus[:, None]
        log = -0.5 * np.einsum("gi,ij,gj->g", apart, w, apart)
        weight = np.exp(log) * np.linalg.det(w) ** 0.5
        means = mus[:, None] + tau**2 * apart @ w
        total += weight @ means
        weights += weight.sum()
    return total / weights


def test_expected_gains_are_those_of_the_model_by_quadrature() -> None:
    spread = covariance_of_gains(VARIANCE, 0, [1, 2, 3])
    expected = expected_gains(GAINS, spread, ALIKE)
    assert expected == pytest.approx(posterior(GAINS, spread), abs=1e-4)
    assert GAINS.mean() < expected[0] < GAINS[0]


def alike_with_today(d: np.ndarray, spread: Spread) -> np.ndarray:
    """Expected gains where the reference is alike, too: a common mean for all four."""
    prior = np.eye(len(d)) + np.ones((len(d), len(d)))
    top = 3 * max(np.append(d, 0).std(ddof=1), spread.own**0.5)
    total, weights = np.zeros(len(d)), 0.0
    for tau in (np.arange(STEPS) + 0.5) / STEPS * top:
        whole = tau**2 * prior + spread.of_gains
        weight = multivariate_normal(cov=whole).pdf(d)
        total += weight * tau**2 * prior @ np.linalg.inv(whole) @ d
        weights += weight
    return total / weights


def test_half_of_the_draws_are_as_measured_and_half_alike() -> None:
    spread = covariance_of_gains(VARIANCE, 0, [1, 2, 3])
    draws = gain_draws(GAINS, spread, ALIKE, np.random.default_rng(0), 40_000)
    flat, alike = draws[:20_000], draws[20_000:]
    assert flat.mean(0) == pytest.approx(GAINS, abs=0.04)
    assert np.cov(flat.T) == pytest.approx(spread.of_gains, rel=0.04, abs=0.04)
    assert alike.mean(0) == pytest.approx(alike_with_today(GAINS, spread), abs=0.04)
    assert (alike.std(0) < flat.std(0)).all()  # the others help


def test_two_rivals_are_enough_to_be_alike() -> None:
    spread = covariance_of_gains(VARIANCE, 0, [1, 2])
    draws = gain_draws(GAINS[:2], spread, ALIKE[:2], np.random.default_rng(0), 40_000)
    flat, alike = draws[:20_000], draws[20_000:]
    assert flat.mean(0) == pytest.approx(GAINS[:2], abs=0.04)
    drawn_back = alike_with_today(GAINS[:2], spread)
    assert alike.mean(0) == pytest.approx(drawn_back, abs=0.04)
    assert drawn_back[0] < GAINS[0] - 0.4
    expected = expected_gains(GAINS[:2], spread, ALIKE[:2])
    assert expected == pytest.approx(posterior(GAINS[:2], spread), abs=1e-4)
    assert expected[0] < GAINS[0] - 0.1


def test_one_rival_and_those_not_alike_are_as_measured() -> None:
    spread = covariance_of_gains(VARIANCE, 0, [1])
    single = np.array([3.0])
    assert expected_gains(single, spread, np.ones(1, bool)).tolist() == [3.0]
    draws = gain_draws(single, spread, np.ones(1, bool), np.random.default_rng(0), 20_000)
    assert draws.mean() == pytest.approx(3.0, abs=0.04)
    assert draws.std() == pytest.approx(VARIANCE[0, 1] ** 0.5, rel=0.02)
    spread = covariance_of_gains(VARIANCE, 0, [1, 2, 3])
    apart = np.array([True, False, True])
    assert expected_gains(GAINS, spread, apart)[1] == 1.0
    draws = gain_draws(GAINS, spread, apart, np.random.default_rng(0), 20_000)
    assert draws[:, 1].mean() == pytest.approx(1.0, abs=0.04)
    assert draws[:, 1].std() == pytest.approx(VARIANCE[0, 2] ** 0.5, rel=0.02)
    for half in (draws[:10_000], draws[10_000:]):  # what the reference has wrong is in all gains
        assert (np.cov(half.T)[1, [0, 2]] > 0.1 * spread.of_gains[1, [0, 2]]).all()
    assert (spread.of_gains[1, [0, 2]] > 0).all()


def test_what_is_common_to_all_changes_no_gain() -> None:
    spread = covariance_of_gains(VARIANCE, 0, [1, 2, 3])
    more = ROWS + 5.0
    again = np.diag(more)[:, None] + np.diag(more) - 2 * more
    other = covariance_of_gains(again, 0, [1, 2, 3])
    first, second = (expected_gains(GAINS, each, ALIKE) for each in (spread, other))
    assert first == pytest.approx(second, abs=1e-9)


def test_gains_and_errors_have_no_unit() -> None:
    """A thousandth of all is a thousandth of what is expected and drawn."""
    spread = covariance_of_gains(VARIANCE, 0, [1, 2, 3])
    small = covariance_of_gains(1e-6 * VARIANCE, 0, [1, 2, 3])
    expected = expected_gains(GAINS, spread, ALIKE)
    assert expected_gains(1e-3 * GAINS, small, ALIKE) == pytest.approx(1e-3 * expected, rel=1e-6)
    draws, fewer = (
        gain_draws(gains, each, ALIKE, np.random.default_rng(0), 200)
        for gains, each in ((GAINS, spread), (1e-3 * GAINS, small))
    )
    np.testing.assert_allclose(fewer, 1e-3 * draws, rtol=1e-6, atol=1e-9)


def test_equal_gains_without_errors_are_themselves() -> None:
    nothing = covariance_of_gains(np.zeros((3, 3)), 0, [1, 2])
    equal = np.array([0.01, 0.01])
    assert expected_gains(equal, nothing, np.ones(2, bool)) == pytest.approx(equal)
    draws = gain_draws(equal, nothing, np.ones(2, bool), np.random.default_rng(0), 50)
    assert draws == pytest.approx(np.full((50, 2), 0.01), abs=1e-9)


def test_seed_variances_move_half_the_way_to_their_mean() -> None:
    seeds = np.array([0.1, 0.5, np.nan])
    rows = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
    whole = rows + np.nan_to_num(seeds)[:, None] + np.nan_to_num(seeds)
    np.fill_diagonal(whole, 0.0)
    steady = steadied(whole, seeds)
    assert steady[0, 1] == pytest.approx(1.0 + 0.2 + 0.4)
    assert steady[0, 2] == pytest.approx(2.0 + 0.2)
    assert np.diag(steady).tolist() == [0.0, 0.0, 0.0]
    alike = np.array([np.nan, 0.0, np.nan])  # nothing varies with the seed
    assert steadied(rows, alike).tolist() == rows.tolist()
