"""Firmness by plain loops over the draws: what runs today is not the first, no two errors equal."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision import firmness as module
from fusefront.harness.decision.firmness import (
    GradeReason,
    Grading,
    Searches,
    TurningPoint,
    Worth,
    firmness,
)
from fusefront.harness.decision.inputs import Inputs, Measured, Pairs
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import Policy, decide
from fusefront.harness.decision.whatif import Business, Replayed
from fusefront.harness.statistics.exchangeable import (
    DRAWS,
    covariance_of_gains,
    expected_gains,
    gain_draws,
)

Build = Callable[..., Inputs]
POLICY = Policy(slo_ms=10.0, margin=0.001)
TODAY = 2
GAINS = [0.0065, 0.0052, 0.0, 0.0090, 0.0050]  # the fourth is over the limit
OWN = np.array([0.0010, 0.0016, 0.0004, 0.0003, 0.0007])  # the error of each mean by itself
SEED = 20_261_127


def errors(own: np.ndarray) -> np.ndarray:
    """[S, S] errors of the differences of independent means."""
    square = np.sqrt(own[:, None] ** 2 + own**2)
    np.fill_diagonal(square, 0.0)
    return square


def ladder(planted: Build, **values: object) -> Inputs:
    inputs = planted(GAINS, [3.0, 4.0, 2.0, 40.0, 5.0], today=TODAY, controls=[4])
    pairs = replace(inputs.pairs, se=errors(OWN), c_all=2.2, c_base=1.7)
    return replace(inputs, pairs=pairs, **values)


def drawn(inputs: Inputs, members: list[int]) -> dict[int, list[float]]:
    """The draws of each member's gain over today's, and zeros for today's."""
    assert inputs.today is not None
    spread = covariance_of_gains(inputs.pairs.se**2, inputs.today, members)
    alike = np.array([not inputs.candidates[i].control for i in members])
    measured = np.array([float(inputs.pairs.diff[i, inputs.today]) for i in members])
    gains = gain_draws(measured, spread, alike, np.random.default_rng(SEED))
    return {i: gains[:, k].tolist() for k, i in enumerate(members)} | {inputs.today: [0.0] * DRAWS}


def leads(gains: dict[int, list[float]], pivot: int, others: list[int]) -> list[float]:
    return [max(gains[i][d] for i in others) - gains[pivot][d] for d in range(DRAWS)]


def share_within(lead: list[float], margin: float) -> float:
    """The share that is said of the draws: .92 of each half, or .89 at most."""
    fits = [value <= margin for value in lead]
    halves = [sum(fits[:1000]) / 1000, sum(fits[1000:]) / 1000]
    share = sum(fits) / 2000
    return share if min(halves) >= 0.92 else min(share, 0.89)


def test_every_number_of_a_choice_is_that_of_a_loop_over_the_draws(planted: Build) -> None:
    inputs = ladder(planted)
    outcome = decide(inputs, POLICY)
    assert (outcome.choice, outcome.feasible) == (0, (0, 1, 2, 4))
    known = firmness(inputs, POLICY, outcome)
    gains = drawn(inputs, [0, 1, 4])
    lead = leads(gains, 0, [1, 2, 4])
    assert known.probability == pytest.approx(share_within(lead, 0.001))
    assert known.probability_half == pytest.approx(share_within(lead, 0.0005))
    assert known.probability_double == pytest.approx(share_within(lead, 0.002))
    assert 0.7 < known.probability_half < known.probability < known.probability_double < 1
    assert known.probability_searched is None
    assert (known.of, known.rivals, known.picked_of, known.format) == ("s0", 3, 3, 1)
    assert known.measured_gain == pytest.approx(0.0065)
    spread = covariance_of_gains(inputs.pairs.se**2, TODAY, [0, 1, 4])
    alike = np.array([True, True, False])
    expected = expected_gains(np.array([0.0065, 0.0052, 0.0050]), spread, alike)
    picked = inputs.pairs.picked(0, TODAY)
    assert known.gain == pytest.approx((expected[0], picked.low, picked.high))
    assert picked.low < expected[0] < 0.0065
    assert known.regret is not None
    assert known.regret.expected == pytest.approx(sum(max(v, 0.0) for v in lead) / DRAWS)
    ends = {i: inputs.pairs.shown(i, 0, TODAY).high for i in (1, 2, 4)}
    assert (known.regret.rival, known.regret.largest) == ("s1", pytest.approx(ends[1]))
    assert max(ends.values()) == ends[1] > 0
    assert (known.clicks, known.money) == (None, None)
    assert (known.regret.clicks, known.regret.money, known.regret.largest_money) == (None,) * 3


def test_what_runs_today_is_the_pivot_where_nothing_is_chosen(planted: Build) -> None:
    inputs = ladder(planted)
    inputs = replace(inputs, pairs=replace(inputs.pairs, c_base=90.0, c_all=99.0))
    outcome = decide(inputs, POLICY)
    assert (outcome.choice, outcome.case) == (None, "thin")
    known = firmness(inputs, POLICY, outcome)
    lead = leads(drawn(inputs, [0, 1, 4]), TODAY, [0, 1, 4])
    assert (known.grade, known.of, known.rivals, known.picked_of) == ("not decided", "s2", 3, 0)
    assert (known.gain, known.measured_gain, known.reasons) == (None, None, ())
    assert known.probability == pytest.approx(share_within(lead, 0.001))
    assert known.regret is not None
    assert known.regret.expected == pytest.approx(sum(max(v, 0.0) for v in lead) / DRAWS)
    ends = [inputs.pairs.shown(i, TODAY, TODAY).high for i in (0, 1, 4)]
    assert (known.regret.largest, known.regret.rival) == (pytest.approx(max(ends)), "s1")


def test_a_choice_that_nobody_can_beat_has_no_rival_to_name(planted: Build) -> None:
    inputs = ladder(planted)
    outcome = replace(decide(inputs, POLICY), feasible=(0,))
    alone = firmness(inputs, POLICY, outcome)
    assert (alone.rivals, alone.picked_of, alone.probability) == (0, 1, 1.0)
    assert alone.regret is not None
    assert (alone.regret.expected, alone.regret.largest, alone.regret.rival) == (0.0, 0.0, "")
    better = replace(decide(inputs, POLICY), feasible=(0, 2), choice=0)
    sure = firmness(inputs, POLICY, better)
    assert inputs.pairs.shown(2, 0, TODAY).high < 0
    assert sure.regret is not None
    assert (sure.regret.largest, sure.regret.rival) == (0.0, "")


@pytest.mark.parametrize(
    ("first", "second", "stated"),
    [
        (0, 0, 1.0),
        (80, 80, 0.92),
        (81, 0, 0.89),  # one half falls short: at most .89
        (0, 81, 0.89),
        (80, 0, 0.96),
        (200, 100, 0.85),
        (110, 110, 0.89),
        (120, 120, 0.88),
    ],
)
def test_nine_in_ten_is_said_where_both_halves_of_the_draws_reach_it(
    planted: Build, first: int, second: int, stated: float
) -> None:
    """A lead of exactly the margin is within it."""
    draws = module._Draws(planted([0.0, 0.006], [2.0, 3.0]), (0, 1), 1)
    lead = np.full(DRAWS, 0.001)
    lead[:first], lead[1000 : 1000 + second] = 0.0011, 0.0011
    vars(draws)["lead"] = lead
    assert draws.probability(0.001) == pytest.approx(stated)
    assert draws.probability(0.0009999) == 0.0


@pytest.mark.parametrize(("probability", "close"), [(0.80, False), (0.7999, True), (0.5, True)])
def test_less_than_four_in_five_is_a_close_call(probability: float, *, close: bool) -> None:
    reasons = module._of_probability(probability)
    assert len(reasons) == close
    for reason in reasons:
        percent = 100 * (1 - probability)
        assert reason == GradeReason(
            "probability",
            {"probability": probability},
            "",
            f"In {percent:.0f} of 100 cases something else under the limit is better by more than "
            "the margin.",
        )


REPLAYED = ["s4", "s2", "s0", "s1"]  # another order; what is over the limit was not replayed
BUSINESS = Business(9.0, 0.08, 40.0, 0.02)
RATES = np.array([2.6, 0.0, 3.0, 2.9])  # clicks per 1,000 over today's
RATE_ERRORS = errors(np.array([0.3, 0.2, 0.5, 0.4]))


def worth_of(inputs: Inputs, cost: list[float | None]) -> Worth:
    by = {c.name: c for c in inputs.candidates}
    part = tuple(replace(by[name], cost=price) for name, price in zip(REPLAYED, cost, strict=True))
    pairs = Pairs(RATES[:, None] - RATES, RATE_ERRORS, np.full((4, 4), 1e9), 3.0, 2.5)
    rates = tuple(Measured(50.0 + r, 49.0, 51.0) for r in RATES.tolist())
    clicks = Replayed(4, 3000, rates, pairs, shown=3.5, predictions=70, price=0.05)
    auc = tuple(Measured(0.7, 0.6, 0.8) for _ in part)
    return Worth(replace(inputs, candidates=part, auc=auc, today=1), clicks, BUSINESS)


def test_a_years_clicks_and_money_of_a_wrong_choice_by_a_loop(planted: Build) -> None:
    inputs = ladder(planted)
    cost = [0.30, 0.20, 0.45, 0.25]
    worth = worth_of(inputs, list(cost))
    outcome = decide(inputs, POLICY)
    known = firmness(inputs, POLICY, outcome, worth=worth)
    assert known.of == "s0"
    replayed = replace(worth.inputs, pairs=worth.clicks.pairs)
    gains = drawn(replayed, [0, 2, 3])
    per = 40.0 * 365 * 24 * 3600 * 3.5 / 1000  # clicks a year of one per 1,000
    serving = [40.0 * 365 * 24 * 3600 * 70 / 1e6 * c * 0.08 / 0.05 for c in cost]
    lead = leads(gains, 2, [0, 1, 3])
    assert known.regret is not None
    assert known.regret.clicks == pytest.approx(per * sum(max(v, 0.0) for v in lead) / DRAWS)
    net = {i: [0.02 * per * v - (serving[i] - serving[1]) for v in gains[i]] for i in range(4)}
    lost = leads(net, 2, [0, 1, 3])
    assert known.regret.money == pytest.approx(sum(max(v, 0.0) for v in lost) / DRAWS)
    ends = [
        0.02 * per * worth.clicks.pairs.shown(i, 2, 1).high - (serving[i] - serving[2])
        for i in (0, 1, 3)
    ]
    assert known.regret.largest_money == pytest.approx(max(ends))
    assert max(ends) > 0
    picked = worth.clicks.pairs.picked(2, 1)
    assert known.clicks == pytest.approx([per * v for v in picked])
    money = [0.02 * per * v - (serving[2] - serving[1]) for v in picked]
    assert known.money == pytest.approx(money)
    few = replace(worth.inputs, candidates=worth.inputs.candidates[:2])
    absent = worth._replace(inputs=few)
    assert firmness(inputs, POLICY, outcome, worth=absent).clicks is None


def test_only_those_under_the_limit_count_among_the_replayed(planted: Build) -> None:
    """s1 is replayed, but over the limit: what it would bring is no loss."""
    inputs = ladder(planted)
    worth = worth_of(inputs, [0.30, 0.20, 0.45, None])
    outcome = decide(inputs, POLICY)
    unpriced = firmness(inputs, POLICY, outcome, worth=worth)
    assert unpriced.regret is not None
    assert (unpriced.money, unpriced.regret.money, unpriced.regret.largest_money) == (None,) * 3
    assert unpriced.regret.clicks is not None
    without = replace(outcome, feasible=(0, 2, 4))
    priced = firmness(inputs, POLICY, without, worth=worth)
    assert priced.money is not None
    gains = drawn(replace(worth.inputs, pairs=worth.clicks.pairs), [0, 2])
    per = 40.0 * 365 * 24 * 3600 * 3.5 / 1000
    lead = leads(gains, 2, [0, 1])
    assert priced.regret is not None
    assert priced.regret.clicks == pytest.approx(per * sum(max(v, 0.0) for v in lead) / DRAWS)
    lone = firmness(inputs, POLICY, replace(outcome, feasible=(0,)), worth=worth)
    assert lone.regret is not None
    assert (lone.regret.clicks, lone.regret.money, lone.regret.largest_money) == (0.0, 0.0, 0.0)
    assert lone.money == priced.money


def test_the_noise_of_another_search_is_in_every_difference(planted: Build) -> None:
    inputs = ladder(planted)
    df = np.array(inputs.pairs.df)
    df += np.arange(25).reshape(5, 5)
    df[0, 1] = 0.5  # half a degree of freedom counts as one
    inputs = replace(inputs, pairs=replace(inputs.pairs, df=df))
    variance = np.array([1e-6, 0.0, 3e-7, np.nan, 2e-6])  # the fourth is over the limit
    searches = Searches((9, 0, 9, 0, 9), variance, 3.0)
    wider = module._over_searches(inputs, (0, 1, 2, 4), searches)
    assert wider is not None
    moved = [1e-6, 0.0, 3e-7, 0.0, 2e-6]
    for a in range(5):
        for b in range(5):
            if a == b:
                assert wider.pairs.se[a, b] == 0.0
                continue
            square = inputs.pairs.se[a, b] ** 2
            total = square + moved[a] + moved[b]
            assert wider.pairs.se[a, b] == pytest.approx(total**0.5)
            parts = square**2 / max(df[a, b], 1.0) + moved[a] ** 2 / 3 + moved[b] ** 2 / 3
            assert wider.pairs.df[a, b] == pytest.approx(total**2 / parts)
    outcome = decide(inputs, POLICY)
    known = firmness(inputs, POLICY, outcome, searches=searches)
    lead = leads(drawn(wider, [0, 1, 4]), 0, [1, 2, 4])
    assert known.probability_searched == pytest.approx(share_within(lead, 0.001))
    assert known.probability_searched != known.probability
    sure = np.zeros((5, 5))
    exact = replace(inputs, pairs=replace(inputs.pairs, se=sure))
    still = module._over_searches(exact, (0, 1, 2, 4), searches)
    assert still is not None
    assert still.pairs.df[1, 3] == df[1, 3]  # neither moves: its degrees stay
    for unknown in ([np.nan, 0, 1e-6, 0, 0], [1e-6, 0, np.nan, 0, 0], [0.0] * 5):
        few = Searches((9,) * 5, np.array(unknown))
        assert module._over_searches(inputs, (0, 1, 4), few) is None
    assert module._over_searches(inputs, (0, 1), None) is None
    assert module._over_searches(replace(inputs, today=None), (0, 1), searches) is None


@pytest.mark.parametrize(
    ("trials", "place", "fewest"),
    [((4, 9, 9), 0, 4), ((9, 9, 3), 2, 3), ((4, 9, 3), 2, 3), ((1, 0, 2), 0, 1), ((3, 9, 3), 0, 3)],
)
def test_too_few_trials_of_the_choice_or_todays_are_said(
    planted: Build, trials: tuple[int, ...], place: int, fewest: int
) -> None:
    inputs = planted([0.006, 0.001, 0.0], [3.0, 4.0, 2.0], today=2)
    known = firmness(
        inputs,
        POLICY,
        decide(inputs, POLICY),
        searches=Searches(trials, np.full(3, np.nan)),
    )
    (reason,) = known.reasons
    assert reason == GradeReason(
        "search",
        {"trials": float(fewest), "needed": 5.0},
        f"s{place}",
        f"completed trials of 's{place}': {trials[place]}; 5 are needed to know what another "
        "search would have found.",
    )


@pytest.mark.parametrize("trials", [(5, 1, 5), (0, 1, 5), (5, 1, 0), (0, 0, 0)])
def test_five_trials_are_enough_and_none_is_no_search(
    planted: Build, trials: tuple[int, ...]
) -> None:
    inputs = planted([0.006, 0.001, 0.0], [3.0, 4.0, 2.0], today=2)
    searches = Searches(trials, np.full(3, np.nan))
    assert firmness(inputs, POLICY, decide(inputs, POLICY), searches=searches).reasons == ()
    stay = Outcome("tie", "no_gain", 2, 2, 0, (0, 1, 2), (2,))
    assert module._of_search(inputs, 2, Searches((1, 1, 1), np.zeros(3)), ()) == []
    assert module._of_search(replace(inputs, today=None), 0, searches, ()) == []
    assert firmness(inputs, POLICY, stay).of == "s2"


def test_what_another_search_would_choose_is_named_or_that_it_is_nothing(planted: Build) -> None:
    inputs = planted([0.006, 0.001, 0.0], [3.0, 4.0, 2.0], today=2)
    enough = Searches((5, 5, 5), np.zeros(3))
    other = TurningPoint("search", "at", None, "clear", "s1")
    limit = TurningPoint("slo", "from", 12.0, "clear", "s2")
    (reason,) = module._of_search(inputs, 0, enough, (limit, other))
    assert reason == GradeReason(
        "search",
        {},
        "s1",
        "With the noise of another search in the intervals 's1' would be chosen.",
    )
    nothing = replace(other, choice=None)
    (reason,) = module._of_search(inputs, 0, enough, (nothing, other))
    assert (reason.strategy, reason.text) == (
        "",
        "With the noise of another search in the intervals nothing would be chosen.",
    )
    assert module._of_search(inputs, 0, enough, (limit,)) == []


def test_a_fifth_of_the_limit_and_half_or_twice_the_margin_are_said_in_full(
    planted: Build,
) -> None:
    inputs = planted([0.0, 0.006, 0.0052], [2.0, 6.0, 3.0])  # p99 8.82 and 4.41 at most
    known = firmness(inputs, POLICY, decide(inputs, POLICY))
    assert known.of == "s1"
    assert [(r.key, r.numbers, r.strategy, r.text) for r in known.reasons] == [
        ("limit", {"value": 8.0}, "s2", "At a limit of 8 ms 's2' would be chosen."),
        ("margin", {"value": 0.002}, "s2", "At a margin of 0.002 's2' would be chosen."),
    ]
    lone = planted([0.0, 0.006], [6.2, 6.0])
    known = firmness(lone, POLICY, decide(lone, POLICY))
    assert [(r.key, r.strategy, r.text) for r in known.reasons] == [
        ("limit", "", "At a limit of 8 ms nothing would be chosen.")
    ]


def test_the_nearest_turning_points_have_their_sides_cases_and_choices(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.012], [2.0, 3.0, 7.5], cost=[0.2, 0.3, 0.75])
    policy = replace(POLICY, max_cost=0.6)
    known = firmness(inputs, policy, decide(inputs, policy))
    by = {(flip.knob, flip.side): flip for flip in known.flips}
    assert known.of == "s1"
    below = by["slo", "below"]
    assert (below.case, below.choice) == ("tie", "s0")
    assert below.value == pytest.approx(3.0 * 1.4 * 1.05)
    assert ("slo", "from") not in by  # the better one costs too much at any limit
    dear = by["price", "from"]
    assert (dear.case, dear.choice, dear.value) == ("tie", "s0", pytest.approx(2.0))
    assert "traffic" not in {flip.knob for flip in known.flips}


def test_a_gain_below_a_quarter_of_the_margin_is_said_with_its_sign(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    for low, stated in ((0.000249, "+0.00025"), (0.0001, "+0.00010")):
        pairs = replace(inputs.pairs, se=np.full((2, 2), (0.006 - low) / 2.6))
        here = replace(inputs, pairs=pairs)
        outcome = decide(here, POLICY)
        (reason,) = module._of_gain(here, POLICY, outcome)
        assert (reason.key, reason.strategy) == ("gain", "s1")
        assert reason.numbers == pytest.approx({"low": low, "high": 0.012 - low, "margin": 0.001})
        assert reason.text == (
            f"The gain may be as small as {stated} AUC, less than a quarter of the margin of 0.001."
        )
    half = replace(inputs, pairs=replace(inputs.pairs, diff=np.array([[0, -0.5], [0.5, 0.0]])))
    exact = replace(half, pairs=replace(half.pairs, se=np.zeros((2, 2))))
    outcome = Outcome("clear", "better", 1, 1, 1, (0, 1), (1,))
    assert module._of_gain(exact, Policy(10.0, 2.0), outcome) == []  # a quarter is enough
    assert len(module._of_gain(exact, Policy(10.0, 2.0000001), outcome)) == 1
    lost = replace(outcome, reason="limit")
    assert module._of_gain(exact, Policy(10.0, 9.0), lost) == []


def test_a_minus_before_digits_is_a_true_one_and_no_other_is() -> None:
    assert module._minus("-0.3 [-4, 5] of -7; well-known") == (
        "\u22120.3 [\u22124, 5] of \u22127; well-known"
    )


def test_an_error_that_is_not_known_leaves_the_grade_alone(planted: Build) -> None:
    inputs = ladder(planted)
    outcome = decide(inputs, POLICY)
    se = errors(OWN)
    se[3, 0] = np.nan  # of whom is over the limit, nothing is read
    unread = replace(inputs, pairs=replace(inputs.pairs, se=se))
    assert firmness(unread, POLICY, outcome).probability is not None
    for a, b in ((0, 1), (1, 4), (4, 2)):
        se = errors(OWN)
        se[a, b] = np.nan
        unknown = replace(inputs, pairs=replace(inputs.pairs, se=se))
        assert firmness(unknown, POLICY, outcome) == Grading("clear")
