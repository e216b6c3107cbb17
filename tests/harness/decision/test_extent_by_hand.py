"""The front as a whole by a loop over the draws: unequal errors, and some who are left out."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.expected import expected_over_today
from fusefront.harness.decision.extent import FrontExtent, covered, front_extent, knee_of
from fusefront.harness.decision.frontier import draw_latency
from fusefront.harness.decision.inputs import Inputs
from fusefront.harness.statistics.exchangeable import DRAWS, covariance_of_gains, gain_draws

from .changed_inputs import changed

Build = Callable[..., Inputs]
TODAY, MEMBERS, RIVALS = 2, [0, 2, 4, 6], [0, 4, 6]
MS = [4.0, 1.0, 1.5, 1.1, 2.2, 9.0, 6.0]
GAINS = [0.0045, 0.002, 0.0, 0.001, 0.0025, 0.02, 0.0050]


def ladder(planted: Build) -> Inputs:
    """1 is a measuring device, 3 has no error, 5 no latency; who is p99 slow is p50 fast."""
    inputs = planted(GAINS, MS, today=TODAY, devices=[1])
    own = np.array([0.0006, 0.001, 0.0002, 0.001, 0.0009, 0.001, 0.0004])
    se = np.sqrt(own[:, None] ** 2 + own**2)
    np.fill_diagonal(se, 0.0)
    se[3, :3] = se[:3, 3] = se[3, 4:] = se[4:, 3] = np.nan
    inputs = replace(inputs, pairs=replace(inputs.pairs, se=se))
    for i in (0, 4):
        latency = inputs.candidates[i].latency
        assert latency is not None
        slower = latency.p99._replace(value=latency.p99.value * (3 - i / 4))
        logs = tuple(v + (i + 1) * 0.03 * (-1) ** k for k, v in enumerate(latency.log_p99))
        inputs = changed(inputs, i, latency=replace(latency, p99=slower, log_p99=logs))
    return changed(inputs, 5, latency=None)


def area_of(cost: list[float], gain: list[float], end: float) -> float:
    """Step by step from the cheapest to the end."""
    order = sorted(range(len(cost)), key=lambda i: cost[i])
    total, best = 0.0, 0.0
    for place, i in enumerate(order):
        best = max(best, gain[i])
        until = cost[order[place + 1]] if place + 1 < len(order) else end
        total += best * (min(until, end) - min(cost[i], end))
    return total


def farthest(cost: list[float], gain: list[float]) -> int:
    """The front's inner point farthest above the line of its ends, by the definition."""
    front = sorted(
        (c, g, i)
        for i, (c, g) in enumerate(zip(cost, gain, strict=True))
        if not any(a < c and b >= g for a, b in zip(cost, gain, strict=True))
    )
    (first, low, _), (last, high, _) = front[0], front[-1]
    place, most = -1, 0.0
    for c, g, i in front[1:-1]:
        height = (g - low) / (high - low) - (c - first) / (last - first)
        place, most = (i, height) if height > most else (place, most)
    return place


def drawn(inputs: Inputs, quantile: str) -> tuple[list[list[float]], list[list[float]]]:
    """Log latencies and gains of the members, [draws][4]."""
    rng = np.random.default_rng(20_261_128)
    spread = covariance_of_gains(inputs.pairs.se**2, TODAY, RIVALS)
    measured = np.array([GAINS[i] for i in RIVALS])
    gains = np.insert(gain_draws(measured, spread, np.ones(3, bool), rng), 1, 0.0, axis=1)
    return draw_latency(inputs, rng, DRAWS, quantile)[:, MEMBERS].tolist(), gains.tolist()


@pytest.mark.parametrize("quantile", ["p50", "p99"])
def test_area_knee_and_regret_are_those_of_a_loop_over_the_draws(
    planted: Build, quantile: str
) -> None:
    inputs = ladder(planted)
    extent = front_extent(inputs, quantile, under=(6, 2, 5, 4))  # the sixth is never drawn
    assert extent is not None
    centre = [float(np.log(getattr(inputs.candidates[i].latency, quantile).value)) for i in MEMBERS]
    assert extent.slowest_ms == pytest.approx(np.exp(max(centre)))
    speed, gains = drawn(inputs, quantile)
    areas = [area_of(c, g, max(centre)) for c, g in zip(speed, gains, strict=True)]
    low, high = np.quantile(areas, [0.025, 0.975])
    assert (extent.area.low, extent.area.high) == pytest.approx((low, high))
    expected = expected_over_today(inputs.candidates, inputs.pairs, TODAY)[MEMBERS].tolist()
    assert extent.area.value == pytest.approx(area_of(centre, expected, max(centre)))
    knees = [farthest(c, g) for c, g in zip(speed, gains, strict=True)]
    shares = [knees.count(place) / DRAWS for place in range(4)]
    assert sorted(shares)[-2] > 0.03  # more than one may be it
    by = [0.0] * 7
    for i, share in zip(MEMBERS, shares, strict=True):
        by[i] = share
    assert extent.knees == pytest.approx(tuple(by))
    assert (extent.knee, extent.knee_chance) == (
        MEMBERS[shares.index(max(shares))],
        pytest.approx(max(shares)),
    )
    for i in range(7):
        if i not in (2, 4, 6):
            assert extent.regret[i] is None
            continue
        lost = [max(g[1], g[2], g[3]) - g[MEMBERS.index(i)] for g in gains]
        ends = np.quantile(lost, [0.025, 0.975])
        assert extent.regret[i] == pytest.approx((sum(lost) / DRAWS, *ends))


def test_the_extent_is_that_of_p99_and_of_no_limit_unless_it_is_said(planted: Build) -> None:
    inputs = ladder(planted)
    whole = front_extent(inputs)
    assert whole is not None
    assert whole == front_extent(inputs, "p99", under=(1, 3, 5))
    assert whole.regret == (None,) * 7
    assert FrontExtent(*whole[:4]) == (*whole[:4], (), ())


def test_the_area_of_what_is_expected_lies_within_its_interval(planted: Build) -> None:
    """A lone rival whose gain is nearly a loss: a draw counts gains alone, so that ends are off."""
    inputs = planted([0.0, -0.02], [1.0, 2.0], se=0.0001)
    extent = front_extent(inputs)
    assert extent is not None
    assert extent.area == (0.0, 0.0, 0.0)
    assert (extent.knee, extent.knee_chance, extent.knees) == (None, 0.0, (0.0, 0.0))
    # nobody can lose less than nothing: the draws lie above the value that is expected
    unsure = planted([0.0, -0.001, -0.001, -0.001, -0.001], [1.0] * 4 + [3.0], se=0.0005)
    unsure = replace(unsure, pairs=replace(unsure.pairs, se=4 * unsure.pairs.se))
    many = front_extent(unsure)
    assert many is not None
    assert many.area.low == many.area.value == 0.0 < many.area.high


def test_two_that_may_ship_make_a_front_and_one_does_not(planted: Build) -> None:
    inputs = planted([0.0, 0.006, 0.003], [2.0, 3.0, 4.0])
    without_todays = changed(inputs, 0, latency=None)
    extent = front_extent(without_todays)
    assert extent is not None
    assert extent.area.value == pytest.approx(0.006 * np.log(4.0 / 3.0), rel=0.02)
    assert front_extent(changed(without_todays, 2, measuring_device=True)) is None
    assert front_extent(changed(changed(inputs, 1, latency=None), 2, latency=None)) is None
    pair = front_extent(changed(inputs, 2, latency=None))
    assert pair is not None
    assert pair.area.value == pytest.approx(0.0)  # the area ends where the slower one begins


def test_the_area_ends_where_it_is_said_and_begins_at_the_cheapest() -> None:
    cost = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 9.0]])
    gain = np.array([[4.0, -1.0, 2.0], [0.5, 0.25, 8.0]])
    assert covered(cost, gain, 5.0).tolist() == [2.0 + 2 * 4.0, 4 * 0.5]
    assert covered(cost, gain, 2.5).tolist() == [0.5 * 2.0, 1.5 * 0.5]
    assert covered(cost, gain, 1.0).tolist() == [0.0, 0.0]


def test_a_point_on_the_line_is_no_knee_and_equal_fronts_have_none() -> None:
    assert knee_of(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0])) == -1
    assert knee_of(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.25, 2.0])) == 1
    assert knee_of(np.array([2.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0])) == -1
    assert knee_of(np.array([0.0, 2.0]), np.array([0.0, 1.0])) == -1
    # two inner points of which the later lies farther
    assert knee_of(np.array([4.0, 3.0, 1.0, 0.0]), np.array([8.0, 7.5, 3.0, 0.0])) == 1
