"""Fieller's interval against its closed form, inversion of the t test, and simulation."""

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.statistics import student
from fusefront.harness.statistics.ratio import fieller


def test_the_interval_is_every_ratio_that_a_t_test_does_not_refuse() -> None:
    """By a grid of ratios, each tested on its own."""
    a, b, va, vb, cov, df = 0.8, 2.0, 0.04, 0.09, 0.03, 7.0
    ratio = fieller(a, b, va, vb, covariance=cov, df=df)
    grid = np.linspace(-1, 2, 300_001)
    t = np.abs(a - grid * b) / np.sqrt(va - 2 * grid * cov + grid**2 * vb)
    inside = grid[t <= stats.t.ppf(0.975, df)]
    assert ratio.shape == "bounded"
    assert (ratio.low, ratio.high) == pytest.approx((inside[0], inside[-1]), abs=2e-5)
    assert ratio.value == 0.4


def test_a_certain_denominator_gives_the_plain_interval() -> None:
    ratio = fieller(3.0, 2.0, 0.25, 0.0, df=12)
    half = stats.t.ppf(0.975, 12) * 0.5 / 2
    assert (ratio.low, ratio.high) == pytest.approx((1.5 - half, 1.5 + half))
    wide = fieller(3.0, -2.0, 0.25, 0.0, df=12, level=0.99)
    half = stats.t.ppf(0.995, 12) * 0.5 / 2
    assert (wide.low, wide.high) == pytest.approx((-1.5 - half, -1.5 + half))


def test_a_denominator_that_may_be_zero_gives_no_quotient() -> None:
    """A numerator that is no 0 excludes ratios near 0; one that may be 0 excludes none."""
    outside = fieller(5.0, 0.1, 0.01, 1.0)
    assert outside.shape == "outside"
    assert np.isnan(outside.value)
    for r in (outside.low, outside.high):  # at the ends the test is just not refused
        assert abs(5 - 0.1 * r) / np.sqrt(0.01 + r * r) == pytest.approx(1.95996, abs=1e-3)
    assert outside.low < 0 < outside.high
    nothing = fieller(0.1, 0.1, 1.0, 1.0)
    assert (nothing.shape, nothing.low, nothing.high) == ("everything", -np.inf, np.inf)
    assert fieller(1.0, 0.0, 0.0, 0.0).shape == "everything"
    assert fieller(2.0, 4.0, 0.01, 0.04, covariance=0.02).value == 0.5  # as far as both allow
    assert fieller(0.0, 0.0, 0.0, 1.0).shape == "everything"  # 0 over what may be 0
    t2 = float(student.quantile(np.inf, 0.975)) ** 2  # a denominator just at the critical value
    b = next(b for b in np.arange(1.0, 99.0) if t2 * (b * b / t2) == b * b)
    assert fieller(5.0, b, 0.01, b * b / t2).shape == "everything"


@pytest.mark.parametrize(("b", "df"), [(3.0, 6), (1.0, 6), (0.3, 30), (0.0, 6)])
def test_it_covers_the_true_ratio(b: float, df: int) -> None:
    """5 % of 8,000 studies miss it, whether or not the denominator is told from 0."""
    rng, trials, a = np.random.default_rng(5), 8000, 0.7
    means = rng.normal([a, b], 0.4, (trials, 2))
    spread = 0.16 * rng.chisquare(df, trials) / df  # one variance for both, as both are estimated
    covered = 0
    for (x, y), v in zip(means, spread, strict=True):
        ratio = fieller(x, y, v, v, df=df)
        truth = a / b if b else np.inf
        inside = ratio.low <= truth <= ratio.high
        covered += ratio.shape == "everything" or (inside == (ratio.shape == "bounded"))
    assert covered / trials == pytest.approx(0.95, abs=0.008)


@pytest.mark.parametrize(
    ("variances", "covariance", "sentence"),
    [
        ((-1.0, 1.0), 0.0, "got variances -1.0 and 1.0"),
        ((1.0, np.nan), 0.0, "got variances 1.0 and nan"),
        ((1.0, np.inf), 0.0, "expected finite ones"),
        ((1.0, 1.0), 1.1, "got covariance 1.1"),
    ],
)
def test_what_is_no_variance_is_refused(
    variances: tuple[float, float], covariance: float, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        fieller(1.0, 1.0, *variances, covariance=covariance)
