import numpy as np
import pytest

from fusefront.harness.decision.replay import clicks_in_top, open_log, per_thousand, shown


def slow_top(labels: list[float], scores: list[float], k: int) -> float:
    """Expected clicks in the top k, every candidate a loop, ties by enumeration of positions."""
    total = 0.0
    for i, label in enumerate(labels):
        above = sum(s > scores[i] for s in scores)
        tied = sum(s == scores[i] for s in scores)
        total += label * min(1.0, max(0.0, (k - above) / tied))
    return total


def planted_log(rng: np.random.Generator, requests: int = 200):
    sizes = rng.integers(1, 9, requests)
    request = np.repeat(np.arange(requests) * 3 + 5, sizes)
    label = (rng.random(len(request)) < 0.3).astype(np.uint8)
    score = rng.integers(0, 6, len(request)).astype(float)
    return request, label, score, np.repeat(rng.integers(0, 40, requests), sizes)


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_replay_equals_a_slow_loop(k: int) -> None:
    request, label, score, cluster = planted_log(np.random.default_rng(0))
    log = open_log(label, request, cluster)
    fast = clicks_in_top(log, score[log.keep], k)
    requests = [r for r in np.unique(request) if (request == r).sum() >= 2]
    slow = [
        slow_top(list(label[request == r] * 1.0), list(score[request == r]), k) for r in requests
    ]
    np.testing.assert_allclose(fast, slow)
    assert log.requests == len(requests)
    np.testing.assert_allclose(shown(log, k), [min(k, (request == r).sum()) for r in requests])


def test_a_constant_score_earns_the_mean_click_rate() -> None:
    request, label, _, cluster = planted_log(np.random.default_rng(1), 4000)
    log = open_log(label, request, cluster)
    rate, _ = per_thousand(log, np.zeros(int(log.keep.sum())), 2)
    assert rate == pytest.approx(300, abs=15)


def test_the_influence_gives_the_cluster_bootstrap_error() -> None:
    rng = np.random.default_rng(2)
    request, label, score, cluster = planted_log(rng, 3000)
    log = open_log(label, request, cluster)
    _, influence = per_thousand(log, score[log.keep], 2)
    m = len(influence)
    se = np.sqrt(m / (m - 1) * (influence**2).sum())
    clicks, impressions = clicks_in_top(log, score[log.keep], 2), shown(log, 2)
    per = [np.bincount(log.cluster, x, minlength=m) for x in (clicks, impressions)]
    draws = []
    for _ in range(3000):
        pick = rng.integers(0, m, m)
        draws.append(1000 * per[0][pick].sum() / per[1][pick].sum())
    assert influence.sum() == pytest.approx(0, abs=1e-9)
    assert se == pytest.approx(np.std(draws), rel=0.08)


def test_scattered_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="store's row order"):
        open_log(np.ones(4, np.uint8), np.array([1, 2, 1, 2]), np.zeros(4, np.int64))
