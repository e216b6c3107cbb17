"""What is shown beside the choice, and at which values of a knob it becomes another."""

from dataclasses import replace

import pytest

from fusefront.harness.decision.alternatives import alternatives, runner_up
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import (
    Policy,
    decide,
)
from fusefront.harness.decision.sensitivity import flips, same, what_would_change

from .changed_inputs import POLICY, Build, changed


def test_the_runner_up_is_the_choice_without_the_choice(planted: Build) -> None:
    inputs = planted([0.0, 0.009, 0.006, 0.012], [2.0, 3.0, 4.0, 40.0])
    outcome = decide(inputs, POLICY)
    assert outcome.choice == 1
    assert runner_up(inputs, POLICY, outcome) == 2
    # the runner-up, then the better one over the limit; today's and the choice are left out
    assert alternatives(inputs, POLICY, outcome) == [2, 3]
    none = decide(inputs, Policy(0.1, 0.001))
    assert runner_up(inputs, POLICY, none) is None


def test_alternatives_are_the_nearest_in_auc_and_at_most_five(planted: Build) -> None:
    gains = [0.0, 0.02, 0.001, 0.003, 0.002, 0.005, 0.03, 0.025, 0.004]
    inputs = planted(gains, [2.0, 3.0, 4.0, 4.0, 4.0, 4.0, 40.0, 50.0, 4.0])
    outcome = decide(inputs, POLICY)
    assert outcome.choice == 1
    assert alternatives(inputs, POLICY, outcome) == [5, 6, 7, 8, 3]
    untimed = changed(changed(inputs, 6, latency=None), 5, measuring_device=True)
    assert alternatives(untimed, POLICY, decide(untimed, POLICY)) == [8, 7, 3, 4, 2]


def test_without_a_choice_alternatives_are_around_the_subject(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.009, 0.0001], [8.0, 9.0, 11.0, 8.0])
    outcome = decide(inputs, Policy(5.0, 0.001))
    assert (outcome.choice, outcome.subject) == (None, 1)
    assert alternatives(inputs, Policy(5.0, 0.001), outcome) == [2, 3]
    assert (
        alternatives(inputs, POLICY, Outcome("thin", "too_little", None, None, None, (), ())) == []
    )


def test_each_knob_is_turned_to_its_two_values(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 6.0], cost=[0.2, 0.4])
    policy = Policy(10.0, 0.001, 0.5, 1.0)
    base = decide(inputs, policy)
    changes = what_would_change(inputs, policy, base)
    assert [(c.knob, pytest.approx(c.value), c.changed) for c in changes] == [
        ("slo", 8.0, True),
        ("slo", 12.0, False),
        ("margin", 0.0005, False),
        ("margin", 0.002, False),
        ("price", 0.5, False),
        ("price", 2.0, True),
        ("traffic", 0.5, False),
        ("traffic", 2.0, False),
    ]
    for change in changes:
        assert change.changed == (not same(base, change.outcome))
        assert change.outcome.choice == (0 if change.changed else 1)


def test_the_price_flips_where_a_strategy_meets_the_limit_on_cost(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.012], [2.0, 3.0, 4.0], cost=[0.1, 0.2, 0.4])
    policy = Policy(10.0, 0.001, 0.3, 1.0)
    base = decide(inputs, policy)
    assert base.choice == 1
    price = {f.side: f for f in flips(inputs, policy, base) if f.knob == "price"}
    assert price["below"].value == pytest.approx(0.75)
    assert price["from"].value == pytest.approx(1.5)
    assert (price["below"].outcome.choice, price["from"].outcome.choice) == (2, 0)
    free = changed(inputs, 2, cost=None)
    assert {f.side for f in flips(free, policy, decide(free, policy)) if f.knob == "price"} == {
        "from"
    }
    endless = replace(policy, max_cost=None)
    assert not [f for f in flips(inputs, endless, decide(inputs, endless)) if f.knob == "price"]


def test_outcomes_are_the_same_where_case_and_choice_are(planted: Build) -> None:
    first = Outcome("clear", "better", 1, 1, 1, (0, 1), (1,))
    assert same(first, replace(first, reason="cheaper", leader=0, subject=0, feasible=()))
    assert not same(first, replace(first, choice=2))
    assert not same(first, replace(first, case="tie"))
