"""The interval of a ratio a / b of two uncertain means: Fieller 1954, JRSS B 16:175.

The interval has all r for which a - r b does not differ from 0: with t the critical value,
(b^2 - t^2 V_b) r^2 - 2 (a b - t^2 C) r + (a^2 - t^2 V_a) <= 0.
If b itself does not differ from 0, the set is not bounded and the quotient has no meaning.
"""

from typing import Literal, NamedTuple

import numpy as np

from fusefront.harness.statistics import student


class RatioInterval(NamedTuple):
    """The ratio a / b; `shape` says how its ends are to be read."""

    value: float  # nan if b does not differ from 0
    low: float
    high: float
    shape: Literal["bounded", "outside", "everything"]  # outside: below low or above high


def fieller(
    a: float,
    b: float,
    variance_a: float,
    variance_b: float,
    *,
    covariance: float = 0.0,
    df: float = float("inf"),
    level: float = 0.95,
) -> RatioInterval:
    """The ratio a / b with its interval.

    >>> ratio = fieller(2.0, 4.0, 0.01, 0.01)
    >>> ratio.value, round(ratio.low, 3), round(ratio.high, 3), ratio.shape
    (0.5, 0.446, 0.556, 'bounded')

    Raises:
        ValueError: a variance is negative or not finite, or the covariance is beyond both.
    """
    if not (0 <= variance_a < np.inf and 0 <= variance_b < np.inf):
        raise ValueError(
            f"got variances {variance_a} and {variance_b}, expected finite ones of 0 or more"
        )
    if covariance**2 > variance_a * variance_b * (1 + 1e-9):
        raise ValueError(f"got covariance {covariance}, expected one within both variances")
    t2 = float(student.quantile(df, 0.5 + level / 2)) ** 2
    square = b * b - t2 * variance_b
    middle = a * b - t2 * covariance
    rest = a * a - t2 * variance_a
    under = middle * middle - square * rest
    if square > 0:
        root = float(np.sqrt(max(under, 0.0)))
        return RatioInterval(a / b, (middle - root) / square, (middle + root) / square, "bounded")
    if square == 0 or under <= 0:
        return RatioInterval(float("nan"), -np.inf, np.inf, "everything")
    root = float(np.sqrt(under))
    ends = sorted(((middle - root) / square, (middle + root) / square))
    return RatioInterval(float("nan"), ends[0], ends[1], "outside")
