"""What each rewriting rule must leave as it is: one step beside what it turns."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_graphs import SIZES, Feed, applied, feeds, graph_of, node, rows, values_of

from fusefront.harness.serving.export import rules, transposes
from fusefront.harness.serving.export.rewrite import count_nodes, observe, prune

FIXED = {
    name: np.array(value)
    for name, value in (
        ("zero", [0]),
        ("one", [1]),
        ("two", [2]),
        ("free", [-1]),
        ("four", [4]),
        ("pick", 1),
    )
}


def turned(nodes: list[onnx.NodeProto], probes: list[Feed], rule: Any, **more: Any) -> Counter[str]:
    """Nodes after a rule that may not change a value, at the last probe neither."""
    return applied(graph_of(nodes, probes[0], FIXED | more), probes, rule)


def test_a_matrix_of_sizes_and_a_float_of_a_size_are_no_constants() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape two", "width", axis=0),
        node("Unsqueeze", "width zero", "table"),
        node("Cast", "table", "a", to=TensorProto.FLOAT),
        node("Add", "a x", "y"),
    ]
    probes = feeds(*SIZES)
    model = graph_of(nodes, probes[0], FIXED)
    rules.fix_constants(model, observe(model, probes))
    assert {each.name for each in model.graph.initializer} - {*FIXED} == {"width_constant"}
    assert model.graph.node[3].input[0] == "table"


def test_a_truth_about_sizes_is_a_constant() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape two", "width", axis=0),
        node("Equal", "width four", "same"),
        node("Cast", "same", "factor", to=TensorProto.FLOAT),
        node("Add", "x factor", "y"),
    ]
    probes = feeds(*SIZES)
    model = graph_of(nodes, probes[0], FIXED)
    observed = observe(model, probes)
    del observed["width"]
    rules.fix_constants(model, observed)
    assert {each.name for each in model.graph.initializer} - {*FIXED} == {"same_constant"}


def test_sizes_come_through_constant_nodes_and_past_inputs_left_out() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Constant", "", "most", value_ints=[4]),
        node("Min", "shape most", "least"),
        onnx.helper.make_node("Clip", ["least", "", "pick"], ["cut"]),
        onnx.helper.make_node("Clip", ["least", "", "n"], ["fed"]),
    ]
    del nodes[1].input[:]
    model = graph_of(nodes, feeds(*SIZES)[0] | {"n": np.array(1)}, FIXED)
    assert [rules.is_shape(model, name) for name in ("cut", "most", "pick", "fed")] == [
        True,
        True,
        True,
        False,
    ]


def test_a_view_of_weights_stays() -> None:
    nodes = [
        node("Shape", "x", "shape", end=1),
        node("Concat", "shape free", "target", axis=0),
        node("Reshape", "w target", "view"),
        node("Neg", "view", "y"),
    ]
    probes = feeds((2, 1), (3, 1), (4, 1), (6, 1))
    assert turned(nodes, probes, rules.join_views, w=rows(12))["Reshape"] == 1


def test_views_of_two_free_axes_stay_one_by_one() -> None:
    nodes = [
        node("Unsqueeze", "x zero", "a"),
        node("Unsqueeze", "a zero", "b"),
        node("Neg", "b", "y"),
    ]
    probes = feeds((2, 5), (3, 7), (5, 4), (9, 2))
    assert turned(nodes, probes, rules.join_views) == {"Unsqueeze": 2, "Neg": 1}


def test_a_reshape_to_computed_sizes_looks_past_the_view_before_it() -> None:
    nodes = [
        node("Shape", "z", "target"),
        node("Unsqueeze", "x one", "a"),
        node("Reshape", "a target", "b"),
        node("Neg", "b", "y"),
    ]
    probes = [{"x": rows(r * k), "z": rows(r, k)} for r, k in ((2, 5), (3, 7), (5, 4), (9, 2))]
    assert turned(nodes, probes, rules.join_views) == {"Shape": 1, "Reshape": 1, "Neg": 1}
    model = graph_of(nodes, probes[0], FIXED)
    observed = observe(model, probes)
    observed["target"] = [np.array([0, -1])] * 4  # a zero copies an axis of what it reads
    rules.join_views(model, observed)
    assert list(model.graph.node[2].input) == ["a", "target"]


@pytest.mark.parametrize(
    ("before", "after", "target"),
    [
        ([(3, 2), (4, 10)], [(3, 2), (5, 8)], None),  # equal axes at one size alone
        ([(2, 3, 1), (5, 0, 1)], [(2, 3), (5, 0)], None),  # nothing at one size alone
        ([(6,), (35,)], [(2, 3), (5, 7)], None),
        ([(2, 3), (5, 7)], [(2, 3), (5, 7)], [0, 0]),
    ],
)
def test_every_size_counts_for_a_target(before: Any, after: Any, target: Any) -> None:
    assert rules.reshape_target(before, after) == target


def sizes_read(nodes: list[onnx.NodeProto], probes: list[Feed], **more: Any) -> list[str]:
    """What `name_shapes` reads off at once."""
    model = graph_of(nodes, probes[0], FIXED | more)
    before = [values_of(model, feed) for feed in probes]
    observed = observe(model, probes[:-1])
    rules.name_shapes(model, observed)
    for feed, expected in zip(probes, before, strict=True):
        np.testing.assert_array_equal(values_of(model, feed)[0], expected[0])
    return [each.output[0] for each in model.graph.node if each.output[0].endswith("_read")]


def test_only_vectors_of_sizes_are_read_off() -> None:
    """A shape is read already, a single size is no vector, and fed numbers are equal by accident;
    sizes of no input stay."""
    last = node("Expand", "w sizes", "y")
    probes = feeds((2, 5), (3, 7), (5, 4), (9, 11))
    square = rows(1, 1)
    assert sizes_read([node("Shape", "x", "sizes"), last], probes, w=square) == []
    single = [
        node("Shape", "x", "shape"),
        node("Gather", "shape pick", "size", axis=0),
        node("Unsqueeze", "size zero", "sizes"),
        last,
    ]
    assert sizes_read(single, probes, w=rows(1)) == ["sizes_read"]
    fed = [node("Identity", "n", "sizes"), last]
    alike = [feed | {"n": np.array(feed["x"].shape)} for feed in probes]
    assert sizes_read(fed, alike, w=square) == []
    other = [node("Shape", "x", "shape"), node("Add", "shape one", "sizes"), last]
    assert sizes_read(other, probes, w=square) == []


RULES = (
    rules.fix_constants, rules.join_views, rules.name_shapes, rules.gather_columns,
    transposes.turn_inward,
)  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_leaves_what_was_not_observed(rule: Any) -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape one", "size", axis=0),
        node("Reshape", "x shape", "view"),
        node("Transpose", "view", "turned", perm=[0, 2, 1, 3]),
        node("Expand", "turned size", "wide"),
        node("Mul", "wide x", "y"),
    ]
    model = graph_of(nodes, feeds((2, 2, 2, 2))[0], FIXED)
    before = model.SerializeToString()
    rule(model, {})
    assert model.SerializeToString() == before


def expand(reader: str, width: int = 4) -> list[onnx.NodeProto]:
    """An expand of `w` to the sizes of a sum, then `width`."""
    return [
        node("ReduceSum", f"x {reader}", "sum", keepdims=0),
        node("Shape", "sum", "size"),
        *([node("Concat", "size four", "target", axis=0)] if width else []),
        node("Expand", "w target" if width else "w size", "y"),
    ]


def shapes_read(nodes: list[onnx.NodeProto], w: Any) -> list[tuple[str, int]]:
    probes = feeds(*SIZES)
    model = graph_of(nodes, probes[0], FIXED | {"w": w})
    before = [values_of(model, feed)[0] for feed in probes]
    rules.aim_expands(model, observe(model, probes[:-1]))
    for feed, expected in zip(probes, before, strict=True):
        np.testing.assert_array_equal(values_of(model, feed)[0], expected)
    lead = [each for each in model.graph.node if each.output[0].endswith("_lead")]
    ends = [{a.name: a.i for a in each.attribute} for each in lead]
    assert all(end["start"] == 0 for end in ends)
    return [(each.input[0], end["end"]) for each, end in zip(lead, ends, strict=True)]


def test_an_expand_is_aimed_by_all_its_free_axes_from_the_first() -> None:
    assert shapes_read(expand("two", width=0), rows(1, 1)) == [("x", 2)]  # nothing behind
    assert shapes_read(expand("zero"), rows(1, 1, 4)) == []  # the second axis leads there
    off = expand("two")
    off.insert(2, node("Add", "size one", "next"))
    off[3].input[0] = "next"
    assert shapes_read(off, rows(1, 1, 4)) == []  # sizes of no input
    crossed = [
        node("Shape", "x", "shape"),
        node("Gather", "shape order", "target", axis=0),
        node("Expand", "w target", "y"),
    ]
    probes = feeds(*SIZES)
    model = graph_of(crossed, probes[0], {"order": np.array([0, 2, 1]), "w": rows(1, 1, 1)})
    assert applied(model, probes, rules.aim_expands)["Concat"] == 0  # what is behind is free


def test_an_expand_stays_unless_the_others_lead_to_the_same_sizes() -> None:
    weights = node("Mul", "wide c", "y")  # sizes of the weights are not looked at
    nodes = [node("Shape", "x", "shape"), node("Expand", "w shape", "wide"), weights]
    assert turned(nodes, feeds(*SIZES), rules.drop_expands, w=rows(1, 1, 6), c=rows(6))["Expand"]
    probes = [{"x": rows(r, 1, 6), "z": rows(1, n, 6)} for r, n in ((2, 5), (3, 7), (5, 4), (1, 1))]
    both = [
        node("Max", "x z", "most"),
        node("Shape", "most", "shape"),
        node("Expand", "x shape", "wide"),
        node("Mul", "wide z", "y"),
    ]
    assert turned(both, probes, rules.drop_expands) == {"Mul": 1}  # both together lead there
    alone = [*both[:3], node("Mul", "wide x", "y")]
    assert turned(alone, probes, rules.drop_expands)["Expand"] == 1


def looked_up(first: str, view: str, more: list[onnx.NodeProto], columns: int = 1) -> Counter[str]:
    nodes = [
        node("Gather", f"ids {first}", "column", axis=1),
        node("Gather", "table column", "rows", axis=0),
        *([node("Unsqueeze", f"rows {view}", "view")] if view else []),
        *more,
    ]
    rng = np.random.default_rng(0)
    probes = [{"ids": rng.integers(0, 5, (n, columns))} for n in (2, 3, 6, 9)]
    weights = {"flip": np.array([1, 0]), "first": np.array(0), "table": rows(5, 8)}
    return turned(nodes, probes, rules.gather_columns, **weights)


def test_rows_are_looked_up_by_ids_only_where_a_view_alone_brings_their_column_back() -> None:
    last = node("Neg", "view", "y")
    assert looked_up("first", "one", [last]) == {"Gather": 1, "Neg": 1}
    assert looked_up("first", "zero", [last])["Gather"] == 2  # the column elsewhere
    assert looked_up("first", "", [node("Neg", "rows", "y")])["Gather"] == 2
    assert looked_up("zero", "", [node("Neg", "rows", "y")])["Gather"] == 2  # no view
    assert looked_up("zero", "", [node("Identity", "rows", "y")])["Gather"] == 2
    both = [node("Abs", "rows", "size"), node("Add", "view size", "y")]
    assert looked_up("first", "one", both)["Gather"] == 2  # read twice
    same = [node("Reshape", "rows same", "view"), last]
    nodes = [
        node("Gather", "ids flip", "column", axis=1),
        node("Gather", "table column", "rows", axis=0),
        *same,
    ]
    probes = [{"ids": np.random.default_rng(n).integers(0, 5, (n, 2))} for n in (2, 3, 6, 9)]
    weights = {"flip": np.array([1, 0]), "table": rows(5, 8), "same": np.array([0, 2, 8])}
    assert turned(nodes, probes, rules.gather_columns, **weights)["Gather"] == 2  # two columns


def test_rows_of_ids_themselves_and_of_computed_columns_stay() -> None:
    nodes = [
        node("Gather", "table ids", "rows", axis=0),
        node("Unsqueeze", "rows one", "view"),
        node("Neg", "view", "y"),
    ]
    probes = [{"ids": np.arange(n) % 5} for n in (2, 3, 6, 9)]
    table = rows(5, 8)
    assert turned(nodes, probes, rules.gather_columns, table=table)["Unsqueeze"] == 1
    added = [node("Add", "ids zero", "column"), *nodes]
    added[1].input[1] = "column"
    assert turned(added, probes, rules.gather_columns, table=table)["Unsqueeze"] == 1
    fed = [
        node("Gather", "ids at", "column", axis=1),
        node("Gather", "table column", "rows", axis=0),
        node("Unsqueeze", "rows one", "view"),
        node("Neg", "view", "y"),
    ]
    columns = [{"ids": feed["ids"][:, None], "at": np.array(0)} for feed in probes]
    assert turned(fed, columns, rules.gather_columns, table=table)["Gather"] == 2


def transposed(shapes: list[tuple[int, ...]], **attributes: Any) -> onnx.ModelProto:
    """After the rule on all but the last shape; values hold at all."""
    kind = attributes.pop("kind", "Transpose")
    probes = feeds(*shapes)
    model = graph_of([node(kind, "x", "t", **attributes), node("Neg", "t", "y")], probes[0])
    before = [values_of(model, feed)[0] for feed in probes]
    transposes.turn_inward(model, observe(model, probes[:-1]))
    for feed, expected in zip(probes, before, strict=True):
        np.testing.assert_array_equal(values_of(model, feed)[0], expected)
    return prune(model)


def test_a_transpose_observed_at_one_size_holds_at_others() -> None:
    for fixed, perm in (((8,), [0, 2, 1, 3]), ((4, 2), [0, 3, 1, 2, 4])):
        model = transposed([(2, *fixed, 3, 6), (5, *fixed, 7, 6)], perm=perm)
        assert count_nodes(model) == {"Reshape": 2, "Transpose": 1, "Neg": 1}


def test_a_view_of_a_turned_transpose_is_one_with_its_own() -> None:
    nodes = [
        node("Abs", "x", "a"),
        node("Transpose", "a", "t", perm=[0, 2, 1, 3]),
        node("Unsqueeze", "t four", "view"),
        node("Neg", "view", "y"),
    ]
    probes = feeds((2, 8, 3, 6), (3, 8, 7, 6), (5, 8, 4, 6), (9, 8, 2, 6))
    kinds = {"Abs": 1, "Reshape": 2, "Transpose": 1, "Neg": 1}
    assert turned(nodes, probes, transposes.turn_inward) == kinds


def test_a_transpose_of_nothing_at_one_size_stays() -> None:
    shapes = [(2, 8, 3, 6), (3, 8, 0, 6), (4, 8, 5, 6)]
    assert count_nodes(transposed(shapes, perm=[0, 2, 1, 3])) == {"Transpose": 1, "Neg": 1}


def test_a_transpose_without_an_order_and_other_nodes_with_axes_stay() -> None:
    shapes = [(2, 8, 3, 6), (3, 8, 4, 6), (4, 8, 5, 6)]
    assert count_nodes(transposed(shapes)) == {"Transpose": 1, "Neg": 1}
    most = transposed(shapes, kind="ReduceMax", axes=[0, 2, 1, 3], keepdims=1)
    assert count_nodes(most) == {"ReduceMax": 1, "Neg": 1}


def test_the_order_as_it_is_moves_no_axis() -> None:
    assert transposes.outward([0, 1, 2]) is None
    assert transposes.outward([0]) is None


def test_an_expand_of_places_stays_before_what_looks_them_up() -> None:
    """Its result is as large as the values, but of copies of the places."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Expand", "w shape", "wide"),
        node("GatherElements", "x wide", "y", axis=2),
    ]
    kinds = turned(nodes, feeds(*SIZES), rules.drop_expands, w=np.array([[[5, 3, 1, 0, 2, 4]]]))
    assert kinds["Expand"] == 1


def test_rows_of_a_column_of_candidates_ids_are_looked_up_by_them() -> None:
    nodes = [
        node("Gather", "ids pick", "column", axis=2),
        node("Gather", "table column", "rows", axis=0),
        node("Unsqueeze", "rows two", "view"),
        node("Neg", "view", "y"),
    ]
    rng = np.random.default_rng(0)
    sizes = ((2, 5), (3, 7), (5, 4), (9, 2))
    probes = [{"ids": rng.integers(0, 5, (*size, 1))} for size in sizes]
    weights = {"pick": np.array(0), "table": rows(5, 8)}
    assert turned(nodes, probes, rules.gather_columns, **weights) == {"Gather": 1, "Neg": 1}
    halves = [*nodes[:2], node("Reshape", "rows half", "view"), nodes[3]]
    probes = [{"ids": rng.integers(0, 5, (*size, 2))} for size in sizes]
    weights["half"] = np.array([0, 0, 2, 4])  # two columns, of rows cut in two
    assert turned(halves, probes, rules.gather_columns, **weights)["Gather"] == 2


def test_of_two_equal_axes_the_first_is_read() -> None:
    probes = feeds((2, 5, 5), (3, 7, 7), (5, 4, 4), (9, 2, 2))
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape two", "sizes", axis=0),
        node("Expand", "w sizes", "y"),
    ]
    model = graph_of(nodes, probes[0], FIXED | {"w": rows(1)})
    rules.name_shapes(model, observe(model, probes))
    assert {each.name: each.i for each in model.graph.node[0].attribute} == {"start": 1, "end": 2}


def test_an_expand_of_one_axis_takes_it_from_an_input() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "size", axis=0),
        node("Add", "size size", "more"),
        node("Sub", "more size", "target"),
        node("Expand", "w target", "y"),
    ]
    assert shapes_read(nodes, rows(1)) == [("x", 1)]


def test_a_value_without_a_name_is_not_observed() -> None:
    nodes = [onnx.helper.make_node("Dropout", ["x"], ["a", ""]), node("Neg", "a", "y")]
    (probe,) = feeds((2, 3))
    assert sorted(observe(graph_of(nodes, probe), [probe])) == ["a", "x", "y"]
