"""Intervals of values that are means over random draws, as Shapley values over sampled orders."""

import numpy as np

from fusefront.harness.statistics import student
from fusefront.harness.statistics.contrasts import Contrasts
from fusefront.harness.statistics.joint import Floats

ROUNDING = 1e-12  # AUC; smaller: the rounding error of one sum in another order


def drawing_errors(each: Floats) -> Floats:
    """[C] standard errors of the means over draws, from `each` draw's values [D, C]; 0 where draws
    agree up to rounding or there is only one."""
    if len(each) < 2:
        return np.zeros(each.shape[1])
    own: Floats = each.std(0, ddof=1) / np.sqrt(len(each))
    own[own < ROUNDING] = 0.0
    return own


def with_drawing(result: Contrasts, level: float, each: Floats) -> Contrasts:
    """`result` with ends that hold for all C at once, over rows, seeds and draws; drawn values
    have no p.

    `each` [D, C] are the draws' values; the last is the sum of the others, which every draw has
    alike. Few draws may agree by chance, so that an interval is no narrower than by the error that
    all values have in common (of 200 games of 4 to 7 players .975 and more hold all of their exact
    values, .69 to .92 by each value's own error alone). A value that changes neither with rows nor
    with draws keeps an interval of no width.
    """
    alone = (1 - level) / len(result.value)  # Bonferroni's
    common = _common(result, each)
    unmoved = np.where(result.se == 0, 0.0, result.high - result.value)  # the same in every draw
    halves = np.where(common > 0, half_widths(result, each, alone, result.critical), unmoved)
    ends = result._replace(low=result.value - halves, high=result.value + halves)
    return ends if len(each) < 2 else ends._replace(p=np.full(len(halves), np.nan))


def half_widths(result: Contrasts, each: Floats, error: float, critical: float = 0.0) -> Floats:
    """[C] half widths of intervals that miss with chance `error`, each by itself.

    Of the values' standard errors and degrees of freedom in `result` and of the errors of the
    drawing, by Welch & Satterthwaite; where nothing was drawn, or draws agree in everything, those
    of `result` alone. `critical`: a |t| below which no interval goes.
    """
    own, freedom = drawing_errors(each), max(len(each) - 1, 1)
    common = _common(result, each)
    widths = [
        _half(result, drawing, many, error, critical)
        for drawing, many in ((own, freedom), (common, freedom * (len(own) - 2) / 2))
    ]
    halves: Floats = np.fmax(*widths)
    return halves


def _common(result: Contrasts, each: Floats) -> Floats:
    """[C] the error of the drawing that all values have in common; 0 for the last value, and for
    one that nothing changes."""
    own = drawing_errors(each)
    common = np.full(len(own), np.sqrt(np.mean(own[:-1] ** 2)))
    common[-1] = 0.0
    common[(result.se == 0) & (own == 0)] = 0.0
    return common


def _half(
    result: Contrasts, drawing: Floats, freedom: float, error: float, critical: float
) -> Floats:
    total = np.hypot(result.se, drawing)
    with np.errstate(divide="ignore", invalid="ignore"):
        uncertain = result.se**4 / result.df + drawing**4 / freedom
        df = np.where(uncertain > 0, total**4 / uncertain, np.inf)
    t = student.quantile(df, 1 - error / 2)
    half: Floats = np.fmax(t, critical) * total
    return half
