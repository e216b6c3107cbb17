"""Measures plug-in metrics: the value, and the influence of each cluster of rows on it.

Where a metric gives no influences, whole clusters are drawn with replacement (Efron & Tibshirani
1993, ch. 6). All strategies and seeds use the same draws. The deviations of the draws, divided by
the root of their number, then take the place of influences: their products sum to the covariances
of the bootstrap.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.auc import Codes, Floats, Labels, Scores
from fusefront.harness.statistics.contract import QualityMetric
from fusefront.harness.statistics.measures.metrics import ALL_METRICS, Layout, Metric, Value
from fusefront.harness.statistics.rows import Axis, contiguous

DRAWS = 400  # a standard error from these has an error of 3.5 %
SEED = 20
OwnMetrics = Mapping[str, QualityMetric]


def described(own: OwnMetrics) -> dict[str, Metric]:
    """The description of every metric, shipped or plug-in: its title and whether more is better."""
    return ALL_METRICS | {name: _about(name, metric) for name, metric in own.items()}


def _about(name: str, metric: QualityMetric) -> Metric:
    smooth = type(metric).influence is not QualityMetric.influence
    return Metric(
        metric.title or name,
        bool(metric.higher_is_better),
        "plain",
        "row",
        "it has no value on these rows",
        0 if smooth else DRAWS,
    )


def measure_own(layout: Layout, logits: Scores, metric: QualityMetric, name: str) -> Value:
    """The metric of one score vector [n] with the influence of each row, or with a way to redraw
    rows.

    Raises:
        UsageError: the metric's influence is not one number a row.
    """
    rows = MetricRows(
        special.expit(logits.astype(np.float64)), layout.rows.label, layout.groups.code
    )
    call = partial(_called, metric, name)
    value = call(rows)
    if _about(name, metric).draws:
        return Value(value, np.array([]), partial(deviations, call, rows, value))
    influence = _result(name, lambda: metric.influence(*rows))
    influences = np.asarray(influence, np.float64)
    if influences.shape != rows.label.shape:
        raise UsageError(
            f"metric {name!r}: influence gives shape {influences.shape}, expected one number a row "
            f"({len(rows.label):,}); `fusefront check` says what else it breaks"
        )
    return Value(value, influences)


class MetricRows(NamedTuple):
    """The arguments of a metric: probability, label and group of the same N rows."""

    probability: Floats  # [N]
    label: Labels  # [N]
    group: Codes  # [N] 0 .. G - 1, each there

    def take(self, chosen: NDArray[np.integer], group: NDArray[np.integer]) -> "MetricRows":
        """The rows with indices `chosen` [k], which may repeat, in newly numbered groups [k]."""
        return MetricRows(self.probability[chosen], self.label[chosen], contiguous(group)[0])


def deviations(
    call: Callable[[MetricRows], float], rows: MetricRows, value: float, axis: Axis
) -> Floats:
    """[DRAWS] deviations of the redraws from their mean, divided by the root of their number less
    one.

    Where groups lie within clusters, a cluster drawn twice counts as two groups. Draws in which the
    metric is not defined (say, one class only) are left out.
    """
    order = np.argsort(axis.code, kind="stable")
    size = np.bincount(axis.code, minlength=axis.size)
    start = np.cumsum(size) - size
    nested = _nested(rows.group, axis)
    groups = int(rows.group.max()) + 1
    drawn_values = np.full(DRAWS, np.nan)
    if np.isfinite(value):
        for draw in range(DRAWS):
            rng = np.random.default_rng([SEED, draw])
            drawn = rng.integers(0, axis.size, axis.size)
            count = size[drawn]
            which = np.repeat(np.arange(len(drawn)), count)
            offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            chosen = order[np.repeat(start[drawn], count) + offset]
            group = rows.group[chosen]
            copies = which * groups + group if nested else group
            drawn_values[draw] = call(rows.take(chosen, copies))
    known = np.isfinite(drawn_values)
    if known.sum() < DRAWS / 2:
        return np.zeros(DRAWS)
    centred = np.where(known, drawn_values - drawn_values[known].mean(), 0.0)
    return np.asarray(centred / np.sqrt(known.sum() - 1))


def _nested(group: Codes, axis: Axis) -> bool:
    """Whether every group lies in a single cluster."""
    first = np.zeros(int(group.max()) + 1, axis.code.dtype)
    first[group] = axis.code
    return bool((first[group] == axis.code).all())


def _called(metric: QualityMetric, name: str, rows: MetricRows) -> float:
    value = np.asarray(_result(name, lambda: metric.value(*rows)), np.float64)
    if value.shape:
        raise UsageError(
            f"metric {name!r}: value gives shape {value.shape}, expected one number; "
            "`fusefront check` says what else it breaks"
        )
    return float(value)


def _result(name: str, call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:  # a plug-in's code can raise anything
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise UsageError(
            f"metric {name!r} raised {type(error).__name__} ({reason}); mend it, `fusefront check` "
            "says what it breaks"
        ) from error
