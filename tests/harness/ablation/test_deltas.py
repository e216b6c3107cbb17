"""Intervals and adjusted p of an ablation say the same; the level is that of the false coverage
rate."""

from itertools import combinations, permutations
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.ablation import deltas as module
from fusefront.harness.ablation.deltas import (
    AblationScores,
    adjusted_deltas,
    benjamini_hochberg,
    known,
)
from fusefront.harness.ablation.subsets import TrainedShares, trained_subsets
from fusefront.harness.errors import UsageError
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.measures.metrics import ALL_METRICS
from fusefront.harness.statistics.options import Options, spent

NAMES = ("whole", *(f"part {at}" for at in range(8)))


def panel_of(theta: Any) -> Any:
    size = len(NAMES)
    zero, K = np.zeros(size), np.eye(size) * 1e-6
    model = JointModel(
        NAMES, np.array(theta), np.full(size, 1e-6), np.full(size, 3), K, zero, K * 0, 3000, 3000
    )
    return cast(
        Any,
        SimpleNamespace(models={"auc": model}, identical=lambda a, b: False, about=ALL_METRICS),
    )


@pytest.mark.parametrize("seed", range(20))
def test_an_interval_leaves_zero_out_where_its_adjusted_p_is_below(seed: int) -> None:
    rng = np.random.default_rng(seed)
    theta = 0.7 - np.append(0.0, rng.exponential(0.006, 8))
    deltas, alone = adjusted_deltas(panel_of(theta), "auc", list(NAMES[1:]), "whole", 0.05)
    shown = [d for d in deltas.values() if d["p"] < 0.05]
    for delta in deltas.values():
        assert (delta["high"] < 0 or delta["low"] > 0) == (delta["p"] < 0.05)
    model = panel_of(theta).models["auc"]
    level = 1 - max(len(shown), 1) * 0.05 / 8
    first, pair = deltas["part 0"], model.pair(1, 0)
    assert alone == pytest.approx(1 - level)
    half = stats.t.ppf(0.5 + level / 2, pair.df) * pair.se
    assert first["high"] - first["delta"] == pytest.approx(half)
    assert first["delta"] == pytest.approx(theta[1] - theta[0])


def test_what_is_not_known_is_none() -> None:
    assert [known(v) for v in (0.5, np.nan, np.inf)] == [0.5, None, None]


def test_benjamini_hochberg_against_scipy() -> None:
    p = np.random.default_rng(2).random(9) ** 3
    expected = stats.false_discovery_control(p)
    np.testing.assert_allclose(benjamini_hochberg(p), expected)
    with_gaps = np.insert(p, [0, 4], np.nan)
    actual = benjamini_hochberg(with_gaps)
    np.testing.assert_allclose(actual[np.isfinite(with_gaps)], expected)
    assert np.isnan(actual[[0, 5]]).all()
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


def test_shares_of_retrained_subsets_are_shapleys() -> None:
    """By every order of adding, and they sum to all less none."""
    modalities = ("text", "image", "audio")
    lacking = [frozenset(c) for k in range(4) for c in combinations(modalities, k)]
    auc = dict(zip(lacking, np.random.default_rng(6).random(8), strict=True))
    out = {f"s{at}": lacks for at, lacks in enumerate(lacking)}
    names = ["other", *out]
    each = TrainedShares(names, modalities, out).weights(trained_subsets(3))
    assert each is not None
    assert len(each) == 1
    (weights,) = each
    assert not weights[:, 0].any()
    values = np.array([9.9, *auc.values()])
    shares = weights @ values
    for at, name in enumerate(modalities):
        gains = []
        for order in permutations(modalities):
            before = set(order[: order.index(name)])
            without = auc[frozenset(set(modalities) - before)]
            gains.append(auc[frozenset(set(modalities) - before - {name})] - without)
        assert shares[at] == pytest.approx(np.mean(gains))
    assert shares[-1] == pytest.approx(auc[frozenset()] - auc[frozenset(modalities)])
    assert shares[:-1].sum() == pytest.approx(shares[-1], abs=1e-12)
    del out["s3"]
    assert TrainedShares(names, modalities, out).weights(trained_subsets(3)) is None


@pytest.mark.parametrize(
    ("ratio", "two_way", "refused", "by_item"),
    [
        (1.15, False, "", [False]),
        (1.16, False, "", [False, True]),
        (1.16, True, "", [True]),
        (np.nan, False, "", [False]),
        (1.16, False, "scored with other rows", [False]),
    ],
)
def test_rows_are_clustered_by_item_too_where_items_matter(
    monkeypatch: pytest.MonkeyPatch,
    ratio: float,
    two_way: bool,
    refused: str,
    by_item: list[bool],
) -> None:
    requests: list[Any] = []

    def collect(source: Any, request: Any) -> Any:
        requests.append(request)
        crossings = {"auc": SimpleNamespace(ratio={"whole": ratio}.__getitem__)}
        model = panel_of(np.full(len(NAMES), 0.7)).models["auc"]
        return SimpleNamespace(
            models={"auc": model}, strategies=NAMES, crossings=crossings,
            refused={"whole": refused} if refused else {},
        )  # fmt: skip

    rows = SimpleNamespace(label=np.array([0, 1]))
    source = SimpleNamespace(strategies=NAMES, rows=lambda split: rows if split == "test" else None)
    monkeypatch.setattr(module, "StudySource", lambda *_: source)
    monkeypatch.setattr(
        module, "Layout", lambda rows, cluster: SimpleNamespace(rows=rows, cluster=cluster)
    )
    monkeypatch.setattr(module, "collect", collect)
    folder = cast(Any, SimpleNamespace(name="shop"))
    scores = AblationScores(folder, "whole", Options("whole", two_way=two_way, look=2))
    if refused:
        with pytest.raises(UsageError, match="'whole' is scored with other rows"):
            scores.panel(["part 0"], ("auc",))
    else:
        panel = scores.panel(["part 0"], ("auc",))
        assert panel.models["auc"].level == pytest.approx(1 - spent(2))
    assert [request.two_way for request in requests] == by_item
    about = {(r.split, r.metrics, r.crossing, r.layout.cluster) for r in requests}
    assert about == {("test", ("auc",), "auc", "user")}
    with pytest.raises(UsageError, match="no completed runs of gone, expected them in study 'sho"):
        scores.panel(["part 0", "gone"], ("auc",))
    rows.label = np.array([1, 1])
    with pytest.raises(UsageError, match=r"^the test split has positives only \(2 rows\)"):
        scores.panel(["part 0"], ("auc",))


@pytest.mark.parametrize(("look", "alpha"), [(1, 0.05), (2, 0.025), (3, 0.05 / 6)])
def test_later_looks_at_test_spend_less_of_the_errors(
    monkeypatch: pytest.MonkeyPatch, look: int, alpha: float
) -> None:
    """Look k of 2 and more spends 5 % / (k (k - 1)), as the comparison says."""
    opened: list[str] = []

    def open_test(path: Path, purpose: str) -> Any:
        opened.append(purpose)
        return SimpleNamespace(number=look)

    monkeypatch.setattr(module, "open_test", open_test)
    monkeypatch.setattr(module, "study_options", lambda folder, metrics: Options("late"))
    folder: Any = SimpleNamespace(path=Path("study"))
    scores = AblationScores.open(folder, "mine")
    assert (scores.options.baseline, scores.options.look) == ("mine", look)
    assert scores.options.alpha == pytest.approx(alpha)
    assert opened == ["ablation of mine"]
