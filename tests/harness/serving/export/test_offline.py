"""What moves into the tables of items, at the bounds of what does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto
from small_graphs import ITEM_SIZES, RNG, Feed, graph_of, moved, node, probes, rows, values_of

from fusefront.harness.serving.export import offline
from fusefront.harness.serving.export.offline import ItemGraph, move_offline
from fusefront.harness.serving.export.rewrite import count_nodes, observe, prune


@pytest.mark.parametrize(("more", "left"), [(1, 0), (2, 0), (3, 1)])
def test_a_table_grows_by_a_quarter_and_no_more(more: int, left: int) -> None:
    """8 columns become 9, 10 or 11."""
    nodes = [
        node("MatMul", "history_values w", "extra"),
        node("Concat", "history_values extra", "wide", axis=-1),
        node("ReduceSum", "wide places", "y", keepdims=1),
    ]
    online = moved(nodes, probes(), w=rows(8, more), places=np.array([1]))
    assert count_nodes(online)["MatMul"] == left
    width = online.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    assert width == (8 if left else 8 + more)


def test_the_columns_of_every_value_count() -> None:
    """Two values of 6 and 5 columns are 11; of 6 and 4 they are 10, split online."""
    for second, left in ((5, 2), (4, 0)):
        nodes = [
            node("MatMul", "history_values v", "a"),
            node("MatMul", "history_values w", "b"),
            node("ReduceSum", "a places", "c", keepdims=1),
            node("ReduceSum", "b places", "d", keepdims=1),
            node("Concat", "c d", "y", axis=2),
        ]
        online = moved(nodes, probes(), v=rows(8, 6), w=rows(8, second), places=np.array([1]))
        assert count_nodes(online)["MatMul"] == left
        assert count_nodes(online)["Split"] == (0 if left else 1)


def test_truths_alone_stay() -> None:
    """A table has values; here they are read for their number of places alone."""
    nodes = [
        node("Not", "history_present", "absent"),
        node("Cast", "absent", "count", to=TensorProto.INT64),
        node("ReduceSum", "count places", "total", keepdims=1),
        node("Cast", "total", "number", to=TensorProto.FLOAT),
        node("Shape", "history_values", "shape"),
        node("ReduceProd", "shape", "size", keepdims=0),
        node("Cast", "size", "sizes", to=TensorProto.FLOAT),
        node("Mul", "number sizes", "y"),
    ]
    assert count_nodes(moved(nodes, probes(), places=np.array([1])))["Not"] == 1


def test_rows_read_as_they_are_stay() -> None:
    nodes = [node("ReduceSum", "history_values places", "y", keepdims=1)]
    online = moved(nodes, probes(), places=np.array([1]))
    assert count_nodes(online) == {"ReduceSum": 1}


def test_both_tables_read_as_they_are_stay() -> None:
    nodes = [
        node("ReduceSum", "history_values places", "total", keepdims=1),
        node("Where", "history_present query zero", "some"),
        node("ReduceSum", "some places", "more", keepdims=1),
        node("ReduceSum", "more columns", "most", keepdims=1),
        node("Mul", "total most", "y"),
    ]
    feeds = [feed | {"query": rows(len(feed["history_values"]), 1, 2)} for feed in probes()]
    weights = {"places": np.array([1]), "columns": np.array([2]), "zero": np.float32(0)}
    model = graph_of(nodes, feeds[0], weights)
    online, items = move_offline(model, observe(model, feeds))
    assert items == ()
    assert count_nodes(online) == count_nodes(model)


def test_truths_without_a_value_stay() -> None:
    """The values are read for their number of places alone."""
    nodes = [
        node("Not", "history_present", "absent"),
        node("Where", "absent query zero", "some"),
        node("ReduceSum", "some places", "total", keepdims=1),
        node("Shape", "history_values", "shape"),
        node("ReduceProd", "shape", "size", keepdims=0),
        node("Cast", "size", "sizes", to=TensorProto.FLOAT),
        node("Mul", "total sizes", "y"),
    ]
    feeds = [feed | {"query": rows(len(feed["history_values"]), 1, 2)} for feed in probes()]
    online = moved(nodes, feeds, places=np.array([1]), zero=np.float32(0))
    assert count_nodes(online)["Not"] == 1


def test_a_single_column_moves_and_every_value_of_three_axes_is_read_without_a_view() -> None:
    nodes = [
        node("MatMul", "history_values w", "a"),
        node("ReduceSum", "a places", "y", keepdims=1),
    ]
    online = moved(nodes, probes(), w=rows(8, 1), places=np.array([1]))
    assert count_nodes(online) == {"ReduceSum": 1}
    assert online.graph.input[0].type.tensor_type.shape.dim[2].dim_value == 1


def test_values_and_truths_of_more_axes_are_columns_beside_one_another() -> None:
    """Heads of 2 x 3 columns, 2 columns and two truths an item, each with a table of its own."""
    nodes = [
        node("MatMul", "history_values w", "flat"),
        node("Reshape", "flat heads", "wide"),
        node("ReduceSum", "wide places", "a", keepdims=1),
        node("ReduceSum", "a last", "b", keepdims=0),
        node("Slice", "history_values start till axis", "part"),
        node("ReduceSum", "part places", "c", keepdims=1),
        node("Not", "history_present", "absent"),
        node("Where", "absent query zero", "some"),
        node("ReduceSum", "some places", "d", keepdims=1),
        node("Mul", "b c", "e"),
        node("Mul", "e d", "y"),
    ]
    weights = {
        "w": rows(8, 6),
        "heads": np.array([0, 0, 2, 3]),
        "places": np.array([1]),
        "last": np.array([3]),
        "start": np.array([3]),
        "till": np.array([5]),
        "axis": np.array([2]),
        "zero": np.float32(0),
    }
    feeds = [feed | {"query": rows(len(feed["history_values"]), 1, 2)} for feed in probes()]
    online = moved(nodes, feeds, **weights)
    kinds = count_nodes(online)
    assert (kinds["Split"], kinds["Reshape"]) == (1, 1)
    assert not {"MatMul", "Slice", "Not"} & kinds.keys()
    widths = {
        entry.name: entry.type.tensor_type.shape.dim[2].dim_value for entry in online.graph.input
    }
    assert widths == {"history_values": 8, "history_present": 2, "query": 0}


@pytest.mark.parametrize(
    ("inputs", "kind", "left"),
    [
        ("wide history_present", "And", 0),
        ("history_present wide", "And", 0),
        ("number there", "Mul", 0),
        ("there number", "Mul", 0),
        ("wide history_present", "Or", 1),
        ("wide other", "And", 1),
        ("other history_present", "And", 1),
        ("wide wide", "And", 1),
        ("history_present history_present", "And", 1),
        ("across apart", "And", 1),  # of every two places
    ],
)
def test_presence_needs_no_mask_of_padded_places(inputs: str, kind: str, left: int) -> None:
    nodes = [
        node("Unsqueeze", "history_mask axis", "wide"),
        node("Cast", "wide", "number", to=TensorProto.FLOAT),
        node("Cast", "history_present", "there", to=TensorProto.FLOAT),
        node("Unsqueeze", "history_mask middle", "across"),
        node("Unsqueeze", "history_present axis", "apart"),
        node("Unsqueeze", "wide places", "far"),
        node("Not", "history_present", "other"),
        node(kind, inputs.replace("across", "far"), "both"),
        node("Cast", "both", "y", to=TensorProto.FLOAT),
    ]
    feeds = []
    for r, n in ITEM_SIZES:
        mask = np.arange(n)[::-1] < RNG.integers(0, n + 1, r)[:, None]
        present = mask[..., None] & (RNG.random((r, n, 2)) < 0.5)
        feeds.append({"history_present": present, "history_mask": mask})
    weights = {"axis": np.array([2]), "middle": np.array([1, 3]), "places": np.array([1])}
    model = graph_of(nodes, feeds[0], weights)
    expected = [values_of(model, feed)[0] for feed in feeds]
    offline._drop_padding_masks(model, observe(model, feeds))
    model = prune(model)
    assert count_nodes(model)[kind] == left
    for feed, right in zip(feeds, expected, strict=True):
        np.testing.assert_array_equal(values_of(model, feed)[0], right)


def small_table(side: str = "candidate") -> ItemGraph:
    """Twice the values of one column, and no truths."""
    nodes = [node("Add", f"{side}_values {side}_values", "y")]
    graph = graph_of(nodes, {f"{side}_values": rows(1, 2, 1)})
    return ItemGraph(side, graph, ("y",), 1)


@pytest.mark.parametrize("count", [0, 1, 65_536, 65_537])
def test_tables_of_any_length_are_moved_in_pieces_that_the_documentation_names(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = []

    class Session(offline.ort.InferenceSession):  # type: ignore[misc, name-defined]
        def run(self, names: list[str], feed: Feed) -> Any:
            lengths.append(feed["candidate_values"].shape[1])
            return super().run(names, feed)

    monkeypatch.setattr(offline.ort, "InferenceSession", Session)
    values, present = rows(1, count, 1), np.ones((1, count, 3), bool)
    doubled, truths = small_table().apply(values, present)
    np.testing.assert_array_equal(doubled, 2 * values)
    assert truths.shape == (1, count, 0)
    assert truths.dtype == bool
    most = 65_536
    assert lengths == [most] * (count // most) + [count % most] * (count % most > 0 or count == 0)
    page = Path(__file__).parents[4] / "docs" / "latency.md"
    assert f"{most:,} items at a time" in page.read_text("utf-8")
