"""The study spec: defaults, overrides, and a sentence for each mistake."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from fusefront.datasets.errors import SpecError
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.study import LatencySpec, Tuning, load_study

GOOD = """
name: shop
dataset: shop.yaml
baseline: late_fusion
strategies:
  late_fusion: {}
  gated: {baseline: early_fusion, operator: {name: gmu}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_strategy_is_its_baseline_by_name_and_the_rest_are_settings(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD))
    assert study.strategies["late_fusion"].baseline == "late_fusion"
    assert study.strategies["gated"].settings == {"operator": {"name": "gmu"}}


def test_an_override_reaches_a_nested_key(tmp_path: Path) -> None:
    study = load_study(write(tmp_path, GOOD), ("training.epochs=7", "seeds=[4, 5]"))
    assert study.training.epochs == 7
    assert study.seeds == (4, 5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD + "sedes: [1]\n", "unknown key 'sedes'; did you mean 'seeds'"),
        (GOOD + "training: {epoch: 3}\n", "unknown key 'training.epoch'; did you mean 'epochs'"),
        (GOOD.replace("baseline: late_fusion\n", "baseline: lat\n", 1), "baseline 'lat'"),
        (GOOD + "seeds: [1, 1]\n", "must be distinct"),
        (GOOD + "seeds: []\n", "must be distinct and at least one"),
        (GOOD + "slo_ms: -1\n", "slo_ms"),
        (GOOD + "name: twice\n", "key 'name' appears twice"),
        ("- a\n", "got list, expected a mapping"),
        ("name: [\n", "not valid YAML"),
        ("a: &x [1]\nb: *x\n", "alias"),
        (GOOD.replace("  late_fusion: {}", "  ../x: {}\n  late_fusion: {}"), "cannot be a folder"),
        (GOOD + "latency: {candidates: [0], decide_at: 0}\n", "each from 1"),
        (GOOD + "latency: {candidates: [1, 10]}\n", "decide_at 100 is not among candidates"),
        (GOOD + "interactions: {path: log.parquet}\n", "got a data set spec, expected a study"),
        (GOOD + "tuning: {space: {lr: {low: 3, high: 1}}}\n", "is empty"),
        (GOOD + "tuning: {trials: true}\n", "tuning.trials: got true, expected a number"),
        (GOOD + "tuning: {space: {lr: {low: no, high: 1}}}\n", "space.lr.low: got false, expec"),
        (GOOD + "seeds: [0, true]\n", "seeds: got true, expected a number"),
        (GOOD + "training: {tau: false}\n", "training.tau: got false, expected a number"),
        (GOOD + "slo_ms: yes\n", "slo_ms: got true, expected a number"),
        (GOOD + "tuning: {seconds: 60}\n", "seconds without trials limits nothing; give trials"),
    ],
)
def test_each_mistake_gets_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises((UsageError, SpecError)) as refusal:
        load_study(write(tmp_path, text))
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "study.yaml" in str(refusal.value)


def test_an_override_that_is_no_yaml_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--set 'seeds=\[1': the value is no YAML"):
        load_study(write(tmp_path, GOOD), ("seeds=[1",))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"gone\.yaml"):
        load_study(tmp_path / "gone.yaml")


LARGEST_K = 100_000


@pytest.mark.parametrize("candidates", [[1, LARGEST_K + 1], [0, 100], []])
def test_every_k_that_is_timed_lies_within_the_limits(candidates: list[int]) -> None:
    with pytest.raises(ValidationError, match="must be one or more, each from 1 to 100000"):
        LatencySpec(candidates=candidates, decide_at=100)
    assert LatencySpec(candidates=[1, LARGEST_K], decide_at=1).candidates == (1, LARGEST_K)


def test_halving_needs_seconds_and_one_objective() -> None:
    assert Tuning(trials=5, seconds=600.0, halving=True).halving
    with pytest.raises(ValidationError, match="halving without seconds"):
        Tuning(trials=5, halving=True)
    with pytest.raises(ValidationError, match="halving uses the AUC alone"):
        Tuning(trials=5, seconds=600.0, halving=True, objectives=("auc", "macs"))
