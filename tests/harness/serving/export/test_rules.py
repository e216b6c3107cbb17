"""Each rewriting rule by itself: what it turns into what, and what it must leave as it is."""

import warnings
from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from small_graphs import RNG, SIZES, Feed, applied, feeds, graph_of, node, rows

from fusefront.harness.serving.export import masks, offline, products, rules
from fusefront.harness.serving.export.online import difference
from fusefront.harness.serving.export.rewrite import count_nodes, observe, prune
from fusefront.harness.serving.export.tables import row_bytes, store_rows
from fusefront.harness.serving.export.trace import axes


def test_names_are_replaced_where_they_are_read() -> None:
    model = graph_of([node("Add", "x x", "a"), node("Mul", "a x", "y")], feeds((2,))[0])
    rules.rename(model, "x", "z")
    assert [list(each.input) for each in model.graph.node] == [["z", "z"], ["a", "z"]]
    assert set(rules.makers(model)) == {"a", "y"}
    assert rules.makers(model)["y"].op_type == "Mul"


def test_what_a_branch_reads_is_read() -> None:
    inner = helper.make_graph([node("Add", "deep x", "sum")], "inner", [], [])
    inner.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, None))
    branch = node("If", "truth", "y", then_branch=inner, else_branch=inner)
    assert sorted(set(rules.reads(branch))) == ["deep", "other", "truth", "x"]


def test_a_constant_of_a_name_is_stored_once() -> None:
    model = graph_of([node("Neg", "x", "y")], feeds((2,))[0], {"other": rows(2)})
    assert rules.constant(model, "two", [2, 3]) == "two"
    assert rules.constant(model, "two", [4]) == "two"
    _, stored = model.graph.initializer
    assert numpy_helper.to_array(stored).tolist() == [2, 3]
    assert numpy_helper.to_array(stored).dtype == np.int64


def test_pruning_leaves_what_an_output_needs() -> None:
    nodes = [node("Neg", "x", "a"), node("Abs", "z", "b"), node("Mul", "a w", "y")]
    feed = {"x": rows(2), "z": rows(2)}
    model = prune(graph_of(nodes, feed, {"w": rows(2), "v": rows(2)}))
    assert [each.op_type for each in model.graph.node] == ["Neg", "Mul"]
    assert [each.name for each in model.graph.input] == ["x"]
    assert [each.name for each in model.graph.initializer] == ["w"]


def test_every_value_is_observed_at_every_probe() -> None:
    model = graph_of([node("Neg", "x", "a"), node("Mul", "a a", "y")], feeds((2,))[0])
    probes = feeds((2,), (3,))
    observed = observe(model, probes)
    assert sorted(observed) == ["a", "x", "y"]
    for at, probe in enumerate(probes):
        np.testing.assert_array_equal(observed["a"][at], -probe["x"])
        np.testing.assert_array_equal(observed["y"][at], probe["x"] ** 2)
        np.testing.assert_array_equal(observed["x"][at], probe["x"])
    assert [each.name for each in model.graph.output] == ["y"]  # the graph itself stays


def test_sizes_that_never_change_are_constants_and_contents_are_not() -> None:
    """The width comes from a shape; the flag is of what is fed, which is the same by accident."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape two", "width", axis=0),
        node("Cast", "width", "wide", to=TensorProto.FLOAT),
        node("Mul", "x wide", "scaled"),
        node("Cast", "n", "number", to=TensorProto.FLOAT),
        node("Mul", "scaled number", "y"),
    ]
    probes = [feed | {"n": np.array([4])} for feed in feeds(*SIZES)]
    model = graph_of(nodes, probes[0], {"two": np.array(2)})
    assert rules.is_shape(model, "width")
    assert not rules.is_shape(model, "n")
    assert not rules.is_shape(model, "scaled")
    kinds = applied(model, probes, rules.fix_constants)
    assert (kinds["Shape"], kinds["Gather"], kinds["Cast"]) == (0, 0, 2)


def test_sizes_that_change_stay() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape first", "width", axis=0),
        node("Cast", "width", "wide", to=TensorProto.FLOAT),
        node("Mul", "x wide", "y"),
    ]
    model = graph_of(nodes, feeds(*SIZES)[0], {"first": np.array(1)})
    assert applied(model, feeds(*SIZES), rules.fix_constants)["Shape"] == 1


def test_views_one_after_the_other_are_one() -> None:
    nodes = [
        node("Reshape", "x flat", "a"),
        node("Reshape", "a back", "b"),
        node("Unsqueeze", "b last", "c"),
        node("Neg", "c", "y"),
    ]
    weights = {"flat": [-1], "back": [-1, 2, 3], "last": [3]}
    probes = feeds((2, 6), (3, 6), (5, 6), (9, 6))
    model = graph_of(nodes, probes[0], {k: np.array(v) for k, v in weights.items()})
    assert applied(model, probes, rules.join_views) == {"Reshape": 1, "Neg": 1}


def test_views_that_change_nothing_are_none() -> None:
    nodes = [
        node("Unsqueeze", "x last", "a"),
        node("Squeeze", "a last", "b"),
        node("Neg", "b", "y"),
    ]
    model = graph_of(nodes, feeds(*SIZES)[0], {"last": np.array([3])})
    assert applied(model, feeds(*SIZES), rules.join_views) == {"Neg": 1}


def test_a_view_that_is_the_output_stays() -> None:
    model = graph_of(
        [node("Reshape", "x same", "y")], feeds(*SIZES)[0], {"same": np.array([0, 0, 6])}
    )
    assert applied(model, feeds(*SIZES), rules.join_views) == {"Reshape": 1}


@pytest.mark.parametrize(
    ("before", "after", "target"),
    [
        ([(2, 3, 12), (5, 7, 12)], [(2, 3, 4, 3), (5, 7, 4, 3)], [0, 0, 4, 3]),
        ([(2, 3, 4), (5, 7, 4)], [(6, 4), (35, 4)], [-1, 4]),
        ([(2, 3), (5, 7)], [(3, 2), (7, 5)], None),  # two free axes
        ([(2, 3), (5, 3)], [(2, 0), (5, 0)], None),
        ([(2, 3), (2, 3)], [(3, 2), (3, 2)], None),  # nothing is free: sizes of the probe
        ([(2,), (5,)], [(2, 1), (5, 1)], [0, 1]),
        ([(2, 3), (2, 5)], [(2, 1, 3), (2, 1, 5)], [2, 1, -1]),
    ],
)
def test_a_target_copies_fixes_and_frees_one_axis(before: Any, after: Any, target: Any) -> None:
    assert rules.reshape_target(before, after) == target


def test_a_size_vector_of_an_inputs_shape_is_read_off_at_once() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape one", "second", axis=0),
        node("Gather", "shape two", "third", axis=0),
        node("Concat", "second third", "sizes", axis=0),
        node("Expand", "w sizes", "y"),
    ]
    probes = feeds((2, 5, 6), (3, 7, 8), (5, 4, 2), (9, 11, 3))
    weights = {"one": np.array([1]), "two": np.array([2]), "w": rows(1, 1)}
    model = graph_of(nodes, probes[0], weights)
    assert applied(model, probes, rules.name_shapes) == {"Shape": 1, "Expand": 1}
    (shape,) = [each for each in prune(model).graph.node if each.op_type == "Shape"]
    stretch = {each.name: each.i for each in shape.attribute}
    assert (list(shape.input), stretch) == (["x"], {"start": 1, "end": 3})


def test_an_expand_over_the_leading_axes_takes_them_from_the_input() -> None:
    """Lead of two axes, and of one where the second differs."""
    for nodes, lead in (
        (
            [
                node("ReduceSum", "x axes", "sum", keepdims=0),
                node("Shape", "sum", "size"),
                node("Concat", "size four", "target", axis=0),
                node("Expand", "w target", "y"),
            ],
            2,
        ),
        (
            [
                node("ReduceSum", "x both", "sum", keepdims=0),
                node("Shape", "sum", "size"),
                node("Concat", "size four", "target", axis=0),
                node("Expand", "v target", "y"),
            ],
            1,
        ),
    ):
        probes = feeds(*SIZES)
        weights = {
            "axes": np.array([2]),
            "both": np.array([1, 2]),
            "four": np.array([4]),
            "w": rows(1, 1, 4),
            "v": rows(1, 4),
        }
        model = graph_of(nodes, probes[0], weights)
        kinds = applied(model, probes, rules.aim_expands)
        assert kinds == {"Shape": 1, "Concat": 1, "Expand": 1}
        (shape,) = [each for each in prune(model).graph.node if each.op_type == "Shape"]
        stretch = {each.name: each.i for each in shape.attribute}
        assert (list(shape.input), stretch) == (["x"], {"start": 0, "end": lead})


def expanded(reader: onnx.NodeProto) -> tuple[onnx.ModelProto, list[Feed]]:
    nodes = [node("Shape", "x", "shape"), node("Expand", "w shape", "wide"), reader]
    return graph_of(nodes, feeds(*SIZES)[0], {"w": rows(1, 1, 6)}), feeds(*SIZES)


def test_an_expand_before_a_broadcast_is_a_copy() -> None:
    assert applied(*expanded(node("Mul", "x wide", "y")), rules.drop_expands) == {"Mul": 1}
    assert applied(*expanded(node("Mul", "wide wide", "y")), rules.drop_expands)["Expand"] == 1
    assert applied(*expanded(node("Neg", "wide", "y")), rules.drop_expands)["Expand"] == 1
    model, probes = expanded(node("Concat", "x wide", "y", axis=1))
    assert applied(model, probes, rules.drop_expands)["Expand"] == 1


def test_an_expand_that_another_reader_needs_stays() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Expand", "w shape", "wide"),
        node("Mul", "x wide", "a"),
        node("Concat", "a wide", "y", axis=1),
    ]
    model = graph_of(nodes, feeds(*SIZES)[0], {"w": rows(1, 1, 6)})
    assert applied(model, feeds(*SIZES), rules.drop_expands)["Expand"] == 1


def test_a_concatenation_of_one_is_none() -> None:
    nodes = [
        node("Concat", "x", "a", axis=1),
        node("Concat", "a x", "b", axis=1),
        node("Neg", "b", "y"),
    ]
    model = graph_of(nodes, feeds(*SIZES)[0])
    kinds = applied(model, feeds(*SIZES), rules.drop_lone_concats, observed=False)
    assert kinds == {"Concat": 1, "Neg": 1}


def masked(*sizes: tuple[int, int]) -> list[Feed]:
    return [{"x": rows(r, n, 6), "history_mask": RNG.random((r, n)) < 0.6} for r, n in sizes]


def test_a_where_of_a_negation_is_turned_around() -> None:
    nodes = [
        node("Not", "history_mask", "hidden"),
        node("Unsqueeze", "hidden last", "wide"),
        node("Not", "wide", "shown"),
        node("Where", "shown x zero", "y"),
    ]
    weights = {"last": np.array([2]), "zero": np.float32(0.5)}
    probes = masked((2, 5), (3, 7), (4, 9))
    model = graph_of(nodes, probes[0], weights)
    kinds = applied(model, probes, lambda model: masks.turn_wheres(model), observed=False)
    assert kinds == {"Not": 1, "Unsqueeze": 1, "Where": 1}


def where(other: Any, *, values: str = "x") -> Counter[str]:
    nodes = [
        node("Unsqueeze", "history_mask last", "wide"),
        node("Where", f"wide {values} other", "y"),
    ]
    probes = masked((2, 5), (3, 7), (4, 9))
    weights = {"last": np.array([2]), "other": other, "one": rows(1, 1, 6)}
    return applied(graph_of(nodes, probes[0], weights), probes, masks.multiply_masks)


def test_zero_where_a_mask_is_false_is_a_product() -> None:
    assert where(np.float32(0)) == {"Unsqueeze": 1, "Cast": 1, "Mul": 1}
    assert where(np.zeros((1, 1, 6), np.float32))["Mul"] == 1
    assert where(np.float32(1e-9))["Where"] == 1
    assert where(np.float32(0), values="one")["Where"] == 1  # it broadcasts what is shown


def test_one_cast_serves_every_product_with_a_mask() -> None:
    nodes = [
        node("Unsqueeze", "history_mask last", "wide"),
        node("Where", "wide x zero", "a"),
        node("Neg", "x", "b"),
        node("Where", "wide b zero", "c"),
        node("Add", "a c", "y"),
    ]
    probes = masked((2, 5), (3, 7), (4, 9))
    model = graph_of(nodes, probes[0], {"last": np.array([2]), "zero": np.float32(0)})
    assert applied(model, probes, masks.multiply_masks)["Cast"] == 1


def test_what_is_not_finite_is_not_multiplied() -> None:
    nodes = [
        node("Unsqueeze", "history_mask last", "wide"),
        node("Div", "x zero", "a"),
        node("Where", "wide a zero", "y"),
    ]
    probes = masked((2, 5), (3, 7))
    model = graph_of(nodes, probes[0], {"last": np.array([2]), "zero": np.float32(0)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        masks.multiply_masks(model, observe(model, probes))
    assert count_nodes(model)["Where"] == 1


@pytest.mark.parametrize(
    ("kind", "truth"),
    [("And", True), ("Or", True), ("Not", True), ("Greater", True), ("Add", False)],
)
def test_truth_values_are_told_by_what_makes_them(kind: str, truth: bool) -> None:
    maker = {"a": node(kind, "p q", "a"), "b": node("Reshape", "a s", "b")}
    assert masks._is_truth("a", maker) is truth
    assert masks._is_truth("b", maker) is truth  # a view changes nothing
    assert masks._is_truth("history_mask", {})
    assert masks._is_truth("candidate_present", {})
    assert not masks._is_truth("history_values", {})


def counted(*, to: int = TensorProto.FLOAT, keep: int = 1, last: int = 2) -> Counter[str]:
    """Casts of a mask, viewed, and of whether any place of it is true."""
    nodes = [
        node("Unsqueeze", "history_mask last", "wide"),
        node("Cast", "wide", "number", to=to),
        node("Cast", "number", "whole", to=TensorProto.FLOAT),
        node("Cast", "history_mask", "count", to=TensorProto.FLOAT),
        node("ReduceSum", "count places", "total", keepdims=keep),
        node("Greater", "total zero", "some"),
        node("Cast", "some", "factor", to=TensorProto.FLOAT),
        *([] if keep else [node("Unsqueeze", "factor places", "kept")]),
        node("Unsqueeze", f"{'factor' if keep else 'kept'} last", "lead"),
        node("Mul", "whole x", "a"),
        node("Mul", "a lead", "y"),
    ]
    probes = masked((2, 5), (3, 7), (40, 1))
    weights = {"last": np.array([last]), "places": np.array([1]), "zero": np.float32(0)}
    model = graph_of(nodes, probes[0], weights)
    return applied(model, probes, lambda model: masks.count_truths(model), observed=False)


def test_casts_of_views_and_of_any_come_from_one_cast() -> None:
    kinds = {"Cast": 2, "Identity": 2, "ReduceMax": 1, "Unsqueeze": 2, "Mul": 2}
    assert counted() == kinds  # one cast of the mask, one of its number to what it is already
    assert counted(keep=0) == kinds | {"Unsqueeze": 3}
    whole = counted(to=TensorProto.INT64)
    assert whole == kinds | {"Cast": 3, "Identity": 1}  # a cast to another type stays its own


def test_products_that_are_much_more_work_stay_two() -> None:
    """(64 x r) (r x 64): one product is twice the work of two at r = 16."""
    for rank, left in ((15, 2), (16, 1), (17, 1)):
        nodes = [node("MatMul", "x a", "low"), node("MatMul", "low b", "y")]
        weights = {"a": rows(64, rank) / 8, "b": rows(rank, 64) / 8}
        model = graph_of(nodes, {"x": rows(2, 64)}, weights)
        probes = [{"x": rows(n, 64)} for n in (2, 3, 5)]
        kinds = applied(model, probes, lambda model: products.merge_products(model), observed=False)
        assert kinds["MatMul"] == left


def test_a_product_that_is_read_twice_stays() -> None:
    nodes = [
        node("MatMul", "x a", "low"),
        node("MatMul", "low b", "wide"),
        node("MatMul", "low c", "other"),
        node("Add", "wide other", "y"),
    ]
    weights = {"a": rows(6, 6), "b": rows(6, 6), "c": rows(6, 6)}
    probes = feeds((2, 6), (3, 6), (5, 6))
    model = graph_of(nodes, probes[0], weights)
    kinds = applied(model, probes, lambda model: products.merge_products(model), observed=False)
    assert kinds["MatMul"] == 3


@pytest.mark.parametrize(("places", "left"), [(5, 0), (6, 0), (7, 1)])
def test_a_slice_goes_where_all_rows_are_at_most_half_more(places: int, left: int) -> None:
    """Four of five, six or seven places are multiplied."""
    nodes = [
        node("Slice", "x start end axis", "part"),
        node("MatMul", "part w", "product"),
        node("Gather", "product taken", "y", axis=1),
    ]
    weights = {
        "start": np.array([0]),
        "end": np.array([4]),
        "axis": np.array([1]),
        "w": rows(6, 3),
        "taken": np.array([0, 3, 1]),
    }
    probes = feeds(*((n, places, 6) for n in (2, 3, 5, 9)))
    model = graph_of(nodes, probes[0], weights)
    assert applied(model, probes, products.drop_slices)["Slice"] == left


@pytest.mark.parametrize(
    ("whole", "part", "axis"),
    [
        ((2, 5, 6), (2, 3, 6), 1),
        ((2, 5, 6), (1, 5, 6), 0),
        ((2, 5, 6), (2, 5, 4), None),  # the product's own axis
        ((2, 5, 6), (1, 3, 6), None),
        ((2, 5, 6), (2, 5, 6), None),
    ],
)
def test_a_slice_shortens_one_axis_before_a_product(whole: Any, part: Any, axis: Any) -> None:
    assert products._cut_axis(whole, part) == axis


@pytest.mark.parametrize(
    ("along", "places", "fixed"),
    [(1, [0, 2], True), (-2, [0], True), (0, [0], False), (2, [0], False), (1, [0, -1], False)],
)
def test_places_are_taken_along_the_axis_from_its_start(
    along: int, places: list[int], fixed: bool
) -> None:
    chosen = node("Gather", "x at", "y", axis=along)
    assert products._takes_fixed(chosen, 1, 3, {"at": np.array(places)}) is fixed
    assert not products._takes_fixed(chosen, 1, 3, {})
    assert not products._takes_fixed(node("Add", "x at", "y"), 1, 3, {"at": np.array(places)})


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes", "keeps"),
    [
        ("Add", "x x", {}, True),
        ("Exp", "x", {}, False),
        ("Reshape", "x s", {}, True),
        ("Softmax", "x", {"axis": -1}, True),
        ("Softmax", "x", {}, True),
        ("Softmax", "x", {"axis": 1}, False),
        ("Softmax", "x", {"axis": -2}, False),
        ("Concat", "x x", {"axis": 2}, True),
        ("Gather", "x s", {"axis": 2}, True),
        ("Split", "x", {"axis": -1}, True),
        ("Slice", "x s s two", {}, True),
        ("Slice", "x s s less", {}, True),
        ("Slice", "x s s one", {}, False),
        ("Slice", "x s s both", {}, False),
        ("Slice", "x s s", {}, False),
        ("Transpose", "x", {"perm": [0, 1, 2]}, True),
        ("MatMul", "x w", {}, True),
        ("MatMul", "x deep", {}, False),
        ("MatMul", "x x", {}, False),
    ],
)
def test_places_are_mixed_by_what_works_along_them(
    kind: str, inputs: str, attributes: dict[str, Any], keeps: bool
) -> None:
    weights = {
        "w": rows(6, 4),
        "deep": rows(1, 6, 4),
        "two": np.array([2]),
        "less": np.array([-1]),
        "one": np.array([1]),
        "both": np.array([2, 0]),
    }
    model = graph_of([node("Neg", "x", "y")], feeds((2, 5, 6))[0], weights)
    each = node(kind, inputs, "out", **attributes)
    assert offline._keeps_places(each, model, 3) is keeps


@pytest.mark.parametrize(
    ("columns", "row_format", "size"), [(7, "float32", 28), (7, "float16", 14), (7, "int8", 11)]
)
def test_a_row_takes_its_bytes(columns: int, row_format: Any, size: int) -> None:
    stored = store_rows(rows(3, columns), row_format)
    scales = 0 if stored.scale is None else stored.scale.nbytes
    assert row_bytes(columns, row_format) == size == (stored.values.nbytes + scales) / 3


def test_masks_in_float16_rows_stay_below_any_score() -> None:
    values = np.array([[1.5, -2e30], [-65504.0, 65504.0]], np.float32)
    stored = store_rows(values, "float16").values
    assert stored.tolist() == [[1.5, -65504.0], [-65504.0, 65504.0]]
    with pytest.raises(ValueError, match=r"got codes up to 6\.6e\+04, expected at most 65504"):
        store_rows(np.array([[-66000.0]], np.float32), "float16")
    with pytest.raises(ValueError, match=r"got codes up to 1e\+30"):
        store_rows(np.array([[-1e30]], np.float32), "float16")  # not below what a mask adds


def test_int8_rows_have_a_scale_each_and_rows_of_nothing_stay_zero() -> None:
    values = np.array([[1.27, -0.635, 0.0], [0.0, 0.0, 0.0], [-254.0, 100.0, 3.0]], np.float32)
    stored = store_rows(values, "int8")
    assert stored.values.tolist() == [[127, -64, 0], [0, 0, 0], [-127, 50, 2]]
    assert stored.scale is not None
    np.testing.assert_allclose(stored.scale, [[0.01], [0.0], [2.0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("history_values", {0: "requests", 1: "history"}),
        ("history_mask", {0: "requests", 1: "history"}),
        ("candidate_ids", {0: "requests", 1: "candidates"}),
        ("request_numbers", {0: "requests"}),
    ],
)
def test_free_axes_of_an_input(name: str, free: dict[int, str]) -> None:
    assert axes(name) == free


def test_a_difference_is_of_probabilities() -> None:
    a, b = np.array([[0.0, 2.0]], np.float32), np.array([[0.1, -2.0]], np.float32)
    expected = 1 / (1 + np.exp(-2.0)) - 1 / (1 + np.exp(2.0))
    assert difference(a, b) == pytest.approx(expected)
    assert difference(a[:, :0], b[:, :0]) == 0.0


def test_a_shape_is_explicit_where_it_is_positive_at_every_probe() -> None:
    shapes = {"both": [[2, 3], [4, 1]], "free": [[2, -1]], "copied": [[0, 3]]}
    shapes["second"] = [[2, 3], [2, -1]]
    observed = {name: [np.array(each) for each in some] for name, some in shapes.items()}
    assert [name for name in shapes if rules._explicit(name, observed)] == ["both"]
    assert not rules._explicit("absent", observed)
