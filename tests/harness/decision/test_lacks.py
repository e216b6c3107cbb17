"""What is lacking where nothing can be chosen: every sentence in full."""

from dataclasses import replace

import pytest

from fusefront.harness.decision.inputs import Measured
from fusefront.harness.decision.policy import (
    Policy,
    decide,
)

from .changed_inputs import POLICY, Build, changed, texts


def test_nothing_under_the_limit_names_who_comes_nearest(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.009, -0.02], [8.0, 12.0, 9.0, 7.0])
    (lack,) = decide(inputs, Policy(5.0, 0.001)).lacks
    assert (lack.kind, lack.strategy, lack.need) == ("limit", "s2", 5.0)
    assert lack.have == pytest.approx(9.0 * 1.4 * 1.05)
    assert lack.text == (
        "No strategy is shown to keep a p99 of at most 5 ms: 's2' has p99 12.6 ms [12, 13.2]; "
        "raise the limit, or add and measure a smaller or int8 variant."
    )
    outcome = decide(planted([0.0, -0.02], [8.0, 7.0]), Policy(5.0, 0.001))
    assert (outcome.case, outcome.reason, outcome.subject) == ("infeasible", "infeasible", 1)
    assert (outcome.choice, outcome.leader, outcome.feasible) == (None, None, ())


def test_a_cost_that_none_keeps_is_named_with_its_price(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0], cost=[0.2, 0.4])
    (lack,) = decide(inputs, replace(POLICY, max_cost=0.1)).lacks
    assert (lack.strategy, lack.have, lack.need) == ("s1", 0.4, 0.1)
    assert lack.text == (
        "No strategy is shown to keep a p99 of at most 10 ms and a cost of at most 0.1 per million "
        "predictions: 's1' has p99 4.2 ms [3.99, 4.41] and costs 0.4; raise the limit on cost, or "
        "add and measure a smaller or int8 variant."
    )
    free = changed(changed(inputs, 0, cost=None), 1, cost=None)
    (lack,) = decide(free, replace(POLICY, max_cost=0.1)).lacks
    assert (lack.have, lack.need) == (None, 0.1)
    assert lack.text == (
        "No strategy is shown to keep a p99 of at most 10 ms and a cost of at most 0.1 per million "
        "predictions: no cost was measured; run the bench again."
    )
    (lack,) = decide(changed(inputs, 0, cost=None), Policy(1.0, 0.001, 0.1)).lacks
    assert lack.text.endswith(
        "and costs 0.4; raise the limit, or add and measure a smaller or int8 variant."
    )


def test_the_nearest_is_by_the_worse_of_latency_and_cost(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.007], [2.0, 8.0, 3.0], cost=[9.0, 0.2, 0.4])
    # times over p99 10 ms and cost 0.1: 1.12 and 2 against 0.42 and 4
    policy = replace(POLICY, max_cost=0.1)
    assert decide(inputs, policy).subject == 1
    assert decide(inputs, replace(policy, max_cost=0.3, slo_ms=5.0)).subject == 2
    # at half the price cost weighs half: 2.24 and 0.67 against 0.84 and 1.33
    assert decide(inputs, Policy(5.0, 0.001, 0.15, 0.5)).subject == 2
    assert decide(changed(inputs, 1, cost=None), policy).subject == 2
    assert decide(inputs, replace(policy, max_cost=0.0)).subject == 1


def test_thin_evidence_is_listed_in_full(planted: Build) -> None:
    inputs = planted([0.0, 0.01], [2.0, 3.0], seeds=1, clusters=9)
    inputs = replace(inputs, problems=("first", "second"))
    outcome = decide(changed(inputs, 0, latency=None), POLICY)
    assert (outcome.case, outcome.reason, outcome.choice, outcome.subject) == (
        ("thin", "too_little", None, None)
    )
    assert texts(outcome) == [
        "first",
        "second",
        "What runs today, 's0', has no latency; add it to the bench.",
        "The test split has 9 independent groups with and without a click, an interval needs at "
        "least 10; test on more users or requests.",
        "Every strategy has one seed, which says nothing about the next training; run at least 3 "
        "seeds.",
    ]
    assert [(lack.kind, lack.have, lack.need) for lack in outcome.lacks[2:]] == [
        ("latency", None, None),
        ("clusters", 9, 10),
        ("seeds", 1, 3),
    ]
    bare = decide(replace(inputs, bench=False, problems=(), clusters=10), POLICY)
    assert texts(bare)[0] == "No latency was measured; run `fusefront bench STUDY`."
    assert len(texts(bare)) == 2


def test_todays_single_seed_is_named(planted: Build) -> None:
    inputs = changed(planted([0.0, 0.01, 0.02], [2.0, 3.0, 4.0]), 0, seeds=1)
    outcome = decide(inputs, POLICY)
    assert texts(outcome) == [
        "What runs today, 's0', has one completed seed; run at least 3 seeds of it."
    ]
    assert outcome.subject == 2
    (lack,) = outcome.lacks
    assert (lack.kind, lack.strategy, lack.have, lack.need) == ("seeds", "s0", 1, 3)
    assert decide(changed(inputs, 0, trained=False), POLICY).case == "clear"
    assert decide(changed(inputs, 0, seeds=2), POLICY).case == "clear"


@pytest.mark.parametrize(
    ("values", "lack", "text"),
    [
        (
            {"latency": None},
            ("latency", "s1", None, None),
            "Strategy 's1' lacks a latency; measure it before choosing.",
        ),
        (
            {"seeds": 1},
            ("seeds", "s1", 1, 3),
            "Strategy 's1' has one completed seed; run at least 3 before choosing.",
        ),
        (
            {"measuring_device": True},
            ("rivals", "", 1, 2),
            "Only one strategy was measured; run at least two to choose between.",
        ),
    ],
)
def test_a_rival_that_cannot_be_judged_is_named(
    planted: Build, values: dict[str, object], lack: tuple[object, ...], text: str
) -> None:
    outcome = decide(changed(planted([0.0, 0.01], [2.0, 3.0]), 1, **values), POLICY)
    assert (outcome.case, outcome.reason) == ("thin", "too_little")
    (only,) = outcome.lacks
    assert (only.kind, only.strategy, only.have, only.need) == lack
    assert only.text == text


def test_a_strategy_without_an_auc_is_not_chosen(planted: Build) -> None:
    inputs = planted([0.0, 0.01, 0.02], [2.0, 3.0, 4.0])
    unknown = replace(inputs, auc=(*inputs.auc[:2], Measured(float("nan"), 0.0, 1.0)))
    assert decide(unknown, POLICY).feasible == (0, 1)
    without_today = decide(replace(inputs, today=None), POLICY)
    assert texts(without_today) == [
        "What runs today has no completed run to compare with; run the study's baseline."
    ]
    assert without_today.subject == 2


def test_of_those_whose_limit_is_not_known_the_best_lower_bound_is_named(planted: Build) -> None:
    """Low ends .0035, .0055, .0034 and .0055 again; the last but one has the best high end."""
    gains = [0.0, 0.004, 0.006, 0.006, 0.006]
    inputs = planted(gains, [7.0, 7.1, 7.2, 7.3, 7.4])  # p99 9.8 to 10.4 ms
    se = inputs.pairs.se.copy()
    se[3, 0] = se[0, 3] = 0.001
    inputs = replace(inputs, pairs=replace(inputs.pairs, se=se), floor_p99=0.5)
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.subject) == ("thin", 2)
    (lack,) = outcome.lacks
    assert (lack.kind, lack.strategy) == ("session", "s2")
    assert "of 5 it is not known, 's2' among them" in lack.text


def test_two_seeds_of_one_strategy_are_enough_to_look(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0], seeds=2)
    assert decide(inputs, POLICY).choice == 1
    single = changed(inputs, 1, seeds=1)
    assert texts(decide(single, POLICY)) == [
        "Strategy 's1' has one completed seed; run at least 3 before choosing."
    ]
    assert decide(changed(single, 1, trained=False), POLICY).choice == 1
