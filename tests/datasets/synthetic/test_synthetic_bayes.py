"""The Bayes AUC against brute force, against drawn labels, and against the reference table."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fusefront.datasets.synthetic.bayes import BayesBins, bayes_auc
from fusefront.datasets.synthetic.generator import make_chunk, make_chunks
from fusefront.datasets.synthetic.truth import build_source
from fusefront.datasets.synthetic.worlds import WORLDS, find_world

MEASURED = {
    "additive": 0.8375,
    "multiplicative": 0.7814,
    "redundant": 0.8295,
    "noise": 0.8295,
    "gated": 0.8568,
    "missing_not_at_random": 0.8634,
    "popularity": 0.8228,
    "null": 0.7440,  # with permuted quantiles
    "tour": 0.8229,
}
STANDARD_ERROR = 0.0015  # of one AUC over 8,000 requests, the low end of what was measured


def brute_force(p: list[float]) -> float:
    won = pairs = 0.0
    for i, left in enumerate(p):
        for j, right in enumerate(p):
            if i != j:
                weight = left * (1 - right)
                pairs += weight
                won += weight * (1.0 if left > right else 0.5 if left == right else 0.0)
    return won / pairs


@pytest.mark.parametrize("decimals", [1, 2, 12])
def test_it_equals_all_pairs_ties_included(decimals: int) -> None:
    p = np.random.default_rng(0).beta(1, 2, 150).round(decimals)
    assert bayes_auc(p) == pytest.approx(brute_force(p.tolist()), abs=1e-12)


def test_it_is_what_drawn_labels_give_on_average() -> None:
    random = np.random.default_rng(1)
    p = random.beta(1, 2, 2_000).round(2)
    aucs = [roc_auc_score(random.random(2_000) < p, p) for _ in range(200)]
    error = np.std(aucs, ddof=1) / np.sqrt(len(aucs))
    assert abs(bayes_auc(p) - np.mean(aucs)) < 3.5 * error


def test_no_scorer_beats_it() -> None:
    source = build_source(find_world("tour"), 0)
    chunk = make_chunk(source, "test", 0)
    best = bayes_auc(chunk.p.ravel())
    random = np.random.default_rng(2)
    blurred = np.log(chunk.p) + random.normal(0, 0.5, chunk.p.shape)
    assert roc_auc_score(chunk.label.ravel(), blurred.ravel()) < best


def test_streamed_bins_equal_the_exact_value_at_100_000_rows() -> None:
    source = build_source(find_world("tour"), 0)
    bins, parts = BayesBins(), []
    for chunk in make_chunks(source, "train", 12_500):
        bins.add(chunk.p)
        parts.append(chunk.p.ravel())
    p = np.concatenate(parts)
    assert len(p) == 100_000
    assert bins.auc() == pytest.approx(bayes_auc(p), abs=1e-6)


def test_certain_rows_and_single_classes_are_safe() -> None:
    assert bayes_auc(np.array([0.0, 0.0, 1.0])) == 1.0
    bins = BayesBins()
    bins.add(np.array([0.0, 0.0, 1.0]))
    assert bins.auc() == 1.0
    assert np.isnan(bayes_auc(np.zeros(3)))
    assert np.isnan(bayes_auc(np.zeros(0)))
    assert np.isnan(BayesBins().auc())


@pytest.mark.parametrize("name", list(WORLDS))
def test_each_world_has_the_measured_bayes_auc(name: str) -> None:
    values = []
    for seed in range(2):
        source = build_source(find_world(name), seed)
        p = np.concatenate([chunk.p.ravel() for chunk in make_chunks(source, "test", 8_000)])
        values.append(bayes_auc(p))
    assert np.mean(values) == pytest.approx(MEASURED[name], abs=3 * STANDARD_ERROR)


def test_the_null_world_hardly_moves_over_data_seeds() -> None:
    values = []
    for seed in range(10, 14):
        source = build_source(find_world("null"), seed)
        p = np.concatenate([chunk.p.ravel() for chunk in make_chunks(source, "test", 8_000)])
        values.append(bayes_auc(p))
    assert max(values) - min(values) < 0.003
