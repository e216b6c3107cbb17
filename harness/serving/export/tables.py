"""Item tables in front of a graph: rows are external data, looked up by id within the graph.

float16 rows are cast and int8 rows scaled after the lookup, so that only the stored bytes are
mapped.
"""

from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fusefront.baselines.contract import ItemCodes
from fusefront.harness.serving.export.event_tables import SplitRows, alike_for_kinds, split_rows
from fusefront.harness.serving.export.request import Array
from fusefront.harness.serving.export.rules import replace

RowFormat = Literal["float32", "float16", "int8"]
ROW_FORMATS: tuple[str, ...] = get_args(RowFormat)
F16_MOST = float(np.finfo(np.float16).max)
MASKED = -1e30  # only masks that are added to scores are lower
KINDS_TABLE = "history_kinds_table"  # exists if a kind's vector is added online
_TYPES = {
    np.dtype(np.int64): TensorProto.INT64,
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.bool_): TensorProto.BOOL,
}


class StoredTable(NamedTuple):
    """Rows [n, C] as stored; int8 rows with their scale [n, 1]."""

    values: Array
    scale: NDArray[np.float32] | None


def store_rows(values: NDArray[np.float32], rows: RowFormat) -> StoredTable:
    """Rows [n, width] in a number format; int8 rows are symmetric about 0, with one scale each.

    Raises:
        ValueError: a code is too large for float16.
    """
    if rows == "float32":
        return StoredTable(np.ascontiguousarray(values, np.float32), None)
    if rows == "float16":
        values = np.where(values < MASKED, -F16_MOST, values)  # a mask; still far below any score
        sizes = np.abs(values)
        if (sizes > F16_MOST).any():
            raise ValueError(
                f"got codes up to {sizes.max():.3g}, expected at most {F16_MOST:.0f} for float16"
                " rows; export with float32 rows"
            )
        return StoredTable(values.astype(np.float16), None)
    scale = np.abs(values).max(axis=1, keepdims=True, initial=0.0) / 127
    steps = np.divide(values, scale, out=np.zeros_like(values), where=scale > 0)
    return StoredTable(np.rint(steps).astype(np.int8), scale)


def row_bytes(columns: int, rows: RowFormat) -> int:
    """Bytes of a stored row with `columns` numbers."""
    return {"float32": 4 * columns, "float16": 2 * columns, "int8": columns + 4}[rows]


def graft(
    core: onnx.ModelProto,
    codes: ItemCodes,
    folder: Path,
    rows: RowFormat,
    slots: NDArray[np.int32] | None,
) -> onnx.ModelProto:
    """The graph over ids, with its tables written to `folder`.

    `slots` [n] encodes which slots an item has; None unless the history's rows are those of events.
    """
    model = onnx.ModelProto()
    model.CopyFrom(core)
    graph = model.graph
    used = {value.name: value for value in graph.input}
    front: list[onnx.NodeProto] = []
    roles = (("history", "history", codes.history), ("candidate", "candidates", codes.candidate))
    for role, ids, part in roles:
        for kind in ("values", "present"):
            name = f"{role}_{kind}"
            if name not in used:
                continue
            table = getattr(part, kind).detach().cpu().numpy()
            if ids == "history" and slots is not None:
                front += _event_rows(graph, name, table, slots, rows, folder)
            else:
                front += _gather(graph, name, ids, _stored(table, rows), folder)
            graph.input.remove(used.pop(name))
    for ids in ("candidates", "history_kinds", "history"):
        if any(ids in node.input for node in front):
            axes = ["requests", "candidates" if ids == "candidates" else "history"]
            graph.input.insert(0, helper.make_tensor_value_info(ids, TensorProto.INT64, axes))
    replace(graph.node, [*front, *graph.node])
    return model


def kinds_stored(folder: Path) -> str:
    """How the scorer in a folder stores the codes of events, in words."""
    if (folder / f"{KINDS_TABLE}.bin").exists():
        return "a row for each item, and a vector for each kind that is added online"
    return "a row for each item and kind"


def _stored(table: Array, rows: RowFormat) -> StoredTable:
    return StoredTable(table.copy(), None) if table.dtype == np.bool_ else store_rows(table, rows)


def _event_rows(
    graph: onnx.GraphProto,
    name: str,
    table: Array,
    slots: NDArray[np.int32],
    rows: RowFormat,
    folder: Path,
) -> list[onnx.NodeProto]:
    """Nodes that compute the rows [R, L, C] of a history's events from items and kinds."""
    times = len(table) // len(slots)
    if table.dtype == np.bool_:
        if (alike := alike_for_kinds(table, times)) is not None:
            return _gather(graph, name, "history", StoredTable(alike, None), folder)
    elif sums := split_rows(table, slots, times, row_bytes(table.shape[1], rows)):
        return _sums(graph, name, sums, times, rows, folder)
    events = _pairs(graph, f"{name}_events", "history", times)
    return [*events, *_gather(graph, name, f"{name}_events", _stored(table, rows), folder)]


def _sums(
    graph: onnx.GraphProto, name: str, sums: SplitRows, times: int, rows: RowFormat, folder: Path
) -> list[onnx.NodeProto]:
    """Nodes that add the vector of an event's kind to its item's row."""
    items, slot = f"{name}_items", f"{name}_slots"
    graph.initializer.append(_external(f"{slot}_table", sums.slots.astype(np.int64), folder))
    graph.initializer.append(_external(KINDS_TABLE, sums.kinds, folder))
    return [
        *_gather(graph, items, "history", store_rows(sums.items, rows), folder),
        helper.make_node("Gather", [f"{slot}_table", "history"], [slot], axis=0),
        *_pairs(graph, f"{name}_events", slot, times),
        helper.make_node("Gather", [KINDS_TABLE, f"{name}_events"], [f"{name}_kinds"], axis=0),
        helper.make_node("Add", [items, f"{name}_kinds"], [name]),
    ]


def _pairs(graph: onnx.GraphProto, name: str, rows: str, times: int) -> list[onnx.NodeProto]:
    """Nodes that compute rows * times + kind."""
    graph.initializer.append(numpy_helper.from_array(np.array(times, np.int64), f"{name}_times"))
    return [
        helper.make_node("Mul", [rows, f"{name}_times"], [f"{name}_first"]),
        helper.make_node("Add", [f"{name}_first", "history_kinds"], [name]),
    ]


def _gather(
    graph: onnx.GraphProto, name: str, ids: str, stored: StoredTable, folder: Path
) -> list[onnx.NodeProto]:
    graph.initializer.append(_external(f"{name}_table", stored.values, folder))
    if stored.values.dtype in (np.float32, np.bool_):
        return [helper.make_node("Gather", [f"{name}_table", ids], [name], axis=0)]
    nodes = [
        helper.make_node("Gather", [f"{name}_table", ids], [f"{name}_stored"], axis=0),
        helper.make_node("Cast", [f"{name}_stored"], [f"{name}_float"], to=TensorProto.FLOAT),
    ]
    if stored.scale is None:
        nodes[1].output[0] = name
        return nodes
    graph.initializer.append(_external(f"{name}_scale", stored.scale, folder))
    return [
        *nodes,
        helper.make_node("Gather", [f"{name}_scale", ids], [f"{name}_scales"], axis=0),
        helper.make_node("Mul", [f"{name}_float", f"{name}_scales"], [name]),
    ]


def _external(name: str, array: Array, folder: Path) -> TensorProto:
    path = folder / f"{name}.bin"
    np.ascontiguousarray(array).tofile(path)
    tensor = TensorProto(name=name, data_type=_TYPES[array.dtype], dims=array.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", path.name), ("offset", 0), ("length", array.nbytes)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor
