"""Rewriting rules for a traced graph; they learn shapes from values observed at several sizes.

The rules know operators of the graph, not models, so that they apply to every strategy.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Observed = dict[str, list[NDArray[Any]]]  # value name -> its array in each probe
Shape = tuple[int, ...]
_BROADCASTS = {"Add", "Sub", "Mul", "Div", "And", "Or", "Where", "Min", "Max", "Pow"}
VIEWS = {"Reshape", "Flatten", "Unsqueeze", "Squeeze"}


def reads(node: onnx.NodeProto) -> Iterator[str]:
    """The values that a node reads, also within its branches."""
    yield from node.input
    for attribute in node.attribute:
        for branch in (attribute.g, *attribute.graphs):
            for inner in branch.node:
                yield from reads(inner)
            yield from (output.name for output in branch.output)


def replace(field: Any, values: list[Any]) -> None:
    """Replace the content of a repeated protobuf field."""
    del field[:]
    field.extend(values)


def rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Let readers of `old` read `new`."""
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new


def makers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """Each value -> the node that makes it."""
    return {output: node for node in model.graph.node for output in node.output}


def constant(model: onnx.ModelProto, name: str, values: Sequence[int]) -> str:
    """The name of an int64 initializer with these values, made unless it is there."""
    if all(initializer.name != name for initializer in model.graph.initializer):
        array = np.array(values, np.int64)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def fix_constants(model: onnx.ModelProto, observed: Observed) -> None:
    """Small values that depend on shapes alone and are equal at every size become constants."""
    for node in model.graph.node:
        for name in node.output:
            values = observed.get(name, [])
            first = next(iter(values), None)
            if first is None or first.dtype not in (np.int64, np.bool_) or first.ndim > 1:
                continue
            same = all(np.array_equal(value, first) for value in values)
            if same and is_shape(model, name):
                constant = f"{name}_constant"
                model.graph.initializer.append(numpy_helper.from_array(first, constant))
                rename(model, name, constant)


def is_shape(model: onnx.ModelProto, name: str) -> bool:
    """Whether a value depends on shapes alone, so that equal values are no accident of the
    probes."""
    fixed = {"", *(initializer.name for initializer in model.graph.initializer)}
    for node in model.graph.node:  # what a node reads is made before it
        if node.op_type == "Shape" or fixed.issuperset(reads(node)):
            fixed.update(node.output)
    return name in fixed


def join_views(model: onnx.ModelProto, observed: Observed) -> None:
    """Merge consecutive reshapes, flattens and squeezes into one; remove those that change
    nothing."""
    outputs = {output.name for output in model.graph.output}
    maker = makers(model)
    for node in model.graph.node:
        if node.op_type not in VIEWS:
            continue
        source = node.input[0]
        while source in maker and maker[source].op_type in VIEWS:
            source = maker[source].input[0]
        if source not in observed:
            continue  # weights
        before = [value.shape for value in observed[source]]
        after = [value.shape for value in observed[node.output[0]]]
        if before == after and node.output[0] not in outputs:
            rename(model, node.output[0], source)
            continue
        target = reshape_target(before, after)
        if target is None and node.op_type == "Reshape" and _explicit(node.input[1], observed):
            replace(
                node.input, [source, node.input[1]]
            )  # the target shape alone decides, whatever is between
        if target is not None:
            name = constant(model, f"{node.output[0]}_view{target}", target)
            node.op_type = "Reshape"
            replace(node.input, [source, name])
            del node.attribute[:]  # allowzero = 0: a zero copies the input's axis


def _explicit(target: str, observed: Observed) -> bool:
    return target in observed and all((value > 0).all() for value in observed[target])


def reshape_target(before: Sequence[Shape], after: Sequence[Shape]) -> list[int] | None:
    """A reshape target of axes copied from the input (0), constants and at most one free axis (-1).

    >>> reshape_target([(2, 3, 12), (5, 7, 12)], [(2, 3, 4, 3), (5, 7, 4, 3)])
    [0, 0, 4, 3]

    None if no such target exists; an axis of size 0 cannot be written beside copied ones.
    """
    if any(0 in shape for shape in after):
        return None
    target: list[int] = []
    for axis, sizes in enumerate(np.transpose(after).tolist()):
        if len({*sizes}) == 1:
            target += {*sizes}
        elif [shape[axis : axis + 1] for shape in before] == [(size,) for size in sizes]:
            target.append(0)
        else:
            target.append(-1)
    return target if target.count(-1) <= 1 and target.count(0) + target.count(-1) > 0 else None


def name_shapes(model: onnx.ModelProto, observed: Observed) -> None:
    """A vector assembled from sizes that equals a part of an input's shape is read from that shape
    directly."""
    for node in list(model.graph.node):
        name = node.output[0]
        values = observed.get(name, [])
        first = next(iter(values), None)
        if node.op_type == "Shape" or first is None or first.dtype != np.int64:
            continue
        if first.ndim != 1 or not is_shape(model, name):
            continue
        if (stretch := _stretch(model, observed, values)) is not None:
            source, start = stretch
            shape_node = helper.make_node(
                "Shape", [source], [f"{name}_read"], start=start, end=start + len(first)
            )
            model.graph.node.insert(0, shape_node)
            rename(model, name, f"{name}_read")


def _stretch(
    model: onnx.ModelProto, observed: Observed, values: Sequence[NDArray[Any]]
) -> tuple[str, int] | None:
    """An input, and from which axis on its shape holds these sizes at every probe."""
    for entry in model.graph.input:
        if starts := set.intersection(*map(_starts, observed[entry.name], values)):
            return entry.name, min(starts)
    return None


def _starts(value: NDArray[Any], sizes: NDArray[np.int64]) -> set[int]:
    """From which axes on a value's shape holds these sizes."""
    shape, part = value.shape, tuple(sizes)
    return {at for at in range(len(shape)) if shape[at : at + len(part)] == part}


def aim_expands(model: onnx.ModelProto, observed: Observed) -> None:
    """An expand over the leading axes of an input takes its target from that input's shape."""
    targets: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "Expand":
            continue
        after = [value.shape for value in observed[node.output[0]]]
        for lead in (2, 1):
            leads = [shape[:lead] for shape in after]
            sources = [
                entry.name
                for entry in model.graph.input
                if [value.shape[:lead] for value in observed[entry.name]] == leads
            ]
            rest = {shape[lead:] for shape in after}
            if not sources or len(rest) != 1:
                continue
            stem = f"{node.output[0]}_target"
            shape_node = helper.make_node(
                "Shape", [sources[0]], [f"{stem}_lead"], start=0, end=lead
            )
            tail = constant(model, f"{stem}_tail", *rest)
            whole = helper.make_node("Concat", [f"{stem}_lead", tail], [stem], axis=0)
            targets = [shape_node, whole, *targets]
            node.input[1] = stem
            break
    replace(model.graph.node, [*targets, *model.graph.node])


def drop_expands(model: onnx.ModelProto, observed: Observed) -> None:
    """Remove an expand whose readers broadcast anyway, so that it only copies."""
    for node in model.graph.node:
        if node.op_type != "Expand":
            continue
        readers = [other for other in model.graph.node if node.output[0] in other.input]
        if all(_broadcasts(reader, node, observed) for reader in readers):
            rename(model, node.output[0], node.input[0])


def _broadcasts(reader: onnx.NodeProto, expand: onnx.NodeProto, observed: Observed) -> bool:
    if reader.op_type not in _BROADCASTS:
        return False
    name = expand.output[0]
    others = [i for i in reader.input if i != name and i in observed]
    for at, result in enumerate(observed[reader.output[0]]):
        shapes = [observed[other][at].shape for other in others]
        if expand.input[0] in observed:
            shapes.append(observed[expand.input[0]][at].shape)
        if np.broadcast_shapes(*shapes) != result.shape:
            return False
    return True


def drop_lone_concats(model: onnx.ModelProto) -> None:
    """Remove concatenations of a single value."""
    for node in model.graph.node:
        if node.op_type == "Concat" and len(node.input) == 1:
            rename(model, node.output[0], node.input[0])


def gather_columns(model: onnx.ModelProto, observed: Observed) -> None:
    """Rows looked up by the only column of ids and then reshaped to have that column are looked up
    by the ids as they are."""
    maker, fixed = makers(model), {initializer.name for initializer in model.graph.initializer}
    for node in model.graph.node:
        column = maker.get(node.input[1]) if node.op_type == "Gather" else None
        if column is None or column.op_type != "Gather" or column.input[1] not in fixed:
            continue
        readers = [other for other in model.graph.node if node.output[0] in other.input]
        if len(readers) != 1 or readers[0].op_type not in VIEWS:
            continue
        ids = observed.get(column.input[0], [])  # none of weights and of rewritten sizes
        only = [(*each.shape[:-1], 1) for each in ids]
        viewed = [value.shape[:-1] for value in observed[readers[0].output[0]]]
        if only == [each.shape for each in ids] == viewed:
            node.input[1] = column.input[0]
            rename(model, readers[0].output[0], node.output[0])
