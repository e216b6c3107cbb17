"""A traced graph made light: constants folded, shapes known where they are, nothing recomputed.

What a reshape or an expand does is observed by running the graph at three sizes whose axes all differ.
The rules know operators of the graph, not models: every strategy gets them.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper

from fusefront.harness.export.request import Feed

Observed = dict[str, list[NDArray[Any]]]  # value name -> its array in each probe
_BROADCASTS = {"Add", "Sub", "Mul", "Div", "And", "Or", "Where", "Min", "Max", "Pow"}


def lighten(model: onnx.ModelProto, probes: Sequence[Feed]) -> onnx.ModelProto:
    """The same function with fewer nodes; `probes` are feeds of the graph's inputs."""
    model = fold(model)
    seen = observe(model, probes)
    _fix_constants(model, seen)
    _fix_reshapes(model, seen)
    _drop_expands(model, seen)
    _turn_wheres(model)
    return fold(prune(model))


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """Constants folded and redundant nodes removed by the runtime's basic level."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folded.onnx"
        options.optimized_model_filepath = str(path)
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(str(path))


def observe(model: onnx.ModelProto, probes: Sequence[Feed]) -> Observed:
    """Every intermediate value at each probe."""
    told = onnx.ModelProto()
    told.CopyFrom(model)
    have = {output.name for output in told.graph.output}
    names = [name for node in told.graph.node for name in node.output if name and name not in have]
    told.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        told.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    seen: Observed = {name: [] for name in (*outputs, *wanted)}
    for probe in probes:
        values = session.run(outputs, {name: probe[name] for name in wanted})
        for name, value in zip(outputs, values, strict=True):
            seen[name].append(value)
        for name in wanted:
            seen[name].append(probe[name])
    return seen


def prune(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without nodes, initializers and inputs that no output needs."""
    graph = model.graph
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= set(_reads(node))
    _replace(graph.node, list(reversed(kept)))
    _replace(graph.initializer, [i for i in graph.initializer if i.name in needed])
    _replace(graph.input, [i for i in graph.input if i.name in needed])
    del graph.value_info[:]
    return model


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, in its branches too."""
    yield from node.input
    for attribute in node.attribute:
        for branch in (attribute.g, *attribute.graphs):
            for inner in branch.node:
                yield from _reads(inner)
            yield from (output.name for output in branch.output)


def _replace(field: Any, values: list[Any]) -> None:
    del field[:]
    field.extend(values)


def _fix_constants(model: onnx.ModelProto, seen: Observed) -> None:
    """Small whole-number values that are the same at every size become constants."""
    known = {initializer.name for initializer in model.graph.initializer}
    for node in list(model.graph.node):
        for name in node.output:
            values = seen.get(name, [])
            if not values or values[0].dtype not in (np.int64, np.bool_) or values[0].ndim > 1:
                continue
            if all(np.array_equal(v, values[0]) for v in values) and _is_shape(model, name):
                constant = f"{name}_constant"
                if constant not in known:
                    model.graph.initializer.append(numpy_helper.from_array(values[0], constant))
                _rename(model, name, constant)


def _is_shape(model: onnx.ModelProto, name: str) -> bool:
    """Whether a value descends from shapes alone, so that its sameness is no accident of the probe."""
    made = {output: node for node in model.graph.node for output in node.output}
    fixed = {initializer.name for initializer in model.graph.initializer}
    todo, visited = [name], set()
    while todo:
        value = todo.pop()
        if value in visited or value in fixed or not value:
            continue
        visited.add(value)
        node = made.get(value)
        if node is None:
            return False  # an input of the graph
        if node.op_type not in ("Shape", "Constant"):
            todo += _reads(node)
    return True


def _fix_reshapes(model: onnx.ModelProto, seen: Observed) -> None:
    """A reshape whose target is axes of its input (0), constants and at most one free axis (-1)."""
    for index, node in enumerate(model.graph.node):
        if node.op_type != "Reshape" or node.output[0] not in seen or node.input[0] not in seen:
            continue
        target = _target(
            [value.shape for value in seen[node.input[0]]],
            [value.shape for value in seen[node.output[0]]],
        )
        if target is None:
            continue
        name = f"reshape_{index}_target"
        model.graph.initializer.append(numpy_helper.from_array(np.array(target, np.int64), name))
        node.input[1] = name
        del node.attribute[:]  # allowzero = 0: a zero copies the input's axis


def _target(
    before: Sequence[tuple[int, ...]], after: Sequence[tuple[int, ...]]
) -> list[int] | None:
    target = []
    for axis, sizes in enumerate(zip(*after, strict=True)):
        if len(set(sizes)) == 1:
            target.append(sizes[0])
        elif all(axis < len(b) and b[axis] == s for b, s in zip(before, sizes, strict=True)):
            target.append(0)
        else:
            target.append(-1)
    return target if target.count(-1) <= 1 else None


def _drop_expands(model: onnx.ModelProto, seen: Observed) -> None:
    """An expand whose readers broadcast anyway does nothing but copy."""
    for node in model.graph.node:
        if node.op_type != "Expand" or node.output[0] not in seen:
            continue
        readers = [other for other in model.graph.node if node.output[0] in other.input]
        if readers and all(_broadcasts(reader, node, seen) for reader in readers):
            _rename(model, node.output[0], node.input[0])


def _broadcasts(reader: onnx.NodeProto, expand: onnx.NodeProto, seen: Observed) -> bool:
    if reader.op_type not in _BROADCASTS or reader.output[0] not in seen:
        return False
    name = expand.output[0]
    others = [i for i in reader.input if i != name and i in seen]
    for at, wanted in enumerate(seen[reader.output[0]]):
        shapes = [seen[other][at].shape for other in others]
        if expand.input[0] in seen:
            shapes.append(seen[expand.input[0]][at].shape)
        if np.broadcast_shapes(*shapes) != wanted.shape:
            return False
    return True


def _turn_wheres(model: onnx.ModelProto) -> None:
    """Where(Not(c), a, b) is Where(c, b, a)."""
    made = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type == "Where" and node.input[0] in made:
            condition = made[node.input[0]]
            if condition.op_type == "Not":
                inputs = [condition.input[0], node.input[2], node.input[1]]
                _replace(node.input, inputs)


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        if old in node.input:
            _replace(node.input, [new if name == old else name for name in node.input])


def count_nodes(model: onnx.ModelProto) -> Counter[str]:
    """Nodes by operator."""
    return Counter(node.op_type for node in model.graph.node)
