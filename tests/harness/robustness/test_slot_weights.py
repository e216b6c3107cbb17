"""Weights that operators tell: an operator by hand whose weights are known, and the shipped
ones."""

from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from fusefront.baselines.contract import Baseline, Parts
from fusefront.datasets.store import PreparedDataset
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.presence import cleared, one_token
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.robustness import slot_weights as module
from fusefront.harness.robustness.parts_of_rows import parts_of_rows
from fusefront.harness.robustness.slot_weights import (
    WeightedRows,
    WeightSums,
    recorded_weights,
    row_weights,
    slot_labels,
    weighing,
    weights_in_words,
)
from fusefront.harness.runs.spec import RunSpec
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.training.build import build_model


class Thirds(FusionOperator):
    """Slot m weighs m + 1 over the sum of those that are there: known by presence alone."""

    name: ClassVar[str] = "thirds"

    def __init__(self, slots: int, d: int) -> None:
        super().__init__(slots, d)
        self.scale = torch.nn.Parameter(torch.ones(()))

    @property
    def tokens_out(self) -> int:
        return 1

    def weights(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Tensor:
        own = torch.arange(1.0, self.slots + 1) * present
        return own / own.sum(-1, keepdim=True).clamp(min=1.0)

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        weight = self.weights(x, present, query).unsqueeze(-2)
        token = (weight @ cleared(x, present)).squeeze(-2)
        return one_token(self.scale * token, present)


@pytest.fixture(scope="module")
def parts() -> Parts:
    shipped = load_parts([])
    return shipped._replace(operators={**shipped.operators, "thirds": Thirds})


def model_of(store: PreparedDataset, parts: Parts, **settings: Any) -> Baseline:
    spec = RunSpec(store.name, store.fingerprint, "composed", settings, {}, 3)
    return build_model(spec, store, parts).eval()


def known(present: np.ndarray) -> np.ndarray:
    own = np.arange(1, present.shape[1] + 1) * present
    return own / np.maximum(own.sum(axis=1, keepdims=True), 1)


def slots_of_rows(store: PreparedDataset) -> np.ndarray:
    """Presence of id, text, image and side of every test row's candidate."""
    item = np.asarray(store.split("test").item)
    columns = [
        np.asarray(store.items.in_train)[item, None],
        np.asarray(store.items.present)[item],
        np.ones((len(item), 1), bool),
    ]
    return np.concatenate(columns, axis=1)


def test_an_operator_that_runs_once_an_item_is_read_at_the_candidate(
    ragged: PreparedDataset, parts: Parts
) -> None:
    model = model_of(ragged, parts, operator={"name": "thirds"}, placement="item")
    (weighted,) = row_weights(model, ragged)
    assert weighted.operator.startswith("thirds (")
    assert weighted.slots == ("id", "text", "image", "side")
    there = slots_of_rows(ragged)
    np.testing.assert_array_equal(weighted.present, there)
    np.testing.assert_allclose(weighted.weight, known(there), atol=1e-6)


def test_an_operator_that_runs_online_is_read_at_the_row(
    ragged: PreparedDataset, parts: Parts
) -> None:
    """Its slots are there where the candidate and some item of the history have them."""
    model = model_of(ragged, parts, operator={"name": "thirds"}, placement="interaction")
    (weighted,) = row_weights(model, ragged)
    np.testing.assert_allclose(weighted.weight, known(weighted.present), atol=1e-6)
    assert (weighted.present <= slots_of_rows(ragged)).all()
    split = ragged.split("test")
    request = np.repeat(np.arange(len(split.history_length)), np.diff(split.row_start))
    bare = np.asarray(split.history_length)[request] == 0
    assert not weighted.present[bare].any()
    assert weighted.present[~bare].any(axis=0).all()


def test_each_pair_of_target_and_history_is_not_summed_up(
    ragged: PreparedDataset, parts: Parts
) -> None:
    """A gate that asks with the candidate runs once a pair, and once an item for the candidate."""
    settings: Any = {"operator": {"name": "scalar_gate"}, "conditioning": "target_aware"}
    model = model_of(ragged, parts, placement="item", **settings)
    (weighted,) = row_weights(model, ragged)
    assert len(weighted.weight) == len(ragged.split("test").item)
    np.testing.assert_allclose(weighted.weight.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "placement", "sums"),
    [("scalar_gate", "logit", True), ("logit_weighted", "logit", True), ("senet", "item", False),
     ("gmu", "item", False), ("cross_attention", "item", True), ("self_attention", "item", True),
     ("perceiver", "item", True), ("fq_former", "item", False)],
)  # fmt: skip
def test_shipped_gates_and_attention_tell_their_weights(
    ragged: PreparedDataset, parts: Parts, operator: str, placement: str, *, sums: bool
) -> None:
    model = model_of(ragged, parts, operator={"name": operator}, placement=placement)
    (weighted,) = row_weights(model, ragged)
    assert not weighted.weight[~weighted.present].any()
    assert (weighted.weight >= 0).all()
    content = weighted.present[:, 1:].any(axis=1)
    if sums:
        np.testing.assert_allclose(weighted.weight[content].sum(axis=1), 1.0, atol=1e-5)


def test_operators_without_weights_are_none(ragged: PreparedDataset, parts: Parts) -> None:
    assert (
        row_weights(model_of(ragged, parts, operator={"name": "lmf"}, placement="item"), ragged)
        == []
    )
    assert not weighing(torch.nn.Linear(2, 2))
    assert slot_labels(torch.nn.Linear(2, 2), 2) == ("slot 1", "slot 2")
    model = model_of(ragged, parts, operator={"name": "lmf"}, placement="item")
    once = ("id", "text", "image", "side")
    assert slot_labels(model, 4) == once
    assert slot_labels(model, 8) == (*(f"{n} 1" for n in once), *(f"{n} 2" for n in once))
    assert slot_labels(model, 5) == tuple(f"slot {n}" for n in (1, 2, 3, 4, 5))


def test_a_model_that_weighs_nothing_is_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(module, "encode_table")
    monkeypatch.delattr(module, "predict")
    store: Any = SimpleNamespace(manifest=SimpleNamespace(schema_=SimpleNamespace(items=3)))
    model: Any = torch.nn.Linear(2, 2)
    assert row_weights(model, store) == []


def test_calls_of_any_shape_are_recorded_row_by_row_and_no_longer() -> None:
    model = torch.nn.ModuleDict({"gate": Thirds(3, 5)})
    present = torch.rand(2, 4, 3) < 0.6
    with recorded_weights(model) as calls:
        model["gate"](torch.randn(2, 4, 3, 5), present)
        model["gate"](torch.randn(7, 3, 5), torch.ones(7, 3, dtype=torch.bool))
    model["gate"](torch.randn(1, 3, 5), torch.ones(1, 3, dtype=torch.bool))
    (weight, there), (flat, _) = calls["gate"]
    np.testing.assert_array_equal(there, present.numpy().reshape(8, 3))
    np.testing.assert_allclose(weight, known(there.numpy()), atol=1e-6)
    assert flat.shape == (7, 3)


REQUESTS, WIDTH = 60, 4
ROWS = REQUESTS * WIDTH


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> tuple[WeightSums, Any]:
    """Two seeds of planted weights over 30 users; one slice of two values."""
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(REQUESTS) // 2, WIDTH)
    label = (rng.random(ROWS) < 0.5).astype(np.uint8)
    request = np.repeat(np.arange(REQUESTS), WIDTH)
    table = RowTable(label, user, request, np.zeros(ROWS, np.int32), np.arange(ROWS))
    code = rng.integers(0, 2, ROWS)
    declared = SimpleNamespace(name="phone", values=("a", "b", "none"), code=code)
    source: Any = SimpleNamespace(
        rows=lambda split: table, slices=lambda split: (declared,), cluster="user"
    )
    weight = {}
    for seed in (1, 2):
        text = rng.random(ROWS) * (0.2 + 0.6 * code) + 0.02 * seed
        weight[seed] = np.column_stack([text, 1 - text]).astype(np.float32)
    there = np.column_stack([code == 0, np.ones(ROWS, bool)])

    def planted_rows(model: int, store: Any) -> list[WeightedRows]:
        return [WeightedRows("gate (x)", ("text", "image"), weight[model], there)]

    monkeypatch.setattr(module, "row_weights", planted_rows)
    sums = WeightSums(tuple(parts_of_rows(source)))
    for seed in (1, 2):
        sums.add(seed, None)  # type: ignore[arg-type]
    return sums, SimpleNamespace(weight=weight, code=code, user=user, there=there)


def test_weights_are_means_over_rows_and_seeds_overall_and_by_slice(planted: Any) -> None:
    sums, truth = planted
    rows = sums.rows("mine")
    places = {("", ""): np.ones(ROWS, bool), ("phone", "a"): truth.code == 0}
    places["phone", "b"] = truth.code == 1
    assert list(dict.fromkeys((row["slice"], row["value"]) for row in rows)) == list(places)
    for row in rows:
        chosen = places[row["slice"], row["value"]]
        column = ("text", "image").index(row["slot"])
        seeds = [truth.weight[seed][chosen, column].mean() for seed in (1, 2)]
        assert row["weight"]["value"] == pytest.approx(np.mean(seeds), abs=1e-6)
        assert row["weight"]["low"] < row["weight"]["value"] < row["weight"]["high"]
        assert row["present"] == pytest.approx(truth.there[chosen, column].mean())
    assert weights_in_words(rows) == [
        f"mine: gate (x) weighs {', '.join(words)} on average."
        for ranked in [sorted(rows[:2], key=lambda r: -r["weight"]["value"])]
        for words in [[f"{r['slot']} {r['weight']['value']:.3f}" for r in ranked]]
    ]
    assert WeightSums(sums.parts).rows("mine") == []


def test_the_interval_of_a_weight_is_over_users(planted: Any) -> None:
    """One seed, against leaving out each user in turn."""
    sums, truth = planted
    sums.seeds = sums.seeds[:1]
    row = sums.rows("mine")[0]
    weight, users = truth.weight[1][:, 0].astype(float), np.unique(truth.user)
    without = np.array([weight[truth.user != user].mean() for user in users])
    error = np.sqrt((len(users) - 1) / len(users) * np.square(without - without.mean()).sum())
    half = (row["weight"]["high"] - row["weight"]["low"]) / 2
    assert half == pytest.approx(2.0 * error, rel=0.08)


def test_rows_of_one_label_are_no_part() -> None:
    label = np.array([0, 1, 1, 1], np.uint8)
    table = RowTable(label, np.arange(4), np.arange(4), np.zeros(4, np.int32), np.arange(4))
    declared = SimpleNamespace(name="s", values=("a", "b"), code=np.array([0, 0, 1, 1]))
    source: Any = SimpleNamespace(
        rows=lambda split: table, slices=lambda split: (declared,), cluster="user"
    )
    shown = list(parts_of_rows(source))
    assert [(part.slice, part.value) for part in shown] == [("", ""), ("s", "a")]
