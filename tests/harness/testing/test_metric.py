"""check_metric catches planted defects, each by its own error, and passes what is right."""

from typing import ClassVar

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fusefront.harness.statistics.auc import auc_influence, tie_groups
from fusefront.harness.statistics.contract import QualityMetric
from fusefront.harness.testing import check_metric
from fusefront.harness.testing.metric import metric_promises, planted
from fusefront.harness.testing.promises import (
    BatchError,
    ContentError,
    CrashError,
    DeclarationError,
    InfluenceError,
    SeedError,
    ShapeError,
    breaches,
)


class Brier(QualityMetric):
    """Keeps the contract; each defect below breaks one promise."""

    name: ClassVar[str] = "brier"
    higher_is_better: ClassVar[bool] = False

    def value(self, probability, label, group):
        return float(np.mean((probability - label) ** 2))

    def influence(self, probability, label, group):
        loss = (probability - label) ** 2
        return (loss - loss.mean()) / len(loss)


class Auc(QualityMetric):
    """Not a mean: its influences are those of DeLong."""

    name: ClassVar[str] = "own_auc"
    higher_is_better: ClassVar[bool] = True

    def value(self, probability, label, group):
        return roc_auc_score(label, probability) if 0 < label.sum() < len(label) else float("nan")

    def influence(self, probability, label, group):
        return auc_influence(tie_groups(probability.astype(np.float32), label)).rows


class MeanOfUsers(QualityMetric):
    """About groups, and without influences."""

    name: ClassVar[str] = "of_users"
    higher_is_better: ClassVar[bool] = False

    def value(self, probability, label, group):
        losses = np.bincount(group, (probability - label) ** 2)
        return float((losses / np.bincount(group)).mean())


class WrongWay(Brier):
    higher_is_better: ClassVar[bool] = True


class SaysNothing(Brier):
    higher_is_better: ClassVar[str] = "yes"


class Constant(Brier):
    def value(self, probability, label, group):
        return float(label.mean())


class PerRow(Brier):
    def value(self, probability, label, group):
        return (probability - label) ** 2


class Undefined(Brier):
    def value(self, probability, label, group):
        return float("nan")


class FirstRows(Brier):
    def value(self, probability, label, group):
        return super().value(probability[:100], label[:100], group)


class CodesCount(Brier):
    def value(self, probability, label, group):
        return super().value(probability, label, group) + 1e-3 * float((group * label).mean())


class Writes(Brier):
    def value(self, probability, label, group):
        probability -= label
        return float(np.mean(probability**2))


class Draws(Brier):
    def value(self, probability, label, group):
        return super().value(probability, label, group) + float(np.random.default_rng().random())


class OneClassRaises(Brier):
    def value(self, probability, label, group):
        return super().value(probability, label, group) / int(label.sum()) * int(label.sum())


class NotCentred(Brier):
    def influence(self, probability, label, group):
        return (probability - label) ** 2 / len(label)


class ForgetsRows(Brier):
    def influence(self, probability, label, group):
        return super().influence(probability, label, group) * 2


class Short(Brier):
    def influence(self, probability, label, group):
        return super().influence(probability, label, group)[:5]


DEFECTS = [
    (
        WrongWay,
        ContentError,
        "right probabilities give 0.01 and wrong ones 0.81, but higher_is_better",
    ),
    (SaysNothing, DeclarationError, "higher_is_better is 'yes'; expected True or False"),
    (Constant, ContentError, "for right and for wrong probabilities alike"),
    (PerRow, ShapeError, r"value gives shape \(600,\); expected one number"),
    (Undefined, ShapeError, "value gives nan on rows of both classes"),
    (FirstRows, BatchError, "rows in another order give"),
    (CodesCount, BatchError, "groups with other codes give"),
    (Writes, SeedError, "writes into its arguments"),
    (Draws, SeedError, "and then .* for the same rows"),
    (OneClassRaises, CrashError, "one number of any rows: ZeroDivisionError"),
    (NotCentred, InfluenceError, "influences sum to .*; expected 0"),
    (ForgetsRows, InfluenceError, "a row more or less moves the metric by"),
    (Short, ShapeError, r"influence gives shape \(5,\); expected one a row"),
    (dict, DeclarationError, "dict is not a subclass of QualityMetric"),
]


@pytest.mark.parametrize("metric", [Brier, Auc, MeanOfUsers])
def test_a_metric_that_keeps_the_contract_passes(metric):
    check_metric(metric)


@pytest.mark.parametrize(("metric", "error", "words"), DEFECTS, ids=lambda part: str(part)[:40])
def test_a_planted_defect_is_caught(metric, error, words):
    with pytest.raises(error, match=words):
        check_metric(metric)


def test_the_planted_rows_hold_both_classes_and_every_user():
    rows = planted()
    assert 0.25 < rows.label.mean() < 0.4
    assert set(rows.group.tolist()) == set(range(60))
    assert 0.7 < roc_auc_score(rows.label, rows.probability) < 0.9
    chosen = np.array([5, 5, 70])
    part = rows.take(chosen, rows.group[chosen])
    assert part.probability.tolist() == [rows.probability[k] for k in (5, 5, 70)]
    assert sorted(set(part.group.tolist())) == list(range(len({5, rows.group[70]})))


@pytest.mark.parametrize("metric", [PerRow, SaysNothing, Draws])
def test_what_cannot_be_judged_after_a_breach_is_not(metric):
    assert len(list(breaches("it", metric_promises(metric)))) == 1


def test_every_promise_that_is_broken_is_said():
    class Both(WrongWay, NotCentred):
        pass

    errors = [type(error) for error in breaches("it", metric_promises(Both))]
    assert errors == [ContentError, InfluenceError]
