"""Shapley values: a value shared among players, exact over all coalitions or over random orders.

Shapley 1953; orders are sampled with their reverses as in Mitchell et al. 2022, JMLR 23
(antithetic).
"""

from dataclasses import dataclass
from functools import cached_property
from math import factorial

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.auc import Floats

MOST_EXACT = 5  # players; 2^5 coalitions
PAIRS = 16  # orders drawn for more players, each with its reverse


@dataclass(frozen=True)
class Coalitions:
    """The coalitions whose values are needed, and the weights that turn these values into shares.

    A share is linear in the values, so it has influences over rows as each value does.
    """

    members: NDArray[np.bool_]  # [C, M], the empty one first, the full one last
    by_draw: Floats  # [D, C, M] weights of each draw; one draw where all coalitions are there

    @property
    def exact(self) -> bool:
        """Whether all coalitions are included and nothing was sampled."""
        return len(self.by_draw) == 1

    @cached_property
    def weights(self) -> Floats:
        """[C, M] weights: `values @ weights` are the players' shares, for values [C]."""
        weights: Floats = self.by_draw.mean(axis=0)
        return weights

    def shares(self, values: Floats) -> Floats:
        """[M] the shares for values [C]; their sum is the value of all players minus that of
        none."""
        shares: Floats = values @ self.weights
        return shares

    def shares_by_draw(self, values: Floats) -> Floats:
        """[D, M] the shares of each draw of orders; their mean over draws is `shares`."""
        each: Floats = np.einsum("c,dcm->dm", values, self.by_draw)
        return each


def coalitions(
    players: int, seed: int = 0, pairs: int = PAIRS, most_exact: int = MOST_EXACT
) -> Coalitions:
    """All coalitions of up to `most_exact` players; for more players those that random orders pass
    through.

    Raises:
        ValueError: no player, or fewer than two pairs of orders.
    """
    if players < 1 or pairs < 2:
        raise ValueError(f"got {players} players and {pairs} pairs, expected 1 and 2 at least")
    return _all(players) if players <= most_exact else _drawn(players, seed, pairs)


def _all(players: int) -> Coalitions:
    codes = np.arange(1 << players)
    members = (codes[:, None] >> np.arange(players) & 1).astype(bool)
    weights = np.zeros((len(codes), players))
    for code in codes.tolist():
        inside = members[code]
        for player in np.flatnonzero(~inside):
            size = int(inside.sum())
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            weights[code | 1 << player, player] += weight
            weights[code, player] -= weight
    return Coalitions(members, weights[None])


def _drawn(players: int, seed: int, pairs: int) -> Coalitions:
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(players) for _ in range(pairs)]
    full = (1 << players) - 1
    codes = {0, full}
    for order in orders:
        for way in (order, order[::-1]):
            codes.update(np.bitwise_or.accumulate(1 << way).tolist())
    known = sorted(codes)
    place = {code: at for at, code in enumerate(known)}
    weights = np.zeros((pairs, len(known), players))
    for draw, order in enumerate(orders):
        for way in (order, order[::-1]):
            before = 0
            for player in way.tolist():
                after = before | 1 << player
                weights[draw, place[after], player] += 0.5
                weights[draw, place[before], player] -= 0.5
                before = after
    members = (np.array(known)[:, None] >> np.arange(players) & 1).astype(bool)
    return Coalitions(members, weights)
