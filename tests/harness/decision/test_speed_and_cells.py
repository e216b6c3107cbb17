"""Who is faster at which quantile, who wins a cell on what is not known, what no p99 says."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision import frontier as front
from fusefront.harness.decision.inputs import Candidate, Inputs, Latency, Measured, Pairs
from fusefront.harness.decision.policy import Policy, decide
from fusefront.harness.decision.whatif import Business, Replayed, cell

from .changed_inputs import POLICY, changed, tail

Build = Callable[..., Inputs]


def crossed() -> Inputs:
    """0 is faster at p50 and 1 at p99; the third is between at either, and worst in AUC."""
    rounds = np.array([0.01, -0.02, 0.03, 0.0, -0.02])

    def timed(p50: float, p99: float) -> Latency:
        ends = [Measured(v, 0.99 * v, 1.01 * v) for v in (p50, p99)]
        logs = [tuple((np.log(v) + rounds).tolist()) for v in (p50, p99)]
        return Latency(ends[0], ends[0], ends[1], *logs)

    latencies = (timed(1.0, 9.0), timed(3.0, 4.0), timed(2.0, 6.0))
    candidates = tuple(Candidate(f"s{i}", latency=each) for i, each in enumerate(latencies))
    value = np.array([0.71, 0.72, 0.70])
    auc = tuple(Measured(v, v - 0.01, v + 0.01) for v in value.tolist())
    error = np.full((3, 3), 0.001) * (1 - np.eye(3))
    pairs = Pairs(value[:, None] - value, error, np.full((3, 3), 90.0), 3.0, 2.5)
    return Inputs(candidates, auc, pairs, 0, 900, floor=0.1)


def test_who_is_faster_is_asked_at_the_median_unless_another_quantile_is_named() -> None:
    inputs = crossed()
    assert front.log_latency(inputs).tolist() == pytest.approx(np.log([1.0, 3.0, 2.0]).tolist())
    assert front.log_latency(inputs, "p99").tolist() == pytest.approx(np.log([9, 4, 6]).tolist())
    assert front.slower_than(inputs, 0).tolist() == [False, True, True]
    assert front.slower_than(inputs, 0, "p99").tolist() == [False, False, False]
    assert front.slower_than(inputs, 2).tolist() == [False, True, False]
    median = [[False, True, True], [False, False, False], [False, True, False]]
    assert front.confidently_faster(inputs).tolist() == median
    assert front.confidently_faster(inputs, "p50").tolist() == median
    tails = [[False, False, False], [True, False, True], [True, False, False]]
    assert front.confidently_faster(inputs, "p99").tolist() == tails


def test_a_front_is_drawn_at_its_quantile_and_drops_by_the_median() -> None:
    inputs, rng = crossed(), np.random.default_rng(0)
    auc = np.array([[0.71, 0.72, 0.70]])
    by_median = front.frontier(inputs, auc, rng, margin=0.02, drawn="p50")
    assert (by_median.on_front, by_median.probability) == (
        (True, True, False),
        (1.0, 1.0, 0.0),
    )
    by_tail = front.frontier(inputs, auc, rng, margin=0.02, drawn="p99")
    assert by_tail.on_front == (False, True, False)
    assert by_tail.probability == (0.0, 1.0, 0.0)
    for edge in (by_median, by_tail):
        assert edge.dominated_by == (None, None, 0)
        assert edge.not_worth == (None, 0, 0)


def test_a_speed_is_worked_out_once_for_each_configuration_and_quantile() -> None:
    inputs = crossed()
    first = front.slower_than(inputs, 0)
    assert front.slower_than(inputs, 0) is first
    assert set(inputs.paired_latencies) == {(0, "p50")}
    front.slower_than(inputs, 0, "p99")
    front.slower_than(inputs, 1)
    assert set(inputs.paired_latencies) == {(0, "p50"), (0, "p99"), (1, "p50")}


def test_the_shared_round_moves_all_alike_and_few_rounds_draw_wider_tails() -> None:
    """Of 5 equal rounds the difference is certain, and each has Student's t with 4 degrees."""
    drawn = front.draw_latency(crossed(), np.random.default_rng(1), 40_000, "p50")
    assert drawn.shape == (40_000, 3)
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], np.log(3.0), atol=1e-12)
    own = np.std([0.01, -0.02, 0.03, 0.0, -0.02], ddof=1) / 5**0.5
    scaled = np.abs(drawn[:, 0]) / own
    for quantile, expected in ((0.5, 0.7407), (0.95, 2.7764), (0.99, 4.6041)):  # of |t|, 4 df
        assert np.quantile(scaled, quantile) == pytest.approx(expected, rel=0.05)


DIFF = np.array([[0.0, -3.0], [3.0, 0.0]])


def replayed(se: float, diff: np.ndarray = DIFF) -> Replayed:
    pairs = Pairs(diff, np.array([[0.0, se], [se, 0.0]]), np.full((2, 2), 1e9), 3.0, 2.5)
    rates = (Measured(50.0, 49.0, 51.0),) * 2
    return Replayed(4, 3000, rates, pairs, shown=3.5, predictions=70, price=0.05)


@pytest.mark.parametrize(
    ("today", "se", "sign", "winner", "case"),
    [
        ((8.0, 12.0), 2.0, 1, None, "thin"),  # may earn, may lose, and today's may keep the limit
        ((8.0, 12.0), 1.0, 1, 1, "clear"),
        ((8.0, 12.0), 1.0, -1, None, "thin"),  # loses: no loss is taken on what is not known
        ((11.0, 12.0), 1.0, -1, 1, "clear"),  # today's misses the limit: whoever fits, wins
        ((8.0, 9.0), 1.0, -1, 0, "tie"),
        ((8.0, 9.0), 2.0, 1, None, "thin"),
    ],
)
def test_a_cell_takes_no_loss_on_a_limit_that_todays_may_keep(
    planted: Build,
    today: tuple[float, float],
    se: float,
    sign: int,
    winner: int | None,
    case: str,
) -> None:
    inputs = planted([0.0, 0.006], [7.0, 4.0], cost=[0.2, 0.2])
    inputs = changed(inputs, 0, latency=tail(*today))
    outcome = cell(inputs, replayed(se, sign * DIFF), POLICY, Business(10.0, 0.05, 40.0, 0.02))
    assert (outcome.winner, outcome.case) == (winner, case)
    assert outcome.gain is not None
    assert (outcome.clicks is None) == (winner is None)


def test_without_a_p99_nothing_is_known_of_the_limit_and_it_is_said(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    for i in (0, 1):
        latency = inputs.candidates[i].latency
        assert latency is not None
        inputs = changed(inputs, i, latency=replace(latency, p99=None, log_p99=()))
    outcome = decide(inputs, POLICY)
    assert (outcome.case, outcome.subject) == ("thin", 1)
    (lack,) = outcome.lacks
    assert lack.text == (
        "No strategy is shown to keep a p99 of at most 10 ms, and of 2 it is not known, 's1' among "
        "them (no p99: fewer than 1,000 requests were timed); measure again while nothing else "
        "runs (`fusefront bench STUDY --add` pools the sessions), or raise the limit."
    )
    dear = decide(inputs, replace(POLICY, max_cost=0.1))
    (lack,) = dear.lacks
    assert (dear.case, lack.kind, lack.strategy, lack.have) == ("infeasible", "limit", "s1", None)
    assert "'s1' has no p99: fewer than 1,000 requests were timed and costs 0.3;" in lack.text


def test_an_open_end_of_p99_is_said_to_be_that_or_more(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    for i in (0, 1):
        latency = inputs.candidates[i].latency
        assert latency is not None
        inputs = changed(inputs, i, latency=replace(latency, p99_open=True))
    outcome = decide(inputs, POLICY)
    assert outcome.case == "thin"
    assert "(p99 4.2 ms [3.99, 4.41 or more])" in outcome.lacks[0].text
    assert decide(inputs, Policy(1.0, 0.001)).case == "infeasible"
