"""Rules for products with fixed weights, one step beside what they turn."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from small_graphs import Feed, applied, feeds, graph_of, node, rows

from fusefront.harness.serving.export import products
from fusefront.harness.serving.export.rewrite import observe


def merged(nodes: list[onnx.NodeProto], **weights: Any) -> Counter[str]:
    """Nodes after two products in a row are one; the values stay."""
    probes = feeds((2, 6), (3, 6), (5, 6))
    model = graph_of(nodes, probes[0], weights)
    return applied(model, probes, lambda model: products.merge_products(model), observed=False)


def test_weights_that_two_rows_of_products_share_are_multiplied_once() -> None:
    nodes = [
        node("MatMul", "x a", "low"),
        node("MatMul", "low b", "left"),
        node("Neg", "x", "z"),
        node("MatMul", "z a", "other"),
        node("MatMul", "other b", "right"),
        node("Mul", "left right", "y"),
    ]
    probes = feeds((2, 6))
    model = graph_of(nodes, probes[0], {"a": rows(6, 5) / 8, "b": rows(5, 4) / 8})
    products.merge_products(model)
    assert [each.name for each in model.graph.initializer] == ["a", "b", "a_by_b"]
    assert merged(nodes, a=rows(6, 5) / 8, b=rows(5, 4) / 8) == {"MatMul": 2, "Neg": 1, "Mul": 1}


def test_three_products_in_a_row_are_one() -> None:
    nodes = [
        node("MatMul", "x a", "low"),
        node("MatMul", "low b", "lower"),
        node("MatMul", "lower c", "y"),
    ]
    assert merged(nodes, a=rows(6, 5) / 8, b=rows(5, 4) / 8, c=rows(4, 6) / 8) == {"MatMul": 1}


@pytest.mark.parametrize(
    "nodes",
    [
        [node("MatMul", "x x", "low"), node("MatMul", "low b", "y")],
        [node("MatMul", "x b", "low"), node("MatMul", "low x", "y")],
        [node("MatMul", "x cube", "low"), node("MatMul", "low b", "y")],
        [node("Add", "x b", "low"), node("MatMul", "low b", "y")],
        [node("MatMul", "x b", "low"), node("Add", "low b", "y")],
    ],
)
def test_only_two_products_with_fixed_matrices_are_one(nodes: list[onnx.NodeProto]) -> None:
    probes = feeds((6, 6), (6, 6))
    model = graph_of(nodes, probes[0], {"b": rows(6, 6), "cube": rows(1, 6, 6)})
    before = model.SerializeToString()
    products.merge_products(model)
    assert model.SerializeToString() == before


VIEWED = {
    "flat": np.array([-1, 6]),
    "back": np.array([-1, 3, 4]),
    "turned": np.array([3, -1, 4]),
    "half": np.array([-1, 3]),
    "four": np.array([-1, 4]),
    "lead": np.array([0]),
    "w": rows(6, 4) / 8,
    "v": rows(3, 4) / 8,
    "x1": rows(6, 4),
    "fixed": rows(2, 3, 6),
}


def viewed(nodes: list[onnx.NodeProto], outputs: str = "y") -> int:
    """How many views are left around a product; the values stay."""
    probes: list[Feed] = [
        feed | {"z": rows(6, 4)} for feed in feeds((2, 3, 6), (4, 3, 6), (5, 3, 6))
    ]
    model = graph_of(nodes, probes[0], VIEWED, outputs)
    kinds = applied(model, probes, products.drop_views)
    return kinds["Reshape"] + kinds["Unsqueeze"]


FLAT, WHOLE = node("Reshape", "x flat", "flat_rows"), node("Reshape", "product back", "whole")
PRODUCT, LAST = node("MatMul", "flat_rows w", "product"), node("Neg", "whole", "y")


@pytest.mark.parametrize(
    ("nodes", "outputs", "left"),
    [
        ([FLAT, PRODUCT, WHOLE, LAST], "y", 0),
        ([FLAT, PRODUCT, WHOLE, LAST], "y whole", 2),  # its name is that of an output
        ([FLAT, node("MatMul", "flat_rows z", "product"), WHOLE, LAST], "y", 2),  # fed weights
        ([node("Neg", "x", "flat_rows"), PRODUCT, WHOLE, LAST], "y", 1),
        ([FLAT, PRODUCT, WHOLE, LAST, node("Exp", "product", "u")], "y u", 2),  # read twice
        ([FLAT, PRODUCT, node("Neg", "product", "y")], "y", 1),
        ([FLAT, PRODUCT, node("Unsqueeze", "product lead", "whole"), LAST], "y", 2),
        ([FLAT, PRODUCT, node("Reshape", "product turned", "whole"), LAST], "y", 2),
        (
            [node("Reshape", "x half", "flat_rows"), node("MatMul", "flat_rows v", "product"),
             node("Reshape", "product four", "whole"), LAST], "y", 2,
        ),
        ([node("Reshape", "fixed flat", "flat_rows"), PRODUCT, WHOLE, LAST], "y", 2),
        ([FLAT, node("Gemm", "flat_rows w", "product"), WHOLE, LAST], "y", 2),
    ],
)  # fmt: skip
def test_views_go_where_the_product_of_all_axes_has_the_same_rows(
    nodes: list[onnx.NodeProto], outputs: str, left: int
) -> None:
    assert viewed(nodes, outputs) == left


def sliced(
    *, product: str = "part w", reader: str = "Gather product taken", more: Any = (), **weights: Any
) -> Counter[str]:
    """Four of five places are multiplied, of which fixed ones are taken."""
    kind, inputs = reader.split(" ", 1)
    nodes = [
        node("Slice", weights.pop("cut", "x start end axis"), "part"),
        node("MatMul", product, "product"),
        node(kind, inputs, "y", **({"axis": 1} if kind == "Gather" else {})),
        *more,
    ]
    fixed = {
        "start": np.array([0]), "end": np.array([4]), "axis": np.array([1]), "step": np.array([1]),
        "w": rows(6, 3) / 8, "taken": np.array([0, 3, 1]), "fixed": rows(2, 5, 6),
    }  # fmt: skip
    width = weights.pop("width", 5)
    outputs = weights.pop("outputs", "y")
    probes: list[Feed] = [
        feed | {"z": rows(6, 3)} for feed in feeds(*((n, width, 6) for n in (2, 3, 7)))
    ]
    model = graph_of(nodes, probes[0], fixed | weights, outputs)
    return applied(model, probes, products.drop_slices)


TWO = {"end": np.array([4, 9]), "axis": np.array([1, 2])}


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({}, 0),
        ({"cut": "x start end axis step"}, 0),
        ({"start": np.array([0, 0]), **TWO}, 0),
        ({**TWO, "start": np.array([1, 0]), "end": np.array([5, 9])}, 1),  # not from the first
        ({"start": np.array([-4]), "end": np.array([9])}, 1),
        ({"cut": "x start end axis step", "end": np.array([9]), "step": np.array([2]), "width": 3,
          "taken": np.array([0, 1])}, 1),
        ({"cut": "x start end axis step", "end": np.array([9, 9]), "start": np.array([0, 0]),
          "axis": np.array([0, 1]), "step": np.array([1, 2]), "width": 3,
          "taken": np.array([0, 1])}, 1),
        ({"reader": "Neg product"}, 1),
        ({"taken": np.array([0, -1])}, 1),
        ({"outputs": "y product"}, 1),
        ({"more": (node("Neg", "product", "u"),), "outputs": "y u"}, 1),
        ({"product": "part z"}, 1),
        ({"cut": "fixed start end axis"}, 1),
        ({"axis": np.array([2]), "end": np.array([5]), "w": rows(5, 3)}, 1),  # the product's own
    ],
)  # fmt: skip
def test_a_slice_goes_where_it_keeps_the_first_places(change: dict[str, Any], left: int) -> None:
    assert sliced(**change)["Slice"] == left


def test_a_slice_by_computed_places_stays() -> None:
    """Also where they were the first ones at every probe."""
    for computed in (0, 3):
        names = ["start", "end", "axis", "step"]
        values = [0, 4, 1, 1]
        fed = {"n": np.array([values[computed]])}
        names[computed] = "n"
        nodes = [
            node("Slice", f"x {' '.join(names)}", "part"),
            node("MatMul", "part w", "product"),
            node("Gather", "product taken", "y", axis=1),
        ]
        fixed = {name: np.array([value]) for name, value in zip(names, values, strict=True)}
        del fixed["n"]
        probes = [feed | fed for feed in feeds((2, 5, 6), (3, 5, 6))]
        weights = fixed | {"w": rows(6, 3) / 8, "taken": np.array([0, 3])}
        model = graph_of(nodes, probes[0], weights)
        before = model.SerializeToString()
        products.drop_slices(model, observe(model, probes))
        assert model.SerializeToString() == before


def test_a_gather_without_an_axis_takes_along_the_first() -> None:
    places = {"at": np.array([0, 2])}
    assert products._takes_fixed(node("Gather", "x at", "y"), 0, 3, places)
    assert not products._takes_fixed(node("Gather", "x at", "y"), 1, 3, places)
