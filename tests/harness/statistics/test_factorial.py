"""Effects of crossed factors against least squares and by hand, with cells lacking."""

from itertools import product

import numpy as np
import pytest

from fusefront.harness.statistics.factorial import effects

FACTORS = {"operator": ("with", "without"), "head": ("mlp", "linear"), "k": ("12", "4", "8")}
CELLS = list(product(*FACTORS.values()))


def test_effects_are_those_that_were_planted() -> None:
    """A mean with main effects and one interaction, and nothing else."""
    value = []
    for operator, head, k in CELLS:
        auc = 0.7 - 0.03 * (operator == "without") - 0.01 * (head == "linear")
        auc -= {"12": 0.0, "4": 0.02, "8": 0.005}[k]
        value.append(auc - 0.08 * (operator == "without" and head == "linear"))
    got_effects = {(e.factors, e.levels): e.weights @ value for e in effects(FACTORS, CELLS)}
    assert got_effects[("operator", "head"), ("without", "linear")] == pytest.approx(-0.08)
    assert got_effects[("operator",), ("without",)] == pytest.approx(-0.03 - 0.08 / 2)
    assert got_effects[("head",), ("linear",)] == pytest.approx(-0.01 - 0.08 / 2)
    assert got_effects[("k",), ("4",)] == pytest.approx(-0.02)
    assert got_effects[("k",), ("8",)] == pytest.approx(-0.005)
    rest = {key: v for key, v in got_effects.items() if len(key[0]) == 2}
    del rest[("operator", "head"), ("without", "linear")]
    assert list(rest) == [
        (("operator", "k"), ("without", "4")), (("operator", "k"), ("without", "8")),
        (("head", "k"), ("linear", "4")), (("head", "k"), ("linear", "8")),
    ]  # fmt: skip
    assert list(rest.values()) == pytest.approx([0.0] * 4, abs=1e-12)


def test_with_two_levels_they_are_twice_the_coefficients_of_least_squares() -> None:
    factors = {name: FACTORS[name] for name in ("operator", "head")} | {"pooler": ("a", "b")}
    cells = list(product(*factors.values()))
    y = np.random.default_rng(4).normal(size=len(cells))
    coded = np.array([[2.0 * (c[i] != list(factors.values())[i][0]) - 1 for i in range(3)]
                      for c in cells])  # fmt: skip
    pairs = [(0, 1), (0, 2), (1, 2)]
    design = np.column_stack([np.ones(8), coded, *(coded[:, i] * coded[:, j] for i, j in pairs)])
    fitted = np.linalg.lstsq(design, y, rcond=None)[0]
    measured = [effect.weights @ y for effect in effects(factors, cells)]
    assert measured[:3] == pytest.approx(2 * fitted[1:4])
    assert measured[3:] == pytest.approx(4 * fitted[4:7])


def test_a_cell_that_lacks_is_left_out_of_the_means() -> None:
    cells = [cell for cell in CELLS if cell != ("without", "linear", "4")]
    whole = {(e.factors, e.levels): e for e in effects(FACTORS, cells)}
    assert whole[("operator",), ("without",)].cells == 5
    assert whole[("operator", "head"), ("without", "linear")].cells == 2
    assert whole[("k",), ("4",)].cells == 3
    assert whole[("k",), ("8",)].cells == 4
    for effect in whole.values():
        assert effect.weights.sum() == pytest.approx(0.0)
        assert np.abs(effect.weights).sum() == pytest.approx(2.0 ** len(effect.factors))
    few = effects({"a": ("x", "y"), "b": ("u", "v")}, [("x", "u"), ("y", "v")])
    assert few == []
    with pytest.raises(ValueError, match="got a cell twice"):
        effects({"a": ("x", "y")}, [("x",), ("x",)])
