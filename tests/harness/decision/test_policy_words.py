"""Every case of the policy with its whole sentence, at the values where it turns."""

from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.inputs import Measured, Pairs
from fusefront.harness.decision.policy import (
    cheapest,
    decide,
    fits,
    gain,
    misses,
)
from fusefront.harness.statistics.power import Settle

from .changed_inputs import POLICY, Build, changed, tail


def test_the_whole_p99_interval_keeps_the_limit(planted: Build) -> None:
    inputs = planted([0.0, 0.01], [2.0, 3.0])
    for high, missed in ((10.0, ()), (10.001, ("latency",)), (float("nan"), ("latency",))):
        assert misses(changed(inputs, 1, latency=tail(1.0, high)), POLICY, 1) == missed
    assert misses(changed(inputs, 1, latency=None), POLICY, 1) == ("untimed",)
    assert not fits(changed(inputs, 1, latency=None), POLICY, 1)


def test_a_cost_at_the_limit_is_kept_at_the_price_of_the_policy(planted: Build) -> None:
    inputs = planted([0.0, 0.01], [2.0, 3.0], cost=[0.25, 0.5])
    for limit, factor, missed in (
        (0.5, 1.0, ()),
        (0.49, 1.0, ("cost",)),
        (1.0, 2.0, ()),
        (0.99, 2.0, ("cost",)),
        (None, 9.0, ()),
    ):
        policy = replace(POLICY, max_cost=limit, cost_factor=factor)
        assert misses(inputs, policy, 1) == missed
    free = changed(inputs, 1, cost=None, latency=None)
    assert misses(free, POLICY, 1) == ("untimed",)
    assert misses(free, replace(POLICY, max_cost=9.0), 1) == ("untimed", "unpriced")
    slow = changed(inputs, 1, latency=tail(1.0, 99.0))
    assert misses(slow, replace(POLICY, max_cost=0.1), 1) == ("latency", "cost")


def test_of_equal_speeds_todays_then_the_smallest_then_the_fastest_is_cheapest(
    planted: Build,
) -> None:
    speeds = [2.002, 2.001, 2.0, 2.003]
    inputs = planted([0.0] * 4, speeds, parameters=[900, 500, 700, 500])
    assert cheapest(inputs, [0, 1, 2, 3]) == 0
    assert cheapest(inputs, [1, 2, 3]) == 1
    assert cheapest(inputs, [2, 3]) == 3
    assert cheapest(changed(inputs, 3, parameters=700), [2, 3]) == 2
    slow = planted([0.0] * 3, [4.0, 2.0, 2.001], parameters=[1, 900, 800])
    assert cheapest(slow, [0, 1, 2]) == 2
    assert cheapest(replace(slow, today=None), [0, 1]) == 1
    twins = changed(slow, 2, latency=slow.candidates[1].latency, parameters=900)
    assert cheapest(twins, [2, 1]) == 1


def test_gain_is_over_todays_with_the_picked_interval(planted: Build) -> None:
    inputs = planted([0.0, 0.004], [2.0, 3.0], se=0.001)
    assert gain(inputs, 1) == pytest.approx((0.004, 0.0014, 0.0066))  # c_base 2.6
    assert gain(inputs, 0) == (0.0, 0.0, 0.0)
    assert gain(replace(inputs, today=None), 1) == inputs.auc[1]


def test_the_leader_has_the_best_lower_bound_and_not_the_best_value(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.008], [2.0, 3.0, 4.0])
    se = np.array([[0, 0.0002, 0.0015], [0.0002, 0, 0.0002], [0.0015, 0.0002, 0]])
    inputs = replace(inputs, pairs=replace(inputs.pairs, se=se))
    outcome = decide(inputs, POLICY)
    assert (outcome.leader, outcome.choice) == (1, 1)
    assert (outcome.equivalent, outcome.feasible) == ((1, 2), (0, 1, 2))  # 2 is surely no worse


def test_equal_lower_bounds_go_to_todays_then_to_the_best_value(planted: Build) -> None:
    inputs = planted([0.0, 0.0, 0.0], [2.0, 3.0, 4.0], se=0.0)
    assert decide(inputs, POLICY).leader == 0
    auc = (Measured(0.7, 0, 1), Measured(0.71, 0, 1), Measured(0.72, 0, 1))
    pairs = Pairs(np.zeros((3, 3)), np.zeros((3, 3)), np.full((3, 3), 9.0), 3.0, 2.6)
    breach = changed(replace(inputs, auc=auc, pairs=pairs), 0, latency=tail(1, 99))
    assert decide(breach, POLICY).leader == 2


def test_an_equivalent_at_the_margin_ships_if_it_is_faster(planted: Build) -> None:
    inputs = planted([0.0, 0.02, 0.0195], [2.0, 6.0, 4.0])
    bound = -inputs.pairs.shown(2, 1, 0).low  # .0005 and c_all 3.0 standard errors of .0002
    assert bound == pytest.approx(0.0011)
    assert decide(inputs, replace(POLICY, margin=bound * 1.001)).choice == 2
    assert decide(inputs, replace(POLICY, margin=bound * 0.999)).choice == 1


def test_an_equivalent_of_todays_replaces_it_only_where_it_is_surely_faster(
    planted: Build,
) -> None:
    for ms, choice in ((1.9, 1), (1.999, 0), (2.5, 0)):
        assert decide(planted([0.0, -0.0001], [2.0, ms]), POLICY).choice == choice
    # not worse than today's by more than the margin, right for all at once: c_base is 2.6
    for loss, choice in ((0.00047, 2), (0.00049, 0)):
        inputs = planted([0.0, 0.0002, -loss], [4.0, 5.0, 2.0])
        assert decide(inputs, POLICY).choice == choice
    leading = planted([0.0, 0.0007, 0.0002], [4.0, 5.0, 2.0], se=0.0003)
    assert leading.pairs.picked(2, 0).low > -0.001
    assert decide(leading, POLICY).case == "clear"
    assert decide(leading, POLICY).reason == "cheaper"
    assert decide(leading, replace(POLICY, margin=0.00059)).choice == 2  # low end -.00058
    assert decide(leading, replace(POLICY, margin=0.00057)).choice != 2


def test_a_tie_is_about_the_best_equivalent_or_the_best_rival(planted: Build) -> None:
    tie = decide(planted([0.0, -0.0002, -0.0001, -0.02], [2.0, 3.0, 4.0, 3.0]), POLICY)
    assert (tie.case, tie.reason, tie.subject, tie.leader) == ("tie", "equivalent", 2, 0)
    lost = decide(planted([0.0, -0.02, -0.01], [2.0, 3.0, 4.0]), POLICY)
    assert (lost.case, lost.reason, lost.subject) == ("tie", "no_gain", 2)
    slow = decide(planted([0.0, -0.01, 0.02], [2.0, 3.0, 40.0]), POLICY)
    assert (slow.reason, slow.subject, slow.feasible) == ("no_gain", 1, (0, 1))
    alone = decide(planted([0.0, 0.02], [2.0, 40.0]), POLICY)
    assert (alone.reason, alone.subject, alone.choice) == ("no_gain", 0, 0)


OPEN = (
    "'s2' differs from what runs today by +0.0030 AUC [\u22120.0022, 0.0082], which could be a loss"
)


@pytest.mark.parametrize(
    ("needs", "need", "text"),
    [
        (
            Settle(120_000, 4),
            120_000,
            "; about 120,000 more test rows or 4 more seeds would see the declared effect with "
            "80 % power.",
        ),
        (Settle(None, 4), 4, "; 4 more seeds would see the declared effect with 80 % power."),
        (
            Settle(900, None),
            900,
            "; about 900 more test rows would see the declared effect with 80 % power.",
        ),
        (
            Settle(None, None),
            None,
            "; neither more rows nor more seeds alone would see the declared effect; test on more "
            "rows and train more seeds.",
        ),
        (None, None, "; test on more rows or train more seeds."),
    ],
)
def test_what_would_settle_the_best_open_question_is_said(
    planted: Build, needs: Settle | None, need: float | None, text: str
) -> None:
    pairs = []

    def settle(a: int, b: int) -> Settle:
        pairs.append((a, b))
        assert needs is not None
        return needs

    inputs = planted([0.0, 0.002, 0.003], [2.0, 3.0, 4.0], se=0.002)
    inputs = replace(inputs, settle=settle if needs else None)
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.reason, outcome.subject) == ("thin", "cannot_tell", 2)
    assert (outcome.choice, outcome.leader, outcome.feasible) == (None, 0, (0, 1, 2))
    (lack,) = outcome.lacks
    assert (lack.text, lack.need, lack.strategy) == (OPEN + text, need, "s2")
    assert lack.kind == ("other" if needs else "rivals")
    assert pairs == ([(2, 0)] if needs else [])


def test_a_question_is_open_where_it_may_gain_more_than_the_margin(planted: Build) -> None:
    inputs = planted([0.0, 0.001], [2.0, 3.0], se=0.001)
    high = gain(inputs, 1).high
    assert decide(inputs, replace(POLICY, margin=high * 0.999)).case == "thin"
    assert decide(inputs, replace(POLICY, margin=high)).case == "tie"
    none = planted([0.0, 0.0], [2.0, 3.0], se=0.001)
    assert decide(none, POLICY).case == "tie"  # its value is no gain
