"""Shares of the modalities from planted scores: nothing is trained, every number by a plain
loop."""

import itertools
import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from fusefront.harness.errors import NothingToDoError
from fusefront.harness.robustness import controls, slot_weights
from fusefront.harness.robustness import explain as module
from fusefront.harness.robustness.controls import ControlScores
from fusefront.harness.robustness.explain import ALL, FILE, ExplainOptions, explain, in_words
from fusefront.harness.robustness.slot_weights import WeightedRows
from fusefront.harness.statistics import drawn_shares
from fusefront.harness.statistics.rows import RowTable

subset_scores = module.subset_scores  # the planted studies put their own in its place

MODALITIES = ("text", "image", "noise")
SEEDS = (1, 2, 5)
REQUESTS, WIDTH = 120, 4
ROWS = REQUESTS * WIDTH
USER = np.repeat(np.random.default_rng(5).integers(0, 40, REQUESTS), WIDTH)
NEW = np.repeat(np.arange(REQUESTS) % 3 == 0, WIDTH)
LABEL = (np.random.default_rng(4).random(ROWS) < 0.4).astype(np.uint8)


def logits_of(seed: int, members: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Text tells most, image something and, beside text, more; noise nothing at all."""
    rng = np.random.default_rng(seed)
    base, text, image = rng.normal(size=(3, ROWS))
    click = LABEL.astype(float)
    logit = base + members[0] * (text + 1.5 * click) + members[1] * (image + 0.8 * click)
    return (logit + members[0] * members[1] * 0.9 * click).astype(np.float32)


def controls_of(seed: int, store: Any) -> Iterator[ControlScores]:
    """Each modality removed, nothing else."""
    every = np.ones(len(MODALITIES), bool)
    yield ControlScores("", "", logits_of(seed, every))
    for at, modality in enumerate(MODALITIES):
        without = np.arange(len(MODALITIES)) != at
        yield ControlScores(modality, "removed", logits_of(seed, without))


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    entries = [SimpleNamespace(seed=s, path=tmp_path / str(s), run_id=f"run{s}") for s in SEEDS]
    request = np.repeat(np.arange(REQUESTS), WIDTH)
    rows = RowTable(LABEL, USER, request, np.zeros(ROWS, np.int32), np.arange(ROWS))
    slices = (SimpleNamespace(name="users", values=("old", "new", "none"), code=NEW.astype(int)),)
    schema = SimpleNamespace(items=10, modalities=dict.fromkeys(MODALITIES, 4))
    store = SimpleNamespace(name="d", manifest=SimpleNamespace(schema_=schema))
    source = SimpleNamespace(rows=lambda split: rows, cluster="user", slices=lambda split: slices)
    looks: list[str] = []
    for name, value in {
        "PreparedDataset": SimpleNamespace(open=lambda path: store),
        "chosen_strategies": lambda study, names: ["mine"],
        "runs_with_weights": lambda study, name, tell: entries,
        "open_test": lambda path, purpose: looks.append(purpose),
        "parts_of_runs": lambda paths, include: None,
        "StudySource": lambda study: source,
        "load_model": lambda path, store, parts: int(path.name),
        "subset_scores": lambda seed, store, members: logits_of(seed, members),
    }.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(controls, "control_scores", controls_of)
    monkeypatch.setattr(slot_weights, "row_weights", lambda model, store: [])
    return SimpleNamespace(path=tmp_path, store_path="x", looks=looks, schema=schema)


def shares_by_orders(seed: int, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[M + 1] by the definition, with scikit-learn's AUC; the last is all less none."""

    @cache
    def auc(inside: frozenset[int]) -> float:
        members = np.array([at in inside for at in range(len(MODALITIES))])
        return float(roc_auc_score(LABEL[chosen], logits_of(seed, members)[chosen]))

    shares = np.zeros(len(MODALITIES) + 1)
    orders = list(itertools.permutations(range(len(MODALITIES))))
    for order in orders:
        for at, player in enumerate(order):
            before = frozenset(order[:at])
            shares[player] += (auc(before | {player}) - auc(before)) / len(orders)
    shares[-1] = auc(frozenset(range(len(MODALITIES)))) - auc(frozenset())
    return shares


def test_shares_are_shapley_values_of_auc_overall_and_by_slice(planted: Any) -> None:
    rows = explain(planted, ExplainOptions(), lambda text: None)
    places = {("", ""): np.ones(ROWS, bool), ("users", "old"): ~NEW, ("users", "new"): NEW}
    assert list(dict.fromkeys((row["slice"], row["value"]) for row in rows)) == list(places)
    for (name, value), chosen in places.items():
        part = [row for row in rows if (row["slice"], row["value"]) == (name, value)]
        assert [row["modality"] for row in part] == [*MODALITIES, ALL]
        expected = np.mean([shares_by_orders(seed, chosen) for seed in SEEDS], axis=0)
        actual = [row["auc"]["value"] for row in part]
        np.testing.assert_allclose(actual, expected, atol=1e-12)
        assert sum(actual[:-1]) == pytest.approx(actual[-1], abs=1e-9)
        assert actual[2] == 0.0  # the model does not read it
        assert actual[0] > actual[1] > 0.02


def test_the_interval_holds_rows_and_seeds(planted: Any) -> None:
    """Variance over seeds and, of the mean of the models, that of leaving out a user in turn."""
    rows = explain(planted, ExplainOptions(), lambda text: None)
    users = np.unique(USER)
    everyone = np.array([shares_by_orders(s, np.ones(ROWS, bool)) for s in SEEDS])
    without = np.array(
        [np.mean([shares_by_orders(s, user != USER) for s in SEEDS], axis=0) for user in users]
    )
    jackknife = (len(users) - 1) / len(users) * ((without - without.mean(0)) ** 2).sum(0)
    for at in (0, 1, 3):
        ends = rows[at]["single"]
        half = (ends["high"] - ends["low"]) / 2
        of_rows = stats.t.ppf(0.975, len(users) - 1) * np.sqrt(jackknife[at])
        over_seeds = everyone[:, at].var(ddof=1) / len(SEEDS)
        most = stats.t.ppf(0.975, len(SEEDS) - 1) * np.sqrt(jackknife[at] + over_seeds)
        assert 0.85 * of_rows < half < 1.05 * most
        assert ends["low"] < ends["value"] < ends["high"]
    assert rows[2]["auc"] == rows[2]["single"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_intervals_that_hold_at_once_are_wider(planted: Any) -> None:
    """Twelve numbers in three sets of rows: between the single interval and Bonferroni's."""
    for row in explain(planted, ExplainOptions(), lambda text: None):
        wide, alone = (row[key]["high"] - row[key]["value"] for key in ("auc", "single"))
        if row["modality"] == "noise":
            continue
        assert 1.1 * alone < wide
        most = stats.t.ppf(1 - 0.05 / 24, 2) / stats.t.ppf(0.975, 39)  # seeds alone, few
        assert wide < most * alone


def test_a_modality_that_contributes_nothing_is_said(planted: Any) -> None:
    explain(planted, ExplainOptions(), lambda text: None)
    text, _, noise, used, _, unused = json.loads((planted.path / FILE).read_text())["sentences"]
    assert used.startswith("mine: text is used: removed -0.")
    assert unused.startswith("mine: noise contributes nothing: no score changes without it")
    assert noise == "mine: noise contributes nothing: no score changes with it."
    assert text.startswith("mine: text adds 0.")
    ends: Any = {"value": 0.001, "low": -0.002, "high": 0.004}
    row: Any = {"strategy": "s", "slice": "", "value": "", "modality": "image", "auc": ends}
    changes: list[dict[str, Any]] = [
        {},
        {"value": -0.003, "high": -0.001},
        {"low": None},
        {"value": 0.0},
        {"low": 0.0},
        {"value": -0.001, "high": 0.0},
        {"high": None},
        {"low": 0.0005},
    ]
    open_, harm, unknown, near, above, below, endless, gain = (
        in_words([{**row, "auc": {**ends, **change}}])[0] for change in changes
    )
    assert above == "s: image is not shown to contribute anything: +0.0010 AUC [+0.0000, +0.0040]."
    assert below == "s: image is not shown to contribute anything: -0.0010 AUC [-0.0020, +0.0000]."
    assert endless == unknown
    assert gain == "s: image adds 0.0010 AUC [+0.0005, +0.0040]."
    assert near == "s: image is not shown to contribute anything: +0.0000 AUC [-0.0020, +0.0040]."
    assert open_ == "s: image is not shown to contribute anything: +0.0010 AUC [-0.0020, +0.0040]."
    assert harm == "s: image costs 0.0030 AUC [-0.0020, -0.0010]."
    assert unknown == "s: image adds +0.0010 AUC, without an interval."


def test_what_is_written_names_the_runs_and_test_was_opened(planted: Any) -> None:
    rows = explain(planted, ExplainOptions(), lambda text: None)
    record = json.loads((planted.path / FILE).read_text())
    assert record["shares"] == json.loads(json.dumps(rows))
    assert (record["format"], record["exact"]) == (1, True)
    every = np.ones(3, bool)
    for row, modality in zip(record["controls"], MODALITIES, strict=True):
        without = np.array([name != modality for name in MODALITIES])
        auc = [
            [roc_auc_score(LABEL, logits_of(s, members)) for members in (without, every)]
            for s in SEEDS
        ]
        change = np.mean([after - before for after, before in auc])
        assert (row["strategy"], row["modality"], row["control"]) == ("mine", modality, "removed")
        assert row["auc"]["value"] == pytest.approx(change, abs=1e-9)
    assert record["runs"] == {"mine": ["run1", "run2", "run5"]}
    assert record["kind"].startswith("masked")
    assert planted.looks == ["explain"]


def test_operators_that_weigh_slots_are_summed_up_and_runs_are_said(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = np.full((ROWS, 2), 0.5, np.float32)
    half[:, 1] = 0.25
    weighted = WeightedRows("gate (x)", ("text", "image"), half, np.ones((ROWS, 2), bool))
    monkeypatch.setattr(slot_weights, "row_weights", lambda model, store: [weighted])
    messages: list[str] = []
    explain(planted, ExplainOptions(), messages.append)
    record = json.loads((planted.path / FILE).read_text())
    assert [(row["slice"], row["value"], row["slot"]) for row in record["weights"]] == [
        (name, value, slot)
        for name, value in (("", ""), ("users", "old"), ("users", "new"))
        for slot in ("text", "image")
    ]
    assert record["sentences"][-1] == ("mine: gate (x) weighs text 0.500, image 0.250 on average.")
    assert messages == [f"mine, seed {seed}: 8 subsets of 3" for seed in SEEDS]


def test_a_share_as_small_as_rounding_is_nothing_and_no_other(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = explain(planted, ExplainOptions(), lambda text: None)[0]["auc"]["value"]
    monkeypatch.setattr(module, "ROUNDING", first)
    assert explain(planted, ExplainOptions(), lambda text: None)[0]["auc"]["value"] == first
    monkeypatch.setattr(module, "ROUNDING", np.nextafter(first, 1))
    assert explain(planted, ExplainOptions(), lambda text: None)[0]["auc"]["value"] == 0


def test_a_subset_is_scored_with_the_vectors_of_its_modalities_alone(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode_table(model: str, items: int, keep: Any) -> NDArray[np.bool_]:
        assert (model, items) == ("model", 10)
        return keep.numpy()

    monkeypatch.setattr(module, "encode_table", encode_table)
    monkeypatch.setattr(module, "predict", lambda model, codes, store, split: (codes, split))
    store: Any = SimpleNamespace(manifest=SimpleNamespace(schema_=planted.schema))
    members = np.array([True, False, True])
    codes, split = subset_scores(cast(Any, "model"), store, members)
    assert split == "test"
    assert codes.tolist() == [[True, False, True]] * 11  # the padding's row first


def test_beyond_five_modalities_orders_are_drawn_and_their_error_is_in_the_interval(
    planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six, three of which tell only together: near the exact shares, and summing to the whole."""
    names = [f"m{at}" for at in range(6)]
    planted.schema.modalities = dict.fromkeys(names, 4)

    def logits(seed: int, members: NDArray[np.bool_]) -> NDArray[np.float32]:
        base = np.random.default_rng(seed).normal(size=ROWS)
        known = 0.3 * members[:3].sum() + 1.2 * members[:3].all() + 0.2 * members[3]
        return (base + known * LABEL).astype(np.float32)

    def controls_of_six(seed: int, store: Any) -> Iterator[ControlScores]:
        yield ControlScores("", "", logits(seed, np.ones(6, bool)))

    monkeypatch.setattr(module, "subset_scores", lambda seed, store, members: logits(seed, members))
    monkeypatch.setattr(controls, "control_scores", controls_of_six)
    rows = [row for row in explain(planted, ExplainOptions(), lambda _: None) if not row["slice"]]
    record = json.loads((planted.path / FILE).read_text())
    assert (record["exact"], record["controls"]) == (False, [])

    @cache
    def auc(inside: frozenset[int]) -> float:
        members = np.array([at in inside for at in range(6)])
        return float(np.mean([roc_auc_score(LABEL, logits(s, members)) for s in SEEDS]))

    expected = np.zeros(6)
    for at in range(6):
        others = [k for k in range(6) if k != at]
        for size in range(6):
            weight = 1 / (6 * math.comb(5, size))
            for inside in map(frozenset, itertools.combinations(others, size)):
                expected[at] += weight * (auc(inside | {at}) - auc(inside))
    values = np.array([row["auc"]["value"] for row in rows])
    assert values[:-1].sum() == pytest.approx(values[-1], abs=1e-9)
    np.testing.assert_allclose(values[:-1], expected, atol=0.03)
    assert not np.allclose(values[:3], expected[:3], atol=1e-6)  # drawn
    for row, truth in zip(rows[:4], expected, strict=False):
        assert row["auc"]["low"] < truth < row["auc"]["high"]

    draws: list[NDArray[np.float64]] = []

    def no_errors(each: NDArray[np.float64]) -> NDArray[np.float64]:
        draws.append(each)
        return np.zeros(each.shape[1])

    monkeypatch.setattr(drawn_shares, "drawing_errors", no_errors)
    without = explain(planted, ExplainOptions(), lambda _: None)
    np.testing.assert_allclose(draws[0].mean(axis=0)[:-1], values[:-1], atol=1e-12)
    moves = [True] * 4 + [False] * 3  # nothing reads the last two, and the whole is exact
    assert (np.ptp(draws[0], axis=0) > 1e-12).tolist() == moves
    for row, other in zip(rows[:3], without, strict=False):
        wide, narrow = (each["single"]["high"] - each["single"]["value"] for each in (row, other))
        assert wide > narrow  # by the error of the drawing


def test_a_log_without_vectors_has_nothing_to_explain(planted: Any) -> None:
    planted.schema.modalities = {}
    with pytest.raises(NothingToDoError, match="data set 'd' has no modality to explain"):
        explain(planted, ExplainOptions(), lambda text: None)
    assert not planted.looks
