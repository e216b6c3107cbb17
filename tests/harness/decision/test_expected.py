"""What is to be expected over what runs today: drawn back to rivals, by arrays made by hand."""

from dataclasses import replace

import numpy as np
import pytest

from fusefront.harness.decision.expected import around, expected_over_today
from fusefront.harness.decision.inputs import Inputs, Measured
from fusefront.harness.decision.policy import decide
from fusefront.harness.statistics.exchangeable import Spread, expected_gains

from .changed_inputs import POLICY, Build, changed, texts


def expected(inputs: Inputs) -> list[float]:
    assert inputs.today is not None
    return expected_over_today(inputs.candidates, inputs.pairs, inputs.today).tolist()


def drawn_back(gains: list[float], se: float) -> list[float]:
    """Rivals whose pairs all have one error: half of each variance is what they share."""
    size = len(gains)
    covariance = np.full((size, size), se**2 / 2) + np.eye(size) * se**2 / 2
    return expected_gains(
        np.array(gains), Spread(covariance, se**2 / 2), np.ones(size, bool)
    ).tolist()


def test_rivals_are_drawn_back_and_devices_controls_and_todays_are_not(planted: Build) -> None:
    inputs = planted(
        [0.001, 0.0, 0.003, 0.009, 0.004], [1.0] * 5, se=0.002, today=1, devices=[3], controls=[4]
    )
    first, today, third, device, control = expected(inputs)
    assert [first, third] == pytest.approx(drawn_back([0.001, 0.003], 0.002))
    assert 0.001 < first < third < 0.003
    assert (today, device, control) == pytest.approx((0.0, 0.009, 0.004))


def test_a_gain_without_an_error_is_not_known_and_draws_no_other_back(planted: Build) -> None:
    inputs = planted([0.0, 0.001, 0.003, 0.02], [1.0] * 4, se=0.002)
    se = inputs.pairs.se.copy()
    se[3, :3] = se[:3, 3] = np.nan
    known = expected(replace(inputs, pairs=replace(inputs.pairs, se=se)))
    assert known[:3] == pytest.approx([0.0, *drawn_back([0.001, 0.003], 0.002)])
    assert np.isnan(known[3])
    se[1:3, 0] = np.nan  # nobody is left
    nobody = expected(replace(inputs, pairs=replace(inputs.pairs, se=se)))
    assert nobody[0] == 0.0
    assert np.isnan(nobody[1:]).all()


def test_an_expected_value_stays_within_the_interval_it_is_shown_with() -> None:
    interval = Measured(0.004, 0.001, 0.007)
    assert around(interval, 0.003) == (0.003, 0.001, 0.007)
    assert around(interval, 0.0) == (0.001, 0.001, 0.007)
    assert around(interval, 0.009) == (0.007, 0.001, 0.007)
    assert around(interval, float("nan")) == interval


def test_a_strategy_of_which_no_seeds_are_said_has_one(planted: Build) -> None:
    inputs = planted([0.0, 0.006], [2.0, 3.0])
    for i, candidate in enumerate(inputs.candidates):
        default = type(candidate)("s", latency=candidate.latency)
        inputs = changed(inputs, i, seeds=default.seeds)
    assert texts(decide(inputs, POLICY)) == [
        "Every strategy has one seed, which says nothing about the next training; "
        "run at least 3 seeds."
    ]
