"""Moves work that depends on a single item from the graph into the item tables: once an item, not
once a request.

Nodes that treat every place of a history, or every candidate, separately leave the graph; their
results become new columns of the tables. The mask of padded places is dropped, since these hold row
0, which has nothing present.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fusefront.harness.serving.export import rules
from fusefront.harness.serving.export.rewrite import prune
from fusefront.harness.serving.export.rules import VIEWS, Observed
from fusefront.harness.serving.export.scorer import session_options

MASK = "history_mask"
SIDES = ("history", "candidate")
MOST_COLUMNS = 1.25  # relative to the previous table: more bytes an item are not worth a node
_BY_ELEMENT = {"Add", "Sub", "Mul", "Div", "And", "Or", "Not", "Where", "Cast", "Neg", "Relu"}
_CHUNK = 65_536  # items at a time


@dataclass(frozen=True)
class ItemGraph:
    """A graph from rows [R, L, C] of a table and presence [R, L, T] to the columns that the scorer
    reads."""

    side: str  # history or candidate
    graph: onnx.ModelProto
    outputs: tuple[str, ...]  # floats first, then truth values
    floats: int

    def apply(
        self, values: NDArray[np.float32], present: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The new values [R, L, C'] and presence [R, L, T']."""
        session = ort.InferenceSession(
            self.graph.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
        )
        names = {value.name for value in session.get_inputs()}
        both = dict(zip(_tables(self.side), (values, present), strict=True))
        pieces = []
        for start in range(0, max(values.shape[1], 1), _CHUNK):
            feed = {n: part[:, start : start + _CHUNK] for n, part in both.items() if n in names}
            outputs = session.run(list(self.outputs), feed)
            pieces.append([part.reshape(*part.shape[:2], -1) for part in outputs])
        parts = [np.concatenate(part, 1) for part in zip(*pieces, strict=True)]
        empty = [values[..., :0], present[..., :0]]
        return (
            np.concatenate([empty[0], *parts[: self.floats]], -1),
            np.concatenate([empty[1], *parts[self.floats :]], -1),
        )


def move_offline(
    model: onnx.ModelProto, observed: Observed
) -> tuple[onnx.ModelProto, tuple[ItemGraph, ...]]:
    """The graph without its work on single items, and this work as one graph a side."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    _drop_padding_masks(whole, observed)
    whole = prune(whole)
    moved = []
    for side in SIDES:
        if (parts := _move(whole, side, observed)) is not None:
            whole, items = parts
            moved.append(items)
    return whole, tuple(moved)


def _tables(side: str) -> tuple[str, str]:
    return f"{side}_values", f"{side}_present"


def _move(
    model: onnx.ModelProto, side: str, observed: Observed
) -> tuple[onnx.ModelProto, ItemGraph] | None:
    tables = _tables(side)
    if tables[0] not in {value.name for value in model.graph.input}:
        return None
    single = _single(model, tables, observed)
    edge = _edge(model, tables, single)
    floats = [name for name in edge if observed[name][0].dtype == np.float32]
    truths = [name for name in edge if observed[name][0].dtype == np.bool_]
    columns = sum(int(np.prod(observed[name][0].shape[2:])) for name in floats)
    too_wide = columns > MOST_COLUMNS * observed[tables[0]][0].shape[-1]
    if len(floats) + len(truths) < len(edge) or not floats or too_wide or set(edge) <= {*tables}:
        return None
    outputs = [*floats, *truths]
    items = ItemGraph(
        side, _cut(model, outputs, observed), tuple(map(_output, outputs)), len(floats)
    )
    online = [node for node in model.graph.node if not set(node.output) & single]
    rules.replace(model.graph.node, online)
    for table, names in zip(tables, (floats, truths), strict=True):
        _read(model, table, names, observed)
    return prune(model), items


def _drop_padding_masks(model: onnx.ModelProto, observed: Observed) -> None:
    """Replaces "mask of the history and presence" by presence, since padded places hold row 0."""
    masks, there = (_descend(model, {name}, {*VIEWS, "Cast"}) for name in (MASK, "history_present"))
    for node in model.graph.node:
        if node.op_type not in ("And", "Mul"):
            continue
        for mask, present in (tuple(node.input), tuple(reversed(node.input))):
            same = present in there and mask in masks
            if same and observed[present][0].shape == observed[node.output[0]][0].shape:
                rules.rename(model, node.output[0], present)


def _descend(model: onnx.ModelProto, names: set[str], kinds: set[str]) -> set[str]:
    reached = set(names)
    for node in model.graph.node:
        if node.op_type in kinds and node.input[0] in reached:
            reached |= set(node.output)
    return reached


def _single(model: onnx.ModelProto, tables: tuple[str, str], observed: Observed) -> set[str]:
    """The values [R, L, ...] whose every place depends on one item only."""
    fixed = {initializer.name for initializer in model.graph.initializer}
    single = set(tables)
    lead = [value.shape[:2] for value in observed[tables[0]]]
    for node in model.graph.node:
        moving = [name for name in node.input if name and name not in fixed]
        if node.op_type == "Expand":
            moving = moving[:1] if rules.is_shape(model, node.input[1]) else [*moving, ""]
        of_one = all(name in single for name in moving)
        if not moving or not of_one or not _keeps_places(node, model, observed):
            continue
        shapes = [[value.shape for value in observed.get(name, [])] for name in node.output]
        if all(
            [shape[:2] for shape in each] == lead and len({shape[2:] for shape in each}) == 1
            for each in shapes
        ):
            single |= set(node.output)
    return single


def _keeps_places(node: onnx.NodeProto, model: onnx.ModelProto, observed: Observed) -> bool:
    """Whether a node that keeps the leading axes [R, L] does not mix values along them."""
    rank = observed[node.input[0]][0].ndim if node.input[0] in observed else 0
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type in _BY_ELEMENT:
        ranks = {observed[name][0].ndim for name in node.input if name in observed}
        return len(ranks) == 1
    if node.op_type in {*VIEWS, "Expand"}:
        return True
    if node.op_type in ("Split", "Concat", "Gather", "Softmax"):
        axis = int(attributes.get("axis", -1 if node.op_type == "Softmax" else 0))
        return axis % max(rank, 1) >= 2
    if node.op_type == "Slice":
        fixed = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        axes = fixed.get(node.input[3]) if len(node.input) > 3 else None
        return axes is not None and bool((axes % rank >= 2).all())
    if node.op_type == "Transpose":
        return list(attributes["perm"][:2]) == [0, 1]
    if node.op_type == "MatMul":
        return any(i.name == node.input[1] and len(i.dims) == 2 for i in model.graph.initializer)
    return False


def _edge(model: onnx.ModelProto, tables: tuple[str, str], single: set[str]) -> list[str]:
    """The values of single items that the rest of the graph reads, in order."""
    rest = [node for node in model.graph.node if not set(node.output) <= single]
    read = {name for node in rest if node.op_type != "Shape" for name in node.input}
    order = [*tables, *(name for node in model.graph.node for name in node.output)]
    return [name for name in order if name in single and name in read]


def _output(name: str) -> str:
    return f"{name}_of_item"


def _cut(model: onnx.ModelProto, names: Sequence[str], observed: Observed) -> onnx.ModelProto:
    """The part of the graph that computes `names` from the table's rows."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    rules.replace(part.graph.output, [])
    for name in names:
        kind = TensorProto.FLOAT if observed[name][0].dtype == np.float32 else TensorProto.BOOL
        part.graph.node.append(helper.make_node("Identity", [name], [_output(name)]))
        part.graph.output.append(helper.make_tensor_value_info(_output(name), kind, None))
    return prune(part)


def _read(model: onnx.ModelProto, table: str, names: Sequence[str], observed: Observed) -> None:
    """Compute `names` from the new columns of a table: one split, and a view for each value with
    more axes."""
    sizes = [int(np.prod(observed[name][0].shape[2:])) for name in names]
    columns = [table] if len(names) == 1 else [f"{table}_{at}" for at in range(len(names))]
    nodes: list[onnx.NodeProto] = []
    if len(names) > 1:
        parts = _numbers(model, f"{table}_sizes", sizes)
        nodes.append(helper.make_node("Split", [table, parts], columns, axis=-1))
    for name, column in zip(names, columns, strict=True):
        if observed[name][0].ndim == 3:
            _reread(model, name, column)
            continue
        target = _numbers(model, f"{column}_view", [0, 0, *observed[name][0].shape[2:]])
        nodes.append(helper.make_node("Reshape", [column, target], [f"{column}_viewed"]))
        _reread(model, name, f"{column}_viewed")
    rules.replace(model.graph.node, [*nodes, *model.graph.node])
    for entry in model.graph.input:
        if entry.name == table and names:
            entry.type.tensor_type.shape.dim[2].dim_value = sum(sizes)


def _reread(model: onnx.ModelProto, old: str, new: str) -> None:
    """Let readers of `old` read `new`; shapes of a table are only read for its leading axes and
    stay."""
    for node in model.graph.node:
        if old in node.input and node.op_type != "Shape":
            rules.replace(node.input, [new if name == old else name for name in node.input])


def _numbers(model: onnx.ModelProto, name: str, values: Sequence[int]) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int64), name))
    return name
