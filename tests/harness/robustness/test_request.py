"""Contributions to a row's logit: they sum, they are Shapley's, and what a model does not read
has none."""

from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fusefront.baselines.contract import Baseline, Parts
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.robustness.request import (
    FIELDS,
    HISTORY,
    IDS,
    NUMBERS,
    _compact,
    contributions,
    groups_of,
)
from fusefront.harness.serving.export.online import eager_logits, random_feeds
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.trace import Example
from fusefront.harness.testing.scene import SCHEMA, make_scene
from fusefront.harness.training.module import encode_table

SIZE = Example(5, 1, 6)
GROUPS = ("text", "image", "audio", HISTORY, NUMBERS, FIELDS, IDS)


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts([])


@pytest.fixture(scope="module")
def feed() -> Feed:
    return next(random_feeds(SCHEMA, (SIZE,), seed=3))


def model_of(parts: Parts, baseline: str = "compressed_fusion", **settings: Any) -> Baseline:
    scene = make_scene()
    kind = parts.baselines[baseline]
    model = kind.build(SCHEMA, scene.items, settings, parts, 0).eval()
    generator = torch.Generator().manual_seed(1)  # trained weights move everything
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.mark.parametrize("baseline", ["compressed_fusion", "early_fusion", "late_fusion", "din"])
def test_parts_sum_to_the_logit_of_the_row(parts: Parts, feed: Feed, baseline: str) -> None:
    model = model_of(parts, baseline)
    result = contributions(model, SCHEMA, feed)
    codes = encode_table(model, SCHEMA.items)
    np.testing.assert_allclose(result.logit, eager_logits(model, codes, feed)[:, 0], atol=2e-5)
    total = result.base + result.shares.sum(1)
    np.testing.assert_allclose(total, result.logit, rtol=0, atol=1e-9)
    assert result.groups == GROUPS
    assert (np.abs(result.shares).max(0) > 1e-4)[[0, 4]].all()


def test_they_are_means_over_all_orders_of_adding_groups(
    parts: Parts, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every order of three groups, each subset masked by hand."""
    model = model_of(parts, use_id=False, context_width=0, modalities=["text"])
    players = ("text", HISTORY, NUMBERS)
    monkeypatch.setattr("fusefront.harness.robustness.request.groups_of", lambda *_: players)
    result = contributions(model, SCHEMA, feed)

    def logit(present: frozenset[str]) -> Any:
        masked = {name: np.zeros_like(v) if name.endswith("ids") else v for name, v in feed.items()}
        if NUMBERS not in present:
            masked |= {k: np.zeros_like(v) for k, v in feed.items() if k.endswith("numbers")}
        if HISTORY not in present:
            masked |= {k: np.zeros_like(feed[k]) for k in ("history", "history_mask")}
        keep = torch.zeros(SCHEMA.items + 1, 3, dtype=torch.bool)
        keep[:, 0] = "text" in present
        codes = encode_table(model, SCHEMA.items, keep)
        return eager_logits(model, codes, masked)[:, 0].astype(float)

    for at, group in enumerate(players):
        gains = []
        for order in permutations(players):
            before = frozenset(order[: order.index(group)])
            gains.append(logit(before | {group}) - logit(before))
        np.testing.assert_allclose(result.shares[:, at], np.mean(gains, 0), atol=5e-5)


def test_what_a_model_does_not_read_adds_nothing(parts: Parts, feed: Feed) -> None:
    result = contributions(
        model_of(parts, modalities=["text", "audio"], context_numbers=False), SCHEMA, feed
    )
    shares = dict(zip(result.groups, result.shares.T, strict=True))
    assert np.abs(shares["image"]).max() == pytest.approx(0, abs=1e-9)
    assert np.abs(shares[NUMBERS]).max() == pytest.approx(0, abs=1e-9)
    for group in ("text", "audio", FIELDS, IDS, HISTORY):
        assert np.abs(shares[group]).max() > 1e-4
    empty = result.shares[0, result.groups.index(HISTORY)]
    assert empty == pytest.approx(0, abs=1e-9)  # the first request has no history


def test_ids_are_masked_and_put_back(parts: Parts, feed: Feed) -> None:
    model = model_of(parts)
    before = model.slots.in_train.clone()  # type: ignore[union-attr, operator]
    contributions(model, SCHEMA, feed)
    assert torch.equal(model.slots.in_train, before)  # type: ignore[union-attr, arg-type]
    without = model_of(parts, use_id=False)
    assert IDS not in groups_of(without, SCHEMA, feed)
    bare = {k: v for k, v in feed.items() if not k.endswith(("_ids", "_numbers"))}
    assert groups_of(without, SCHEMA, bare) == ("text", "image", "audio", HISTORY)
    none = {**bare, "history": feed["history"][:, :0]}
    assert groups_of(without, SCHEMA, none) == ("text", "image", "audio")


def test_a_history_that_a_model_does_not_read_is_no_group(parts: Parts, feed: Feed) -> None:
    assert feed["history"].shape[1]
    model = parts.baselines["counts"].build(SCHEMA, make_scene().items, {}, parts, 0)
    assert groups_of(model, SCHEMA, feed) == ("text", "image", "audio", NUMBERS, FIELDS)
    numbers = {k: v for k, v in feed.items() if not k.endswith("_ids")}
    assert groups_of(model, SCHEMA, numbers) == ("text", "image", "audio", NUMBERS)
    fields = {k: v for k, v in feed.items() if not k.endswith("_numbers")}
    assert groups_of(model, SCHEMA, fields) == ("text", "image", "audio", FIELDS)


def test_items_are_encoded_once_each_after_the_padding() -> None:
    feed: Any = {"history": np.array([[7, 3], [9, 7]]), "candidates": np.array([[4], [9]])}
    items, compact = _compact({**feed, "history_mask": "as it is"})
    assert items.tolist() == [0, 3, 4, 7, 9]
    assert compact["history"].tolist() == [[3, 1], [4, 3]]
    assert compact["candidates"].tolist() == [[2], [4]]
    assert compact["history_mask"] == "as it is"


def test_up_to_ten_groups_are_added_in_all_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eleven some orders are drawn; a planted sum is shared as it was added, exactly."""
    worth = np.arange(1.0, 12.0)
    feed: Any = {"candidates": np.zeros((1, 1), np.int64), "history": np.zeros((1, 0), np.int64)}
    passes: list[int] = []
    encoded: list[int] = []

    def eager_logits(model: Any, codes: Any, present: set[str]) -> Any:
        passes[-1] += 1
        return np.array([[0.5 + sum(worth[int(name)] for name in present)]])

    for name, value in {
        "eager_logits": eager_logits,
        "_codes": lambda *_: encoded.append(1),
        "_masked": lambda feed, present: present,
    }.items():
        monkeypatch.setattr(f"fusefront.harness.robustness.request.{name}", value)
    model: Any = SimpleNamespace(eval=lambda: None)
    for count in (10, 11):
        names = tuple(map(str, range(count)))
        monkeypatch.setattr(
            "fusefront.harness.robustness.request.groups_of", lambda *_, names=names: names
        )
        passes.append(0)
        result = contributions(model, SCHEMA, feed)
        np.testing.assert_allclose(result.shares, worth[None, :count], atol=1e-9)
        assert result.base.tolist() == [0.5]
        assert result.logit == pytest.approx([0.5 + worth[:count].sum()])
    assert passes[0] == 2**10
    assert len(encoded) == 2  # once for each: no group is a modality or the ids
    assert passes[1] < 2**9
