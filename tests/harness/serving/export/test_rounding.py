"""Weights rounded together against a plain loop of the optimal brain surgeon."""

import numpy as np
import pytest

from fusefront.harness.serving.export.rounding import nearest, rounded

RNG = np.random.default_rng(11)
WEIGHTS = RNG.normal(size=(24, 5)) * np.array([1.0, 30.0, 1.0, 0.01, 1.0])
MIXED = RNG.normal(size=(6, 24)) * 3.0  # six directions carry nearly all
MIXED[:, 7] = 0.0  # an input that is always nothing


def rows(count: int, seed: int = 0) -> np.ndarray:
    """[count, 24] correlated inputs."""
    rng = np.random.default_rng(seed)
    noise = 0.2 * rng.normal(size=(count, 24)) * (np.arange(24) != 7)
    return rng.normal(size=(count, 6)) @ MIXED + noise


def moved(weights: np.ndarray, others: np.ndarray) -> float:
    return float(((others @ (weights - WEIGHTS)) ** 2).mean())


def by_loop(weights: np.ndarray, basis: np.ndarray, most: float = 127) -> np.ndarray:
    """Rounds one input at a time and inverts what is left anew each time."""
    square = basis.T @ basis / len(basis)
    square = square + 0.01 * np.trace(square) / len(square) * np.eye(len(square))
    column = np.abs(weights).max(0) / 127
    left, result = weights.copy(), np.zeros(weights.shape)
    waiting = sorted(range(len(weights)), key=lambda i: -(basis[:, i] ** 2).mean())
    while waiting:
        inverse = np.linalg.inv(square[np.ix_(waiting, waiting)])
        first = waiting[0]
        result[first] = np.clip(np.round(left[first] / column), -most, most)
        lost = (left[first] - result[first] * column) / inverse[0, 0]
        for k, place in enumerate(waiting):
            left[place] = left[place] - inverse[k, 0] * lost
        waiting = waiting[1:]
    return result


def test_rounding_together_is_the_plain_loop_and_moves_products_less() -> None:
    inputs, others = rows(400), rows(500, seed=1)
    together = rounded(WEIGHTS, inputs)
    assert (together.integers == by_loop(WEIGHTS, inputs[::2])).all()
    assert together.column == pytest.approx(np.abs(WEIGHTS).max(0) / 127)
    plain = nearest(WEIGHTS)
    assert (plain.integers == np.round(WEIGHTS / together.column)).all()
    assert moved(together.weights, others) < 0.3 * moved(plain.weights, others)


def test_any_weights_are_rounded_together_where_rows_are_like_those_of_the_fit() -> None:
    for seed in range(6):
        weights = np.random.default_rng(seed).normal(size=(24, 5))
        inputs = rows(400, seed)
        assert (rounded(weights, inputs).integers == by_loop(weights, inputs[::2])).all()


def test_rows_that_tell_nothing_of_others_leave_every_weight_at_its_nearest_step() -> None:
    alike = np.empty((80, 24))
    alike[::2], alike[1::2] = rows(1), np.random.default_rng(5).normal(size=(40, 24))
    for inputs in (alike, np.zeros((0, 24)), rows(1)):
        assert (rounded(WEIGHTS, inputs).integers == nearest(WEIGHTS).integers).all()


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_unit_of_the_inputs_changes_no_rounding(scale: float) -> None:
    inputs = rows(400)
    assert (rounded(WEIGHTS, scale * inputs).integers == by_loop(WEIGHTS, inputs[::2])).all()


def test_a_column_of_nothing_stays_nothing() -> None:
    weights = WEIGHTS.copy()
    weights[:, 2] = 0.0
    assert (rounded(weights, rows(100)).integers[:, 2] == 0).all()


def test_no_weight_goes_beyond_its_columns_127_steps() -> None:
    """All are near the largest of their column, and what the others lost would push some over."""
    rng = np.random.default_rng(3)
    signs = np.where(rng.random((24, 5)) < 0.5, -1.0, 1.0)
    weights = signs * (1.0 - 0.004 * rng.random((24, 5)))
    inputs = rows(400)
    expected = by_loop(weights, inputs[::2])
    integers = rounded(weights, inputs).integers
    assert (integers == expected).all()
    assert {int(integers.min()), int(integers.max())} == {-127, 127}
    free = by_loop(weights, inputs[::2], np.inf)
    assert free.max() > 127
    assert free.min() < -127


def test_rows_of_nothing_leave_every_weight_at_its_nearest_step() -> None:
    """No input, or none that judges the fit: what moves nothing has no reason to move."""
    inputs = rows(80)
    inputs[1::2] = 0.0
    assert (by_loop(WEIGHTS, inputs[::2]) != nearest(WEIGHTS).integers).any()
    for some in (inputs, np.zeros((8, 24))):
        assert (rounded(WEIGHTS, some).integers == nearest(WEIGHTS).integers).all()
