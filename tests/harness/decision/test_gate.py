from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.decision.gate import detectable_errors, judge, sentence


def simulate(loss: float, margin: float, strategies: int, repeats: int, seed: int) -> list[int]:
    """Count alarms: t-distributed estimates with 9 degrees of freedom, se 0.0005."""
    rng = np.random.default_rng(seed)
    se, df = 0.0005, 9.0
    alarms = []
    for _ in range(repeats):
        scale = np.sqrt(rng.chisquare(df, strategies) / df)
        diff = -loss + se * rng.standard_normal(strategies)
        names = [f"s{i}" for i in range(strategies)]
        checks = judge(names, diff, se * scale, np.full(strategies, df), margin)
        alarms.append(sum(c.verdict == "regression" for c in checks))
    return alarms


@pytest.mark.parametrize("strategies", [1, 10])
def test_an_unchanged_program_fails_the_gate_at_most_one_time_in_twenty(strategies: int) -> None:
    alarms = simulate(0.0, 0.0, strategies, 1500, seed=1)
    rate = np.mean([a > 0 for a in alarms])
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)
    assert rate > 0.02  # it is a 5 % test, not one that never fires


def test_a_loss_at_the_margin_itself_is_an_alarm_at_most_one_time_in_twenty() -> None:
    alarms = simulate(0.001, 0.001, 1, 1500, seed=2)
    assert np.mean(alarms) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1500)


def test_a_planted_loss_of_the_stated_size_is_found_in_four_of_five_runs() -> None:
    loss = 0.0005 * detectable_errors(9.0, 0.05)
    share = np.mean(simulate(0.001 + loss, 0.001, 1, 1500, seed=3))
    assert share == pytest.approx(0.80, abs=3 * np.sqrt(0.8 * 0.2 / 1500))


def test_the_detectable_loss_equals_the_normal_formula_at_many_degrees_of_freedom() -> None:
    assert detectable_errors(1e7, 0.005) == pytest.approx(
        stats.norm.isf(0.005) + stats.norm.ppf(0.8), abs=1e-3
    )


def test_the_verdict_is_the_interval_against_the_margin() -> None:
    diff, se = np.array([-0.004, 0.0, -0.0012]), np.full(3, 0.0003)
    checks = judge(["a", "b", "c"], diff, se, np.full(3, 100.0), 0.001)
    assert [c.verdict for c in checks] == ["regression", "no regression", "cannot tell"]
    assert checks[0].difference.high < -0.001
    assert "'a': −0.0040" in sentence(checks, 0.001)


def test_identical_predictions_pass_without_an_interval() -> None:
    (check,) = judge(["a"], np.zeros(1), np.zeros(1), np.full(1, 4.0), 0.001)
    assert check.verdict == "no regression"
    assert "would have been found" in sentence([check], 0.001)
    assert judge(["a"], np.zeros(1), np.zeros(1), np.full(1, 4.0), 0.0) == [
        replace(check, detectable=0.0)
    ]


def test_what_cannot_be_told_is_named_and_not_called_safe() -> None:
    checks = judge(["a", "b"], np.array([-0.0012, 0.0]), np.full(2, 3e-4), np.full(2, 100.0), 0.001)
    text = sentence(checks, 0.001)
    assert text.startswith(
        "No strategy is shown to have lost more than 0.001 AUC; cannot tell about 'a';"
    )
    assert "'b'" not in text
    assert f"a loss of {max(c.detectable for c in checks):.4f} or more" in text


def test_strategies_of_one_study_only_are_named() -> None:
    checks = judge(["a"], np.zeros(1), np.full(1, 1e-4), np.full(1, 99.0), 0.001)
    assert "for want of earlier or present runs: 'x', 'y', 'z' and 1 more." in sentence(
        checks, 0.001, ["x", "y", "z", "w"]
    )


def test_the_very_same_runs_are_no_test_of_anything_and_it_is_said() -> None:
    checks = judge(["a"], np.zeros(1), np.full(1, 1e-4), np.full(1, 99.0), 0.001, [True])
    assert checks[0].same_runs
    assert "the very same runs of all 1 strategies" in sentence(checks, 0.001)
    assert "80 %" not in sentence(checks, 0.001)


def test_unchanged_runs_do_not_dilute_the_test_of_the_others() -> None:
    diff, se, df = np.array([0.0, -0.002]), np.full(2, 3e-4), np.full(2, 50.0)
    alone = judge(["b"], diff[1:], se[1:], df[1:], 0.001)
    assert judge(["a", "b"], diff, se, df, 0.001, [True, False])[1] == alone[0]
