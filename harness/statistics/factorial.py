"""Main effects and pairwise interactions of crossed factors, as contrasts of cells.

A main effect compares a level with its factor's first level: the mean difference of the two cells
over all settings of the other factors that have both. An interaction of two levels is the mean
change that one of them makes to the other's effect. Cells may be missing.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np

from fusefront.harness.statistics.joint import Floats

Levels = tuple[str, ...]  # one level of each factor, in the factors' order


class Effect(NamedTuple):
    """One contrast: a factor's level against its first level, or an interaction of two factors."""

    factors: tuple[str, ...]  # one, or two
    levels: tuple[str, ...]  # against each factor's first
    cells: int  # how many pairs (main effect) or groups of four cells (interaction) it averages
    weights: Floats  # [cells] in the order of the `cells` argument


def effects(factors: Mapping[str, Sequence[str]], cells: Sequence[Levels]) -> list[Effect]:
    """Main effects, then interactions; those without the necessary cells are left out.

    `factors` has the levels of each factor; the first level is the one compared with.

    Raises:
        ValueError: a cell occurs twice.
    """
    place = {levels: at for at, levels in enumerate(cells)}
    if len(place) < len(cells):
        raise ValueError("got a cell twice, expected each combination of levels once")
    names = list(factors)
    contrasted: list[Effect] = []
    for which in [(at,) for at in range(len(names))] + list(combinations(range(len(names)), 2)):
        for levels in _others([factors[names[at]] for at in which]):
            effect = _effect(which, levels, [factors[names[at]][0] for at in which], place)
            if effect is not None:
                weights, count = effect
                contrasted.append(Effect(tuple(names[at] for at in which), levels, count, weights))
    return contrasted


def _others(levels: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Every combination of levels other than the first ones."""
    if len(levels) == 1:
        return [(level,) for level in levels[0][1:]]
    return [(a, b) for a in levels[0][1:] for b in levels[1][1:]]


def _effect(
    which: tuple[int, ...],
    levels: tuple[str, ...],
    first: Sequence[str],
    place: Mapping[Levels, int],
) -> tuple[Floats, int] | None:
    """Weights [cells] of the contrast, and how many groups of cells it averages; None without
    any."""
    weights, count = np.zeros(len(place)), 0
    for cell in place:
        if any(cell[at] != levels[k] for k, at in enumerate(which)):
            continue
        signs: dict[Levels, int] = {}
        for back in product((False, True), repeat=len(which)):
            other = list(cell)
            for k, at in enumerate(which):
                if back[k]:
                    other[at] = first[k]
            signs[tuple(other)] = (-1) ** sum(back)
        if all(other in place for other in signs):
            count += 1
            for neighbour, sign in signs.items():
                weights[place[neighbour]] += sign
    return (weights / count, count) if count else None
