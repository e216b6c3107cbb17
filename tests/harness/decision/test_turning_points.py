"""Where a decision turns: at the ends of intervals of gains and p99, and at prices; all exact."""

from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.inputs import Candidate, Inputs, Pairs
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import Policy, decide
from fusefront.harness.decision.sensitivity import Flip, flips, what_would_change

from .changed_inputs import POLICY, Build, changed, tail


def by_side(inputs: Inputs, policy: Policy, knob: str) -> dict[str, Flip]:
    every = flips(inputs, policy, decide(inputs, policy))
    return {flip.side: flip for flip in every if flip.knob == knob}


def test_a_question_closes_at_the_margin_that_is_the_high_end_of_its_gain(planted: Build) -> None:
    inputs = planted([0.0, 0.001], [2.0, 3.0], se=0.001)
    high = 0.001 + 2.6 * 0.001
    wide = by_side(inputs, replace(POLICY, margin=0.005), "margin")
    assert wide["below"].value == pytest.approx(high)
    assert (wide["below"].outcome.case, wide["below"].outcome.choice) == ("thin", None)
    assert "from" not in wide
    narrow = by_side(inputs, POLICY, "margin")
    assert narrow["from"].value == pytest.approx(high)
    assert (narrow["from"].outcome.case, narrow["from"].outcome.choice) == ("tie", 0)
    assert "below" not in narrow


def test_margins_turn_at_the_ends_over_the_leader_and_over_todays(planted: Build) -> None:
    """s2 is .0008 below the leader: shown among all pairs 3 errors, not the 2.6 over today's."""
    inputs = planted([0.0, 0.0060, 0.0052], [4.0, 3.0, 2.0])
    policy = replace(POLICY, margin=0.0012)
    turns = by_side(inputs, policy, "margin")
    assert decide(inputs, policy).choice == 1
    assert turns["from"].value == pytest.approx(0.0008 + 3.0 * 0.0002)
    assert turns["from"].outcome.choice == 2
    assert "below" not in turns
    # today's leads: a faster one that is surely no worse by more than the margin replaces it
    faster = planted([0.0, -0.0003], [4.0, 2.0])
    turns = by_side(faster, POLICY, "margin")
    assert decide(faster, POLICY).choice == 1
    assert turns["below"].value == pytest.approx(0.0003 + 2.6 * 0.0002)
    assert (turns["below"].outcome.case, turns["below"].outcome.choice) == ("tie", 0)


def test_a_limit_at_the_very_end_of_an_interval_turns_right_below_it(planted: Build) -> None:
    inputs = changed(planted([0.0, 0.006], [2.0, 3.0]), 1, latency=tail(4.0, 10.0))
    assert decide(inputs, POLICY).choice == 1
    turns = by_side(inputs, POLICY, "slo")
    assert (turns["below"].value, turns["below"].outcome.choice) == (10.0, 0)
    assert "from" not in turns


def test_a_limit_turns_where_todays_is_known_to_miss_it(planted: Build) -> None:
    """Today's from 8 to 12 ms: under its low end the slower gain is not needed to switch."""
    inputs = planted([0.0, -0.005], [7.0, 2.0])
    inputs = changed(inputs, 0, latency=tail(8.0, 12.0))
    base = decide(inputs, POLICY)
    assert (base.case, base.choice) == ("thin", None)
    turns = by_side(inputs, POLICY, "slo")
    assert turns["below"].value == pytest.approx(8.0)
    assert (turns["below"].outcome.reason, turns["below"].outcome.choice) == ("limit", 1)
    assert turns["from"].value == pytest.approx(12.0)
    assert (turns["from"].outcome.case, turns["from"].outcome.choice) == ("tie", 0)


def test_a_price_at_which_a_cost_just_fits_turns_right_above_it(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0], cost=[0.25, 0.5])
    policy = replace(POLICY, max_cost=1.0, cost_factor=2.0)  # 0.5 x 2 is the limit itself
    assert decide(inputs, policy).choice == 1
    here = by_side(inputs, policy, "price")  # the price of today is itself where it turns
    assert (here["from"].value, here["from"].outcome.choice) == (2.0, 0)
    assert set(here) == {"from"}
    dearer = by_side(inputs, replace(policy, cost_factor=1.5), "price")
    assert (dearer["from"].value, dearer["from"].outcome.choice) == (2.0, 0)
    assert set(dearer) == {"from"}
    cheaper = by_side(inputs, replace(policy, cost_factor=3.0), "price")
    assert (cheaper["below"].value, cheaper["below"].outcome.choice) == (2.0, 1)
    assert (cheaper["from"].value, cheaper["from"].outcome.choice) == (4.0, None)


def test_without_a_leader_or_todays_no_margin_turns_anything(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [20.0, 30.0])
    assert by_side(inputs, POLICY, "margin") == {}
    bare = replace(planted([0.0, 0.006], [2.0, 3.0]), today=None)
    assert flips(bare, POLICY, decide(bare, POLICY)) == ()


def test_the_knobs_are_turned_one_at_a_time(planted: Build) -> None:
    """A limit a fifth away, half and double of the margin, the price and the traffic."""
    inputs = planted([0.0, 0.006, 0.0052], [2.0, 6.0, 3.0], cost=[0.2, 0.7, 0.4])
    policy = Policy(10.0, 0.001, 1.0, 1.25)
    base = decide(inputs, policy)
    assert base.choice == 1
    turned = what_would_change(inputs, policy, base)
    expected = [
        replace(policy, slo_ms=8.0),
        replace(policy, slo_ms=12.0),
        replace(policy, margin=0.0005),
        replace(policy, margin=0.002),
        replace(policy, cost_factor=0.625),
        replace(policy, cost_factor=2.5),
        policy,
        policy,
    ]
    assert [change.outcome for change in turned] == [decide(inputs, p) for p in expected]
    assert [change.changed for change in turned] == [
        *(True, False, False, True, False, True),
        *(False, False),
    ]
    assert [change.value for change in turned] == pytest.approx(
        [8.0, 12.0, 0.0005, 0.002, 0.625, 2.5, 0.5, 2.0]
    )


def test_what_is_not_said_of_a_strategy_or_a_study_is_the_plain_case() -> None:
    plain = Candidate("s")
    assert (plain.family, plain.control, plain.measuring_device) == ("strategy", False, False)
    assert (plain.seeds, plain.trained, plain.parameters) == (1, True, 0)
    assert (plain.latency, plain.cost, plain.core_ms) == (None, None, None)
    zero = np.zeros((0, 0))
    study = Inputs((), (), Pairs(zero, zero, zero, 3.0, 2.5), None, 9)
    assert (study.floor, study.floor_p99, study.disturbed, study.problems) == (0.0, 0.0, (), ())
    assert (study.bench, study.controlled, study.settle) == (True, True, None)
    assert (study.size, study.shippable) == (0, [])
    assert (study.pairs.level, study.pairs.controls, study.pairs.seeds) == (0.95, None, None)
    assert Policy(1.0, 2.0) == Policy(1.0, 2.0, None, 1.0)
    assert Outcome("tie", "no_gain", 0, 0, 0, (), ()).lacks == ()
