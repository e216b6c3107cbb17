"""Simulated studies of planted truth: unequal users, rivals at the margin, whoever was picked."""

from types import ModuleType

import pytest

SLOW = pytest.mark.slow


@SLOW
@pytest.mark.parametrize("name", ["one user 30 %", "one user 50 %", "74 raters, one 24.6 %"])
def test_unequal_users_are_covered_and_counting_each_as_one_was_not(
    unequal: ModuleType, name: str
) -> None:
    world = next(each for each in unequal.WORLDS if each.name == name)
    rates = unequal.coverage(world, 200, 11)
    assert rates.before < 0.93
    assert 0.925 <= rates.now <= 0.995


@SLOW
def test_ordinary_users_are_covered_as_before_and_hardly_wider(unequal: ModuleType) -> None:
    rates = unequal.coverage(unequal.WORLDS[0], 200, 12)
    assert 0.91 <= rates.now <= 0.985
    assert 1.0 <= rates.width <= 1.06


@SLOW
def test_no_false_words_of_equal_strategies_where_one_user_has_much(unequal: ModuleType) -> None:
    before, now = unequal.false_words(unequal.WORLDS[5], 60, 13)
    assert now <= 0.12 < before + 0.12
    assert now <= before


@SLOW
def test_the_picked_gain_is_less_too_high_and_its_interval_holds(deciding: ModuleType) -> None:
    rates = deciding.picked(deciding.WORLDS["7 equal, +4.5"], 500, 14)
    assert 0.75 < rates.measured_bias < 1.1
    assert 0.15 < rates.bias < 0.5  # .36 of 1,000 draws
    assert rates.error < rates.measured_error
    assert rates.covered >= 0.94
    lone = deciding.picked(deciding.WORLDS["one rival, +4.5"], 200, 15)
    assert lone.bias == lone.measured_bias


@SLOW
def test_where_the_probability_is_high_it_is_right(deciding: ModuleType) -> None:
    rates = deciding.sure(None, 7, 400, 16)
    assert rates.high > 0.25
    assert rates.right >= 0.93  # .974 and .994 were seen
    assert rates.true - 0.2 < rates.stated < rates.true + 0.03
