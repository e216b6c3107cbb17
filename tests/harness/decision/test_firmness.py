"""Firmness: grade, probability, regret and flips on planted inputs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.firmness import GradeReason, Grading, Searches, Worth, firmness
from fusefront.harness.decision.inputs import Inputs, Measured, Pairs
from fusefront.harness.decision.policy import Policy, decide
from fusefront.harness.decision.whatif import Business, Replayed

Build = Callable[..., Inputs]
POLICY = Policy(slo_ms=10.0, margin=0.001)


def firm(inputs: Inputs, policy: Policy = POLICY, **more: object) -> Grading:
    return firmness(inputs, policy, decide(inputs, policy), **more)  # type: ignore[arg-type]


def test_a_lone_clear_winner_is_clear(planted: Build) -> None:
    known = firm(planted([0.0, 0.006, -0.004], [2.0, 3.0, 3.0]))
    assert (known.grade, known.of, known.reasons, known.rivals) == ("clear", "s1", (), 2)
    assert known.probability == 1.0
    assert known.regret is not None
    assert (known.regret.expected, known.regret.largest) == (0.0, 0.0)
    assert known.measured_gain == pytest.approx(0.006)
    assert known.gain is not None
    assert known.gain.low < known.gain.value < known.measured_gain  # drawn back to the other


def test_one_rival_is_not_drawn_back(planted: Build) -> None:
    known = firm(planted([0.0, 0.006], [2.0, 3.0]))
    assert known.gain is not None
    assert known.gain.value == pytest.approx(0.006, abs=2e-5)


def test_a_gain_that_is_hardly_one_is_a_close_call_with_its_numbers(planted: Build) -> None:
    known = firm(planted([0.0, 0.0007], [2.0, 3.0]))  # low end .0007 - 2.6 x .0002
    assert known.grade == "close call"
    assert known.reasons[0].key == "gain"
    assert known.reasons[0].numbers["low"] == pytest.approx(0.00018)
    assert "quarter of the margin" in known.reasons[0].text


def test_what_another_limit_or_margin_would_choose_is_named(planted: Build) -> None:
    known = firm(planted([0.0, 0.006, 0.012], [2.0, 3.0, 7.5]))  # s2: p99 10.5 ms
    keys = {reason.key: reason for reason in known.reasons}
    assert keys["limit"].strategy == "s2"
    assert keys["limit"].numbers == {"value": 12.0}
    assert {(flip.knob, flip.side, flip.choice) for flip in known.flips} >= {("slo", "from", "s2")}


def test_nothing_chosen_is_not_decided_and_speaks_of_today(planted: Build) -> None:
    known = firm(planted([0.0, 0.002], [2.0, 3.0], se=0.001))
    assert (known.grade, known.of, known.reasons) == ("not decided", "s0", ())
    assert known.probability is not None
    assert known.probability < 0.3  # s1 is measured 0.001 beyond the margin
    assert known.regret is not None
    assert known.regret.rival == "s1"
    assert known.regret.largest == pytest.approx(0.002 + 2.6 * 0.001)
    assert 0.0018 < known.regret.expected < 0.0025


def test_the_probability_of_one_rival_is_that_of_the_normal_model(planted: Build) -> None:
    known = firm(planted([0.0, 0.0015], [2.0, 3.0], se=0.001))
    expected = 0.3085  # P(N(.0015, .001) <= .001)
    assert known.probability == pytest.approx(expected, abs=0.035)
    assert known.probability_double == pytest.approx(0.6915, abs=0.035)
    assert known.probability_half == pytest.approx(0.1587, abs=0.03)


def test_too_few_trials_cap_the_grade_and_enough_do_not(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    few = Searches((3, 3), np.array([np.nan, np.nan]))
    assert [r.key for r in firm(inputs, searches=few).reasons] == ["search"]
    assert firm(inputs, searches=few).probability_searched is None
    enough = Searches((20, 20), np.array([1e-8, 1e-8]))
    assert firm(inputs, searches=enough).grade == "clear"
    assert firm(inputs, searches=enough).probability_searched == 1.0
    assert firm(inputs, searches=Searches((0, 0), np.zeros(2))).grade == "clear"


def test_another_search_that_would_choose_otherwise_is_a_flip(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    noisy = Searches((20, 20), np.array([1e-5, 1e-5]))  # sd .0032 each
    known = firm(inputs, searches=noisy)
    assert known.grade == "close call"
    assert [flip.knob for flip in known.flips if flip.knob == "search"] == ["search"]
    assert known.probability_searched is not None
    assert known.probability is not None
    assert known.probability_searched < known.probability


def test_whose_p99_timed_again_may_pass_the_limit_is_not_chosen(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 6.5])  # p99 9.1 ms, upper end 9.56
    apart, near = (replace(inputs, floor_p99=floor) for floor in (0.15, 0.05))
    assert (decide(apart, POLICY).choice, decide(near, POLICY).choice) == (0, 1)
    assert "latency" not in [reason.key for reason in firm(near).reasons]


def test_reasons_from_beside_make_a_close_call(planted: Build) -> None:
    disturbed = GradeReason("disturbed", {"share": 0.9}, "", "The session was disturbed.")
    known = firm(planted([0.0, 0.006], [2.0, 3.0]), beside=(disturbed,))
    assert (known.grade, known.reasons) == ("close call", (disturbed,))


def test_nothing_to_speak_of_is_said_without_numbers(planted: Build) -> None:
    known = firm(planted([0.0, 0.01], [2.0, 3.0], today=None))
    assert known == Grading("not decided")


def test_money_of_a_wrong_choice_is_what_the_best_other_brings_more(planted: Build) -> None:
    """By hand: s2 gains most clicks and costs most; its rival s1 would bring more money."""
    business, per = Business(9.0, 0.08, 40.0, 0.02), 40.0 * 365 * 24 * 3600 * 3.5 / 1000
    more, sure = np.array([0.0, 3.0, 4.0]), np.full((3, 3), 1e-9)
    pairs = Pairs(more[:, None] - more, sure, np.full((3, 3), 1e9), 3.0, 2.5)
    rates = (Measured(50.0, 49.0, 51.0),) * 3
    clicks = Replayed(4, 3000, rates, pairs, shown=3.5, predictions=70, price=0.05)

    def earned(*cost: float | None) -> Grading:
        inputs = planted([0.0, 0.006, 0.009], [2.0, 4.0, 6.0])
        priced = (replace(c, cost=k) for c, k in zip(inputs.candidates, cost, strict=True))
        inputs = replace(inputs, candidates=tuple(priced))
        return firm(inputs, worth=Worth(inputs, clicks, business))

    def extra(cost: float) -> float:
        return per / 3.5 * 1000 * 70 / 1e6 * (cost - 0.2) * 0.08 / 0.05

    known = earned(0.2, 0.4, 2.0)
    assert known.of == "s2"
    assert known.money is not None
    assert known.regret is not None
    assert known.money.value == pytest.approx(0.02 * 4 * per - extra(2.0))
    lost = (0.02 * 3 * per - extra(0.4)) - (0.02 * 4 * per - extra(2.0))
    assert lost > 1e5
    assert known.regret.money == pytest.approx(lost, rel=1e-6)
    assert known.regret.largest_money == pytest.approx(lost, rel=1e-6)
    assert known.regret.clicks == pytest.approx(0.0, abs=1e-3)
    cheap = earned(0.2, 0.4, 0.3)
    assert cheap.regret is not None
    assert (cheap.regret.money, cheap.regret.largest_money) == (0.0, 0.0)
    for cost in ((None, 0.4, 0.3), (0.2, None, 0.3), (0.2, 0.4, None)):
        unknown = earned(*cost)
        assert unknown.regret is not None
        assert (unknown.money, unknown.regret.money) == (None, None)
        assert unknown.clicks is not None


def test_a_search_whose_spread_is_not_known_for_all_widens_nothing(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    for variance in ([np.nan, 1e-8], [0.0, 0.0]):
        searches = Searches((20, 20), np.array(variance))
        assert firm(inputs, searches=searches).probability_searched is None


@pytest.mark.parametrize(("measured", "df", "flipped"), [(0.0037, 2.0, True), (0.0037, 3.0, False)])
def test_few_searches_widen_by_their_own_degrees_of_freedom(
    planted: Build, measured: float, df: float, *, flipped: bool
) -> None:
    """By hand: an error of .001 over searches; t(2) is 4.30, t(3) 3.18, what is picked 2.6."""
    inputs = planted([0.0, measured], [2.0, 3.0], se=1e-5)
    variance = np.array([0.0, 1e-6])
    known = firm(inputs, searches=Searches((20, 20), variance, df))
    assert [flip.knob for flip in known.flips].count("search") == flipped
    if df == 2.0:
        assert known == firm(inputs, searches=Searches((20, 20), variance))


def test_a_rival_whose_gain_is_hardly_known_is_a_close_call_by_its_probability(
    planted: Build,
) -> None:
    inputs = planted([0.0, 0.003, 0.01], [2.0, 3.0, 4.0])
    se = np.array([[0, 0.0002, 0.01], [0.0002, 0, 0.01], [0.01, 0.01, 0]])
    known = firm(replace(inputs, pairs=replace(inputs.pairs, se=se)))
    (reason,) = [each for each in known.reasons if each.key == "probability"]
    assert known.of == "s1"
    assert known.probability is not None
    assert 0.2 < known.probability < 0.5  # as measured .27; rivals that are alike are nearer
    assert reason.numbers == {"probability": known.probability}
    assert reason.text == (
        f"In {round(100 - 100 * known.probability)} of 100 cases something else under the limit is "
        "better by more than the margin."
    )


@pytest.mark.parametrize(
    ("share", "close"), [(-0.74, False), (-0.75, False), (-0.76, True), (-0.99, True)]
)
def test_a_cheaper_choice_that_may_nearly_lose_the_margin_is_a_close_call(
    planted: Build, share: float, *, close: bool
) -> None:
    """Without an error the low end of its gain is its gain; a quarter of the margin is left."""
    inputs = planted([0.0, -0.0005], [4.0, 2.0])
    diff, error = np.zeros((2, 2)), np.zeros((2, 2))
    diff[1, 0], diff[0, 1] = share * POLICY.margin, -share * POLICY.margin
    inputs = replace(inputs, pairs=replace(inputs.pairs, diff=diff, se=error))
    assert decide(inputs, POLICY).reason == "cheaper"
    reasons = [each for each in firm(inputs).reasons if each.key == "gain"]
    assert len(reasons) == close
    for reason in reasons:
        low = share * POLICY.margin
        assert reason.numbers == {"low": low, "high": low, "margin": 0.001}
        assert reason.strategy == "s1"
        assert reason.text == (
            f"It may lose {-low:.5f} AUC, within a quarter of the margin of 0.001 that it must "
            "keep."
        )


@pytest.mark.parametrize(("low", "close"), [(0.6, False), (0.0, True), (-0.6, True)])
def test_a_switch_whose_clicks_may_be_no_more_is_a_close_call_by_less_than_one(
    planted: Build, low: float, *, close: bool
) -> None:
    """2 clicks a thousand and 2.5 errors; 1,000 impressions a year, so that ends are clicks."""
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    error = np.array([[0.0, 1.0], [1.0, 0.0]]) * (2.0 - low) / 2.5
    pairs = Pairs(np.array([[0.0, -2.0], [2.0, 0.0]]), error, np.full((2, 2), 1e9), 3.0, 2.5)
    rates = (Measured(50.0, 49.0, 51.0),) * 2
    clicks = Replayed(4, 3000, rates, pairs, shown=4.0, predictions=70, price=0.05)
    business = Business(10.0, 0.05, 250 / (365 * 24 * 3600), 0.01)
    known = firm(inputs, worth=Worth(inputs, clicks, business))
    assert known.clicks is not None
    assert known.clicks.low == pytest.approx(low, abs=1e-9)
    reasons = [each for each in known.reasons if each.key == "clicks"]
    assert len(reasons) == close
    if low < 0:
        assert reasons[0].text == (
            "The clicks of a year may be no more: +2 [\u22121, +5]."  # -0.6 and 4.6
        )
