"""Every comparison of a decision at the very value where it turns, and reasons that are rare."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.decision import firmness as firm
from fusefront.harness.decision import frontier as front
from fusefront.harness.decision.alternatives import alternatives
from fusefront.harness.decision.firmness import Grading, Worth, firmness
from fusefront.harness.decision.inputs import Candidate, Inputs, Latency, Measured, Pairs
from fusefront.harness.decision.outcome import Outcome
from fusefront.harness.decision.policy import cheapest, decide, not_worse
from fusefront.harness.decision.whatif import Business, Replayed, break_even, cell, grid
from fusefront.harness.statistics.exchangeable import steadied
from fusefront.harness.statistics.power import Settle

from .changed_inputs import POLICY, changed, tail

Build = Callable[..., Inputs]
YEAR = 365 * 24 * 3600


def with_pairs(inputs: Inputs, diff: list[list[float]], se: list[list[float]]) -> Inputs:
    """Gains and errors of every pair, by hand."""
    pairs = replace(inputs.pairs, diff=np.array(diff), se=np.array(se))
    auc = tuple(Measured(0.7 + row[0], 0.6, 0.8) for row in diff)
    return replace(inputs, pairs=pairs, auc=auc)


def without_errors(inputs: Inputs, gain: float) -> Inputs:
    return with_pairs(inputs, [[0.0, -gain], [gain, 0.0]], [[0.0, 0.0], [0.0, 0.0]])


def test_who_is_worse_by_just_the_margin_is_too_much_worse(planted: Build) -> None:
    inputs = without_errors(planted([0.0, 0.0], [2.0, 3.0]), -0.5)
    assert not not_worse(inputs, replace(POLICY, margin=0.5), 1, 0)
    assert not_worse(inputs, replace(POLICY, margin=0.5000001), 1, 0)


def test_a_gain_of_just_nothing_is_no_gain(planted: Build) -> None:
    faster = without_errors(planted([0.0, 0.0], [4.0, 2.0]), 0.0)
    outcome = decide(faster, POLICY)
    assert (outcome.choice, outcome.reason) == (1, "cheaper")
    slower = without_errors(planted([0.0, 0.0], [2.0, 3.0]), 0.0)
    unknown = replace(tail(8.0, 12.0), p50=Measured(2.0, 1.9, 2.1))
    slower = changed(slower, 0, latency=unknown)
    assert decide(slower, POLICY).case == "thin"  # only a limit that today's may keep is for it
    assert decide(without_errors(slower, 1e-9), POLICY).reason == "better"


def test_an_equal_of_the_leader_must_stand_for_itself_unless_todays_misses_the_limit(
    planted: Build,
) -> None:
    """s2 is fast and surely as good as s1, but over today's its error is ten times as large."""
    inputs = planted([0.0, 0.001, 0.0008], [4.0, 5.0, 2.0])
    se = [[0.0, 0.0002, 0.001], [0.0002, 0.0, 0.0001], [0.001, 0.0001, 0.0]]
    inputs = replace(inputs, pairs=replace(inputs.pairs, se=np.array(se)))
    outcome = decide(inputs, POLICY)
    assert (outcome.leader, outcome.equivalent) == (1, (1, 2))
    assert (outcome.choice, outcome.reason) == (1, "better")
    breach = decide(changed(inputs, 0, latency=tail(11.0, 12.0)), POLICY)
    assert (breach.choice, breach.reason, breach.equivalent) == (2, "limit", (1, 2))


def test_todays_stands_beside_a_leader_that_gains_less_than_the_margin(planted: Build) -> None:
    inputs = planted([0.0, 0.0004], [2.0, 3.0], se=0.00005)
    outcome = decide(inputs, POLICY)
    assert inputs.pairs.picked(1, 0).low > 0
    assert (outcome.case, outcome.reason, outcome.choice) == ("tie", "equivalent", 0)
    assert (outcome.leader, outcome.subject, outcome.equivalent) == (1, 1, (0, 1))


def test_of_equal_speeds_the_best_low_end_ships_and_not_the_best_high_end(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.0062], [4.0, 2.0, 2.001], parameters=[9, 9, 9])
    se = [[0.0, 0.0002, 0.0006], [0.0002, 0.0, 0.0001], [0.0006, 0.0001, 0.0]]
    inputs = replace(inputs, pairs=replace(inputs.pairs, se=np.array(se)))
    lows, highs = ([inputs.pairs.picked(i, 0)[k] for i in (1, 2)] for k in (1, 2))
    assert lows[0] > lows[1]
    assert highs[0] < highs[1]
    assert cheapest(inputs, [1, 2]) == 1


def test_without_controls_nothing_is_decided(planted: Build) -> None:
    outcome = decide(replace(planted([0.0, 0.006], [2.0, 3.0]), controlled=False), POLICY)
    assert (outcome.case, outcome.reason) == ("thin", "too_little")
    (lack,) = outcome.lacks
    assert lack.kind == "controls"
    assert lack.text.startswith("This study runs without controls, so that nothing is ranked")


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (Settle(0, 4), "; a difference of the declared effect would have been seen with 80 %"),
        (Settle(900, 0), "; a difference of the declared effect would have been seen with 80 %"),
        (Settle(1, 3), "; about 1 more test rows or 3 more seeds would see the declared effect"),
        (Settle(7, 1), "; about 7 more test rows or 1 more seeds would see the declared effect"),
    ],
)
def test_what_needs_no_more_rows_or_seeds_is_told_from_what_needs_few(
    planted: Build, needs: Settle, words: str
) -> None:
    inputs = replace(planted([0.0, 0.003], [2.0, 3.0], se=0.002), settle=lambda a, b: needs)
    (lack,) = decide(inputs, POLICY).lacks
    assert words in lack.text
    assert lack.need == (None if 0 in needs else needs[0])


# speeds


def timed(ms: float, log: tuple[float, ...], sessions: tuple[int, ...] = ()) -> Latency:
    ends = Measured(ms, 0.9 * ms, 1.1 * ms)
    return Latency(ends, ends, ends, log, log, sessions=sessions)


def bench(latencies: list[Latency], floor: float = 0.0) -> Inputs:
    size = len(latencies)
    candidates = tuple(Candidate(f"s{i}", latency=each) for i, each in enumerate(latencies))
    zero = np.zeros((size, size))
    auc = tuple(Measured(0.7, 0.6, 0.8) for _ in latencies)
    return Inputs(candidates, auc, Pairs(zero, zero, zero + 9, 2.0, 2.0), 0, 900, floor)


FIRST = (0.01, -0.02, 0.03, 0.0, -0.02)


@pytest.mark.parametrize("sessions", [(), (5,)])
def test_the_rounds_of_one_session_are_paired(sessions: tuple[int, ...]) -> None:
    """Equal rounds: the difference is certain, whatever each interval says."""
    inputs = bench([timed(1.0, FIRST, sessions), timed(1.01, FIRST, sessions)])
    assert front.slower_than(inputs, 0).tolist() == [False, True]
    drawn = front.draw_latency(inputs, np.random.default_rng(0), 50, "p50")
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], np.log(1.01), atol=1e-12)


def test_two_sessions_are_drawn_from_intervals_each_by_itself() -> None:
    inputs = bench([timed(1.0, FIRST, (3, 2)), timed(1.01, FIRST, (3, 2))])
    drawn = front.draw_latency(inputs, np.random.default_rng(3), 4, "p50")
    own = np.log(1.1 / 0.9) / (2 * 1.96)
    normal = np.random.default_rng(3).standard_normal((4, 2))
    np.testing.assert_allclose(drawn, np.log([1.0, 1.01]) + own * normal)
    one_round = bench([timed(1.0, FIRST[:1]), timed(1.01, FIRST[:1])])
    drawn = front.draw_latency(one_round, np.random.default_rng(3), 4, "p50")
    np.testing.assert_allclose(drawn, np.log([1.0, 1.01]) + own * normal)


def test_two_rounds_are_enough_to_be_paired() -> None:
    inputs = bench([timed(1.0, FIRST[:2]), timed(1.01, FIRST[:2])])
    assert front.slower_than(inputs, 0).tolist() == [False, True]
    drawn = front.draw_latency(inputs, np.random.default_rng(0), 9, "p50")
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], np.log(1.01), atol=1e-12)


def test_rounds_are_scaled_once_for_each_quantile() -> None:
    inputs = bench([timed(1.0, FIRST), timed(2.0, FIRST)])
    assert front._rounds(inputs, "p50") is front._rounds(inputs, "p50")
    assert set(inputs.scaled_rounds) == {"p50"}


def test_a_lead_of_just_the_floor_is_none() -> None:
    for floor, slower in ((float(np.log(2.0)), False), (float(np.log(2.0)) - 1e-12, True)):
        inputs = bench([timed(1.0, FIRST), timed(2.0, FIRST)], floor)
        assert front.slower_than(inputs, 0).tolist() == [False, slower]


@pytest.mark.parametrize(("errors", "slower"), [(0.999, False), (1.001, True)])
def test_over_sessions_the_lead_is_told_by_students_t_of_three_normal_errors(
    errors: float, slower: bool
) -> None:
    rng = np.random.default_rng(2)
    base, noise = rng.normal(0, 0.01, 19), rng.normal(0, 0.004, 19)
    noise += np.repeat([0.012, -0.004, -0.006], (5, 8, 6))

    def pooled(apart: float, floor: float = 0.0) -> Inputs:
        logs = [tuple(base.tolist()), tuple((base + noise + apart).tolist())]
        return bench([timed(1.0, log, (5, 8, 6)) for log in logs], floor)

    pool = front._paired_by_session(pooled(0.0), 0, "p50")
    least = stats.t.ppf(stats.norm.cdf(3.0), pool.df[1]) * pool.error[1]
    apart = float(errors * least - pool.mean[1])
    assert front.slower_than(pooled(apart), 0).tolist() == [False, slower]
    if slower:
        lead = float(front._paired_by_session(pooled(apart), 0, "p50").mean[1])
        assert front.slower_than(pooled(apart, lead), 0).tolist() == [False, False]
        assert front.slower_than(pooled(apart, lead - 1e-9), 0).tolist() == [False, True]


def test_who_leads_by_just_the_errors_of_all_pairs_neither_beats_nor_differs() -> None:
    inputs = bench([timed(1.0, FIRST), timed(2.0, FIRST)])
    se = np.array([[0.0, 0.25], [0.25, 0.0]])
    for lead, beaten in ((0.5, None), (0.5000001, 0)):
        diff = np.array([[0.0, lead], [-lead, 0.0]])
        pairs = replace(inputs.pairs, diff=diff, se=se)
        auc = (Measured(0.7, 0.6, 0.8), Measured(0.7 - lead, 0.1, 0.9))
        here = replace(inputs, pairs=pairs, auc=auc)
        assert front.beaten(here, np.ones((2, 2), bool)) == [None, beaten]
        assert front.tied_groups(here) == (((0, 1),) if beaten is None else ((0,), (1,)))


def test_variances_are_steadied_where_those_of_the_seeds_are_known() -> None:
    se = np.array([[0.0, 0.2, 0.3], [0.2, 0.0, 0.5], [0.3, 0.5, 0.0]])
    plain = Pairs(se, se, se, 3.0, 2.5)
    np.testing.assert_allclose(plain.steady_variance, se * se)
    seeds = np.array([0.01, 0.02, 0.004])
    known = replace(plain, seeds=seeds)
    np.testing.assert_allclose(known.steady_variance, steadied(se * se, seeds))
    assert (known.steady_variance != plain.steady_variance).any()


# money of less than one


def small(low: float, value: float, shown: float = 4.0) -> tuple[Replayed, Business]:
    """A thousand impressions a year, so that clicks per 1,000 are clicks."""
    error = np.array([[0.0, 1.0], [1.0, 0.0]]) * (value - low) / 2.5
    pairs = Pairs(np.array([[0.0, -value], [value, 0.0]]), error, np.full((2, 2), 1e9), 3.0, 2.5)
    rates = (Measured(50.0, 49.0, 51.0),) * 2
    clicks = Replayed(4, 3000, rates, pairs, shown=shown, predictions=70, price=0.05)
    return clicks, Business(10.0, 0.05, 1000 / shown / YEAR, 1.0)


@pytest.mark.parametrize(
    ("low", "value", "winner", "case"),
    [(0.5, 0.75, 1, "clear"), (-0.25, 0.5, None, "thin"), (-0.5, -0.25, 0, "tie")],
)
def test_less_than_one_of_a_currency_is_a_gain_too(
    planted: Build, low: float, value: float, winner: int | None, case: str
) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0], cost=[0.2, 0.2])
    clicks, business = small(low, value)
    outcome = cell(inputs, clicks, POLICY, business)
    assert (outcome.winner, outcome.case) == (winner, case)


@pytest.mark.parametrize("low", [0.5, 0.0, -0.25])
def test_a_click_pays_for_itself_where_there_are_few_more(planted: Build, low: float) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0], cost=[0.25, 0.5])
    clicks, business = small(low, 0.75)
    worth = break_even(inputs, clicks, business, 1)
    assert worth is not None
    extra = 250 * 70 / 1e6 * 0.25
    assert worth.value == pytest.approx(extra / 0.75)
    assert worth.low == pytest.approx(extra / (1.5 - low))
    assert worth.high == pytest.approx(extra / low if low > 0 else float("inf"))


def test_limits_of_the_grid_have_six_digits(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0], cost=[0.2, 0.2])
    clicks, business = small(0.5, 0.75)
    table = grid(inputs, clicks, POLICY, replace(business, slo_ms=1.2345678))
    assert table.axes[0] == (0.987654, 1.234568, 1.481481)


# firmness


def test_what_runs_today_unknown_says_nothing_beside_the_grade(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    chosen = Outcome("clear", "better", 1, 1, 1, (0, 1), (1,))
    assert firmness(replace(inputs, today=None), POLICY, chosen) == Grading("clear")
    nothing = replace(chosen, choice=None)
    assert firmness(replace(inputs, today=None), POLICY, nothing) == Grading("not decided")
    bare = Grading("clear")
    assert (bare.rivals, bare.picked_of, bare.format, bare.of) == (0, 0, 1, "")


def test_what_a_cheaper_choice_may_lose_is_its_low_end(planted: Build) -> None:
    inputs = planted([0.0, -0.0005], [4.0, 2.0], se=0.00015)  # from -.00089 to -.00011
    outcome = decide(inputs, POLICY)
    assert outcome.reason == "cheaper"
    (reason,) = firm._of_gain(inputs, POLICY, outcome)
    assert reason.numbers == pytest.approx({"low": -0.00089, "high": -0.00011, "margin": 0.001})
    assert reason.text.startswith("It may lose 0.00089 AUC, within a quarter of the margin")


def test_clicks_that_may_be_no_more_have_their_numbers_by_name(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    clicks, business = small(-0.5, 2.0)
    known = firmness(inputs, POLICY, decide(inputs, POLICY), worth=Worth(inputs, clicks, business))
    (reason,) = [each for each in known.reasons if each.key == "clicks"]
    assert reason.numbers == pytest.approx({"value": 2.0, "low": -0.5, "high": 4.5})


def test_the_best_one_over_the_limit_is_shown_and_no_better_one_under_it(planted: Build) -> None:
    """s2 is under the limit and best in AUC, but hardly known; s3 is over the limit."""
    inputs = planted([0.0, 0.006, 0.010, 0.008, 0.0059], [2.0, 3.0, 4.0, 40.0, 5.0])
    se = inputs.pairs.se.copy()
    se[2, :2] = se[:2, 2] = se[2, 3:] = se[3:, 2] = 0.003
    inputs = replace(inputs, pairs=replace(inputs.pairs, se=se))
    outcome = decide(inputs, POLICY)
    assert (outcome.choice, outcome.feasible) == (1, (0, 1, 2, 4))
    assert alternatives(inputs, POLICY, outcome) == [4, 3, 2]
