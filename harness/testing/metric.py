"""The contract of a quality metric, checked by one call: `check_metric(NetGain)`."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.parts.kinds import METRIC
from fusefront.harness.statistics.contract import QualityMetric
from fusefront.harness.statistics.measures.own_metrics import MetricRows
from fusefront.harness.testing.declaration import check_builds, check_class, check_of, label_of
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    DeclarationError,
    InfluenceError,
    Promise,
    SeedError,
    ShapeError,
)

ROWS, GROUPS = 600, 60
CLOSE = 1e-9
SAMPLE = 40  # rows whose influence is compared
NEAR = 0.1  # relative to the largest influence: adding a row is a step, not a derivative


def planted() -> MetricRows:
    """Artificial rows whose probabilities predict clicks imperfectly; a third of the rows are
    clicks."""
    rng = np.random.default_rng(11)
    label = (rng.random(ROWS) < 0.33).astype(np.uint8)
    probability = 1 / (1 + np.exp(-(1.5 * label - 1.2 + rng.normal(size=ROWS))))
    group = np.concatenate([np.arange(GROUPS), rng.integers(0, GROUPS, ROWS - GROUPS)])
    return MetricRows(probability, label, group.astype(np.int32))


def metric_promises(kind: type[QualityMetric]) -> Iterator[Promise]:
    """The promises of a quality metric, on six hundred artificial rows of sixty users."""
    label, rows = label_of(METRIC, kind), planted()

    def over(check: Callable[[str, QualityMetric, MetricRows], None]) -> Callable[[], None]:
        return lambda: check(label, kind(), rows)

    yield Promise(
        "the class says what it is and can be built", lambda: _check_declared(label, kind), True
    )
    yield Promise("one number of any rows", over(_check_number), gate=True)
    yield Promise("the same rows give the same number", over(_check_repeats), gate=True)
    yield Promise("neither the order of rows nor the groups' codes count", over(_check_order))
    yield Promise("right probabilities are better than wrong ones", over(_check_direction))
    if kind.influence is not QualityMetric.influence:
        yield Promise("influences are what a row more or less does", over(_check_influence))


check_metric = check_of(METRIC, metric_promises)


def _check_declared(label: str, kind: type[QualityMetric]) -> None:
    check_class(METRIC, kind)
    if not isinstance(kind.higher_is_better, bool):
        raise DeclarationError(
            f"{label}: higher_is_better is {kind.higher_is_better!r}; expected True or False"
        )
    check_builds(label, kind)


def _check_number(label: str, metric: QualityMetric, rows: MetricRows) -> None:
    negatives, positives, single = (
        np.flatnonzero(rows.label == 0),
        np.flatnonzero(rows.label),
        np.array([3]),
    )
    for what, part in (
        ("", rows),
        *((" of one class", rows.take(c, rows.group[c])) for c in (negatives, positives, single)),
    ):
        value = metric.value(*part)
        if np.ndim(value) != 0:
            raise ShapeError(f"{label}: value gives shape {np.shape(value)}; expected one number")
        if not what and not np.isfinite(float(value)):
            raise ShapeError(f"{label}: value gives {value} on rows of both classes")


def _check_repeats(label: str, metric: QualityMetric, rows: MetricRows) -> None:
    before = rows.take(np.arange(ROWS), rows.group)
    first, second = metric.value(*rows), metric.value(*rows)
    unchanged = (
        np.array_equal(before.probability, rows.probability),
        np.array_equal(before.label, rows.label),
        np.array_equal(before.group, rows.group),
    )
    if not all(unchanged):
        raise SeedError(f"{label}: value writes into its arguments; work on a copy")
    if not _close(first, second):
        raise SeedError(f"{label}: value gives {first} and then {second} for the same rows")


def _check_order(label: str, metric: QualityMetric, rows: MetricRows) -> None:
    rng = np.random.default_rng(12)
    value = metric.value(*rows)
    order = rng.permutation(ROWS)
    other = metric.value(rows.probability[order], rows.label[order], rows.group[order])
    if not _close(value, other):
        raise BatchError(f"{label}: rows in another order give {other} instead of {value}")
    other = metric.value(*rows._replace(group=rng.permutation(GROUPS).astype(np.int32)[rows.group]))
    if not _close(value, other):
        raise BatchError(f"{label}: groups with other codes give {other} instead of {value}")


def _check_direction(label: str, metric: QualityMetric, rows: MetricRows) -> None:
    near = np.where(rows.label == 1, 0.9, 0.1).astype(np.float64)
    right = metric.value(*rows._replace(probability=near))
    wrong = metric.value(*rows._replace(probability=1 - near))
    if right == wrong:
        raise ContentError(f"{label}: it is {right} for right and for wrong probabilities alike")
    if (right > wrong) != metric.higher_is_better:
        raise ContentError(
            f"{label}: right probabilities give {right:.4g} and wrong ones {wrong:.4g}, but "
            f"higher_is_better is {metric.higher_is_better}"
        )


def _check_influence(label: str, metric: QualityMetric, rows: MetricRows) -> None:
    influences = np.asarray(metric.influence(*rows), np.float64)
    if influences.shape != (ROWS,):
        raise ShapeError(f"{label}: influence gives shape {influences.shape}; expected one a row")
    largest = float(np.abs(influences).max())
    if abs(float(influences.sum())) > 1e-6 * largest * ROWS:
        raise InfluenceError(f"{label}: influences sum to {influences.sum():.2g}; expected 0")
    every = np.arange(ROWS)
    for row in np.linspace(0, ROWS - 1, SAMPLE).astype(int):
        more, less = np.append(every, row), np.delete(every, row)
        step = (_of(metric, rows, more) - _of(metric, rows, less)) / 2
        if not abs(step - influences[row]) <= NEAR * largest:
            raise InfluenceError(
                f"{label}: influence of row {row} is {influences[row]:.3g}, and a row more or "
                f"less moves the metric by {step:.3g}; give d value / d (weight of the row)"
            )


def _of(metric: QualityMetric, rows: MetricRows, chosen: NDArray[np.integer]) -> float:
    return metric.value(*rows.take(chosen, rows.group[chosen]))


def _close(a: float, b: float) -> bool:
    return bool(abs(a - b) <= CLOSE * max(abs(a), abs(b), 1.0))
