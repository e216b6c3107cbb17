"""The area under the front and its knee, by hand and against a loop."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.extent import covered, front_extent, knee_of
from fusefront.harness.decision.inputs import Inputs

Build = Callable[..., Inputs]


def test_the_area_is_that_of_a_fine_sum() -> None:
    rng = np.random.default_rng(0)
    cost, gain = rng.uniform(0, 3, (6, 5)), rng.normal(0, 1, (6, 5))
    grid = np.linspace(0, 3.2, 32_001)
    for c, g, area in zip(cost, gain, covered(cost, gain, 3.2), strict=True):
        reach = np.where(c <= grid[:, None], g, -np.inf).max(1)
        assert area == pytest.approx(np.maximum(reach, 0).sum() * 1e-4, abs=2e-3)


def test_the_knee_is_the_point_farthest_above_the_line_of_the_ends() -> None:
    cost = np.array([4.0, 1.0, 2.0, 0.0, 1.5])
    gain = np.array([1.0, 0.5, 0.9, 0.0, 0.1])  # the last is dominated
    assert knee_of(cost, gain) == 2
    assert knee_of(cost[:2], gain[:2]) == -1
    assert knee_of(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.2, 1.0])) == -1  # below the line


def test_the_knee_is_found_wherever_the_front_lies_and_whatever_its_units() -> None:
    """Against the distance of each point from the line of the ends, by a loop in plain numbers."""
    rng = np.random.default_rng(5)
    for _ in range(60):
        cost, gain = rng.uniform(1, 3, 6).tolist(), rng.normal(0.5, 1, 6).tolist()
        front = sorted(
            (c, g, i)
            for i, (c, g) in enumerate(zip(cost, gain, strict=True))
            if not any(a < c and b > g for a, b in zip(cost, gain, strict=True))
        )
        (first, low, _), (last, high, _) = front[0], front[-1]
        expected, most = -1, 0.0
        for c, g, i in front[1:-1]:
            height = (g - low) / (high - low) - (c - first) / (last - first)
            expected, most = (i, height) if height > most else (expected, most)
        assert knee_of(np.array(cost), np.array(gain)) == expected


def test_twins_at_an_end_of_the_front_hide_no_knee() -> None:
    cost, gain = np.array([1.0, 1.0, 2.0, 5.0]), np.array([0.5, 0.5, 1.3, 1.5])
    assert knee_of(cost, gain) == 2
    assert knee_of(6 - cost[::-1], 2 - gain[::-1]) == -1
    assert knee_of(np.ones(3), np.ones(3)) == -1


def test_a_sharp_front_has_its_knee_and_a_blurred_one_says_how_rarely(planted: Build) -> None:
    sharp = planted([0.0, 0.009, 0.010, 0.004], [1.0, 2.0, 6.0, 1.7], se=0.0001)
    extent = front_extent(sharp)
    assert extent is not None
    assert (extent.knee, extent.knee_chance > 0.99) == (1, True)
    assert extent.slowest_ms == pytest.approx(1.4 * 6.0)
    hand = 0.004 * np.log(2.0 / 1.7) + 0.009 * np.log(6.0 / 2.0)
    assert extent.area.value == pytest.approx(hand, rel=0.01)
    assert extent.area.low < extent.area.value < extent.area.high
    assert extent.area.high - extent.area.low < 0.1 * hand
    assert extent.knees == pytest.approx((0, extent.knee_chance, 0, extent.knees[3]))
    assert extent.regret == (None,) * 4
    under = front_extent(sharp, under=(0, 1, 3))  # the best one is over the limit
    assert under is not None
    assert under.regret[2] is None
    assert under.regret[1] == pytest.approx((0.0, 0.0, 0.0))
    for i, lost in ((0, 0.009), (3, 0.005)):
        mean, low, high = under.regret[i]
        assert mean == pytest.approx(lost, abs=1e-4)
        assert low == pytest.approx(lost - 1.96 * 0.0001 * 1.0, abs=8e-5)
        assert low < mean < high < lost + 4e-4
    wide = replace(sharp, pairs=replace(sharp.pairs, se=20 * sharp.pairs.se))
    blurred = front_extent(wide)
    assert blurred is not None
    assert blurred.knee_chance < 0.8
    assert blurred.area.high - blurred.area.low > 5 * (extent.area.high - extent.area.low)


def test_without_latencies_or_today_there_is_no_front(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    assert front_extent(replace(inputs, today=None)) is None
    bare = tuple(replace(c, latency=None) for c in inputs.candidates)
    assert front_extent(replace(inputs, candidates=bare)) is None
