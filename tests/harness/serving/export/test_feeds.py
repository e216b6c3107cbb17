"""Feeds that are drawn, taken from a store, or cut into pieces; and what a graph calls its axes."""

from typing import Any, cast

import numpy as np
import onnx
import pytest
from planted import planted, trained

from fusefront.harness.serving.export import offline, parity
from fusefront.harness.serving.export.online import Core, export_core, feed_shape, random_feeds
from fusefront.harness.serving.export.parity import calibration_feeds
from fusefront.harness.serving.export.trace import Example, core_inputs, trace


def test_feeds_are_drawn_from_all_that_a_data_set_has() -> None:
    """Items 1 to 5, kinds 0 to 3, every id of every field; histories end with the newest."""
    schema = planted(5)[0]._replace(history_kinds=3)
    sizes = (Example(1, 40, 30), Example(60, 20, 7), Example(2, 1, 1))
    feeds = list(random_feeds(schema, sizes, seed=4))
    for size, feed in zip(sizes, feeds, strict=True):
        mask = feed["history_mask"]
        assert mask.shape == (size.requests, size.history)
        assert (np.diff(mask.astype(int), axis=1) >= 0).all()
        lengths = mask.sum(1)
        if size.requests > 1:
            assert lengths[0] == 0
            assert lengths[1:].min() == 1
        else:
            assert lengths[0] > 0
        assert not feed["history"][~mask].any()
        assert not feed["history_kinds"][~mask].any()
        assert feed["candidates"].shape == (size.requests, size.candidates)
    many = feeds[1]
    real = many["history_mask"]
    assert real.sum(1).max() == 7
    assert set(many["history"][real].tolist()) == {1, 2, 3, 4, 5}
    assert set(many["history_kinds"][real].tolist()) == {0, 1, 2, 3}
    assert set(many["candidates"].ravel().tolist()) == {1, 2, 3, 4, 5}
    fields = {"request_ids": (5, 7, 7, 7), "candidate_ids": (10,)}
    for name, counts in fields.items():
        columns = many[name].reshape(-1, len(counts)).T
        for column, count in zip(columns, counts, strict=True):
            assert set(column.tolist()) == set(range(count))
    for name, columns in (("request_numbers", 1), ("candidate_numbers", 2)):
        numbers = many[name].reshape(-1, columns)
        assert abs(numbers.mean()) < 0.5
        assert 0.7 < numbers.std() < 1.3
    again = next(random_feeds(schema, sizes, seed=4))
    other = next(random_feeds(schema, sizes, seed=5))
    assert np.array_equal(again["history"], feeds[0]["history"])
    assert not np.array_equal(other["history"], feeds[0]["history"])


def test_a_feed_has_the_columns_of_the_data_set() -> None:
    schema, _ = planted(5, history=9)
    assert feed_shape(schema) == (4, 1, 1, 2, 9, 0)
    assert feed_shape(schema._replace(history_kinds=2)).history_kinds == 2
    assert feed_shape(planted(5, context=False)[0]) == (0, 0, 0, 0, 64, 0)


@pytest.mark.parametrize(
    ("rows", "valid", "expected"),
    [
        (1, [2, 3, 4], ["valid 0"]),
        (2, [2, 3, 4], ["valid 0"]),
        (3, [2, 3, 4], ["valid 0", "valid 1"]),
        (5, [2, 3, 4], ["valid 0", "valid 1"]),
        (6, [2, 3, 4], ["valid 0", "valid 1", "valid 2"]),
        (99, [2, 3, 4], ["valid 0", "valid 1", "valid 2"]),
        (1, [], ["train 0"]),
    ],
)
def test_calibration_takes_whole_batches_until_it_has_the_rows(
    monkeypatch: pytest.MonkeyPatch, rows: int, valid: list[int], expected: list[str]
) -> None:
    """Of validation; of train where that is empty; none where both are."""
    batches = {"valid": valid, "train": [1, 1]}

    def feeds(store: object, split: str) -> Any:
        assert store == "store"
        for at, count in enumerate(batches[split]):
            yield f"{split} {at}", np.arange(count)

    monkeypatch.setattr(parity, "split_feeds", feeds)
    assert calibration_feeds(cast(Any, "store"), rows) == tuple(expected)
    batches["train"] = batches["valid"] = []
    assert calibration_feeds(cast(Any, "store"), rows) == ()


@pytest.mark.parametrize("context", [True, False])
def test_a_graph_names_the_axes_that_may_grow(context: bool) -> None:
    model, codes, schema = trained("early_fusion", context=context)
    (feed,) = random_feeds(schema, (Example(),))
    graph = trace(model, codes, feed, "script").graph

    def dims(entry: onnx.ValueInfoProto) -> list[str]:
        shape = entry.type.tensor_type.shape
        return [axis.dim_param for axis in shape.dim if axis.dim_param]

    assert {entry.name: dims(entry) for entry in graph.output} == {
        "logits": ["requests", "candidates"]
    }
    kinds = {"history": ["requests", "history"], "candidate": ["requests", "candidates"]}
    for entry in graph.input:
        assert dims(entry) == kinds.get(entry.name.split("_")[0], ["requests"])
    assert {entry.name for entry in graph.input} <= set(core_inputs(codes, feed))


@pytest.fixture(scope="module")
def core() -> Core:
    return export_core(*trained("compressed_fusion"))


@pytest.mark.parametrize("chunk", [1, 7, 300, 301])
def test_items_are_moved_offline_in_pieces(
    core: Core, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """In pieces of any size the tables are those of all 301 rows at once, item by item."""
    _, codes, _ = trained("compressed_fusion")
    assert core.light is not None
    assert [part.side for part in core.light.items] == ["history", "candidate"]
    for part in core.light.items:
        rows = getattr(codes, part.side)
        values, present = (each.numpy()[None] for each in rows)
        whole = part.apply(values, present)
        assert [each.shape[:2] for each in whole] == [(1, 301)] * 2
        assert [each.dtype for each in whole] == [np.float32, np.bool_]
        monkeypatch.setattr(offline, "_CHUNK", chunk)
        for piece, expected in zip(part.apply(values, present), whole, strict=True):
            np.testing.assert_allclose(piece, expected, rtol=1e-5, atol=1e-6)
        order = np.arange(301)[::-1]
        for turned, expected in zip(
            part.apply(values[:, order], present[:, order]), whole, strict=True
        ):
            np.testing.assert_allclose(turned, expected[:, order], rtol=1e-5, atol=1e-6)
        monkeypatch.undo()


@pytest.mark.parametrize("name", ["early_fusion", "compressed_fusion", "gated_fusion"])
def test_a_table_of_one_value_is_read_without_a_split(name: str) -> None:
    light = export_core(*trained(name)).light
    assert light is not None
    splits = [node for node in light.graph.graph.node if node.op_type == "Split"]
    assert all(len(node.output) > 1 for node in splits)
