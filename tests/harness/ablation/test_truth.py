"""Worlds of known truth with simulated scores: planted effects are told, none is where none is.

A study has three seeds a strategy and 60 users; scores are what a model that reads the planted
parts would give, with noise of its own for each seed.
"""

from collections.abc import Mapping

import numpy as np
import pytest

from fusefront.harness.ablation.deltas import adjusted_deltas
from fusefront.harness.statistics.contrasts import Contrasts, contrasts
from fusefront.harness.statistics.factorial import effects
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.panel import Panel, PanelRequest, collect
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource

pytestmark = pytest.mark.slow
USERS, ROWS, SEEDS = 60, 20, (1, 2, 3)
FACTORS = {"operator": ("as it is", "none"), "head": ("as it is", "linear")}
CELLS = [(a, b) for a in FACTORS["operator"] for b in FACTORS["head"]]


def study(seed: int, strength: Mapping[str, float]) -> Panel:
    """Each strategy's scores have its strength of the signal, beside what all have."""
    rng = np.random.default_rng(seed)
    n = USERS * ROWS
    signal, common = rng.normal(size=(2, n))
    taste = np.repeat(rng.normal(0, 0.5, USERS), ROWS)
    label = (rng.random(n) < 1 / (1 + np.exp(-signal - common - taste))).astype(np.uint8)
    scores = {
        name: {
            s: (common + weight * signal + rng.normal(0, 0.15, n)).astype(np.float32) for s in SEEDS
        }
        for name, weight in strength.items()
    }
    user = np.repeat(np.arange(USERS), ROWS)
    rows = RowTable(label, user, np.arange(n) // 4, np.zeros(n, np.int32), np.arange(n))
    request = PanelRequest(Layout(rows, "user"), "test", ("auc",), workers=1)
    return collect(MemorySource(rows, scores), request)


def test_the_planted_part_is_told_and_the_noise_is_not() -> None:
    """The planted one in all of 50 studies, the noise modality's interval holds 0 in 46."""
    signals, quiet = 0, 0
    strength = {"whole": 1.0, "signal": 0.0, "noise": 1.0, "head": 0.98}
    for seed in range(50):
        panel = study(seed, strength)
        deltas = adjusted_deltas(panel, "auc", list(strength)[1:], "whole", 0.05).deltas
        high, low = deltas["signal"]["high"], deltas["noise"]["low"]
        top = deltas["noise"]["high"]
        assert high is not None
        assert low is not None
        assert top is not None
        signals += high < 0
        quiet += low <= 0 <= top
    assert signals == 50
    assert quiet >= 46


def effects_of(
    seed: int, strength: Mapping[tuple[str, str], float]
) -> dict[str, tuple[float, float]]:
    """Ends of each effect, by its factors."""
    names = {f"{a}/{b}": strength[a, b] for a, b in CELLS}
    model = study(seed, names).models["auc"]
    contrasted = effects(FACTORS, [tuple(name.split("/")) for name in model.names])
    result: Contrasts = contrasts(model, np.array([each.weights for each in contrasted]))
    keys = [" x ".join(each.factors) for each in contrasted]
    return {k: (lo, hi) for k, lo, hi in zip(keys, result.low, result.high, strict=True)}


def test_a_planted_interaction_is_told_and_none_where_there_is_none() -> None:
    """An operator that matters with a linear head alone; then one that matters with neither."""
    planted = dict.fromkeys(CELLS, 1.0) | {CELLS[-1]: 0.1}
    even = dict.fromkeys(CELLS, 1.0)
    finds, false_claims = 0, 0
    for seed in range(50):
        finds += effects_of(seed, planted)["operator x head"][1] < 0
        claims = [low > 0 or high < 0 for low, high in effects_of(500 + seed, even).values()]
        false_claims += any(claims)
    assert finds >= 48
    assert false_claims <= 6
