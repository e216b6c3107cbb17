"""Intervals over draws: what share of games they hold, and each end by hand."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.statistics.contrasts import Contrasts
from fusefront.harness.statistics.drawn_shares import drawing_errors, half_widths, with_drawing
from fusefront.harness.statistics.shapley import Coalitions, coalitions


def exact(members: np.ndarray, value: dict[tuple[bool, ...], float]) -> np.ndarray:
    """The definition: over all subsets of the others, by their size."""
    players = members.shape[1]
    shares = np.zeros(players)
    for player in range(players):
        for inside in itertools.product((False, True), repeat=players):
            if not inside[player]:
                weight = 1 / (players * math.comb(players - 1, sum(inside)))
                joined = tuple(x or at == player for at, x in enumerate(inside))
                shares[player] += weight * (value[joined] - value[inside])
    return shares


def game(players: int, seed: int) -> dict[tuple[bool, ...], float]:
    """Players that add, in pairs and in threes."""
    rng = np.random.default_rng(seed)
    gain, pair = rng.uniform(0, 0.05, players), rng.normal(0, 0.01, (players, players))
    third = rng.normal(0, 0.01, (players,) * 3)
    return {
        inside: float(gain @ a + a @ pair @ a + np.einsum("abc,a,b,c->", third, a, a, a))
        for inside in itertools.product((False, True), repeat=players)
        if (a := np.array(inside, float)) is not None
    }


def draws(subsets: Coalitions, value: dict[tuple[bool, ...], float]) -> np.ndarray:
    values = np.array([value[tuple(row)] for row in subsets.members.tolist()])
    each = subsets.shares_by_draw(values)
    return np.hstack([each, np.full((len(each), 1), values[-1] - values[0])])


def of_rows(each: np.ndarray, se: float, df: float = 200.0) -> Contrasts:
    """Values that rows know to `se`."""
    value = each.mean(0)
    errors, critical = np.full(len(value), se), 2.6
    half = critical * errors
    p = np.full(len(value), 0.5)
    freedom = np.full(len(value), df)
    return Contrasts(value, errors, freedom, value - half, value + half, p, critical)


@pytest.mark.parametrize(("players", "pairs"), [(6, 16), (7, 6)])
def test_all_values_are_held_at_once_and_each_by_its_own(players: int, pairs: int) -> None:
    """150 games; rows add next to nothing, so that only the drawing can miss."""
    together, single, own_error, games = 0, 0, 0, 150
    for seed in range(games):
        value = game(players, seed)
        subsets = coalitions(players, seed, pairs=pairs)
        each, truth = draws(subsets, value), exact(subsets.members, value)
        result = of_rows(each, 1e-9)
        miss = np.abs(each.mean(0)[:-1] - truth)
        ends = with_drawing(result, 0.95, each)
        together += bool((miss <= (ends.high - ends.value)[:-1]).all())
        single += int((miss <= half_widths(result, each, 0.05)[:-1]).sum())
        own_error += bool((miss <= 2.6 * drawing_errors(each)[:-1]).all())
    assert together >= 0.95 * games
    assert 0.95 * games * players <= single < games * players
    assert own_error < 0.95 * games  # what each value's own error alone would hold


@pytest.mark.parametrize("many", [2, 3])
def test_each_end_is_by_welch_and_satterthwaite_of_the_wider_error(many: int) -> None:
    each = np.array([[0.01, 0.03, 0.06], [0.02, 0.02, 0.06], [0.04, 0.0, 0.06]])[-many:]
    result = of_rows(each, 0.004, 30.0)
    for error, critical in ((0.05, 0.0), (0.01, 4.0)):
        actual = half_widths(result, each, error, critical)
        own = [np.std(each[:, c], ddof=1) / math.sqrt(many) for c in range(2)]
        shared = math.sqrt((own[0] ** 2 + own[1] ** 2) / 2)
        for c in range(2):
            halves = []
            for drawn, freedom in ((own[c], many - 1), (shared, (many - 1) * 1 / 2)):
                total = math.hypot(0.004, drawn)
                df = total**4 / (0.004**4 / 30 + drawn**4 / freedom)
                halves.append(max(stats.t.ppf(1 - error / 2, df), critical) * total)
            assert actual[c] == pytest.approx(max(halves), rel=1e-9)
        plain = max(stats.t.ppf(1 - error / 2, 30), critical) * 0.004
        assert actual[2] == pytest.approx(plain, rel=1e-9)


def test_what_no_draw_changes_keeps_the_ends_of_rows_and_seeds() -> None:
    each = np.array([[0.01, 0.03, 0.04]])
    result = of_rows(each, 0.004)
    ends = with_drawing(result, 0.95, each)
    for name in ("low", "high", "p"):
        np.testing.assert_allclose(getattr(ends, name), getattr(result, name), rtol=1e-12)
    assert not drawing_errors(each).any()


def test_what_nothing_changes_has_no_width_and_drawn_values_no_p() -> None:
    each = np.array([[0.01, 0.0, 0.03, 0.04], [0.03, 0.0, 0.01, 0.04], [0.02, 0.0, 0.02, 0.04]])
    result = of_rows(each, 0.004)
    result.se[1] = 0.0
    result.low[1] = result.high[1] = np.nan
    ends = with_drawing(result, 0.95, each)
    assert (ends.low[1], ends.high[1]) == (0.0, 0.0)
    assert np.isnan(ends.p).all()
    assert (ends.high[[0, 2]] - ends.value[[0, 2]] > result.critical * 0.004).all()
    assert ends.high[3] - ends.value[3] == pytest.approx(2.6 * 0.004)


def test_draws_that_agree_up_to_rounding_have_no_error() -> None:
    each = np.array([[0.1 + 0.2, 0.3], [0.3, 0.3]])
    assert np.ptp(each[:, 0]) > 0
    assert drawing_errors(each).tolist() == [0.0, 0.0]
    np.testing.assert_allclose(drawing_errors(np.array([[1.0, 5.0], [2.0, 5.0]])), [0.5, 0.0])
