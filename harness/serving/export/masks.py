"""Rewriting rules for masks: logic on booleans becomes products of zeros and ones, computed
once."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fusefront.harness.serving.export.rules import VIEWS, Observed, makers, replace


def turn_wheres(model: onnx.ModelProto) -> None:
    """Where(Not(c), a, b) is Where(c, b, a)."""
    maker = makers(model)
    for node in model.graph.node:
        if node.op_type == "Where" and node.input[0] in maker:
            condition = maker[node.input[0]]
            if condition.op_type == "Not":
                replace(node.input, [condition.input[0], node.input[2], node.input[1]])


def multiply_masks(model: onnx.ModelProto, observed: Observed) -> None:
    """Where(c, x, 0) becomes x * c if x is finite, which is checked for item codes.

    The runtime's Where makes three copies when it broadcasts; its product makes none.
    """
    zeros = {
        initializer.name
        for initializer in model.graph.initializer
        if initializer.data_type == onnx.TensorProto.FLOAT
        and not numpy_helper.to_array(initializer).any()
    }
    nodes: list[onnx.NodeProto] = []
    cast: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "Where" and node.input[2] in zeros and _multiplies(node, observed):
            condition, factor = node.input[0], f"{node.input[0]}_float"
            if condition not in cast:
                nodes.append(_cast(condition, factor))
                cast.add(condition)
            nodes.append(helper.make_node("Mul", [node.input[1], factor], [node.output[0]]))
        else:
            nodes.append(node)
    replace(model.graph.node, nodes)


def _multiplies(node: onnx.NodeProto, observed: Observed) -> bool:
    """Whether what a Where shows is finite and has all axes of the result."""
    values, results = observed.get(node.input[1], []), observed[node.output[0]]
    same = [value.shape for value in values] == [result.shape for result in results]
    return same and all(np.isfinite(value).all() for value in values)


def _cast(name: str, output: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [name], [output], to=TensorProto.FLOAT)


def count_truths(model: onnx.ModelProto) -> None:
    """Casts of combined booleans become combinations of casts: And is a product, "any" a
    maximum."""
    before = onnx.ModelProto()
    before.CopyFrom(model)
    maker, numbers = makers(before), dict[str, str]()
    fixed = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []

    def number(name: str) -> str:
        """The value that holds 0 where `name` is false and 1 where it is true."""
        if name not in numbers:
            numbers[name] = f"{name}_number"
            nodes.extend(of(name, numbers[name]))
        return numbers[name]

    def of(name: str, output: str) -> list[onnx.NodeProto]:
        node = maker.get(name)
        if node is not None and node.op_type == "And":
            return [helper.make_node("Mul", [number(part) for part in node.input], [output])]
        if node is not None and node.op_type in VIEWS:
            view = onnx.NodeProto()
            view.CopyFrom(node)
            view.name = output
            replace(view.input, [number(node.input[0]), *node.input[1:]])
            replace(view.output, [output])
            return [view]
        if node is not None and (truths := _any_of(node, maker, fixed)) is not None:
            source, axes, keep = truths
            made_of = helper.make_node(
                "ReduceMax", [number(source)], [output], axes=axes, keepdims=keep
            )
            return [made_of]
        return [_cast(name, output)]

    for node in model.graph.node:
        source = maker.get(node.input[0]) if node.op_type == "Cast" else None
        combined = source is not None and (
            source.op_type in {"And", *VIEWS} or _any_of(source, maker, fixed) is not None
        )
        if combined and _to_float(node) and _is_truth(node.input[0], maker):
            node.op_type = "Identity"
            del node.attribute[:]
            replace(node.input, [number(node.input[0])])
        nodes.append(node)
    replace(model.graph.node, nodes)


def _any_of(
    node: onnx.NodeProto, maker: dict[str, onnx.NodeProto], fixed: dict[str, np.ndarray]
) -> tuple[str, list[int], int] | None:
    """The booleans, axes and keepdims of Greater(ReduceSum(Cast(booleans)), 0); None for other
    nodes."""
    total = maker.get(node.input[0]) if node.op_type == "Greater" else None
    if total is None or total.op_type != "ReduceSum" or len(total.input) < 2:
        return None
    cast = maker.get(total.input[0])
    zero, axes = fixed.get(node.input[1]), fixed.get(total.input[1])
    if cast is None or cast.op_type != "Cast" or not _is_truth(cast.input[0], maker):
        return None
    if zero is None or zero.ravel().tolist() != [0] or axes is None:
        return None
    keep = next((a.i for a in total.attribute if a.name == "keepdims"), 1)
    return cast.input[0], axes.ravel().tolist(), keep


def _to_float(node: onnx.NodeProto) -> bool:
    return any(a.name == "to" and a.i == TensorProto.FLOAT for a in node.attribute)


def _is_truth(name: str, maker: dict[str, onnx.NodeProto]) -> bool:
    """Whether a value is boolean, judged by the node that makes it."""
    node = maker.get(name)
    if node is None:
        return name.endswith(("_present", "_mask"))  # inputs of the graph
    if node.op_type in VIEWS:
        return _is_truth(node.input[0], maker)
    return node.op_type in {"And", "Or", "Not", "Greater", "Less", "Equal", "GreaterOrEqual"}
