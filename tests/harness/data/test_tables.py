"""A store's schema and items as a model gets them, against the files that were prepared."""

import numpy as np
import pytest
import torch

from fusefront.baselines.contract import Field
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.spectrum import same_spectrum
from fusefront.harness.data.tables import item_table, schema_of


def test_the_schema_names_every_side(ragged: PreparedDataset) -> None:
    schema = schema_of(ragged)
    assert schema.items == 45
    assert list(schema.modalities.items()) == [("text", 7), ("image", 5)]
    assert schema.item_fields == (Field("shop", 6), Field("tags", 7, 2))  # and 0 for none
    assert schema.request_fields == (Field("device", 5), Field("hours", 4, 8))
    assert schema.candidate_fields == (Field("position", 7),)
    numbers = (schema.item_numbers, schema.request_numbers, schema.candidate_numbers)
    assert numbers == (1, 1, 1)
    assert schema.max_history == 10


def test_sides_of_unequal_size_are_not_confused(world: PreparedDataset) -> None:
    schema = schema_of(world)
    numbers = (schema.item_numbers, schema.request_numbers, schema.candidate_numbers)
    assert numbers == (0, 0, 0)
    assert [field.name for field in schema.request_fields] == ["g"]
    assert [field.name for field in schema.candidate_fields] == ["v"]


def test_items_are_as_the_store_has_them(ragged: PreparedDataset) -> None:
    table, items = item_table(ragged), ragged.items
    for name in ("text", "image"):
        assert table.vectors[name].dtype == torch.float32
        expected = np.asarray(ragged.vectors(name), np.float32)
        np.testing.assert_array_equal(table.vectors[name].numpy(), expected)
    assert (~table.present[1:]).sum(0).tolist() == [14, 10]
    np.testing.assert_array_equal(table.fields.numpy(), items.fields)
    np.testing.assert_array_equal(table.numbers.numpy(), items.numbers)
    assert (table.fields.dtype, table.numbers.dtype) == (torch.int64, torch.float32)
    split = ragged.split("train")
    shown, clicked, in_train = [0] * 46, [0] * 46, [False] * 46
    for item, label in zip(split.item, split.label, strict=True):
        shown[item] += 1
        clicked[item] += int(label)
        in_train[item] = True
    for start, length in zip(split.history_start, split.history_length, strict=True):
        for item in ragged.history_values[start : start + length]:
            in_train[item] = True
    assert table.impressions.tolist() == shown
    assert table.clicks.tolist() == clicked
    assert table.in_train.tolist() == in_train


def test_vectors_are_mapped_as_they_are_stored(ragged: PreparedDataset) -> None:
    table = item_table(ragged)
    assert {*table.mapped} == {"text", "image"}
    for name, rows in table.mapped.items():
        stored = ragged.items.vectors[name]
        assert isinstance(stored, np.memmap)
        assert rows.numpy().dtype == stored.dtype
        np.testing.assert_array_equal(rows.numpy(), stored)
        assert table.stored(name) is rows
        rows[1] = 3.0  # on a page of its own: neither the file nor another table has it
        assert not (np.load(str(stored.filename))[1] == 3.0).any()
        assert not (item_table(ragged).mapped[name][1] == 3.0).any()


def test_vectors_that_were_changed_or_rescaled_are_copies(
    ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert {*item_table(ragged, shuffle=("image",)).mapped} == {"text"}
    assert {*item_table(ragged, randomize=("text",)).mapped} == {"image"}
    steps = np.arange(46 * 7, dtype=np.int8).reshape(46, 7)
    scales = np.linspace(0.1, 2.0, 46, dtype=np.float32)
    items = ragged.items._replace(vectors={"text": steps}, scales={"text": scales})
    monkeypatch.setattr(PreparedDataset, "items", property(lambda _: items))
    table = item_table(ragged)
    assert table.mapped == {}
    expected = steps.astype(np.float32) * scales[:, None]
    np.testing.assert_array_equal(table.stored("text").numpy(), expected)
    assert (len(table.vectors), [*table.vectors]) == (2, ["text", "image"])


def test_what_a_model_keeps_of_a_table_in_memory_is_its_own(ragged: PreparedDataset) -> None:
    table = item_table(ragged)
    table = table._replace(vectors={name: table.vectors[name] for name in table.vectors}, mapped={})
    own = table.stored("image")
    assert torch.equal(own, table.vectors["image"])
    own[1] = 3.0
    assert not torch.equal(own, table.vectors["image"])


@pytest.mark.parametrize(("name", "column"), [("text", 0), ("image", 1)])
def test_a_shuffled_modality_deals_its_vectors_to_other_items(
    ragged: PreparedDataset, name: str, column: int
) -> None:
    plain, dealt = item_table(ragged), item_table(ragged, shuffle=(name,), seed=4)
    other = {"text": "image", "image": "text"}[name]
    assert torch.equal(dealt.vectors[other], plain.vectors[other])
    assert torch.equal(dealt.present, plain.present)
    having = plain.present[:, column].nonzero().flatten().numpy()
    order = np.random.default_rng([4, column]).permutation(having)
    before, after = plain.vectors[name].numpy(), dealt.vectors[name].numpy()
    for item, giver in zip(having, order, strict=True):
        np.testing.assert_array_equal(after[item], before[giver])
    assert (after[~plain.present[:, column].numpy()] == 0).all()
    moved = (before[having] != after[having]).any(1)
    assert moved.mean() > 0.8  # a random order leaves one or so where it was
    again = item_table(ragged)  # what was dealt is a copy
    assert torch.equal(again.vectors[name], plain.vectors[name])
    other_seed = item_table(ragged, shuffle=(name,), seed=5)
    assert not torch.equal(other_seed.vectors[name], dealt.vectors[name])


def test_two_modalities_are_shuffled_apart(ragged: PreparedDataset) -> None:
    both = item_table(ragged, shuffle=("image", "text"), seed=4)
    for name in ("text", "image"):
        assert torch.equal(
            item_table(ragged, shuffle=(name,)).vectors[name],
            item_table(ragged, shuffle=(name,), seed=0).vectors[name],
        )
        single = item_table(ragged, shuffle=(name,), seed=4)
        assert torch.equal(both.vectors[name], single.vectors[name])


@pytest.mark.parametrize(("name", "column"), [("text", 0), ("image", 1)])
def test_a_randomized_modality_has_the_spectrum_and_no_content(
    ragged: PreparedDataset, name: str, column: int
) -> None:
    plain, drawn = item_table(ragged), item_table(ragged, randomize=(name,), seed=4)
    other = {"text": "image", "image": "text"}[name]
    assert torch.equal(drawn.vectors[other], plain.vectors[other])
    assert torch.equal(drawn.present, plain.present)
    having = plain.present[:, column].numpy()
    before, after = (table.vectors[name].numpy()[having] for table in (plain, drawn))
    assert drawn.vectors[name].dtype == torch.float32
    np.testing.assert_allclose(after.mean(0), before.mean(0), atol=1e-5)
    spectra = [np.sort(np.linalg.eigvalsh(np.cov(rows.T))) for rows in (before, after)]
    np.testing.assert_allclose(spectra[1], spectra[0], rtol=1e-3, atol=1e-5)
    assert not np.isclose(before, after, atol=1e-3).all(1).any()
    recorded = same_spectrum(before, [4, 1, column])  # as runs that were recorded have them
    np.testing.assert_array_equal(after, recorded)
    assert (drawn.vectors[name].numpy()[~having] == 0).all()
    assert torch.equal(item_table(ragged).vectors[name], plain.vectors[name])
    again = item_table(ragged, randomize=(name,), seed=4)
    assert torch.equal(again.vectors[name], drawn.vectors[name])
    other_seed = item_table(ragged, randomize=(name,), seed=5)
    assert not torch.allclose(other_seed.vectors[name], drawn.vectors[name], atol=1e-2)
