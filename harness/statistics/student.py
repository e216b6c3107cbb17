"""Student's t with any degrees of freedom, infinitely many included."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

Numbers = NDArray[np.float64] | float
MOST_FREEDOM = 1e9  # more make no difference to nine digits, and infinity is not always taken


def quantile(freedom: Numbers, chance: float) -> NDArray[np.float64]:
    """The t [...] below which it lies with `chance`, for degrees of freedom [...].

    >>> quantile(2.0, 0.975).round(3), quantile(np.inf, 0.975).round(3)
    (np.float64(4.303), np.float64(1.96))
    """
    return np.asarray(special.stdtrit(np.minimum(freedom, MOST_FREEDOM), chance), np.float64)


def two_sided(freedom: float, t: float) -> float:
    """The chance of a larger |t| than `t`, for its degrees of freedom.

    >>> round(two_sided(2.0, -4.303), 3)
    0.05
    """
    return 2 * float(special.stdtr(min(freedom, MOST_FREEDOM), -abs(t)))
