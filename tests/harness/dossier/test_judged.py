from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.alternatives import alternatives, runner_up
from fusefront.harness.decision.inputs import Inputs
from fusefront.harness.decision.policy import Policy, decide
from fusefront.harness.dossier.judged import Signature, judge

Build = Callable[..., Inputs]
POLICY = Policy(slo_ms=10.0, margin=0.001)


class Normal:
    """Independent errors of 0.00014 around the inputs' AUC."""

    def __init__(self, inputs: Inputs) -> None:
        self.auc = np.array([a.value for a in inputs.auc])

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        return self.auc + rng.normal(0, 0.00014, (n, len(self.auc)))


def test_the_decision_names_everything_by_name(planted: Build) -> None:
    inputs = planted(
        [0.0, 0.0060, 0.0061, 0.0030, 0.009, -0.05],
        [2.0, 4.0, 6.0, 1.5, 9.0, 0.1],
        names=["today", "pca64", "pca128", "pca16", "qin", "popularity"],
    )
    judgement = judge(inputs, Normal(inputs), POLICY, Signature("team", "2026-01-02", "in May"))
    decision = judgement.decision
    assert (decision.case, decision.reason, decision.choice) == ("clear", "better", "pca64")
    assert decision.runner_up == "pca128"
    assert decision.alternatives[:3] == ("pca128", "qin", "pca16")
    assert decision.equivalent == ("pca64", "pca128")
    assert "qin" not in decision.feasible
    assert (decision.owner, decision.date, decision.recheck) == ("team", "2026-01-02", "in May")
    knobs = {(c.knob, c.side) for c in decision.changes}
    assert {("slo", "at"), ("margin", "at"), ("price", "at"), ("slo", "below")} <= knobs


def test_the_same_inputs_give_the_same_band_and_probabilities(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.003], [2.0, 4.0, 3.0])
    first, two = (judge(inputs, Normal(inputs), POLICY, Signature()) for _ in range(2))
    assert first.band == two.band
    assert first.front == two.front
    assert first.band is not None
    assert first.band.low[0] is None  # nothing is that fast
    top = first.band.mid[-1]
    assert top == pytest.approx(0.006, abs=2e-4)


def test_without_a_bench_there_is_no_front_and_no_band(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 4.0], bench=False)
    judgement = judge(inputs, Normal(inputs), POLICY, Signature())
    assert judgement.decision.case == "thin"
    assert judgement.band is None
    assert judgement.front.on_front == (False, False)
    assert judgement.decision.alternatives == ()


def test_the_runner_up_is_the_choice_without_the_choice(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.004, 0.003], [2.0, 4.0, 3.0, 2.5])
    outcome = decide(inputs, POLICY)
    assert outcome.choice == 1
    assert runner_up(inputs, POLICY, outcome) == 2
    assert alternatives(inputs, POLICY, outcome)[0] == 2


def test_keeping_todays_still_names_a_runner_up(planted: Build) -> None:
    inputs = planted([0.0, -0.004, -0.002], [2.0, 1.0, 1.5])
    outcome = decide(inputs, POLICY)
    assert outcome.choice == 0
    assert runner_up(inputs, POLICY, outcome) == 2


def test_nothing_feasible_has_no_runner_up(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [20.0, 30.0])
    judgement = judge(inputs, Normal(inputs), POLICY, Signature())
    assert judgement.decision.case == "infeasible"
    assert judgement.decision.runner_up is None
    flip = next(c for c in judgement.decision.changes if c.knob == "slo" and c.side == "from")
    assert (flip.case, flip.choice) == ("thin", None)  # from there on s0 may keep it
    assert flip.value == pytest.approx(28.0 * 0.95)
    assert decide(inputs, replace(POLICY, slo_ms=28.0 * 1.051)).choice == 0
