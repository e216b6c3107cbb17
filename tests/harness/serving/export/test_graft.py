"""A graph over ids: its inputs, their axes, and the files beside it."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from planted import trained

from fusefront.baselines.contract import ItemCodes, Rows
from fusefront.harness.serving.export.online import (
    export_core,
    export_online,
    random_feeds,
    write_scorer,
)
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.serving.export.tables import KINDS_TABLE, graft, kinds_stored, store_rows
from fusefront.harness.serving.export.trace import Example


def inputs_of(path: Path) -> dict[str, list[str | int]]:
    """The inputs of a graph in order, with the names or sizes of their axes."""
    graph = onnx.load(path, load_external_data=False).graph
    return {
        entry.name: [axis.dim_param or axis.dim_value for axis in entry.type.tensor_type.shape.dim]
        for entry in graph.input
    }


def test_ids_come_first_and_name_their_axes(tmp_path: Path) -> None:
    path = tmp_path / "scorer.onnx"
    export_online(*trained("composed", {"operator": "concat"}, kinds=2), path)
    inputs = inputs_of(path)
    assert list(inputs)[:3] == ["history", "history_kinds", "candidates"]
    assert not {name for name in inputs if name.endswith(("_values", "_present"))}
    for name in ("history", "history_kinds"):
        assert inputs[name] == ["requests", "history"]
    assert inputs["candidates"] == ["requests", "candidates"]


def test_a_model_that_reads_no_history_has_its_candidates_ids_alone(tmp_path: Path) -> None:
    path = tmp_path / "scorer.onnx"
    export_online(*trained("id_only", {"pooler": None}), path)
    assert {"history", "history_kinds"}.isdisjoint(inputs_of(path))
    assert {file.name for file in tmp_path.glob("*.bin")} == {"candidate_values_table.bin"}


def small_codes(alike: bool) -> ItemCodes:
    """Three items of two columns and slots, each with no kind and one kind."""
    values = torch.arange(12, dtype=torch.float32).reshape(6, 2).square()
    present = torch.tensor([[0, 0], [0, 0], [1, 0], [1, 0], [1, 1], [1, alike]], dtype=torch.bool)
    return ItemCodes(Rows(values, present), Rows(values[::2], present[::2]))


@pytest.mark.parametrize("alike", [True, False])
def test_presence_of_events_has_a_row_an_item_where_kinds_do_not_change_it(
    alike: bool, tmp_path: Path
) -> None:
    from small_graphs import graph_of, node

    feed = {
        "history_values": np.zeros((1, 1, 2), np.float32),
        "history_present": np.zeros((1, 1, 2), bool),
    }
    zero = {"zero": np.float32(-1)}
    core = graph_of([node("Where", "history_present history_values zero", "y")], feed, zero)
    codes = small_codes(alike)
    graph = graft(core, codes, tmp_path, "float32", np.zeros(3, np.int32))
    path = tmp_path / "scorer.onnx"
    path.write_bytes(graph.SerializeToString())
    assert (tmp_path / "history_present_table.bin").stat().st_size == 2 * (3 if alike else 6)
    items, kinds = np.array([[0, 1, 2, 2]]), np.array([[0, 1, 0, 1]])
    (actual,) = Scorer(path).run({"history": items, "history_kinds": kinds})
    rows = items * 2 + kinds
    right = np.where(codes.history.present[rows], codes.history.values[rows], -1)
    np.testing.assert_array_equal(actual, right)
    assert [value.name for value in core.graph.input] == ["history_values", "history_present"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("early_fusion", "a row for each item, and a vector for each kind that is added online"),
        ("naml", "a row for each item and kind"),
    ],
)
def test_how_events_are_stored_is_said(name: str, words: str, tmp_path: Path) -> None:
    export_online(*trained(name, kinds=3), tmp_path / "scorer.onnx")
    assert (tmp_path / f"{KINDS_TABLE}.bin").exists() == ("vector" in words)
    assert kinds_stored(tmp_path) == words


def test_codes_are_refused_in_float16_by_the_largest_of_them() -> None:
    values = np.array([[1.0, 65504.0], [-7e4, -2e30]], np.float32)
    expected = (
        r"^got codes up to 7e\+04, expected at most 65504 for float16 rows; "
        r"export with float32 rows$"
    )
    with pytest.raises(ValueError, match=expected):
        store_rows(values, "float16")
    assert store_rows(values[:, :0], "float16").values.shape == (2, 0)
    assert store_rows(values[:, :0], "int8").values.shape == (2, 0)


@pytest.mark.parametrize("rows", ["float32", "float16", "int8"])
def test_tables_hold_the_moved_work_unless_a_scale_a_row_serves_it_badly(
    rows: Any, tmp_path: Path
) -> None:
    model, codes, schema = trained("compressed_fusion")
    core = export_core(model, codes, schema)
    assert core.light is not None
    write_scorer(core, codes, tmp_path / "scorer.onnx", rows=rows)
    moved = core.light.codes(codes)
    stored = codes if rows == "int8" else moved
    for role, part in (("history", stored.history), ("candidate", stored.candidate)):
        size = {"float32": 4, "float16": 2, "int8": 1}[rows] * part.values.numel()
        assert (tmp_path / f"{role}_values_table.bin").stat().st_size == size
    assert codes.history.values.shape != moved.history.values.shape
    (feed,) = random_feeds(schema, (Example(2, 3, 5),))
    assert np.isfinite(Scorer(tmp_path / "scorer.onnx").logits(feed)).all()
