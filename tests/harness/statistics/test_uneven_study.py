"""A comparison of unequal seeds, requests inside users and tied scores, against plain loops."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.measures.metrics import ALL_METRICS, METRICS, Layout, measure
from fusefront.harness.statistics.options import Options

SEEDS = {"base": (0, 1, 2), "up": (0, 1, 2, 7), "side": (1, 4), "lone": (3,), "flat": (0, 1, 2)}


@pytest.fixture(scope="module")
def source(uneven):
    return uneven


def delong(vector, label):
    """AUC and each row's influence, pair by pair (DeLong 1988)."""
    high, low = vector[label > 0], vector[label == 0]
    order = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    influence = np.zeros(len(label))
    influence[label > 0] = (order.mean(1) - order.mean()) / len(high)
    influence[label == 0] = (order.mean(0) - order.mean()) / len(low)
    return order.mean(), influence


def left_out(vector, label, cluster, code):
    """What leaving a cluster out takes off the AUC; its own AUC counts where it is large."""
    inside = cluster == code
    a, b = (label[inside] == 1).sum() / label.sum(), (label[inside] == 0).sum() / (1 - label).sum()
    if a * b > 1e-4:
        return delong(vector, label)[0] - delong(vector[~inside], label[~inside])[0]
    return delong(vector, label)[1][inside].sum() / ((1 - a) * (1 - b))


def covariance(source, keys, cluster, whole=True):
    """[V, V] clustered covariance of the AUCs of every strategy and seed; cells weigh nothing."""
    codes = np.unique(cluster)
    label = source.table.label
    scale = (len(codes) - 1) / len(codes)
    columns = []
    for name, seed in keys:
        vector = source.scores[name][seed]
        influence = delong(vector, label)[1]
        if whole:
            columns.append([scale * left_out(vector, label, cluster, code) for code in codes])
        else:
            columns.append([influence[cluster == code].sum() for code in codes])
    psi = np.array(columns)
    return len(codes) / (len(codes) - 1) * psi @ psi.T


def classes(cluster, label):
    """Clusters with a positive or with a negative, the smaller count."""
    return min(len(np.unique(cluster[label == value])) for value in (0, 1))


KEYS = [(name, seed) for name, seeds in SEEDS.items() for seed in seeds]


def check_model(model, sigma, source):
    for i, a in enumerate(SEEDS):
        of_a = [k for k, key in enumerate(KEYS) if key[0] == a]
        values = [roc_auc_score(source.table.label, v) for v in source.scores[a].values()]
        assert model.theta[i] == pytest.approx(np.mean(values), abs=1e-12)
        block = sigma[np.ix_(of_a, of_a)]
        n = len(block)
        inside = block[0, 0] if n == 1 else (block.sum() - np.trace(block)) / (n * (n - 1))
        assert model.K[i, i] == pytest.approx(inside, rel=1e-4, abs=1e-12)
        assert model.floor[i, i] == pytest.approx(block.mean(), rel=1e-4, abs=1e-12)
        if n > 1:
            assert model.s2[i] == pytest.approx(np.var(values, ddof=1), rel=1e-9)
            part = max(np.trace(block) / n - inside, 0)
            assert model.interaction[i] == pytest.approx(part, rel=1e-3, abs=1e-12)
        for j, b in enumerate(SEEDS):
            of_b = [k for k, key in enumerate(KEYS) if key[0] == b]
            if i != j:
                mean = sigma[np.ix_(of_a, of_b)].mean()
                assert model.K[i, j] == pytest.approx(mean, rel=1e-4, abs=1e-12)


@pytest.mark.parametrize("cluster", ["user", "request"])
def test_the_model_is_that_of_the_clusters_named(source, cluster):
    comparison = compare(source, Options("base", cluster=cluster, metrics=("auc",)))
    codes = source.table.group if cluster == "user" else source.table.request
    label = source.table.label
    check_model(comparison.model, covariance(source, KEYS, codes), source)
    assert comparison.cluster == cluster
    assert comparison.clusters == comparison.model.m == len(np.unique(codes))
    assert comparison.mc == comparison.model.mc == classes(codes, label)
    assert (comparison.rows, comparison.positives) == (len(label), label.sum())


def test_two_ways_add_items_to_users_and_take_off_their_cells(source):
    comparison = compare(source, Options("base", two_way=True, metrics=("auc", "mrr")))
    user, item, label = source.table.group, source.table.item, source.table.label
    cell = user * 1000 + item
    assert len(np.unique(cell)) > len(np.unique(user))
    axes = ((user, True), (item, True), (cell, False))
    keys = [key for key in KEYS if key[0] in ("base", "up")]
    sigma = [covariance(source, keys, codes, whole) for codes, whole in axes]
    check_model_two_ways(comparison.model, sigma)
    assert comparison.cluster == "user and item"
    assert comparison.model.m == 25
    assert comparison.model.mc == min(classes(codes, label) for codes in (user, item, cell))


def check_model_two_ways(model, sigma):
    first = [k for k, key in enumerate(KEYS) if key[0] == "base"]
    second = [k for k, key in enumerate(KEYS) if key[0] == "up"]
    means = [part[np.ix_(first, second)].mean() for part in sigma]
    assert model.K[0, 1] == pytest.approx(means[0] + means[1] - means[2], rel=1e-3)


def test_values_of_every_metric_are_those_of_plain_loops(source):
    layout = Layout(source.rows("test"))
    rows, vector = layout.rows, source.scores["up"][7]
    label, p = rows.label, special.expit(vector.astype(float))
    results = {
        name: part.value for name, part in measure(layout, vector, tuple(METRICS)).values.items()
    }
    rate = label.mean()
    assert results["auc"] == pytest.approx(roc_auc_score(label, vector), abs=1e-12)
    assert results["pr_auc"] == pytest.approx(average_precision_score(label, vector), abs=1e-12)
    assert results["logloss"] == pytest.approx(log_loss(label, p), abs=1e-9)
    entropy = special.entr([rate, 1 - rate]).sum()
    assert results["normalised_entropy"] == pytest.approx(log_loss(label, p) / entropy, abs=1e-9)
    aucs, weights = [], []
    for user in np.unique(rows.group):
        inside = rows.group == user
        if 0 < label[inside].sum() < inside.sum():
            aucs.append(roc_auc_score(label[inside], vector[inside]))
            weights.append(inside.sum())
    assert results["group_auc"] == pytest.approx(np.average(aucs, weights=weights), abs=1e-12)
    ranks = [
        ranked(vector[rows.request == r], label[rows.request == r])
        for r in np.unique(rows.request)
        if 0 < label[rows.request == r].sum() < (rows.request == r).sum()
    ]
    mrr, hit = np.mean(ranks, axis=0)
    assert (results["mrr"], results["hit_at_1"]) == pytest.approx((mrr, hit), abs=1e-12)


def ranked(vector, label, draws=None):
    """Expected 1 / rank and hit of the first positive over random ties, by a recursion."""
    best = vector[label > 0].max()
    above = int((vector > best).sum())
    tied, good = int((vector == best).sum()), int(((vector == best) & (label > 0)).sum())

    def expected(place, left):
        if good == left:
            return 1 / (above + place + 1)
        hit = good / left
        return hit / (above + place + 1) + (1 - hit) * expected(place + 1, left - 1)

    return expected(0, tied), good / tied if above == 0 else 0.0


def test_only_metrics_that_were_named_are_measured(source):
    layout = Layout(source.rows("test"))
    for names in (("hit_at_1",), ("mrr", "auc"), ("normalised_entropy",), ("ece", "logloss")):
        result = measure(layout, source.scores["up"][0], names)
        assert set(result.values) == set(names)
        assert set(result.curves) == set(result.chance) == ({"ece"} & set(names))


def test_which_way_is_up_and_what_carries_a_metric():
    less = {name for name, about in ALL_METRICS.items() if not about.higher_is_better}
    down = ("logloss", "norm", "ece", "pcoc")
    assert less == {name for name in ALL_METRICS if name.startswith(down)}
    assert {name for name, about in METRICS.items() if not about.directed} == {"ece", "pcoc"}
    assert {name: about.unit for name, about in METRICS.items() if about.unit != "row"} == {
        "group_auc": "group",
        "mrr": "request",
        "hit_at_1": "request",
        "session_auc": "request",
        "ndcg_at_10": "request",
        "recall_at_10": "request",
    }
    assert {about.scale for name, about in ALL_METRICS.items() if name in less} == {
        "plain",
        "biased",
        "log",
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"margin": 0.0}, "got margin 0.0, effect 0.0, alpha 0.05; expected margin and effect"),
        ({"effect": 0.0}, "got margin 0.001, effect 0.0, alpha 0.05"),
        ({"alpha": 0.0}, "alpha 0.0"),
        ({"alpha": 1.0}, "alpha 1.0"),
        ({"split": "train"}, "got split 'train', expected test or valid"),
        ({"family": ("up", "ghost")}, "got strategy 'ghost', expected one with completed runs"),
        ({"metric": "logloss", "metrics": ("auc", "ece")}, "got metric 'logloss'.*: auc$"),
    ],
)
def test_options_that_mean_nothing_are_refused(source, changes, sentence):
    with pytest.raises(UsageError, match=sentence):
        Options(**{"baseline": "base", **changes}).check(source)


def test_options_at_their_limits_are_taken(source):
    for changes in ({"margin": 1e-9}, {"effect": 1e-9}, {"alpha": 1e-9}, {"alpha": 0.999}):
        Options("base", **changes).check(source)
    assert Options("base").declared == 0.001
    assert Options("base", effect=0.5).declared == 0.5


def test_paired_seeds_take_off_their_correlation(source):
    same = {n: {s: v for s, v in of.items() if s in (0, 1, 2)} for n, of in source.scores.items()}
    same = {name: of for name, of in same.items() if len(of) == 3}
    of = replace(source, scores=same)
    plain = compare(of, Options("base", metrics=("auc",)))
    paired = compare(of, Options("base", metrics=("auc",), paired_seeds=True))
    assert plain.model.rho == 0.0
    aucs = np.array(
        [[roc_auc_score(source.table.label, v) for v in by.values()] for by in same.values()]
    )
    residual = aucs - aucs.mean(1, keepdims=True)
    square = (residual**2).sum()
    common = (residual.sum(0) ** 2).sum()
    observed = (common - square) / (2 * square) - 1 / np.sqrt(2 * 2)
    assert paired.model.rho == pytest.approx(min(max(observed, 0), 0.95), abs=1e-9)
