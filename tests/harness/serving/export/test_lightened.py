"""A graph after all rules: the same values, and fewer nodes than the runtime's own passes leave."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_graphs import SIZES, Feed, feeds, graph_of, node, rows, values_of

from fusefront.harness.serving.export.rewrite import count_nodes, lighten

FIXED = {
    name: np.array(value)
    for name, value in (("zero", [0]), ("one", [1]), ("two", [2]), ("four", [4]), ("pick", 1))
}


def light(nodes: list[onnx.NodeProto], probes: list[Feed], **more: Any) -> Counter[str]:
    model = graph_of(nodes, probes[0], FIXED | more)
    before = [values_of(model, feed)[0] for feed in probes]
    result = lighten(model, probes[:-1])
    for feed, expected in zip(probes, before, strict=True):
        np.testing.assert_allclose(values_of(result, feed)[0], expected, rtol=1e-6, atol=1e-6)
    return count_nodes(result)


def test_a_graph_is_lightened_by_views_joined_and_transposes_turned() -> None:
    """The runtime's own passes would leave both."""
    views = [
        node("Reshape", "x flat", "a"),
        node("Abs", "a", "b"),
        node("Unsqueeze", "b one", "c"),
        node("Reshape", "c back", "d"),
        node("Exp", "d", "y"),
    ]
    back = {"flat": np.array([-1, 6]), "back": np.array([-1, 2, 3])}
    probes = feeds(*SIZES)
    assert light(views, probes, **back) == {"Reshape": 2, "Abs": 1, "Exp": 1}
    heads = [node("Transpose", "x", "t", perm=[0, 2, 1, 3]), node("Exp", "t", "y")]
    shapes = [(2, 8, 3, 6), (3, 8, 7, 6), (5, 8, 4, 6), (9, 8, 11, 6)]
    assert light(heads, feeds(*shapes)) == {"Reshape": 2, "Transpose": 1, "Exp": 1}


def test_a_mask_turned_around_is_a_product_where_its_negation_is_read_elsewhere() -> None:
    nodes = [
        node("Greater", "x level", "shown"),
        node("Not", "shown", "hidden"),
        node("Where", "hidden level x", "a"),
        node("Cast", "hidden", "b", to=TensorProto.FLOAT),
        node("Add", "a b", "y"),
    ]
    kinds = light(nodes, feeds(*SIZES), level=np.float32(0))
    assert (kinds["Where"], kinds["Mul"]) == (0, 1)


def test_a_product_by_rows_needs_no_views_around_it() -> None:
    nodes = [
        node("Reshape", "x flat", "flat_rows"),
        node("MatMul", "flat_rows w", "product"),
        node("Shape", "x", "lead", end=2),
        node("Concat", "lead four", "target", axis=0),
        node("Reshape", "product target", "whole"),
        node("Exp", "whole", "y"),
    ]
    kinds = light(nodes, feeds(*SIZES), flat=np.array([-1, 6]), w=rows(6, 4))
    assert kinds == {"MatMul": 1, "Exp": 1}


W = {"w": rows(1, 1, 6), "one_by_one": rows(1, 1), "left": rows(6, 6) / 8, "right": rows(6, 6) / 8}
SHAPE = node("Shape", "x", "shape")


@pytest.mark.parametrize(
    ("nodes", "kinds"),
    [
        ([SHAPE, node("Gather", "shape two", "width"), node("Cast", "width", "wide", to=1),
          node("Mul", "x wide", "y")], {"Mul": 1}),
        ([SHAPE, node("Expand", "w shape", "wide"), node("Mul", "x wide", "y")], {"Mul": 1}),
        ([node("ReduceSum", "x two", "sum", keepdims=0), node("Shape", "sum", "size"),
          node("Expand", "one_by_one size", "y")], {"Shape": 1, "Concat": 1, "Expand": 1}),
        ([SHAPE, node("Gather", "shape zero", "r"), node("Gather", "shape one", "k"),
          node("Concat", "r k", "sizes", axis=0), node("ConstantOfShape", "sizes", "y")],
         {"Shape": 1, "ConstantOfShape": 1}),
        ([node("Concat", "x", "a", axis=1), node("Exp", "a", "y")], {"Exp": 1}),
        ([node("MatMul", "x left", "low"), node("MatMul", "low right", "y")], {"MatMul": 1}),
        ([node("Greater", "x w", "some"), node("Unsqueeze", "some zero", "more"),
          node("Cast", "some", "p", to=1), node("Cast", "more", "q", to=1),
          node("Sub", "p q", "y")], {"Greater": 1, "Cast": 1, "Unsqueeze": 1, "Sub": 1}),
    ],
)  # fmt: skip
def test_a_graph_is_lightened_by_every_rule(
    nodes: list[onnx.NodeProto], kinds: dict[str, int]
) -> None:
    """The runtime's own passes have none of them."""
    assert light(nodes, feeds(*SIZES), **W) == kinds


def test_a_graph_is_lightened_where_places_are_looked_up_or_cut() -> None:
    column = [
        node("Gather", "ids pick", "column", axis=1),
        node("Gather", "table column", "rows", axis=0),
        node("Unsqueeze", "rows one", "view"),
        node("Neg", "view", "y"),
    ]
    ids = [{"ids": np.arange(n)[:, None] % 5} for n in (2, 3, 6, 9)]
    kinds = light(column, ids, pick=np.array(0), table=rows(5, 8))
    assert kinds == {"Gather": 1, "Neg": 1}
    cut = [
        node("Slice", "x zero four one", "part"),
        node("MatMul", "part w", "product"),
        node("Gather", "product taken", "y", axis=1),
    ]
    probes = feeds(*((n, 5, 6) for n in (2, 3, 7, 9)))
    kinds = light(cut, probes, w=rows(6, 3), taken=np.array([0, 3, 1]))
    assert kinds == {"MatMul": 1, "Gather": 1}
