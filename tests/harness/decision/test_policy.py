from collections.abc import Callable
from dataclasses import replace

import pytest

from fusefront.harness.decision.inputs import Inputs
from fusefront.harness.decision.policy import Policy, decide
from fusefront.harness.decision.sensitivity import flips, same, what_would_change
from fusefront.harness.statistics.power import Settle

Build = Callable[..., Inputs]
POLICY = Policy(slo_ms=10.0, margin=0.001)


def test_a_clear_winner_under_the_limit_is_chosen(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.003, 0.009], [2.0, 4.0, 3.0, 9.0])  # s3: p99 12.6 ms
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.reason, outcome.choice) == ("clear", "better", 1)
    assert outcome.feasible == (0, 1, 2)


def test_among_equivalents_the_cheapest_ships(planted: Build) -> None:
    inputs = planted([0.0, 0.0061, 0.0060, 0.0030], [2.0, 6.0, 4.0, 1.0])
    outcome = decide(inputs, POLICY)
    assert (outcome.choice, outcome.leader, outcome.equivalent) == (2, 1, (1, 2))


def test_at_equal_speed_fewer_parameters_ship(planted: Build) -> None:
    inputs = planted([0.0, 0.0060, 0.0060], [2.0, 4.0, 4.001], parameters=[9, 800, 300])
    assert decide(inputs, POLICY).choice == 2


def test_at_equal_speed_the_better_bound_ships_before_fewer_parameters(planted: Build) -> None:
    inputs = planted([0.0, 0.0060, 0.0058], [2.0, 4.0, 4.001], parameters=[9, 800, 300])
    outcome = decide(inputs, POLICY)
    assert (outcome.equivalent, outcome.choice) == ((1, 2), 1)


def test_a_tie_keeps_what_runs_today(planted: Build) -> None:
    inputs = planted([0.0, 0.0002, -0.0001], [2.0, 3.0, 2.002], parameters=[900, 10, 10])
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.reason, outcome.choice) == ("tie", "equivalent", 0)
    assert outcome.subject == 1


def test_worse_strategies_keep_what_runs_today(planted: Build) -> None:
    outcome = decide(planted([0.0, -0.005], [2.0, 1.0]), POLICY)
    assert (outcome.case, outcome.reason, outcome.choice) == ("tie", "no_gain", 0)


def test_an_equivalent_but_faster_strategy_replaces_todays(planted: Build) -> None:
    outcome = decide(planted([0.0, -0.0001], [4.0, 2.0]), POLICY)
    assert (outcome.case, outcome.reason, outcome.choice) == ("clear", "cheaper", 1)


def test_nothing_feasible_names_the_fastest_that_gains(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.009], [8.0, 9.0, 11.0])
    outcome = decide(inputs, Policy(slo_ms=5.0, margin=0.001))
    assert (outcome.case, outcome.choice, outcome.subject) == ("infeasible", None, 1)
    assert "'s1' has p99 12.6 ms" in outcome.lacks[0].text


def test_a_point_whose_interval_crosses_the_limit_is_not_feasible(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 7.0])  # p99 9.8 ms, upper end 10.29
    assert decide(inputs, POLICY).choice == 0
    assert decide(inputs, replace(POLICY, slo_ms=10.30)).choice == 1


def test_a_gain_that_could_be_a_loss_is_not_decided(planted: Build) -> None:
    inputs = replace(
        planted([0.0, 0.002], [2.0, 3.0], se=0.001), settle=lambda a, b: Settle(120_000, 4)
    )
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.reason, outcome.subject) == ("thin", "cannot_tell", 1)
    assert (
        "about 120,000 more test rows or 4 more seeds would see the declared effect with 80 % power"
        in outcome.lacks[0].text
    )
    assert "which could be a loss" in outcome.lacks[0].text


def test_a_gain_at_most_the_margin_does_not_hold_the_decision_up(planted: Build) -> None:
    inputs = planted(
        [0.0, 0.0001], [2.0, 3.0], se=0.00035
    )  # at most +0.00101, not equivalent either
    assert decide(inputs, replace(POLICY, margin=0.0012)).case == "tie"
    assert decide(inputs, replace(POLICY, margin=0.0003)).case == "thin"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"bench": False}, "No latency was measured"),
        ({"clusters": 9}, "needs at least 10"),
        ({"seeds": 1}, "one seed"),
        ({"today": None}, "no completed run"),
    ],
)
def test_thin_evidence_says_what_to_measure(
    planted: Build, change: dict[str, object], words: str
) -> None:
    outcome = decide(planted([0.0, 0.01], [2.0, 3.0], **change), POLICY)
    assert outcome.case == "thin"
    assert any(words in lack.text for lack in outcome.lacks)


def test_one_strategy_alone_is_no_choice(planted: Build) -> None:
    outcome = decide(planted([0.0], [2.0]), POLICY)
    assert outcome.case == "thin"
    assert "at least two" in outcome.lacks[0].text


def test_todays_limit_breach_forces_the_best_that_fits(planted: Build) -> None:
    inputs = planted([0.0, -0.003, -0.006], [20.0, 4.0, 2.0])
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.reason, outcome.choice) == ("clear", "limit", 1)


def test_a_cost_limit_is_a_limit(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.009], [2.0, 4.0, 6.0])
    assert decide(inputs, POLICY).choice == 2
    assert decide(inputs, replace(POLICY, max_cost=0.45)).choice == 1
    assert decide(inputs, replace(POLICY, max_cost=0.45, cost_factor=2.0)).choice == 0
    assert "cost of at most 0.01" in decide(inputs, replace(POLICY, max_cost=0.01)).lacks[0].text


def test_shuffled_vectors_never_ship_but_an_id_only_model_may(planted: Build) -> None:
    inputs = planted([0.0, 0.009, 0.006], [2.0, 3.0, 3.0], devices=[1], controls=[2])
    assert decide(inputs, POLICY).choice == 2


def test_what_would_change_is_recomputed_and_really_flips(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.003, 0.009], [2.0, 6.0, 3.0, 7.5])
    base = decide(inputs, POLICY)
    assert base.choice == 1  # s3: p99 10.5 ms, upper 11.03; s1: upper 8.82
    changes = {(c.knob, round(c.value, 6)): c for c in what_would_change(inputs, POLICY, base)}
    assert changes["slo", 8.0].outcome.choice == 2
    assert changes["slo", 12.0].outcome.choice == 3
    assert not changes["margin", 0.002].changed
    by_side = {(f.knob, f.side): f for f in flips(inputs, POLICY, base)}
    below, above = by_side["slo", "below"], by_side["slo", "from"]
    assert below.value == pytest.approx(6.0 * 1.4 * 1.05)
    assert above.value == pytest.approx(7.5 * 1.4 * 1.05)
    for flip, before in ((below, 1), (above, -1)):
        inside = decide(inputs, replace(POLICY, slo_ms=flip.value * (1 + before * 1e-6)))
        outside = decide(inputs, replace(POLICY, slo_ms=flip.value * (1 - before * 1e-6)))
        assert same(inside, base)
        assert not same(outside, base)
        assert same(outside, flip.outcome)


def test_flips_of_the_margin_agree_with_a_fine_scan(planted: Build) -> None:
    inputs = planted([0.0, 0.0060, 0.0058, 0.0052], [2.0, 6.0, 4.0, 3.0])
    base = decide(inputs, POLICY)
    by_side = {f.side: f.value for f in flips(inputs, POLICY, base) if f.knob == "margin"}
    scan = [1e-5 * i for i in range(1, 700)]
    outcomes = [decide(inputs, replace(POLICY, margin=m)) for m in scan]
    differ = [m for m, o in zip(scan, outcomes, strict=True) if not same(o, base)]
    below = [m for m in differ if m < POLICY.margin]
    above = [m for m in differ if m > POLICY.margin]
    assert by_side["below"] == pytest.approx(max(below), abs=1.1e-5)
    assert by_side["from"] == pytest.approx(min(above), abs=1.1e-5)
