"""Rules for masks, one step beside what they turn: by the nodes that make a truth value."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_graphs import applied, graph_of, node, rows

from fusefront.harness.serving.export import masks
from fusefront.harness.serving.export.rewrite import count_nodes, observe

FIXED = {
    "zero": np.array(0, np.float32),
    "half": np.array(0.5, np.float32),
    "two": np.zeros(2, np.float32),
    "axes": np.array([[1], [2]]),
}
COUNT, TOTAL = node("Cast", "mask", "count", to=1), node("ReduceSum", "count axes", "total")
MASK = node("Not", "hidden", "mask")


@pytest.mark.parametrize(
    ("last", "total", "count", "truths"),
    [
        ("Greater total zero", TOTAL, COUNT, ("mask", [1, 2], 1)),
        (
            "Greater total zero",
            node("ReduceSum", "count axes", "total", noop_with_empty_axes=1, keepdims=0),
            COUNT,
            ("mask", [1, 2], 0),
        ),
        (
            "Greater total zero",
            TOTAL,
            node("Cast", "history_mask", "count", to=1),
            ("history_mask", [1, 2], 1),
        ),
        ("Less total zero", TOTAL, COUNT, None),
        ("Greater other zero", TOTAL, COUNT, None),  # of an input
        ("Greater total zero", node("ReduceMax", "count axes", "total"), COUNT, None),
        ("Greater total zero", node("ReduceSum", "count", "total"), COUNT, None),
        ("Greater total zero", node("ReduceSum", "count fed", "total"), COUNT, None),
        ("Greater total zero", node("ReduceSum", "history_mask axes", "total"), COUNT, None),
        ("Greater total zero", TOTAL, node("Neg", "mask", "count"), None),
        ("Greater total zero", TOTAL, node("Cast", "history_values", "count", to=1), None),
        ("Greater total fed", TOTAL, COUNT, None),
        ("Greater total half", TOTAL, COUNT, None),
        ("Greater total two", TOTAL, COUNT, None),
    ],
)
def test_any_is_a_sum_of_truths_above_zero(
    last: str, total: onnx.NodeProto, count: onnx.NodeProto, truths: Any
) -> None:
    """Cast, summed along fixed axes, compared with one fixed zero."""
    kind, inputs = last.split(" ", 1)
    maker = {"mask": MASK, "count": count, "total": total}
    assert masks._any_of(node(kind, inputs, "some"), maker, FIXED) == truths


@pytest.mark.parametrize(
    ("attributes", "floating"),
    [
        ({"to": TensorProto.FLOAT}, True),
        ({"to": TensorProto.INT64}, False),
        ({"saturate": 1, "to": TensorProto.INT64}, False),  # its 1 is no type
        ({"saturate": 0, "to": TensorProto.FLOAT}, True),
    ],
)
def test_a_cast_to_float_is_told_by_its_type(attributes: dict[str, int], floating: bool) -> None:
    assert masks._to_float(node("Cast", "x", "y", **attributes)) is floating


@pytest.mark.parametrize("condition", ["shown", "history_mask"])
def test_a_where_of_no_negation_stays(condition: str) -> None:
    nodes = [node("Or", "history_mask more", "shown"), node("Where", f"{condition} x half", "y")]
    feed = {"x": rows(2, 5), "history_mask": np.array([True, False, True, True, False])}
    feed["more"] = ~feed["history_mask"]
    model = graph_of(nodes, feed, FIXED)
    before = model.SerializeToString()
    masks.turn_wheres(model)
    assert model.SerializeToString() == before


@pytest.mark.parametrize("where", [(0, 0, 0), (2, 1, 3)])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_value_that_is_not_finite_at_one_size_keeps_a_where(
    where: tuple[int, int, int], value: float
) -> None:
    nodes = [node("Where", "history_mask x zero", "y")]
    probes = [
        {"x": rows(n, 4), "history_mask": np.arange(4 * n).reshape(n, 4) % 3 > 0} for n in (2, 3, 5)
    ]
    model = graph_of(nodes, probes[0], FIXED)
    before = model.SerializeToString()
    observed = observe(model, [feed | {"x": feed["x"].copy()} for feed in probes])
    probe, row, column = where
    probes[probe]["x"][row, column] = value
    masks.multiply_masks(model, observe(model, probes))
    assert model.SerializeToString() == before
    masks.multiply_masks(model, observed)
    assert count_nodes(model) == {"Cast": 1, "Mul": 1}


def test_what_a_where_shows_must_have_all_axes_of_the_result() -> None:
    """A computed row that broadcasts is not multiplied, nor are weights, of which nothing is
    observed."""
    for values in ("row", "weights"):
        nodes = [node("Neg", "weights", "row"), node("Where", f"history_mask {values} zero", "y")]
        probes = [{"history_mask": np.arange(4 * n).reshape(n, 4) % 3 > 0} for n in (2, 3, 5)]
        model = graph_of(nodes, probes[0], FIXED | {"weights": rows(1, 4)})
        assert applied(model, probes, masks.multiply_masks)["Where"] == 1


@pytest.mark.parametrize(
    ("zero", "left"),
    [
        (np.zeros((1, 4), np.float32), 0),
        (np.array([0, 0, 0, 1e-9], np.float32), 1),
        (np.array([1, 0, 0, 0], np.float32), 1),
    ],
)
def test_only_all_zeros_are_zero(zero: Any, left: int) -> None:
    nodes = [node("Where", "history_mask x other", "y")]
    probes = [
        {"x": rows(n, 4), "history_mask": np.arange(4 * n).reshape(n, 4) % 3 > 0} for n in (2, 3, 5)
    ]
    model = graph_of(nodes, probes[0], {"other": zero})
    assert applied(model, probes, masks.multiply_masks)["Where"] == left
