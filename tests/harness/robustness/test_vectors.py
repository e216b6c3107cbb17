"""Other vectors in a trained model: noise of its size, vectors of other items, and back again."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from fusefront.baselines.contract import Baseline, Parts
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.robustness.condition import Hidden
from fusefront.harness.robustness.vectors import (
    changed_vectors,
    other_vectors,
    parts_over,
    reads,
)
from fusefront.harness.testing.scene import SCHEMA, make_scene
from fusefront.harness.training.module import encode_table

SCENE = make_scene()
TEXT = 0


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts([])


def store() -> Any:
    schema = SimpleNamespace(modalities=SCHEMA.modalities, items=SCHEMA.items)
    vectors = {name: rows.numpy() for name, rows in SCENE.items.vectors.items()}
    return cast(
        Any,
        SimpleNamespace(
            manifest=SimpleNamespace(schema_=schema),
            vectors=lambda name: vectors[name],
            items=SimpleNamespace(present=SCENE.items.present.numpy()),
        ),
    )


def model_of(parts: Parts, baseline: str = "late_fusion", **settings: Any) -> Baseline:
    return parts.baselines[baseline].build(SCHEMA, SCENE.items, settings, parts, 0).eval()


def test_noise_has_its_size_and_absent_vectors_stay() -> None:
    own = store().vectors("text")
    present = SCENE.items.present[:, TEXT].numpy()
    for size in (0.5, 2.0):
        rows = changed_vectors(store(), Hidden("text", size, "noise"))
        ratio = (rows - own)[present].std(axis=0) / own[present].std(axis=0)
        assert ratio.mean() == pytest.approx(size, rel=0.05)
        assert np.array_equal(rows[~present], own[~present])
    half, whole = (changed_vectors(store(), Hidden("text", s, "noise")) - own for s in (0.5, 1.0))
    np.testing.assert_allclose(2 * half, whole, atol=1e-5)  # the same noise, larger


@pytest.mark.parametrize(("column", "name"), [(0, "text"), (2, "audio")])
@pytest.mark.parametrize("seed", [0, 5])
def test_noise_and_dealing_are_those_of_their_draws(column: int, name: str, seed: int) -> None:
    """A draw is named by the seed, 2 for noise or 3 for dealing, and the modality's column."""
    own = store().vectors(name)
    present = np.flatnonzero(SCENE.items.present[:, column].numpy())
    noise = np.random.default_rng([seed, 2, column]).standard_normal((len(present), own.shape[1]))
    expected = own.copy()
    expected[present] += (0.7 * own[present].std(axis=0) * noise).astype(np.float32)
    rows = changed_vectors(store(), Hidden(name, 0.7, "noise"), seed)
    np.testing.assert_array_equal(rows, expected)
    dealt = np.random.default_rng([seed, 3, column]).permutation(present)
    dealt = dealt[: round(0.4 * len(present))]
    expected = own.copy()
    for at, item in enumerate(dealt):
        expected[item] = own[dealt[at - 1]]
    rows = changed_vectors(store(), Hidden(name, 0.4, "stale"), seed)
    np.testing.assert_array_equal(rows, expected)
    if not seed:
        again = changed_vectors(store(), Hidden(name, 0.4, "stale"))
        np.testing.assert_array_equal(again, expected)


def test_a_share_of_the_items_has_vectors_of_others() -> None:
    own = store().vectors("text")
    present = np.flatnonzero(SCENE.items.present[:, TEXT].numpy())
    moved_before: set[int] = set()
    for share in (0.3, 0.8):
        rows = changed_vectors(store(), Hidden("text", share, "stale"))
        moved = {int(i) for i in present if not np.array_equal(rows[i], own[i])}
        assert len(moved) == round(share * len(present))
        assert moved >= moved_before
        moved_before = moved
        dealt = {tuple(row) for row in rows[present].tolist()}
        assert dealt == {tuple(row) for row in own[present].tolist()}  # dealt, not made


def test_the_model_reads_them_and_has_its_own_back(parts: Parts) -> None:
    """As if it had been built on them with the compressor that it has."""
    model = model_of(parts)
    before = encode_table(model, SCHEMA.items)
    (part,) = parts_over(model, TEXT)
    rows = changed_vectors(store(), Hidden("text", 1.0, "noise"))
    with other_vectors(model, store(), "text", rows):
        noisy = encode_table(model, SCHEMA.items)
        absent = ~SCENE.items.present[:, TEXT]
        clean = torch.from_numpy(rows).masked_fill(absent.unsqueeze(-1), 0)
        expected = part.compressor.transform(clean)  # type: ignore[operator]
        torch.testing.assert_close(part.frozen, expected)
    assert not torch.allclose(noisy.candidate.values, before.candidate.values)
    after = encode_table(model, SCHEMA.items)
    assert torch.equal(after.candidate.values, before.candidate.values)
    with other_vectors(model, store(), "text", store().vectors("text")):
        same = encode_table(model, SCHEMA.items)
    torch.testing.assert_close(same.candidate.values, before.candidate.values)


def test_a_model_with_a_table_of_several_says_so(parts: Parts) -> None:
    model = model_of(parts, compressor={"name": "pca_joint", "k": 20})
    with (
        pytest.raises(UsageError, match="has no table of 'audio' alone"),
        other_vectors(model, store(), "audio", store().vectors("audio")),
    ):
        pass


@pytest.mark.parametrize("baseline", ["simtier", "late_fusion"])
def test_other_vectors_go_to_the_table_of_their_modality(parts: Parts, baseline: str) -> None:
    """Content of a published model, and slots; each modality has its own."""
    model = model_of(parts, baseline)
    before = encode_table(model, SCHEMA.items)
    places = []
    for column, name in enumerate(SCHEMA.modalities):
        (part,) = parts_over(model, column)
        places.append(id(part))
        own = part.frozen.clone()
        rows = changed_vectors(store(), Hidden(name, 2.0, "noise"))
        with other_vectors(model, store(), name, rows):
            assert not torch.allclose(part.frozen, own)
        assert torch.equal(part.frozen, own)
    assert len(set(places)) == 3
    after = encode_table(model, SCHEMA.items)
    assert torch.equal(after.candidate.values, before.candidate.values)
    if baseline == "late_fusion":  # of slots in another order
        model = model_of(parts, modalities=["audio", "text"])
        (audio,) = parts_over(model, 2)
        assert audio is model.slots.modalities[0]  # type: ignore[union-attr,index]
        assert parts_over(model, 1) == []


def test_a_model_that_reads_a_modality_of_candidates_alone_reads_it(parts: Parts) -> None:
    model = model_of(parts, pooler="none")
    assert encode_table(model, SCHEMA.items).history.values.shape[1] == 0
    assert reads(model, store(), "audio")
    assert not reads(model_of(parts, pooler="none", modalities=["text"]), store(), "audio")


@pytest.mark.parametrize(
    ("baseline", "settings"), [("popularity", {}), ("late_fusion", {"modalities": ["text"]})]
)
def test_a_model_that_reads_none_of_a_modality_stays_as_it_is(
    parts: Parts, baseline: str, settings: dict[str, Any]
) -> None:
    model = model_of(parts, baseline, **settings)
    before = encode_table(model, SCHEMA.items)
    rows = changed_vectors(store(), Hidden("audio", 2.0, "noise"))
    with other_vectors(model, store(), "audio", rows):
        noisy = encode_table(model, SCHEMA.items)
    assert torch.equal(noisy.candidate.values, before.candidate.values)
    assert reads(model_of(parts), store(), "audio")
