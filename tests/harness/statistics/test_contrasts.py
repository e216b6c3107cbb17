"""Simultaneous intervals of contrasts: closed forms, the pair's own interval, and simulation."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.statistics.accumulate import Accumulator
from fusefront.harness.statistics.contrasts import contrasts
from fusefront.harness.statistics.joint import JointModel

NAMES = ("a", "b", "c", "d")


def planted(rows: float, s2: float, n: int = 3, clusters: int = 4000) -> JointModel:
    size = len(NAMES)
    K, zero = np.eye(size) * rows, np.zeros(size)
    theta = np.array([0.70, 0.72, 0.71, 0.75])
    return JointModel(
        NAMES, theta, np.full(size, s2), np.full(size, n), K, zero, K * 0, clusters, clusters
    )


def test_one_contrast_of_two_strategies_is_their_pair() -> None:
    model = planted(1e-6, 4e-6)
    (result,) = [contrasts(model, np.array([[1.0, -1.0, 0.0, 0.0]]))]
    pair = model.pair(0, 1)
    assert result.value[0] == pytest.approx(pair.difference)
    assert (result.se[0], result.df[0]) == pytest.approx((pair.se, pair.df))
    assert (result.low[0], result.high[0]) == pytest.approx((pair.low, pair.high), rel=0.02)
    assert result.p[0] == pytest.approx(pair.p, abs=0.004)
    two = planted(1e-6, 4e-6, n=2)
    least = contrasts(two, np.array([[1.0, -1.0, 0.0, 0.0]]))
    assert (least.se[0], least.df[0]) == pytest.approx((two.pair(0, 1).se, two.pair(0, 1).df))


def test_independent_contrasts_have_sidaks_critical_value() -> None:
    """Rows alone, many clusters: |t| of four independent normals, and the adjusted p."""
    model = planted(1e-6, 0.0)
    result = contrasts(model, np.eye(4) - 0.0)
    expected = stats.norm.ppf(0.5 + 0.95**0.25 / 2)
    assert result.critical == pytest.approx(expected, abs=0.03)
    small = contrasts(model, np.array([[1.0, -1.0, 0, 0]]) * 0.05)
    assert small.value[0] == pytest.approx(-0.001)  # a scale changes no t
    assert small.critical == pytest.approx(1.96, abs=0.03)


def test_equal_contrasts_need_no_correction() -> None:
    result = contrasts(planted(1e-6, 0.0), np.array([[1.0, -1, 0, 0]] * 5))
    assert result.critical == pytest.approx(1.96, abs=0.03)


def test_an_interaction_has_the_variance_of_its_four_cells() -> None:
    model = planted(1e-6, 3e-6)
    result = contrasts(model, np.array([[1.0, -1, -1, 1]]))
    assert result.value[0] == pytest.approx(0.70 - 0.72 - 0.71 + 0.75)
    assert result.se[0] == pytest.approx(np.sqrt(4 * 1e-6 + 4 * 1e-6))


def test_one_seed_or_few_clusters_give_no_interval() -> None:
    alone = planted(1e-6, np.nan, n=1)
    weights = np.array([[1.0, -1, 0, 0]])
    assert np.isnan(contrasts(alone, weights).low[0])
    few = contrasts(planted(1e-6, 1e-6, clusters=5), weights)
    assert np.isnan([few.low[0], few.high[0], few.p[0], few.critical]).all()
    assert few.value[0] == pytest.approx(-0.02)
    with pytest.raises(ValueError, match=r"weights: got \(1, 2\), expected \[C, 4\]"):
        contrasts(alone, np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"weights: got \(4,\), expected \[C, 4\]"):
        contrasts(alone, np.ones(4))


def test_a_contrast_without_an_interval_leaves_the_others_theirs() -> None:
    """A strategy of one seed, and a contrast of nothing."""
    planted_model = planted(1e-6, 1e-6)
    model = replace(
        planted_model,
        n=np.array([3, 3, 3, 1]),
        s2=np.append(planted_model.s2[:3], np.nan),
    )
    weights = np.array([[1.0, -1, 0, 0], [1.0, 0, 0, -1], [0.0, 0, 0, 0]])
    result, alone = contrasts(model, weights), contrasts(model, weights[:1])
    assert (result.low[0], result.high[0], result.p[0]) == (alone.low[0], alone.high[0], alone.p[0])
    assert np.isfinite(result.low[0])
    assert np.isnan([result.low[1:], result.high[1:], result.p[1:]]).all()


def test_all_intervals_hold_at_once_in_simulated_studies() -> None:
    """Four equal strategies, three seeds each, 60 clusters: all six pairs in 95 % of studies."""
    rng, misses, studies = np.random.default_rng(3), 0, 400
    pairs = [(i, j) for i in range(4) for j in range(i)]
    weights = np.array([[(s == i) - (s == j) for s in range(4)] for i, j in pairs], float)
    for _ in range(studies):
        accumulator = Accumulator.empty(NAMES, 60, 60)
        shared = rng.normal(0, 0.02, 60)
        for name in NAMES:
            own = rng.normal(0, 0.02, 60)
            for _seed in range(3):
                rows = (shared + own) / 60
                value = rows.sum() + rng.normal(0, 0.002)
                accumulator.add(name, value, rows - rows.mean())
        model = accumulator.joint()
        object.__setattr__(model, "null", _fewer(model))
        result = contrasts(model, weights)
        misses += bool((np.abs(result.value) > result.high - result.value).any())
    assert misses / studies <= 0.08


def _fewer(model: JointModel) -> object:
    return model.null.take(slice(0, 3000))


def test_no_interval_is_narrower_than_students_for_its_contrast_alone() -> None:
    """Of a single contrast with few degrees of freedom, whatever the drawn quantile says."""
    wider = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        model = planted(1e-9, 1e-6, n=2 + seed % 3)
        weights = rng.normal(size=(1, 4))
        result = contrasts(model, weights)
        alone = stats.t.ppf(0.975, result.df[0])
        half = (result.high[0] - result.value[0]) / result.se[0]
        assert half == pytest.approx(max(alone, result.critical))
        assert result.value[0] - result.low[0] == pytest.approx(half * result.se[0])
        wider += alone > 1.0001 * result.critical
    assert wider > 5
