"""Linear contrasts of the strategies' metrics, with intervals that hold for all of them at once.

The critical value is a quantile of the largest |t| over the contrasts if all of them were 0, with
variances estimated as in the data (Hothorn, Bretz & Westfall 2008, Biometrical Journal 50:346).
"""

from typing import NamedTuple

import numpy as np

from fusefront.harness.statistics import student
from fusefront.harness.statistics.joint import Floats, JointModel


class Contrasts(NamedTuple):
    """The contrasts, [C] each; ends and p are nan where there is no interval."""

    value: Floats
    se: Floats
    df: Floats
    low: Floats
    high: Floats
    p: Floats  # adjusted: chance of a largest |t| over all contrasts beyond this one
    critical: float  # of |t|


def contrasts(model: JointModel, weights: Floats) -> Contrasts:
    """The contrasts `weights` [C, S] @ theta [S], with simultaneous intervals at the model's level.

    Raises:
        ValueError: the weights do not fit the model's strategies.
    """
    if weights.ndim != 2 or weights.shape[1] != len(model.names):
        raise ValueError(f"weights: got {weights.shape}, expected [C, {len(model.names)}]")
    value = weights @ model.theta
    rows = np.einsum("cs,st,ct->c", weights, model.K, weights)
    least = np.einsum("cs,st,ct->c", weights, model.floor, weights)
    rows, least = np.maximum(rows, 0.0), np.maximum(least, 0.0)
    parts = np.where(weights == 0, 0.0, weights**2 * model.seed_part)  # nan of one seed counts
    total = np.maximum(rows + parts.sum(1), least)
    with np.errstate(divide="ignore", invalid="ignore"):
        uncertain = rows**2 / model.row_df + (parts**2 / np.maximum(model.n - 1, 1)).sum(1)
        df = np.where(total > 0, total**2 / uncertain, np.inf)
    se = np.sqrt(total) if model.has_intervals else np.full(len(value), np.nan)
    usable = np.isfinite(se) & (se > 0)
    nothing = np.full(len(value), np.nan)
    if not usable.any():
        return Contrasts(value, se, df, nothing, nothing, nothing, float("nan"))
    largest = _largest(model, weights[usable], rows[usable], least[usable])
    critical = float(np.quantile(largest, model.level))
    single = student.quantile(df, 0.5 + model.level / 2)
    half = np.maximum(critical, single) * se  # never narrower than for one contrast
    low, high = (np.where(usable, value + way * half, np.nan) for way in (-1, 1))
    t = np.abs(value[usable] / se[usable])
    p = nothing.copy()
    p[usable] = [(1 + np.count_nonzero(largest >= each)) / (1 + len(largest)) for each in t]
    return Contrasts(value, se, df, low, high, p, critical)


def _largest(model: JointModel, weights: Floats, rows: Floats, least: Floats) -> Floats:
    """[D] the largest |t| over the contrasts, in each draw under the hypothesis that all metrics
    are equal."""
    null = model.null
    numbers = (weights @ null.value) ** 2  # [C, D]
    estimated = np.outer(rows, null.rows) + weights**2 @ null.estimated
    np.maximum(estimated, np.outer(least, null.rows), out=estimated)
    largest: Floats = np.sqrt((numbers / estimated).max(0))
    return largest
