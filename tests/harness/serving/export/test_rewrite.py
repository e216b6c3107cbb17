"""The rewriting rules on small graphs: the same values, fewer nodes, and hands off where a rule
would lie."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from planted import trained

from fusefront.harness.serving.export import masks, products, rules, transposes
from fusefront.harness.serving.export.offline import move_offline
from fusefront.harness.serving.export.online import export_core, random_feeds, write_scorer
from fusefront.harness.serving.export.rewrite import count_nodes, fold, lighten, observe, prune
from fusefront.harness.serving.export.scorer import Scorer, probability
from fusefront.harness.serving.export.trace import Example

KINDS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.bool_): TensorProto.BOOL}
RNG = np.random.default_rng(0)


def _model(nodes, inputs, weights=(), output="y"):
    """A graph whose inputs have free axes, the columns of rows apart."""
    results = []
    for name, value in inputs.items():
        axes = [f"{name}{axis}" for axis in range(value.ndim)]
        if value.ndim == 3:
            axes[-1] = value.shape[-1]
        kind = KINDS.get(value.dtype, TensorProto.INT64)
        results.append(helper.make_tensor_value_info(name, kind, axes))
    graph = helper.make_graph(
        nodes,
        "small",
        results,
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _run(model, feed):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {value.name: feed[value.name] for value in session.get_inputs()})[0]


def _rows(requests, places, columns=6):
    """Rows with the padding on the left, as a feed has them."""
    real = np.arange(places)[::-1] < RNG.integers(0, places + 1, requests)[:, None]
    present = (RNG.random((requests, places, columns // 2)) < 0.7) & real[..., None]
    values = RNG.normal(size=(requests, places, columns)).astype(np.float32) * real[..., None]
    return {"history_values": values, "history_present": present, "history_mask": real}


PROBES = [_rows(2, 5), _rows(3, 7), _rows(5, 4)]


def _node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def _any_chain():
    """Cast(And(mask, present)) summed over the places, above zero, times a sum of values."""
    nodes = [
        _node("Unsqueeze", "history_mask last", "wide"),
        _node("And", "wide history_present", "both"),
        _node("Cast", "both", "count", to=TensorProto.FLOAT),
        _node("ReduceSum", "count places", "total", keepdims=1),
        _node("Greater", "total zero", "some"),
        _node("Cast", "some", "factor", to=TensorProto.FLOAT),
        _node("Slice", "history_values from till axis", "half"),
        _node("Mul", "half count", "kept"),
        _node("Mul", "kept factor", "y"),
    ]
    weights = [
        ("last", np.array([2])),
        ("places", np.array([1])),
        ("zero", np.array(0, np.float32)),
        ("from", np.array([0])),
        ("till", np.array([3])),
        ("axis", np.array([2])),
    ]
    return _model(nodes, PROBES[0], weights)


def test_any_of_casts_is_a_maximum_and_and_a_product():
    model = _any_chain()
    expected = [_run(model, probe) for probe in PROBES]
    masks.count_truths(model)
    model = prune(model)
    kinds = count_nodes(model)
    assert kinds["Greater"] == kinds["ReduceSum"] == kinds["And"] == 0
    assert kinds["ReduceMax"] == 1
    for probe, values in zip(PROBES, expected, strict=True):
        np.testing.assert_array_equal(_run(model, probe), values)


def test_a_sum_compared_with_more_than_zero_is_left_alone():
    model = _any_chain()
    zero = next(i for i in model.graph.initializer if i.name == "zero")
    zero.CopyFrom(numpy_helper.from_array(np.array(1.5, np.float32), "zero"))
    expected = [_run(model, probe) for probe in PROBES]
    masks.count_truths(model)
    model = prune(model)
    assert count_nodes(model)["Greater"] == 1
    for probe, values in zip(PROBES, expected, strict=True):
        np.testing.assert_array_equal(_run(model, probe), values)


def test_work_on_single_items_moves_into_the_table_and_the_mask_with_it():
    model = fold(_any_chain())
    moved, (items,) = move_offline(model, observe(model, PROBES))
    assert {value.name for value in moved.graph.input} == {"history_values"}
    assert not {"Slice", "And", "Unsqueeze"} & set(count_nodes(moved))
    for probe in (*PROBES, _rows(1, 1), _rows(4, 30)):
        values, present = items.apply(probe["history_values"], probe["history_present"])
        fed = {"history_values": values, "history_present": present}
        np.testing.assert_array_equal(_run(moved, fed), _run(model, probe))


def test_work_across_items_stays_where_it_is():
    nodes = [
        _node("ReduceSum", "history_values places", "total", keepdims=1),
        _node("Softmax", "history_values", "weight", axis=1),
        _node("Mul", "weight total", "y"),
    ]
    model = _model(nodes, PROBES[0], [("places", np.array([1]))])
    moved, items = move_offline(model, observe(model, PROBES))
    assert items == ()
    assert count_nodes(moved) == count_nodes(model)


def test_a_table_that_would_grow_by_more_than_a_quarter_is_left_alone():
    nodes = [
        _node("Concat", "history_values history_values", "wide", axis=2),
        _node("ReduceSum", "wide places", "y", keepdims=1),
    ]
    model = _model(nodes, PROBES[0], [("places", np.array([1]))])
    assert move_offline(model, observe(model, PROBES))[1] == ()


def test_whole_numbers_of_an_item_have_no_table_and_stay():
    nodes = [
        _node("Cast", "history_values", "whole", to=TensorProto.INT64),
        _node("ReduceSum", "whole places", "count", keepdims=1),
        _node("Cast", "count", "counted", to=TensorProto.FLOAT),
        _node("Relu", "history_values", "positive"),
        _node("ReduceSum", "positive places", "total", keepdims=1),
        _node("Add", "counted total", "y"),
    ]
    model = _model(nodes, PROBES[0], [("places", np.array([1]))])
    assert move_offline(model, observe(model, PROBES))[1] == ()


def _pairs(places, *, start=0, rank=2):
    """Rows from `start`, two products, of which fixed rows are taken."""
    weights = [
        ("from", np.array([start])),
        ("till", np.array([start + 3])),
        ("axis", np.array([1])),
        ("a", RNG.normal(size=(6, rank)).astype(np.float32)),
        ("b", RNG.normal(size=(rank, 6)).astype(np.float32)),
        ("flat", np.array([-1, 6])),
        ("back", np.array([-1, 3, 6])),
        ("taken", np.array(places)),
    ]
    nodes = [
        _node("Slice", "x from till axis", "part"),
        _node("Reshape", "part flat", "rows"),
        _node("MatMul", "rows a", "low"),
        _node("MatMul", "low b", "turned"),
        _node("Reshape", "turned back", "whole"),
        _node("Gather", "whole taken", "y", axis=1),
    ]
    feeds = [{"x": RNG.normal(size=(n, 4, 6)).astype(np.float32)} for n in (2, 3, 7)]
    return _model(nodes, feeds[0], weights), feeds


def _lightened(model, feeds):
    observed = observe(model, feeds)
    products.merge_products(model)
    products.drop_views(model, observed)
    model = prune(model)
    products.drop_slices(model, observed)
    return prune(model)


def test_two_products_become_one_without_views_or_slice():
    model, feeds = _pairs([0, 2, 1])
    expected = [_run(model, feed) for feed in feeds]
    model = _lightened(model, feeds)
    assert count_nodes(model) == {"MatMul": 1, "Gather": 1}
    for feed, values in zip(feeds, expected, strict=True):
        np.testing.assert_allclose(_run(model, feed), values, atol=1e-5)


@pytest.mark.parametrize(("places", "start"), [([0, -1], 0), ([0, 1], 1)])
def test_a_slice_that_rows_are_counted_from_is_kept(places, start):
    model, feeds = _pairs(places, start=start)
    expected = [_run(model, feed) for feed in feeds]
    model = _lightened(model, feeds)
    assert count_nodes(model)["Slice"] == 1
    for feed, values in zip(feeds, expected, strict=True):
        np.testing.assert_allclose(_run(model, feed), values, atol=1e-5)


def test_products_of_a_small_rank_that_save_work_stay_two():
    nodes = [_node("MatMul", "x a", "low"), _node("MatMul", "low b", "y")]
    weights = [
        (n, RNG.normal(size=s).astype(np.float32)) for n, s in (("a", (64, 2)), ("b", (2, 64)))
    ]
    model = _model(nodes, {"x": np.zeros((3, 64), np.float32)}, weights)
    products.merge_products(model)
    assert count_nodes(prune(model))["MatMul"] == 2


def test_the_only_column_of_ids_needs_no_lookup_of_its_own():
    ids = [{"ids": RNG.integers(0, 5, (n, 1))} for n in (2, 3, 6)]
    weights = [("first", np.array(0)), ("table", RNG.normal(size=(5, 8)).astype(np.float32))]
    weights += [("axis", np.array([1]))]
    nodes = [
        _node("Gather", "ids first", "column", axis=1),
        _node("Gather", "table column", "rows", axis=0),
        _node("Unsqueeze", "rows axis", "view"),
        _node("Neg", "view", "y"),
    ]
    model = _model(nodes, ids[0], weights)
    expected = [_run(model, feed) for feed in ids]
    rules.gather_columns(model, observe(model, ids))
    model = prune(model)
    assert count_nodes(model) == {"Gather": 1, "Neg": 1}
    for feed, values in zip(ids, expected, strict=True):
        np.testing.assert_array_equal(_run(model, feed), values)


@pytest.mark.parametrize(
    ("fixed", "perm", "turned"),
    [
        ((8, 6), [0, 2, 1, 3], False),  # a free axis passed by a fixed one: what is passed is free
        ((8, 6), [0, 2, 3, 1], False),  # inward already
        ((4, 2, 6), [0, 2, 3, 1, 4], False),
        ((4, 2, 6), [0, 1, 3, 2, 4], True),
        ((4, 2, 6), [0, 1, 4, 2, 3], False),  # nothing behind that stays
        ((4, 2, 6), [0, 3, 2, 1, 4], False),  # two axes move
    ],
)
def test_a_transpose_is_turned_inward_only_where_one_axis_moves_out_past_fixed_ones(
    fixed, perm, turned
):
    feeds = [{"x": RNG.normal(size=(r, k, *fixed)).astype(np.float32)} for r, k in ((2, 3), (5, 4))]
    _check_turned(feeds, perm, turned)


@pytest.mark.parametrize(("fixed", "perm"), [((8,), [0, 2, 1, 3]), ((4, 2), [0, 3, 1, 2, 4])])
def test_heads_behind_candidates_are_turned_inward(fixed, perm):
    shapes = ((2, 3), (5, 4), (1, 1))
    feeds = [{"x": RNG.normal(size=(r, *fixed, k, 6)).astype(np.float32)} for r, k in shapes]
    _check_turned(feeds, perm, turned=True)


def _check_turned(feeds, perm, turned):
    model = _model([_node("Transpose", "x", "t", perm=perm), _node("Neg", "t", "y")], feeds[0])
    expected = [_run(model, feed) for feed in feeds]
    transposes.turn_inward(model, observe(model, feeds))
    orders = [list(n.attribute[0].ints) for n in model.graph.node if n.op_type == "Transpose"]
    assert (orders != [perm]) == turned
    assert all(transposes.outward(order) is None for order in orders) or not turned
    for feed, values in zip(feeds, expected, strict=True):
        np.testing.assert_array_equal(_run(model, feed), values)


def test_the_default_scorer_has_no_masks_left_online_and_few_nodes():
    model, codes, schema = trained("compressed_fusion")
    core = export_core(model, codes, schema)
    assert core.light is not None
    kinds = count_nodes(core.light.graph)
    assert not {"And", "Where", "Not", "Einsum"} & set(kinds)
    assert not {"history_mask", "history_present"} & {v.name for v in core.light.graph.graph.input}
    assert len(core.light.graph.graph.node) < 0.85 * len(core.graph.graph.node)
    assert kinds["Gemm"] + kinds["FusedGemm"] >= 3  # the head is two-dimensional


@pytest.mark.parametrize("rows", ["float32", "float16", "int8"])
def test_moved_masks_hold_in_every_row_format(rows, tmp_path):
    """Absent slots and empty histories weigh nothing where the mask is a column of the table."""
    model, codes, schema = trained("compressed_fusion")
    core = export_core(model, codes, schema)
    stays = Scorer(
        write_scorer(
            core.__class__(core.graph, core.tracer, 0.0),
            codes,
            tmp_path / "a" / "s.onnx",
            rows="float32",
        )
    )
    moved = Scorer(write_scorer(core, codes, tmp_path / "b" / "s.onnx", rows=rows))
    for feed in random_feeds(schema, (Example(6, 20, 9), Example(1, 1, 64)), seed=4):
        apart = probability(stays.logits(feed)) - probability(moved.logits(feed))
        assert np.abs(apart).max() <= {"float32": 1e-6, "float16": 5e-3, "int8": 0.1}[rows]


def test_lighten_keeps_values_on_sizes_it_never_saw():
    model = _any_chain()
    light = lighten(_any_chain(), PROBES)
    assert isinstance(light, onnx.ModelProto)
    for probe in (_rows(1, 1), _rows(9, 33)):
        np.testing.assert_array_equal(_run(light, probe), _run(model, probe))
