"""Moves work that depends on a single item from the graph into the item tables: once an item, not
once a request.

Nodes that treat every place of a history, or every candidate, separately leave the graph; their
results become new columns of the tables. The mask of padded places is dropped, since these hold row
0, which has nothing present.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from fusefront.harness.serving.export import rules
from fusefront.harness.serving.export.rewrite import prune
from fusefront.harness.serving.export.rules import VIEWS, Observed
from fusefront.harness.serving.export.scorer import session_options

MASK = "history_mask"
SIDES = ("history", "candidate")
MOST_COLUMNS = 1.25  # relative to the previous table: more bytes an item are not worth a node
_BY_ELEMENT = {"Add", "Sub", "Mul", "Div", "And", "Or", "Not", "Where", "Cast", "Neg", "Relu"}
_REARRANGING = {*_BY_ELEMENT, *VIEWS, "Expand", "Split", "Concat", "Gather", "Transpose"}
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
        table, presence = _tables(self.side)
        whole = {table: values, presence: present}
        names = [value.name for value in session.get_inputs()]
        columns, truths = [], []
        for start in (0, *range(_CHUNK, values.shape[1], _CHUNK)):
            piece = {name: rows[:, start : start + _CHUNK] for name, rows in whole.items()}
            outputs = session.run(list(self.outputs), {name: piece[name] for name in names})
            flat = [part.reshape(*part.shape[:2], math.prod(part.shape[2:])) for part in outputs]
            columns.append(np.concatenate(flat[: self.floats], -1))
            truths.append(np.concatenate([piece[presence][..., :0], *flat[self.floats :]], -1))
        return np.concatenate(columns, 1), np.concatenate(truths, 1)


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


def _sample(observed: Observed, name: str) -> NDArray[Any]:
    """A value in one of the probes: its type, and its axes but the first two, are those of all."""
    return next(iter(observed[name]))


def _columns(observed: Observed, names: Sequence[str]) -> list[int]:
    """How many columns of a table each value [R, L, ...] takes."""
    return [math.prod(_sample(observed, name).shape[2:]) for name in names]


def _move(
    model: onnx.ModelProto, side: str, observed: Observed
) -> tuple[onnx.ModelProto, ItemGraph] | None:
    values, present = _tables(side)
    if values not in {entry.name for entry in model.graph.input}:
        return None
    single = _single(model, _tables(side), observed)
    edge = _edge(model, _tables(side), single)
    floats = [name for name in edge if _sample(observed, name).dtype == np.float32]
    truths = [name for name in edge if _sample(observed, name).dtype == np.bool_]
    outputs = [*floats, *truths]
    most = MOST_COLUMNS * _sample(observed, values).shape[-1]
    fits = 0 < sum(_columns(observed, floats)) <= most
    if not fits or len(outputs) < len(edge) or {*edge} <= {values, present}:
        return None
    items = ItemGraph(
        side, _cut(model, outputs, observed), tuple(map(_output, outputs)), len(floats)
    )
    _read(model, values, floats, observed)
    _read(model, present, truths, observed)
    return prune(model), items


def _drop_padding_masks(model: onnx.ModelProto, observed: Observed) -> None:
    """Replaces "mask of the history and presence" by presence, since padded places hold row 0."""
    masks, there = (_views(model, name) for name in (MASK, "history_present"))
    for node in model.graph.node:
        if node.op_type not in ("And", "Mul"):
            continue
        result = node.output[0]
        for mask, present in permutations(node.input):
            if mask in masks and present in there:
                same = _sample(observed, present).shape == _sample(observed, result).shape
                rules.rename(model, result, present if same else result)


def _views(model: onnx.ModelProto, name: str) -> set[str]:
    """A value and those that only show it in another shape or type."""
    reached = {name}
    for node in model.graph.node:
        if node.op_type in {*VIEWS, "Cast"} and node.input[0] in reached:
            reached |= set(node.output)
    return reached


def _single(model: onnx.ModelProto, tables: tuple[str, str], observed: Observed) -> set[str]:
    """The values [R, L, ...] whose every place depends on one item only.

    R and L differ from each other and from probe to probe, so that what only rearranges values and
    keeps these axes, and the others in every probe, keeps the places, too.
    """
    fixed = {initializer.name for initializer in model.graph.initializer}
    values, present = tables
    single = {values, present}
    lead = [rows.shape[:2] for rows in observed[values]]
    for node in model.graph.node:
        read = set(node.input) - fixed
        if node.op_type == "Expand":
            read = {name for name in read if not rules.is_shape(model, name)}
        if not read <= single:
            continue
        result = _sample(observed, node.output[0])
        shapes = [value.shape for value in observed[node.output[0]]]
        by_place = shapes == [(*each, *result.shape[2:]) for each in lead]
        if by_place and _keeps_places(node, model, result.ndim):
            single |= set(node.output)
    return single


def _keeps_places(node: onnx.NodeProto, model: onnx.ModelProto, rank: int) -> bool:
    """Whether a node with a result [R, L, ...] of `rank` axes does not mix values along R and L."""
    fixed = {i.name: i for i in model.graph.initializer}
    match node.op_type:
        case "Softmax":
            axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
            return axis % rank >= 2
        case "Slice":  # may turn an axis around
            axes = fixed.get(node.input[3]) if len(node.input) > 3 else None
            return axes is not None and bool((numpy_helper.to_array(axes) % rank >= 2).all())
        case "MatMul":
            return node.input[1] in fixed and len(fixed[node.input[1]].dims) == 2
    return node.op_type in _REARRANGING


def _edge(model: onnx.ModelProto, tables: tuple[str, str], single: set[str]) -> list[str]:
    """The values of single items that the rest of the graph reads, in order."""
    rest = [node for node in model.graph.node if not single.issuperset(node.output)]
    read = {name for node in rest if node.op_type != "Shape" for name in node.input}
    order = [*tables, *(name for node in model.graph.node for name in node.output)]
    return [name for name in order if name in single & read]


def _output(name: str) -> str:
    return f"{name}_of_item"


def _cut(model: onnx.ModelProto, names: Sequence[str], observed: Observed) -> onnx.ModelProto:
    """The part of the graph that computes `names` from the table's rows."""
    part = onnx.ModelProto()
    part.CopyFrom(model)
    rules.replace(part.graph.output, [])
    for name in names:
        kind = helper.np_dtype_to_tensor_dtype(_sample(observed, name).dtype)
        part.graph.node.append(helper.make_node("Identity", [name], [_output(name)]))
        part.graph.output.append(helper.make_tensor_value_info(_output(name), kind, None))
    return prune(part)


def _read(model: onnx.ModelProto, table: str, names: Sequence[str], observed: Observed) -> None:
    """Compute `names` from the new columns of a table: one split, and a view for each value with
    more axes."""
    sizes = _columns(observed, names)
    columns = {name: f"{table}_{at}" for at, name in enumerate(names)}
    parts = rules.constant(model, f"{table}_sizes", sizes)
    nodes = [helper.make_node("Split", [table, parts], [*columns.values()], axis=-1)]
    if len(names) == 1:
        columns, nodes = dict.fromkeys(names, table), []
    for name, column in columns.items():
        shape = _sample(observed, name).shape[2:]
        if len(shape) == 1:
            rules.rename(model, name, column)
            continue
        target = rules.constant(model, f"{column}_view", [0, 0, *shape])
        nodes.append(helper.make_node("Reshape", [column, target], [f"{column}_viewed"]))
        rules.rename(model, name, f"{column}_viewed")
    rules.replace(model.graph.node, [*nodes, *model.graph.node])
    for entry in model.graph.input:
        if entry.name == table:
            entry.type.tensor_type.shape.dim[2].dim_value = sum(sizes)
