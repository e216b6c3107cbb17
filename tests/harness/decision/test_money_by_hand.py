"""A year's clicks and money by hand, where no strategy, axis or factor equals another."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from fusefront.harness.decision.inputs import Inputs, Measured, Pairs
from fusefront.harness.decision.policy import Policy
from fusefront.harness.decision.replay import clicks_in_top, open_log, per_thousand, shown
from fusefront.harness.decision.whatif import (
    Business,
    Replayed,
    assumptions,
    break_even,
    cell,
    grid,
    net_gain,
    yearly_clicks,
    yearly_cost,
)

Build = Callable[..., Inputs]
POLICY = Policy(slo_ms=10.0, margin=0.001, max_cost=7.0, cost_factor=3.0)
BUSINESS = Business(9.0, 0.08, 40.0, 0.02)
YEAR = 40.0 * 365 * 24 * 3600  # requests
DIFF = np.array([[0.0, -3.0, -4.0], [3.0, 0.0, -1.0], [4.0, 1.0, 0.0]])
SE = np.array([[0.0, 0.5, 2.0], [0.5, 0.0, 1.0], [2.0, 1.0, 0.0]])


def clicks(diff: np.ndarray = DIFF, se: np.ndarray = SE) -> Replayed:
    pairs = Pairs(diff, se, np.full((3, 3), 1e9), 3.0, 2.5)
    rates = (Measured(50.0, 49.0, 51.0),) * 3
    return Replayed(4, 3000, rates, pairs, shown=3.5, predictions=70, price=0.05)


def strategies(planted: Build, cost: tuple[float | None, ...] = (0.2, 0.4, 0.3)) -> Inputs:
    inputs = planted([0.0, 0.006, 0.009], [2.0, 4.0, 6.0])
    priced = (replace(c, cost=k) for c, k in zip(inputs.candidates, cost, strict=True))
    return replace(inputs, candidates=tuple(priced))


def extra(own: float, today: float = 0.2, price: float = 0.08) -> float:
    """What serving costs more in a year."""
    return YEAR * 70 / 1e6 * (own - today) * price / 0.05


def test_clicks_and_cost_of_a_year() -> None:
    per = YEAR * 3.5 / 1000
    expected = (3 * per, (3 - 2.5 * 0.5) * per, (3 + 2.5 * 0.5) * per)
    assert yearly_clicks(clicks(), BUSINESS, 1, 0) == pytest.approx(expected)


def test_cost_goes_with_price_traffic_and_candidates(planted: Build) -> None:
    inputs = strategies(planted, (0.2, None, 0.3))
    assert yearly_cost(inputs, clicks(), BUSINESS, 2) == pytest.approx(
        YEAR * 70 / 1e6 * 0.3 * 0.08 / 0.05
    )
    assert yearly_cost(inputs, clicks(), BUSINESS, 1) is None
    assert net_gain(inputs, clicks(), BUSINESS, 1) is None
    dear = strategies(planted, (None, 0.4, 0.3))
    assert net_gain(dear, clicks(), BUSINESS, 1) is None


def test_the_net_gain_takes_the_extra_cost_off_every_end(planted: Build) -> None:
    net = net_gain(strategies(planted), clicks(), BUSINESS, 1)
    per = YEAR * 3.5 / 1000 * 0.02
    expected = [x * per - extra(0.4) for x in (3.0, 1.75, 4.25)]
    assert net == pytest.approx(tuple(expected))


def test_the_best_lower_end_wins_and_not_the_best_value(planted: Build) -> None:
    inputs = strategies(planted)
    outcome = cell(inputs, clicks(), POLICY, BUSINESS)  # 2 gains 4 on average and -1 at least
    assert (outcome.winner, outcome.case) == (1, "clear")
    assert outcome.gain == net_gain(inputs, clicks(), BUSINESS, 1)
    assert outcome.clicks == yearly_clicks(clicks(), BUSINESS, 1, 0)
    assert outcome.business == BUSINESS


def test_a_cell_has_its_own_limit_and_its_own_price(planted: Build) -> None:
    inputs = strategies(planted, (0.2, 4.0, 0.3))
    sure, worth = clicks(se=SE / 100), replace(BUSINESS, value_per_click=5.0)
    assert cell(inputs, sure, POLICY, worth).winner == 2
    assert cell(inputs, sure, POLICY, replace(worth, slo_ms=8.0)).winner == 1
    # 4.0 a million at 0.05 a core-hour is 6.4 at 0.08 and 8 at 0.1, above the policy's 7
    dear = replace(worth, slo_ms=8.0, price_core_hour=0.1)
    assert cell(inputs, sure, POLICY, dear).winner == 0


def test_a_cell_without_a_sure_winner_is_thin_or_keeps_todays(planted: Build) -> None:
    inputs = strategies(planted)
    unsure = cell(inputs, clicks(se=10 * SE), POLICY, BUSINESS)
    assert (unsure.winner, unsure.case, unsure.clicks) == (None, "thin", None)
    assert unsure.gain == net_gain(inputs, clicks(se=10 * SE), BUSINESS, 2)  # the most hopeful
    lost = cell(inputs, clicks(diff=-DIFF), POLICY, BUSINESS)
    assert (lost.winner, lost.case, lost.gain) == (0, "tie", (0.0, 0.0, 0.0))
    assert lost.clicks == (0.0, 0.0, 0.0)
    none = cell(inputs, clicks(), POLICY, replace(BUSINESS, slo_ms=0.1))
    assert (none.winner, none.case, none.gain, none.clicks) == (None, "infeasible", None, None)


def test_where_todays_misses_the_limit_the_best_that_fits_wins_even_at_a_loss(
    planted: Build,
) -> None:
    inputs = planted([0.0, 0.006, 0.009], [20.0, 4.0, 5.0], cost=[0.2, 0.4, 0.3])
    outcome = cell(inputs, clicks(diff=-DIFF), POLICY, BUSINESS)
    assert (outcome.winner, outcome.case) == (1, "clear")
    assert outcome.gain is not None
    assert outcome.gain.high < 0


def test_of_equal_lower_ends_the_higher_value_wins(planted: Build) -> None:
    inputs = strategies(planted, (0.2, 0.2, 0.2))
    diff = np.array([[0.0, -3.0, -4.0], [3.0, 0.0, -1.0], [4.0, 1.0, 0.0]])
    se = np.array([[0.0, 0.4, 0.8], [0.4, 0.0, 1.0], [0.8, 1.0, 0.0]])  # both lower ends are 2
    assert cell(inputs, clicks(diff, se), POLICY, BUSINESS).winner == 2


def test_the_grid_has_every_combination_the_last_axis_fastest(planted: Build) -> None:
    inputs = strategies(planted)
    table = grid(inputs, clicks(), POLICY, BUSINESS)
    axes = ((7.2, 9.0, 10.8), (0.04, 0.08, 0.16), (20.0, 40.0, 80.0), (0.002, 0.02, 0.2))
    for axis, expected in zip(table.axes, axes, strict=True):
        assert axis == pytest.approx(expected)
    assert [c.business for c in table.cells] == [Business(*v) for v in product(*table.axes)]
    assert table.cells[40] == cell(inputs, clicks(), POLICY, BUSINESS)
    assert table.cells[7] == cell(inputs, clicks(), POLICY, table.cells[7].business)
    unpriced = strategies(planted, (None, None, None))
    assert grid(unpriced, clicks(), POLICY, BUSINESS).cells == ()
    assert grid(strategies(planted, (None, 0.4, None)), clicks(), POLICY, BUSINESS).cells != ()


def test_a_click_breaks_even_at_the_extra_cost_over_the_extra_clicks(planted: Build) -> None:
    inputs, per = strategies(planted), YEAR * 3.5 / 1000
    worth = break_even(inputs, clicks(), BUSINESS, 1)
    assert worth == pytest.approx(tuple(extra(0.4) / (x * per) for x in (3.0, 4.25, 1.75)))
    unsure = break_even(inputs, clicks(), BUSINESS, 2)
    assert unsure is not None
    assert unsure.low == pytest.approx(extra(0.3) / (9.0 * per))
    assert unsure.high == float("inf")


@pytest.mark.parametrize(
    ("cost", "sign"),
    [((0.2, None, 0.3), 1), ((None, 0.4, 0.3), 1), ((0.4, 0.4, 0.3), 1), ((0.2, 0.4, 0.3), -1),
     ((0.2, 0.4, 0.3), 0)],
)  # fmt: skip
def test_what_costs_no_more_or_brings_no_more_never_breaks_even(
    planted: Build, cost: tuple[float | None, ...], sign: int
) -> None:
    assert break_even(strategies(planted, cost), clicks(sign * DIFF), BUSINESS, 1) is None


def test_assumptions_name_their_numbers() -> None:
    sentences = assumptions(clicks(), BUSINESS, "EUR")
    assert len(sentences) == 5
    assert sentences[0] == (
        "Clicks: 3,000 logged test requests with at least two candidates, ranked again by each "
        "strategy; a click counts if it lies in the top 4."
    )
    assert sentences[2] == (
        "A request shows 3.50 items on average and scores 70 candidates; traffic is the same all "
        "year (365 days)."
    )
    assert "at 0.08 EUR per core-hour" in sentences[3]


def test_a_replay_keeps_requests_of_two_rows_and_their_clusters() -> None:
    request = np.array([4, 4, 6, 9, 9, 9])
    label = np.array([1, 0, 1, 0, 1, 1], np.uint8)
    log = open_log(label, request, np.array([70, 70, 30, 20, 20, 20]))
    assert log.keep.tolist() == [True, True, False, True, True, True]
    assert (log.request.tolist(), log.cluster.tolist()) == ([0, 0, 1, 1, 1], [1, 0])
    assert log.label.tolist() == [1, 0, 0, 1, 1]
    assert log.requests == 2
    score = np.array([0.1, 0.2, 0.5, 0.5, 0.3])
    assert clicks_in_top(log, score, 1).tolist() == [0.0, 0.5]
    assert clicks_in_top(log, score, 2).tolist() == [1.0, 1.0]
    assert shown(log, 2).tolist() == [2, 2]
    assert shown(log, 5).tolist() == [2, 3]


def test_the_rates_influence_is_its_derivative_in_a_clusters_weight() -> None:
    rng = np.random.default_rng(3)
    request = np.repeat(np.arange(60), rng.integers(2, 6, 60))
    label = (rng.random(len(request)) < 0.4).astype(np.uint8)
    log = open_log(label, request, rng.integers(0, 9, 60)[request])
    score = rng.integers(0, 3, len(request)).astype(float)
    rate, influence = per_thousand(log, score, 2)
    clicked, impressions = clicks_in_top(log, score, 2), shown(log, 2)
    assert rate == pytest.approx(1000 * clicked.sum() / impressions.sum())
    for cluster in range(9):
        inside = log.cluster == cluster

        def weighted(weight: float, inside: np.ndarray = inside) -> float:
            w = np.where(inside, weight, 1.0)
            return 1000 * float((w * clicked).sum() / (w * impressions).sum())

        slope = (weighted(1 + 1e-6) - weighted(1 - 1e-6)) / 2e-6
        assert influence[cluster] == pytest.approx(slope, abs=1e-5)
