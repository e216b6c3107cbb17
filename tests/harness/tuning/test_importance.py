"""Importances find the parameter that was planted, and say nothing where they cannot."""

import math

import numpy as np
import pytest

from fusefront.harness.tuning.importance import Drawn, importances, pooled

LOG = frozenset({"training.learning_rate"})


def points(seed: int, count: int = 40, level: float = 0.7) -> list[Drawn]:
    """AUC falls with the distance of the rate from 0.003, on a log scale, and with nothing else."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(count):
        rate = float(10 ** rng.uniform(-4, -1))
        params = {"training.learning_rate": rate, "k": int(rng.choice([8, 16])), "fixed": "a"}
        value = level - 0.01 * abs(math.log10(rate / 0.003)) + 1e-4 * float(rng.normal())
        drawn.append(Drawn({**params, "op": ["sum", "gate"][int(rng.integers(2))]}, value))
    return drawn


def test_the_planted_parameter_has_nearly_all_of_it() -> None:
    shares = importances(points(1), LOG)
    assert next(iter(shares)) == "training.learning_rate"
    assert shares["training.learning_rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert set(shares) == {"training.learning_rate", "k", "op"}


def test_searches_are_pooled_less_their_own_level() -> None:
    low = [p._replace(params={**p.params, "k": 8}) for p in points(2, 20, level=0.5)]
    high = [p._replace(params={**p.params, "k": 16}) for p in points(3, 20, level=0.9)]
    assert pooled([low, high], LOG)["training.learning_rate"] > 0.8  # and not k, the strategies'
    assert pooled([], LOG) == {}


def test_only_what_every_trial_has_is_weighed() -> None:
    some = [*points(4, 10), points(5, 1)[0]._replace(params={"training.learning_rate": 0.01})]
    assert set(importances(some, LOG)) == {"training.learning_rate"}


@pytest.mark.parametrize(
    "few",
    [
        points(6, 7),
        [Drawn({}, 0.1 * k) for k in range(9)],
        [Drawn({"a": k}, 0.5) for k in range(9)],
    ],
)
def test_nothing_is_said_where_nothing_can_be(few: list[Drawn]) -> None:
    assert importances(few) == {}


def test_a_rate_that_may_be_zero_has_no_scale_of_ratios() -> None:
    drawn = [Drawn({"a": 0.1 * k, "b": (7 * k) % 11}, 0.5 + 0.01 * k) for k in range(11)]
    assert importances(drawn, frozenset("a")) == importances(drawn)
    above = [d._replace(params={**d.params, "a": 1e-6 + 0.1 * k}) for k, d in enumerate(drawn)]
    assert importances(above, frozenset("a")) != importances(above)
    plain = [d._replace(params={**d.params, "a": 1.0 + 0.1 * k}) for k, d in enumerate(drawn)]
    assert importances(plain) == pytest.approx(importances(drawn))  # moved, and not by ratios


def weighed_as_choices(values: list[float]) -> bool:
    """Whether a parameter of these values gets another share where each is written as a word, as
    only ranges do: of choices no order is known."""
    aucs = [0.5 + 0.1 * math.sin(3 * k) for k in range(len(values))]
    other = [0.3 * math.cos(5 * k) for k in range(len(values))]
    drawn = [Drawn({"a": a, "b": b}, auc) for a, b, auc in zip(values, other, aucs, strict=True)]
    words = [d._replace(params={**d.params, "a": f"a{d.params['a']}"}) for d in drawn]
    return importances(drawn)["a"] == pytest.approx(importances(words)["a"], rel=1e-9)


@pytest.mark.parametrize(
    ("count", "different", "choices"),
    [(30, 5, True), (30, 6, False), (10, 4, True), (10, 5, False), (11, 5, False), (12, 5, True)],
)
def test_few_different_numbers_are_choices(count: int, different: int, choices: bool) -> None:
    """Below six, or below half of the trials where they are few."""
    assert weighed_as_choices([float(k % different) for k in range(count)]) == choices
