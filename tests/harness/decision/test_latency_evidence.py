"""What a latency may decide: limits kept, missed or not known, and no loss on a guess."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.inputs import Inputs, Latency, Measured
from fusefront.harness.decision.latency import limit_grade, tail, typical_low
from fusefront.harness.decision.policy import Policy, decide, misses
from fusefront.harness.decision.sensitivity import flips, same

Build = Callable[..., Inputs]
POLICY = Policy(slo_ms=10.0, margin=0.001)
HALF = Measured(1.0, 0.9, 1.1)


def timed(low: float, value: float, high: float, **values: object) -> Latency:
    return replace(Latency(HALF, HALF, Measured(value, low, high)), **values)


def with_tail(inputs: Inputs, place: int, low: float, value: float, high: float) -> Inputs:
    candidates = list(inputs.candidates)
    latency = candidates[place].latency
    assert latency is not None
    logs = (math.log(value),) * len(latency.log_p99)
    other = replace(latency, p99=Measured(value, low, high), log_p99=logs)
    candidates[place] = replace(candidates[place], latency=other)
    return replace(inputs, candidates=tuple(candidates))


def test_the_ends_that_decide_add_the_floor_in_squares() -> None:
    reach = tail(timed(5.0, 6.0, 8.0), 0.25)
    assert reach is not None
    assert reach.low == pytest.approx(6 * math.exp(-math.sqrt(math.log(6 / 5) ** 2 + 0.25**2)))
    assert reach.high == pytest.approx(6 * math.exp(math.sqrt(math.log(8 / 6) ** 2 + 0.25**2)))
    assert tail(timed(5.0, 6.0, 8.0), 0.0) == pytest.approx((6.0, 5.0, 8.0))
    assert tail(replace(timed(5.0, 6.0, 8.0), p99=None), 0.1) is None
    assert tail(timed(0.0, 6.0, 8.0), 0.1) is None
    assert tail(timed(5.0, float("nan"), 8.0), 0.1) is None


def test_the_lower_end_is_at_most_that_of_the_typical_round() -> None:
    """Coverage of the bound of a median: 97.5 % of draws lie below it or more, of any shape."""
    rng = np.random.default_rng(0)
    for rounds, place in ((20, 6), (40, 14), (12, 3), (6, 1), (3, 1)):
        logs = rng.normal(0, 1, (2000, rounds))
        bounds = np.array([typical_low(row) for row in logs.tolist()])
        assert bounds[0] == pytest.approx(math.exp(np.sort(logs[0])[place - 1]))
        assert (bounds <= 1.0).mean() > (0.87 if rounds < 6 else 0.97)
    few = [math.log(3.0)] * 12 + [math.log(7.0)] * 8  # most rounds are under 5
    reach = tail(timed(5.0, 6.0, 8.0, log_p99=tuple(few)), 0.0)
    assert reach == pytest.approx((6.0, 3.0, 8.0))
    most = [math.log(3.0)] * 5 + [math.log(7.0)] * 15
    assert tail(timed(5.0, 6.0, 8.0, log_p99=tuple(most)), 0.0) == pytest.approx((6.0, 5.0, 8.0))
    assert typical_low([]) == math.inf


@pytest.mark.parametrize(
    ("limit", "floor", "grade"),
    [
        (8.0, 0.0, "kept"),
        (7.99, 0.0, "not known"),
        (5.0, 0.0, "not known"),
        (4.99, 0.0, "missed"),
        (8.0, 0.1, "not known"),  # the floor counts where p99 decides
        (4.99, 0.1, "not known"),
        (9.0, 0.1, "kept"),
        (4.0, 0.1, "missed"),
    ],
)
def test_a_limit_is_kept_missed_or_not_known(limit: float, floor: float, grade: str) -> None:
    assert limit_grade(timed(5.0, 6.0, 8.0), limit, floor) == grade


def test_an_open_end_and_a_missing_p99_never_show_that_a_limit_is_kept() -> None:
    assert limit_grade(timed(5.0, 6.0, 8.0, p99_open=True), 100.0, 0.0) == "not known"
    assert limit_grade(timed(5.0, 6.0, 8.0, p99_open=True), 4.0, 0.0) == "missed"
    assert limit_grade(replace(timed(5.0, 6.0, 8.0), p99=None), 100.0, 0.0) == "not known"
    assert limit_grade(None, 100.0, 0.0) == "not known"


def test_equal_sessions_that_differ_rarely_show_a_wrong_side_of_the_limit() -> None:
    """Truth on the limit: own error .1, sessions apart by .08; either wrong word in 2.5 %."""
    rng = np.random.default_rng(3)
    own, apart, draws = 0.10, 0.08, 4000
    value = np.exp(np.log(10.0) + rng.normal(0, math.hypot(own, apart), draws))
    words = [
        limit_grade(timed(v * math.exp(-1.96 * own), v, v * math.exp(1.96 * own)), 10.0, f)
        for f in (1.96 * apart, 0.0)
        for v in value.tolist()
    ]
    for word in ("kept", "missed"):
        assert words[:draws].count(word) / draws == pytest.approx(0.025, abs=0.008)
    assert words[draws:].count("kept") / draws > 0.05  # without the floor


def test_a_shown_loss_is_not_accepted_because_todays_may_miss(planted: Build) -> None:
    inputs = planted([0.0, -0.005], [7.0, 2.0])  # today's p99 9.8 [9.31, 10.29]
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.reason, outcome.choice) == ("thin", "too_little", None)
    assert outcome.subject == 1
    (lack,) = outcome.lacks
    assert (lack.kind, lack.strategy) == ("session", "s0")
    assert lack.text == (
        "Whether what runs today, 's0', keeps a p99 of at most 10 ms is not known (p99 9.8 ms "
        "[9.31, 10.3]), and 's1', which keeps it, is not shown to be as good; measure again while "
        "nothing else runs (`fusefront bench STUDY --add` pools the sessions)."
    )
    assert decide(with_tail(inputs, 0, 10.01, 10.2, 10.4), POLICY).reason == "limit"
    assert decide(with_tail(inputs, 0, 9.0, 9.2, 9.9), POLICY).choice == 0


def test_what_stands_without_the_limit_ships_though_todays_is_not_known(planted: Build) -> None:
    better = decide(planted([0.0, 0.006], [7.0, 2.0]), POLICY)
    assert (better.case, better.reason, better.choice) == ("clear", "better", 1)
    faster = decide(planted([0.0, -0.0001], [7.0, 2.0]), POLICY)
    assert (faster.case, faster.reason, faster.choice) == ("clear", "cheaper", 1)
    # equivalent and no faster: nothing speaks for it but a limit that today's may keep
    slow = with_tail(planted([0.0, -0.0001], [7.0, 7.0]), 1, 8.0, 9.0, 9.5)
    assert decide(slow, POLICY).case == "thin"


def test_of_several_the_equivalent_and_faster_one_is_chosen_beside_an_unknown_today(
    planted: Build,
) -> None:
    inputs = planted([0.0, -0.0001, -0.0009], [7.0, 5.0, 2.0])
    outcome = decide(inputs, POLICY)  # s2 is not equivalent to today's
    assert (outcome.reason, outcome.choice) == ("cheaper", 1)


def test_an_unpriced_today_is_not_known_either(planted: Build) -> None:
    inputs = planted([0.0, -0.005], [2.0, 1.0])
    candidates = (replace(inputs.candidates[0], cost=None), inputs.candidates[1])
    outcome = decide(replace(inputs, candidates=candidates), replace(POLICY, max_cost=0.3))
    assert outcome.case == "thin"
    assert "(p99 2.8 ms [2.66, 2.94] and no cost)" in outcome.lacks[0].text


def test_nobody_shown_to_keep_it_is_not_the_same_as_everybody_missing_it(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.009], [9.0, 7.0, 9.0])
    outcome = decide(inputs, POLICY)  # s1 9.8 [9.31, 10.29], the others above
    assert (outcome.case, outcome.subject, outcome.feasible) == ("thin", 1, ())
    (lack,) = outcome.lacks
    assert lack.kind == "session"
    assert lack.text == (
        "No strategy is shown to keep a p99 of at most 10 ms, and of 1 it is not known, 's1' among "
        "them (p99 9.8 ms [9.31, 10.3]); measure again while nothing else runs (`fusefront bench "
        "STUDY --add` pools the sessions), or raise the limit."
    )
    assert decide(inputs, replace(POLICY, slo_ms=9.0)).case == "infeasible"
    # whose cost is over, too, is no hope
    costly = replace(POLICY, max_cost=0.5)
    assert decide(inputs, costly).case == "infeasible"


def test_a_floor_at_p99_turns_kept_into_not_known(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 6.0])  # p99 8.4 [7.98, 8.82]
    assert decide(inputs, POLICY).choice == 1
    apart = replace(inputs, floor_p99=0.2)  # 8.4 x 1.228 = 10.3
    assert misses(apart, POLICY, 1) == ("latency",)
    assert decide(apart, POLICY).choice == 0
    assert decide(replace(inputs, floor_p99=0.15), POLICY).choice == 1


def test_no_disturbed_session_decides(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    inputs = replace(inputs, disturbed=("a", "b"), bench_command="fusefront bench shop")
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.reason, outcome.choice) == ("thin", "too_little", None)
    assert [(lack.kind, lack.text) for lack in outcome.lacks] == [
        (
            "session",
            "The latency session was disturbed: a and b; measure again while nothing else runs "
            "(`fusefront bench shop --add` pools the sessions).",
        )
    ]


def test_flips_of_the_limit_are_exact_where_it_is_not_known(planted: Build) -> None:
    inputs = replace(planted([0.0, -0.005], [7.0, 2.0]), floor_p99=0.05)
    base = decide(inputs, replace(POLICY, slo_ms=12.0))
    assert base.choice == 0
    policy = replace(POLICY, slo_ms=12.0)
    below = next(f for f in flips(inputs, policy, base) if f.knob == "slo" and f.side == "below")
    up = math.hypot(math.log(1.05), 0.05)
    assert below.value == pytest.approx(9.8 * math.exp(up))
    assert below.outcome.case == "thin"
    lower = decide(inputs, replace(POLICY, slo_ms=9.8 * math.exp(-up) * 0.7))
    assert (lower.choice, lower.reason) == (1, "limit")
    assert not same(base, lower)


def test_a_typical_round_of_whole_milliseconds_is_those() -> None:
    """exp(log(136)) lies 1e-13 above 136, which must not pass a limit of 136 ms."""
    assert math.exp(math.log(136.0)) > 136.0
    assert typical_low([math.log(136.0)] * 20) == 136.0
