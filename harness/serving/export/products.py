"""Rewriting rules for products with fixed weights: merges two in a row, and removes views and
slices around one."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from fusefront.harness.serving.export.rules import Observed, makers, rename, replace

MOST_WORK = 2.0  # times the multiplications of two products in a row; a node costs more


def merge_products(model: onnx.ModelProto) -> None:
    """(x A) B becomes x (A B) unless that is much more work, as with small ranks."""
    maker, read = makers(model), Counter(name for node in model.graph.node for name in node.input)
    weights = _weights(model)
    for node in model.graph.node:
        first = maker.get(node.input[0]) if node.op_type == "MatMul" else None
        if first is None or first.op_type != "MatMul" or read[first.output[0]] != 1:
            continue
        a, b = weights.get(first.input[1]), weights.get(node.input[1])
        if a is None or b is None or a.shape[0] * b.shape[1] > MOST_WORK * (a.size + b.size):
            continue
        name = f"{first.input[1]}_by_{node.input[1]}"
        joined = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
        if name not in weights:
            model.graph.initializer.append(numpy_helper.from_array(joined, name))
            weights[name] = joined
        replace(node.input, [first.input[0], name])


def drop_views(model: onnx.ModelProto, observed: Observed) -> None:
    """Removes views around a product with a fixed matrix, which accepts any leading axes."""
    maker, weights = makers(model), _weights(model)
    outputs = {output.name for output in model.graph.output}
    for node in model.graph.node:
        before = maker.get(node.input[0]) if node.op_type == "MatMul" else None
        if before is None or before.op_type != "Reshape" or node.input[1] not in weights:
            continue
        readers = [other for other in model.graph.node if node.output[0] in other.input]
        source = before.input[0]
        if len(readers) != 1 or readers[0].op_type != "Reshape" or source not in observed:
            continue
        after, width = readers[0].output[0], weights[node.input[1]].shape
        whole = [(value.shape[-1], (*value.shape[:-1], width[1])) for value in observed[source]]
        if after in outputs or whole != [(width[0], value.shape) for value in observed[after]]:
            continue
        node.input[0] = source
        rename(model, after, node.output[0])


def drop_slices(model: onnx.ModelProto, observed: Observed) -> None:
    """If fixed places are taken from the product of a value's first rows, multiply all rows
    instead.

    Pairs of fields have this form. A copy costs more than half of the product's work.
    """
    maker, weights = makers(model), _weights(model)
    fixed = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    outputs = {output.name for output in model.graph.output}
    for node in model.graph.node:
        cut = maker.get(node.input[0]) if node.op_type == "MatMul" else None
        if cut is None or cut.op_type != "Slice" or node.input[1] not in weights:
            continue
        readers = [other for other in model.graph.node if node.output[0] in other.input]
        if len(readers) != 1 or node.output[0] in outputs or cut.input[0] not in observed:
            continue
        whole, part = observed[cut.input[0]][0], observed[cut.output[0]][0]
        axis = _cut_axis(whole.shape, part.shape)
        first = _are(0, cut.input[1:2], fixed) and _are(1, cut.input[4:], fixed)
        if axis is None or not first:
            continue
        if _takes_fixed(readers[0], axis, whole.ndim, fixed) and whole.size <= 1.5 * part.size:
            node.input[0] = cut.input[0]


def _cut_axis(whole: tuple[int, ...], part: tuple[int, ...]) -> int | None:
    """The axis that a slice shortens, if there is one only and it is not the product's own; else
    None."""
    shorter = np.flatnonzero(np.subtract(whole, part)).tolist()
    return shorter[0] if len(shorter) == 1 and shorter[0] < len(whole) - 1 else None


def _are(value: int, names: Sequence[str], fixed: dict[str, NDArray[np.generic]]) -> bool:
    """Whether these inputs of a node are fixed and hold nothing but a number."""
    return all(name in fixed and bool((fixed[name] == value).all()) for name in names)


def _takes_fixed(
    node: onnx.NodeProto, axis: int, rank: int, fixed: dict[str, NDArray[np.generic]]
) -> bool:
    """Whether a node takes fixed places, counted from the start, along an axis."""
    along = next((a.i for a in node.attribute if a.name == "axis"), 0)
    places = fixed.get(node.input[1]) if node.op_type == "Gather" else None
    return (
        places is not None
        and along in (axis, axis - rank)
        and bool((np.asarray(places) >= 0).all())
    )


def _weights(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    return {i.name: numpy_helper.to_array(i) for i in model.graph.initializer if len(i.dims) == 2}
