"""Shapley values against the definition: the mean over all orders of what a player adds."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from fusefront.harness.statistics.drawn_shares import drawing_errors
from fusefront.harness.statistics.shapley import Coalitions, coalitions


def by_orders(players: int, value: dict[frozenset[int], float]) -> np.ndarray:
    """The definition, by a plain loop over every order of the players."""
    shares = np.zeros(players)
    for order in itertools.permutations(range(players)):
        inside: frozenset[int] = frozenset()
        for player in order:
            shares[player] += value[inside | {player}] - value[inside]
            inside |= {player}
    return shares / math.factorial(players)


def game(players: int, seed: int) -> dict[frozenset[int], float]:
    rng = np.random.default_rng(seed)
    subsets = itertools.product((False, True), repeat=players)
    return {frozenset(np.flatnonzero(inside).tolist()): rng.normal() for inside in subsets}


def values_of(members: np.ndarray, value: dict[frozenset[int], float]) -> np.ndarray:
    return np.array([value[frozenset(np.flatnonzero(row).tolist())] for row in members])


def drawing_error(subsets: Coalitions, values: np.ndarray) -> np.ndarray:
    return drawing_errors(subsets.shares_by_draw(values))


@pytest.mark.parametrize("players", [1, 2, 3, 4, 5])
def test_all_coalitions_give_the_mean_over_all_orders(players: int) -> None:
    subsets = coalitions(players)
    value = game(players, players)
    assert subsets.exact
    assert len(np.unique(subsets.members, axis=0)) == len(subsets.members) == 2**players
    assert not subsets.members[0].any()
    assert subsets.members[-1].all()
    shares = subsets.shares(values_of(subsets.members, value))
    np.testing.assert_allclose(shares, by_orders(players, value), atol=1e-12)
    assert not drawing_error(subsets, values_of(subsets.members, value)).any()


def test_who_adds_nothing_has_nothing_and_twins_have_the_same() -> None:
    subsets = coalitions(4)
    a, b, twin, nobody = subsets.members.T
    values = 2.0 * a - 3.0 * (a & b) + 0.7 * (b | twin) + 5.0 * (b & twin) + 0.0 * nobody
    shares = subsets.shares(values)
    assert shares[3] == pytest.approx(0, abs=1e-15)
    alike = coalitions(3).shares(((b + twin) ** 2 + 1.0 * a)[~nobody].astype(float))
    assert alike[1] == pytest.approx(alike[2], abs=1e-15)
    assert shares.sum() == pytest.approx(values[-1] - values[0], abs=1e-12)


def test_drawn_orders_are_exact_in_sum_and_where_players_only_add() -> None:
    subsets = coalitions(7, seed=3)
    assert not subsets.exact
    assert not subsets.members[0].any()
    assert subsets.members[-1].all()
    assert len(np.unique(subsets.members, axis=0)) == len(subsets.members) < 2**7
    gains = np.arange(1.0, 8.0)
    shares = subsets.shares(subsets.members @ gains)
    np.testing.assert_allclose(shares, gains, atol=1e-12)
    assert drawing_error(subsets, subsets.members @ gains).max() < 1e-12
    odd = np.random.default_rng(0).normal(size=len(subsets.members))
    assert subsets.shares(odd).sum() == pytest.approx(odd[-1] - odd[0], abs=1e-12)
    pairs = (subsets.members @ gains) ** 2  # of two players at most: an order and its reverse tell
    assert drawing_error(subsets, pairs).max() < 1e-9


def test_the_drawing_error_is_that_of_other_drawings() -> None:
    value = game(6, 11)
    true = by_orders(6, value)
    shares, errors = [], []
    for seed in range(60):
        subsets = coalitions(6, seed=seed, pairs=12)
        values = values_of(subsets.members, value)
        shares.append(subsets.shares(values))
        errors.append(drawing_error(subsets, values))
    spread = np.std(shares, axis=0, ddof=1)
    np.testing.assert_allclose(np.mean(errors, axis=0), spread, rtol=0.25)
    assert (np.abs(np.mean(shares, axis=0) - true) < 4 * spread / np.sqrt(60)).all()


@pytest.mark.parametrize(("players", "pairs"), [(0, 16), (6, 1)])
def test_nobody_and_too_few_orders_are_refused(players: int, pairs: int) -> None:
    with pytest.raises(ValueError, match=r"expected 1 and 2 at least"):
        coalitions(players, pairs=pairs)


def test_drawn_orders_are_the_same_in_every_run() -> None:
    """The first of 16 pairs is numpy's first permutation with seed 0, and its reverse."""
    subsets = coalitions(7)
    assert subsets.by_draw.shape[0] == 16
    order = np.random.default_rng(0).permutation(7)
    passed = [set(way[:k].tolist()) for way in (order, order[::-1]) for k in range(8)]
    first = subsets.members[subsets.by_draw[0].any(1)]
    assert {frozenset(np.flatnonzero(row).tolist()) for row in first} == {
        frozenset(each) for each in passed
    }


def test_up_to_five_players_are_exact_and_more_have_sixteen_orders() -> None:
    assert coalitions(5).exact
    drawn = coalitions(6)
    assert not drawn.exact
    assert len(drawn.by_draw) == 16
    assert coalitions(6, seed=0).members.tolist() == drawn.members.tolist()
    page = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    assert "all 2^M up to five modalities, beyond them 16 drawn orders with their reverses" in page
