from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.dossier.gate import gate_studies
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.runs.store import StudyFolder, find_study

Make = Callable[..., Path]


@pytest.fixture
def pair(
    tmp_path: Path, make_study: Make, strategy: type
) -> Callable[..., tuple[StudyFolder, ...]]:
    def build(loss: float = 0.0, **changed: object) -> tuple[StudyFolder, ...]:
        """Two strategies in two studies; `loss` is noise added to the second one's new form."""
        old = {"today": strategy(0.5, 1.0), "rival": strategy(0.4, 2.0)}
        new = {"today": strategy(0.5, 1.0), "rival": strategy(0.4 + loss, 2.0)}
        make_study(tmp_path, old, baseline="today", name="before")
        make_study(tmp_path, new, baseline="today", name="after", salt="new", **changed)
        return find_study("after", tmp_path), find_study("before", tmp_path)

    return build


def test_an_unchanged_study_passes(pair: Callable[..., tuple[StudyFolder, ...]]) -> None:
    checks, left_out, damaged = gate_studies(*pair(), 0.002)
    assert damaged == []
    assert left_out == []
    assert [c.strategy for c in checks] == ["today", "rival"]
    assert all(c.verdict != "regression" for c in checks)
    assert all(abs(c.difference.value) < 0.003 for c in checks)


def test_a_strategy_that_lost_is_found_and_the_others_are_not_accused(
    pair: Callable[..., tuple[StudyFolder, ...]],
) -> None:
    today, rival = gate_studies(*pair(loss=0.6), 0.002).checks
    assert today.verdict != "regression"
    assert rival.verdict == "regression"
    assert rival.difference.value < -0.02


def test_the_same_runs_differ_by_nothing(tmp_path: Path, make_study: Make, strategy: type) -> None:
    make_study(tmp_path, {"a": strategy(0.5, 1.0)}, baseline="a", name="one")
    study = find_study("one", tmp_path)
    (check,) = gate_studies(study, study, 0.0001).checks
    assert check.difference == (0.0, 0.0, 0.0)
    assert check.verdict == "no regression"


def test_pairing_makes_the_interval_narrower_than_two_separate_ones(
    pair: Callable[..., tuple[StudyFolder, ...]],
) -> None:
    new, old = pair()
    (check, _) = gate_studies(new, old, 0.002).checks
    entry = new.completed()[0]
    frame = new.predictions(entry, "test")
    n1 = int(frame["label"].sum())
    auc = 0.75  # Hanley & McNeil's error of one AUC of this size
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    n0 = len(frame) - n1
    error = np.sqrt(
        (auc * (1 - auc) + (n1 - 1) * (q1 - auc**2) + (n0 - 1) * (q2 - auc**2)) / (n1 * n0)
    )
    assert check.difference.high - check.difference.value < 1.7 * np.sqrt(2) * error / 4


def test_other_data_is_refused(pair: Callable[..., tuple[StudyFolder, ...]]) -> None:
    new, old = pair(fingerprint="e" * 12)
    with pytest.raises(DataContractError, match="the same fingerprint"):
        gate_studies(new, old, 0.001)


def test_one_seed_is_refused(pair: Callable[..., tuple[StudyFolder, ...]]) -> None:
    new, old = pair(seeds=(0,))
    with pytest.raises(GateError, match=r"1 completed seed, .* run at least 3 seeds"):
        gate_studies(new, old, 0.001)


def test_too_few_independent_users_are_refused(
    pair: Callable[..., tuple[StudyFolder, ...]],
) -> None:
    new, old = pair()
    for study in (new, old):
        for entry in study.completed():
            path = entry.path / "predictions" / "test.parquet"
            rows = pl.read_parquet(path).with_columns(
                (pl.col("row_id") % 6).cast(pl.Int32).alias("group")
            )
            rows.write_parquet(path)
    with pytest.raises(GateError, match=r"6 independent groups .* expected at least 10"):
        gate_studies(new, old, 0.001)


def test_other_rows_are_refused(pair: Callable[..., tuple[StudyFolder, ...]]) -> None:
    new, old = pair()
    path = old.completed()[0].path / "predictions" / "test.parquet"
    pl.read_parquet(path).with_columns(pl.col("row_id") + 1).write_parquet(path)
    with pytest.raises(DataContractError, match="different rows"):
        gate_studies(new, old, 0.001)


def test_studies_without_a_common_strategy_are_refused(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    make_study(tmp_path, {"a": strategy(0.5, 1.0)}, baseline="a", name="one")
    make_study(tmp_path, {"b": strategy(0.5, 1.0)}, baseline="b", name="two")
    with pytest.raises(UsageError, match="no strategy of 'one' that 'two' completed"):
        gate_studies(find_study("one", tmp_path), find_study("two", tmp_path), 0.001)


def test_a_short_prediction_file_is_named(pair: Callable[..., tuple[StudyFolder, ...]]) -> None:
    new, old = pair()
    path = new.completed()[1].path / "predictions" / "test.parquet"
    pl.read_parquet(path).head(10).write_parquet(path)
    with pytest.raises(UsageError, match="got 10 test predictions, expected 9,000"):
        gate_studies(new, old, 0.001)


def test_a_strategy_that_no_longer_trains_does_not_pass(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    old = {"today": strategy(0.5, 1.0), "rival": strategy(0.4, 2.0)}
    new = {**old, "rival": strategy(0.4, 2.0, failed_seeds=(0, 1, 2))}
    make_study(tmp_path, old, baseline="today", name="before")
    make_study(tmp_path, new, baseline="today", name="after", salt="new")
    with pytest.raises(GateError, match="'rival' of 'after' has 0 completed seeds"):
        gate_studies(find_study("after", tmp_path), find_study("before", tmp_path), 0.001)


def test_what_only_one_study_has_is_left_out_by_name(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    old = {"today": strategy(0.5, 1.0), "gone": strategy(0.4, 2.0)}
    new = {"today": strategy(0.5, 1.0), "fresh 🙂": strategy(0.4, 2.0)}
    make_study(tmp_path, old, baseline="today", name="before")
    make_study(tmp_path, new, baseline="today", name="after", salt="new")
    result = gate_studies(find_study("after", tmp_path), find_study("before", tmp_path), 0.001)
    assert [c.strategy for c in result.checks] == ["today"]
    assert result.left_out == ["fresh 🙂", "gone"]
