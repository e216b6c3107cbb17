"""What moves into the tables of items, at the bounds of what does."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_graphs import Feed, graph_of, node, rows, values_of

from fusefront.harness.serving.export.offline import move_offline
from fusefront.harness.serving.export.rewrite import count_nodes, observe

RNG = np.random.default_rng(8)
SIZES = ((2, 5), (3, 7), (5, 4))


def probes(columns: int = 8) -> list[Feed]:
    return [
        {
            "history_values": rows(r, n, columns),
            "history_present": RNG.random((r, n, 2)) < 0.5,
        }
        for r, n in SIZES
    ]


def moved(nodes: list[onnx.NodeProto], feeds: list[Feed], **weights: object) -> onnx.ModelProto:
    """The graph after the work on items moved, if any did; the scores are the same."""
    read = {name for each in nodes for name in each.input}
    feeds = [{name: value for name, value in feed.items() if name in read} for feed in feeds]
    model = graph_of(nodes, feeds[0], weights)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 8
    online, items = move_offline(model, observe(model, feeds))
    for feed, expected in zip(feeds, [values_of(model, feed)[0] for feed in feeds], strict=True):
        for part in items:
            present = feed.get("history_present", np.zeros((*feed["history_values"].shape[:2], 1)))
            values, truths = part.apply(feed["history_values"], present.astype(bool))
            feed = {"history_values": values, "history_present": truths}
        np.testing.assert_allclose(values_of(online, feed)[0], expected, rtol=1e-6, atol=1e-6)
    return online


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
