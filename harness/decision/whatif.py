"""Which strategy wins at which limit, price, traffic and value of a click, and what it earns a
year."""

from dataclasses import dataclass, replace
from itertools import product

from fusefront.harness.decision.expected import around
from fusefront.harness.decision.inputs import Inputs, Measured, Pairs
from fusefront.harness.decision.outcome import Case
from fusefront.harness.decision.policy import Policy, fits, may_fit

SECONDS_A_YEAR = 365 * 86_400


@dataclass(frozen=True)
class Business:
    """The assumptions of one cell of the grid; nothing here is measured."""

    slo_ms: float
    price_core_hour: float
    requests_per_second: float
    value_per_click: float


@dataclass(frozen=True)
class Replayed:
    """Clicks per 1,000 impressions of every configuration, paired over requests and seeds."""

    k: int
    requests: int
    rates: tuple[Measured, ...]  # [S]
    pairs: Pairs  # of the rates
    shown: float  # impressions of a replayed request, at most k
    predictions: int  # candidates scored per request in the bench
    price: float  # per core-hour, at which Candidate.cost was computed
    expected: tuple[float, ...] | None = None  # [S] gains over today's, shrunk


@dataclass(frozen=True)
class WhatIfCell:
    """The winner of one cell of the grid; money and clicks are a year's, over today's strategy."""

    business: Business
    winner: int | None
    case: Case
    gain: Measured | None = None
    clicks: Measured | None = None


@dataclass(frozen=True)
class Grid:
    """All combinations of the four axes, the last axis varying fastest; empty if no cost was
    measured or if other work disturbed the session."""

    cells: tuple[WhatIfCell, ...]
    axes: tuple[tuple[float, ...], ...] = ((), (), (), ())  # limits ms, prices, requests/s, values


def yearly_clicks(clicks: Replayed, business: Business, a: int, b: int) -> Measured:
    """How many clicks a year a gets more than b; value and interval allow for a having been
    picked."""
    impressions = business.requests_per_second * SECONDS_A_YEAR * clicks.shown
    more = clicks.pairs.picked(a, b)
    if clicks.expected is not None:
        more = around(more, clicks.expected[a] - clicks.expected[b])
    return Measured(*(x * impressions / 1000 for x in more))


def yearly_cost(inputs: Inputs, clicks: Replayed, business: Business, i: int) -> float | None:
    """The cost of serving for a year; None if the bench has no cost."""
    cost = inputs.candidates[i].cost
    if cost is None:
        return None
    millions = business.requests_per_second * SECONDS_A_YEAR * clicks.predictions / 1e6
    return millions * cost * business.price_core_hour / clicks.price


def net_gain(inputs: Inputs, clicks: Replayed, business: Business, i: int) -> Measured | None:
    """Money a year over today's strategy: the value of its clicks minus its extra serving cost."""
    assert inputs.today is not None
    own = yearly_cost(inputs, clicks, business, i)
    today = yearly_cost(inputs, clicks, business, inputs.today)
    if own is None or today is None:
        return None
    more = yearly_clicks(clicks, business, i, inputs.today)
    return Measured(*(x * business.value_per_click - (own - today) for x in more))


def cell(inputs: Inputs, clicks: Replayed, policy: Policy, business: Business) -> WhatIfCell:
    """The cell; its winner is the strategy within the limit whose yearly gain has the best lower
    bound."""
    assert inputs.today is not None
    here = replace(
        policy,
        slo_ms=business.slo_ms,
        cost_factor=business.price_core_hour / clicks.price,
    )
    net = {
        i: gain
        for i in inputs.shippable
        if fits(inputs, here, i) and (gain := net_gain(inputs, clicks, business, i)) is not None
    }
    if not net:
        return _cell(inputs, clicks, business, None, "infeasible", None)
    winner = max(net, key=lambda i: (net[i].low, net[i].value))
    if inputs.today not in net and not may_fit(inputs, here, inputs.today):
        return _cell(inputs, clicks, business, winner, "clear", net[winner])
    if net[winner].low > 0:
        return _cell(inputs, clicks, business, winner, "clear", net[winner])
    hopeful = max(net, key=lambda i: net[i].value)
    if net[hopeful].value > 0:
        return _cell(inputs, clicks, business, None, "thin", net[hopeful])
    if inputs.today not in net:  # today's may keep the limit: do not accept a loss to replace it
        return _cell(inputs, clicks, business, None, "thin", net[hopeful])
    return _cell(inputs, clicks, business, inputs.today, "tie", net[inputs.today])


def grid(inputs: Inputs, clicks: Replayed, policy: Policy, centre: Business) -> Grid:
    """The grid: limits +-20 %; traffic and price per core-hour times 1/2, 1, 2; value of a click
    times 1/10, 1, 10."""
    if inputs.disturbed or not any(c.cost is not None for c in inputs.candidates):
        return Grid(())
    axes = (
        tuple(round(centre.slo_ms * f, 6) for f in (0.8, 1.0, 1.2)),
        tuple(centre.price_core_hour * f for f in (0.5, 1.0, 2.0)),
        tuple(centre.requests_per_second * f for f in (0.5, 1.0, 2.0)),
        tuple(centre.value_per_click * f for f in (0.1, 1.0, 10.0)),
    )
    cells = (cell(inputs, clicks, policy, Business(*values)) for values in product(*axes))
    return Grid(tuple(cells), axes)


def break_even(inputs: Inputs, clicks: Replayed, business: Business, i: int) -> Measured | None:
    """The value of a click at which i pays for its extra serving cost; None = never or always.

    The interval comes from the ends of the click difference, so that its upper end may be infinite.
    """
    assert inputs.today is not None
    own = yearly_cost(inputs, clicks, business, i)
    today = yearly_cost(inputs, clicks, business, inputs.today)
    more = yearly_clicks(clicks, business, i, inputs.today)
    if own is None or today is None or own <= today or more.value <= 0:
        return None
    extra = own - today
    return Measured(
        extra / more.value, extra / more.high, extra / more.low if more.low > 0 else float("inf")
    )


def assumptions(clicks: Replayed, centre: Business, currency: str) -> tuple[str, ...]:
    """The assumptions of the table, printed beside it."""
    return (
        f"Clicks: {clicks.requests:,} logged test requests with at least two candidates, ranked "
        f"again by each strategy; a click counts if it lies in the top {clicks.k}.",
        "A click is taken to follow its item to its new place: no position effect, no candidates "
        "that were not logged, no change of what users do.",
        f"A request shows {clicks.shown:.2f} items on average and scores {clicks.predictions} "
        "candidates; traffic is the same all year (365 days).",
        f"Serving cost is proportional to price and traffic; at {centre.price_core_hour:g} "
        f"{currency} per core-hour it is the cost per million predictions of the bench. "
        "Training, storage and people are left out.",
        "Intervals hold the uncertainty of requests and training seeds, not that of prices, "
        "traffic or latency; they allow for the winner having been picked, and so do the expected "
        "values, which are drawn back to those of the others.",
    )


def _cell(
    inputs: Inputs,
    clicks: Replayed,
    business: Business,
    winner: int | None,
    case: Case,
    gain: Measured | None,
) -> WhatIfCell:
    more = None
    if winner is not None and inputs.today is not None:
        more = yearly_clicks(clicks, business, winner, inputs.today)
    return WhatIfCell(business, winner, case, gain, more)
