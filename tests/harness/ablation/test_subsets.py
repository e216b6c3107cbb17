"""Retrained Shapley values by drawn orders: against all orders, in sum, with their error."""

from itertools import permutations
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from fusefront.baselines.contract import Parts
from fusefront.harness.ablation.deltas import AblationScores
from fusefront.harness.ablation.factors import AblationDesign
from fusefront.harness.ablation.plan import Factor, Level, Workbench
from fusefront.harness.ablation.subsets import (
    PAIRS,
    TrainedShares,
    left_out,
    trained_subsets,
)
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Strategy
from fusefront.harness.statistics.contrasts import Contrasts, contrasts
from fusefront.harness.statistics.drawn_shares import drawing_errors, with_drawing
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.shapley import Coalitions, coalitions
from fusefront.harness.testing.scene import SCHEMA

NAMES = ["text", "image", "audio", "video", "price"]


def by_orders(names: list[str], auc: dict[frozenset[str], float]) -> list[float]:
    """The definition: the mean over every order of what a modality adds."""
    sums = dict.fromkeys(names, 0.0)
    orders = list(permutations(names))
    for order in orders:
        out = frozenset(names)
        for name in order:
            sums[name] += auc[out - {name}] - auc[out]
            out -= {name}
    return [sums[name] / len(orders) for name in names]


def trained(subsets: Coalitions, names: list[str], auc: dict[frozenset[str], float]) -> Any:
    """A strategy a subset, with little noise, and what each is without."""
    lacks = left_out(names, subsets)
    strategies = tuple(f"s{at}" for at in range(len(lacks)))
    size = len(lacks)
    theta = np.array([auc[each] for each in lacks])
    noise, zero = np.eye(size) * 1e-8, np.zeros(size)
    seeds = np.full(size, 3)
    model = JointModel(strategies, theta, zero + 1e-8, seeds, noise, zero, noise * 0, 3000, 3000)
    return model, dict(zip(strategies, lacks, strict=True))


def game(names: list[str], seed: int) -> dict[frozenset[str], float]:
    """Modalities that add, overlap and work together."""
    rng = np.random.default_rng(seed)
    gain, pair = rng.uniform(0, 0.06, len(names)), rng.normal(0, 0.01, (len(names), len(names)))
    third = rng.normal(0, 0.01, (len(names),) * 3)
    auc = {}
    for code in range(2 ** len(names)):
        there = np.array([code >> at & 1 for at in range(len(names))], float)
        value = 0.55 + gain @ there + there @ pair @ there
        value += np.einsum("abc,a,b,c->", third, there, there, there)
        out = frozenset(name for name, inside in zip(names, there, strict=True) if not inside)
        auc[out] = float(value)
    return auc


def drawn_contrasts(model: JointModel, weights: Any) -> tuple[Contrasts, Any]:
    each = weights @ model.theta
    result = with_drawing(contrasts(model, weights.mean(0)), model.level, each)
    return result, drawing_errors(each)


@pytest.mark.parametrize("count", [2, 4, 5])
def test_up_to_five_modalities_all_orders_count(count: int) -> None:
    names = NAMES[:count]
    auc = game(names, count)
    subsets = trained_subsets(count)
    model, out = trained(subsets, names, auc)
    weights = TrainedShares(model.names, names, out).weights(subsets)
    assert weights is not None
    result, drawing = drawn_contrasts(model, weights)
    np.testing.assert_allclose(result.value[:-1], by_orders(names, auc), atol=1e-12)
    assert not drawing.any()
    assert result.value[:-1].sum() == pytest.approx(result.value[-1], abs=1e-9)


@pytest.mark.parametrize("count", [4, 5])
def test_drawn_orders_hold_the_exact_value_within_their_intervals(count: int) -> None:
    """Of 100 games, each with all of its modalities' intervals; the sum is always exact."""
    names, holds, widths, errors = NAMES[:count], 0, [], []
    for seed in range(100):
        auc = game(names, seed)
        exact = np.array(by_orders(names, auc))
        subsets = coalitions(count, seed, pairs=PAIRS, most_exact=3)
        model, out = trained(subsets, names, auc)
        weights = TrainedShares(model.names, names, out).weights(subsets)
        assert weights is not None
        result, drawing = drawn_contrasts(model, weights)
        whole = auc[frozenset()] - auc[frozenset(names)]
        assert result.value[-1] == pytest.approx(whole, abs=1e-9)
        assert result.value[:-1].sum() == pytest.approx(whole, abs=1e-9)
        miss = np.abs(result.value[:-1] - exact)
        holds += bool((miss <= result.high[:-1] - result.value[:-1]).all())
        widths.append(np.mean(result.high[:-1] - result.value[:-1]))
        errors.append(np.abs(result.value[:-1] - exact).mean())
        assert drawing[-1] == 0.0
        assert drawing[:-1].any()
    assert holds >= 93
    assert np.mean(widths) < 0.04  # of values of .03 and pairs of .01
    assert np.mean(errors) > 1e-4  # the drawing does miss


@pytest.mark.parametrize("seed", range(4))
def test_ends_of_drawn_orders_are_students_for_all_contrasts_at_once(seed: int) -> None:
    """By hand, each by its own error of the drawing and by that of all; the wider one counts."""
    auc = game(NAMES, seed)
    subsets = coalitions(5, seed, pairs=PAIRS, most_exact=3)
    model, out = trained(subsets, NAMES, auc)
    weights = TrainedShares(model.names, NAMES, out).weights(subsets)
    assert weights is not None
    result, _ = drawn_contrasts(model, weights)
    theta = [
        sum(w * model.theta[s] for s, w in enumerate(of))
        for of in weights.reshape(-1, weights.shape[-1])
    ]
    draws = np.array(theta).reshape(len(weights), 6)
    errors = [np.sqrt(np.var(draws[:, c], ddof=1) / len(draws)) for c in range(5)]
    shared = np.sqrt(sum(error**2 for error in errors) / 5)
    n = len(draws) - 1
    for c, own in enumerate(errors):
        halves = []
        for error, freedom in ((own, n), (shared, n * 4 / 2)):
            total = np.sqrt(result.se[c] ** 2 + error**2)
            df = total**4 / (result.se[c] ** 4 / result.df[c] + error**4 / freedom)
            t = stats.t.ppf(1 - 0.05 / (2 * 6), df)
            assert t > 1.2 * result.critical  # few draws count, not the rows
            halves.append(t * total)
        assert result.high[c] - result.value[c] == pytest.approx(max(halves), rel=1e-9)
        assert result.value[c] - result.low[c] == pytest.approx(max(halves), rel=1e-9)
    assert result.high[5] - result.value[5] == pytest.approx(result.critical * result.se[5])


def test_rows_say_the_drawings_error_where_orders_were_drawn() -> None:
    auc = game(NAMES, 3)
    subsets = coalitions(5, pairs=PAIRS, most_exact=3)
    model, out = trained(subsets, NAMES, auc)
    parent = next(name for name, without in out.items() if not without)
    scores = AblationScores(cast(Any, None), parent, cast(Any, None))
    panel = SimpleNamespace(models={"auc": model})
    object.__setattr__(scores, "panel", lambda others, metrics: panel)
    rows = scores.shares(NAMES, out, subsets)
    assert [row["modality"] for row in rows] == [*NAMES, "all modalities"]
    assert all(row["drawing"] > 0 for row in rows[:-1])
    assert rows[-1]["drawing"] == 0.0
    assert [row["auc"]["p"] for row in rows[:-1]] == [None] * 5
    assert scores.shares(NAMES, out) == []  # not every subset of the five was trained
    model, out = trained(trained_subsets(5), NAMES, auc)
    panel.models["auc"] = model
    assert all("drawing" not in row for row in scores.shares(NAMES, out))
    del out[parent]
    assert scores.shares(NAMES, out) == []


def test_of_more_than_five_only_the_drawn_subsets_are_cells() -> None:
    """The whole is the parent itself; each order's subsets are there from none to all."""
    names = [f"m{at}" for at in range(7)]
    subsets = trained_subsets(7)
    lacks = left_out(names, subsets)
    assert [len(trained_subsets(count).by_draw) for count in (5, 6, 7)] == [1, 6, 6]
    assert len(set(lacks)) == len(lacks) == len(subsets.members) <= 2 + 2 * PAIRS * 6
    assert len(lacks) < 2**7
    assert (lacks[0], lacks[-1]) == (frozenset(names), frozenset())
    parts: Parts = load_parts([])
    strategy = Strategy.model_validate({"baseline": "compressed_fusion"})
    bench = Workbench.open("mine", strategy, SCHEMA, parts)
    keys = ("use_id", "head", "products")
    plain: dict[str, Any] = {"use_id": False, "head": {"name": "linear"}, "products": False}
    factors = [Factor(key, "component", (Level(key, ({key: plain[key]},)),)) for key in keys]
    only = (frozenset({"use_id"}), frozenset(keys), frozenset[str]())
    cells = AblationDesign("modalities", factors, crossed=True, only=only).strategies(bench)
    assert sorted(len(cell.changed) for cell in cells) == [1, 3]
