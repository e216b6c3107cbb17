from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from fusefront.harness.decision.inputs import Inputs, Measured, Pairs
from fusefront.harness.decision.policy import Policy
from fusefront.harness.decision.whatif import (
    SECONDS_A_YEAR,
    Business,
    Replayed,
    assumptions,
    break_even,
    cell,
    grid,
    yearly_clicks,
    yearly_cost,
)
from fusefront.harness.dossier.money import what_if
from fusefront.reports.evidence import Interval

Build = Callable[..., Inputs]
POLICY = Policy(slo_ms=10.0, margin=0.001)
CENTRE = Business(10.0, 0.05, 100.0, 0.01)


def clicks(rates: list[float], se: float = 0.1) -> Replayed:
    """Rates per 1,000 impressions; se of every difference; 5 items shown, 100 scored."""
    rate = np.array(rates)
    error = np.full((len(rate), len(rate)), se)
    np.fill_diagonal(error, 0.0)
    pairs = Pairs(rate[:, None] - rate, error, np.full(error.shape, 1e9), 3.0, 2.5)
    known = tuple(Measured(r, r - 1, r + 1) for r in rates)
    return Replayed(5, 4000, known, pairs, shown=5.0, predictions=100, price=0.05)


def test_money_equals_hand_arithmetic(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 4.0], cost=[0.2, 0.4])
    row = cell(inputs, clicks([50.0, 52.0]), POLICY, CENTRE)
    requests = 100.0 * 365 * 86_400
    more = 2.0 / 1000 * requests * 5
    extra = (0.4 - 0.2) * requests * 100 / 1e6
    assert row.winner == 1
    assert row.case == "clear"
    assert row.clicks is not None
    assert row.gain is not None
    assert row.clicks.value == pytest.approx(more)
    assert row.gain.value == pytest.approx(more * 0.01 - extra)
    assert row.gain.low == pytest.approx((2.0 - 2.5 * 0.1) / 2.0 * more * 0.01 - extra)


def test_dear_serving_turns_the_winner(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 4.0], cost=[0.2, 0.4])
    rates = clicks([50.0, 52.0])
    worthless = replace(CENTRE, value_per_click=1e-5)
    assert cell(inputs, rates, POLICY, CENTRE).winner == 1
    row = cell(inputs, rates, POLICY, worthless)
    assert (row.winner, row.case) == (0, "tie")
    assert row.gain is not None
    assert row.gain.value == 0.0


def test_the_break_even_value_is_where_the_gain_is_zero(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 4.0], cost=[0.2, 0.4])
    rates = clicks([50.0, 52.0])
    worth = break_even(inputs, rates, CENTRE, 1)
    assert worth is not None
    row = cell(inputs, rates, POLICY, replace(CENTRE, value_per_click=worth.high * 1.0001))
    assert row.winner == 1
    assert row.gain is not None
    assert row.gain.low == pytest.approx(0, abs=0.001 * row.gain.value)
    before = cell(inputs, rates, POLICY, replace(CENTRE, value_per_click=worth.high * 0.9999))
    assert before.winner is None  # it may earn and may lose


def test_an_uncertain_gain_is_no_win(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 4.0], cost=[0.2, 0.2])
    row = cell(inputs, clicks([50.0, 50.2], se=0.1), POLICY, CENTRE)
    assert (row.winner, row.case) == (None, "thin")
    assert row.gain is not None
    assert row.gain.low is not None
    assert row.gain.low < 0 < row.gain.value


def test_the_limit_decides_who_may_win(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.009], [2.0, 4.0, 7.5], cost=[0.2, 0.4, 0.75])
    rates = clicks([50.0, 52.0, 53.0])
    assert cell(inputs, rates, POLICY, CENTRE).winner == 1
    assert cell(inputs, rates, POLICY, replace(CENTRE, slo_ms=12.0)).winner == 2
    assert cell(inputs, rates, POLICY, replace(CENTRE, slo_ms=1.0)).case == "infeasible"


def test_the_grid_holds_every_combination_and_gains_scale_with_traffic(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 4.0], cost=[0.2, 0.4])
    rates = clicks([50.0, 52.0])
    cells = grid(inputs, rates, POLICY, CENTRE)
    analysis = what_if(inputs, rates, cells, ("as if",))
    rows = analysis.rows
    assert len(rows) == 81
    assert analysis.assumptions == ("as if",)
    expected = product(analysis.limits_ms, analysis.prices, analysis.traffic, analysis.values)
    fields = ("slo_ms", "price_core_hour", "requests_per_second", "value_per_click")
    assert [tuple(getattr(r, f) for f in fields) for r in rows] == list(expected)
    assert cells.cells[analysis.centre] == cell(inputs, rates, POLICY, CENTRE)
    assert rows[analysis.centre].winner == "s1"
    assert rows[analysis.centre].yearly_gain == Interval(*cells.cells[analysis.centre].gain)
    assert rows[analysis.centre].yearly_clicks == Interval(*cells.cells[analysis.centre].clicks)
    assert [(c.strategy, c.rate.value) for c in analysis.clicks] == [("s0", 50.0), ("s1", 52.0)]
    assert analysis.clicks[0].difference is None
    assert analysis.clicks[1].difference.value == pytest.approx(2.0)
    assert (
        len({(r.slo_ms, r.price_core_hour, r.requests_per_second, r.value_per_click) for r in rows})
        == 81
    )
    pick = {
        r.requests_per_second: r.yearly_gain
        for r in rows
        if (r.slo_ms, r.price_core_hour, r.value_per_click) == (10.0, 0.05, 0.01)
    }
    assert pick[200.0].value == pytest.approx(4 * pick[50.0].value)


def test_cost_scales_with_price_and_traffic(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 4.0], cost=[0.2, 0.4])
    rates = clicks([50.0, 52.0])
    cost = yearly_cost(inputs, rates, CENTRE, 1)
    assert cost == pytest.approx(100 * SECONDS_A_YEAR * 100 / 1e6 * 0.4)
    double = replace(CENTRE, price_core_hour=0.1, requests_per_second=50.0)
    assert yearly_cost(inputs, rates, double, 1) == pytest.approx(cost)
    assert yearly_clicks(rates, CENTRE, 1, 1) == (0.0, 0.0, 0.0)


def test_without_a_cost_no_money_is_computed_and_it_is_said(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 4.0], bench=False)
    bare = replace(inputs, candidates=tuple(replace(c, cost=None) for c in inputs.candidates))
    analysis = what_if(
        bare, clicks([50.0, 52.0]), grid(bare, clicks([50.0, 52.0]), POLICY, CENTRE), ()
    )
    assert analysis.rows == ()
    assert analysis.assumptions == ("No cost was measured, so no money is computed.",)
    assert len(analysis.clicks) == 2


def test_assumptions_are_said_with_their_numbers() -> None:
    text = " ".join(assumptions(clicks([50.0, 52.0]), CENTRE, "USD"))
    assert "4,000 logged test requests" in text
    assert "no position effect" in text
    assert "0.05 USD per core-hour" in text


def test_clicks_are_around_what_is_expected_of_whoever_was_picked() -> None:
    """Per 1,000: 2 more as measured, 1.8 expected; kept within the interval of 1.75 to 2.25."""
    rates = clicks([50.0, 52.0])
    per = 100.0 * 365 * 86_400 * 5 / 1000
    for expected, value in (((0.1, 1.9), 1.8), ((1.0, 0.0), 1.75), ((0.0, np.nan), 2.0)):
        more = yearly_clicks(replace(rates, expected=expected), CENTRE, 1, 0)
        assert more == pytest.approx((value * per, 1.75 * per, 2.25 * per))
