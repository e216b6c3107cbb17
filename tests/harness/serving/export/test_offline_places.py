"""Which work moves into the tables of items: what keeps the places of a history apart."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from small_graphs import moved, node, probes, rows

from fusefront.harness.serving.export.rewrite import count_nodes


def two(*nodes: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Nodes that make "out", summed over the places."""
    return [*nodes, node("ReduceSum", "out places", "y", keepdims=1)]


LEAD = [
    node("Shape", "history_values", "lead", start=0, end=2),
    node("Concat", "lead eight", "target", axis=0),
    node("Slice", "history_values zero one axis", "narrow"),
]
BACKWARD = [
    node("Shape", "history_values", "size", start=1, end=2),
    node("Squeeze", "size", "length"),
    node("Sub", "length unit", "newest"),
    node("Range", "newest down down", "order"),
]
WEIGHTS: dict[str, Any] = {
    "w": rows(8, 4),
    "places": np.array([1]),
    "eight": np.array([8]),
    "zero": np.array([0]),
    "one": np.array([1]),
    "couple": np.array([2]),
    "axis": np.array([2]),
    "down": np.array(-1),
    "unit": np.array(1),
    "first": np.array([0, 1]),
    "long": np.array([-9_999]),
    "minus": np.array([-1]),
    "halves": np.array([0, 0, 2, 4]),
    "flat": np.array([0, 0, 8]),
    "fours": np.array([4, 4]),
    "none": np.float32(0),
}


@pytest.mark.parametrize(
    "nodes",
    [
        two(node("Relu", "history_values", "out")),
        two(
            node("Slice", "history_values zero couple axis", "part"),
            node("Where", "history_present part none", "out"),
        ),
        two(node("Softmax", "history_values", "out", axis=-1)),
        two(node("Gather", "history_values first", "out", axis=2)),
        two(node("Slice", "history_values zero one axis", "out")),
        two(
            node("Split", "history_values fours", "left right", axis=-1),
            node("Mul", "left right", "out"),
        ),
        two(
            node("Reshape", "history_values halves", "heads"),
            node("Transpose", "heads", "turned", perm=[0, 1, 3, 2]),
            node("Reshape", "turned flat", "out"),
        ),
        two(*LEAD, node("Expand", "narrow target", "out")),
    ],
)
def test_what_keeps_the_places_moves(nodes: list[onnx.NodeProto]) -> None:
    online = moved(nodes, probes(), **WEIGHTS)
    assert count_nodes(online) == {"ReduceSum": 1}


@pytest.mark.parametrize(
    "nodes",
    [
        two(node("CumSum", "history_values unit", "out")),
        two(node("Softmax", "history_values", "out", axis=1)),
        two(node("Softmax", "history_values", "out", axis=0)),
        two(node("Concat", "history_values history_values", "out", axis=1)),
        two(node("Gather", "history_values first", "out", axis=1)),
        two(node("Slice", "history_values minus long one minus", "out")),  # the newest first
        two(*BACKWARD, node("Gather", "history_values order", "out", axis=1)),
        two(
            node("Transpose", "history_values", "turned", perm=[1, 0, 2]),
            node("ReduceSum", "turned zero", "out", keepdims=1),
        ),
        two(
            node("ReduceSum", "history_values places", "total", keepdims=1),
            node("Sub", "history_values total", "out"),
        ),
        two(
            node("Transpose", "history_values", "turned", perm=[0, 2, 1]),
            node("MatMul", "history_values turned", "out"),
        ),
    ],
)
def test_what_mixes_the_places_stays(nodes: list[onnx.NodeProto]) -> None:
    online = moved(nodes, probes(), **WEIGHTS)
    assert count_nodes(online) == Counter(each.op_type for each in nodes)


def test_what_grows_with_a_size_of_the_request_stays() -> None:
    """Each item's row once for each place, [R, L, L, 8]."""
    nodes = [
        node("Unsqueeze", "history_values axis", "out"),
        node("Shape", "history_values", "lead", start=0, end=2),
        node("Shape", "history_values", "tail", start=1, end=3),
        node("Concat", "lead tail", "target", axis=0),
        node("Expand", "out target", "wide"),
        node("ReduceSum", "wide places", "y", keepdims=1),
    ]
    assert count_nodes(moved(nodes, probes(), **WEIGHTS))["Expand"] == 1
