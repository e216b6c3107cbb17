"""What each rewriting rule must leave as it is: one step beside what it turns."""

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from small_graphs import SIZES, Feed, applied, feeds, graph_of, node, rows, values_of

from fusefront.harness.serving.export import rules, transposes
from fusefront.harness.serving.export.rewrite import count_nodes, lighten, observe, prune

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


def test_a_rule_takes_shapes_from_inputs_that_were_observed() -> None:
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape one", "sizes", axis=0),
        node("Expand", "w sizes", "y"),
    ]
    probes = feeds((2, 5), (3, 7), (5, 4))
    unseen = {"never": rows(2)} | probes[0]
    model = graph_of(nodes, unseen, FIXED | {"w": rows(1)})
    observed = observe(model, [{"never": rows(2)} | feed for feed in probes])
    del observed["never"]
    rules.name_shapes(model, observed)
    assert model.graph.node[0].input[0] == "x"


RULES = (
    rules.fix_constants, rules.join_views, rules.name_shapes, rules.aim_expands,
    rules.drop_expands, rules.gather_columns, transposes.turn_inward,
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


def test_a_transpose_of_nothing_at_one_size_stays() -> None:
    shapes = [(2, 8, 3, 6), (3, 8, 0, 6), (4, 8, 5, 6)]
    assert count_nodes(transposed(shapes, perm=[0, 2, 1, 3])) == {"Transpose": 1, "Neg": 1}


def test_a_transpose_without_an_order_and_other_nodes_with_axes_stay() -> None:
    shapes = [(2, 8, 3, 6), (3, 8, 4, 6), (4, 8, 5, 6)]
    assert count_nodes(transposed(shapes)) == {"Transpose": 1, "Neg": 1}
    most = transposed(shapes, kind="ReduceMax", axes=[0, 2, 1, 3], keepdims=1)
    assert count_nodes(most) == {"ReduceMax": 1, "Neg": 1}


def light(nodes: list[onnx.NodeProto], probes: list[Feed], **more: Any) -> Counter[str]:
    model = graph_of(nodes, probes[0], FIXED | more)
    before = [values_of(model, feed)[0] for feed in probes]
    result = lighten(model, probes[:-1])
    for feed, expected in zip(probes, before, strict=True):
        np.testing.assert_allclose(values_of(result, feed)[0], expected, rtol=1e-6, atol=1e-6)
    return count_nodes(result)


def test_a_graph_is_lightened_by_views_joined_and_transposes_turned() -> None:
    """The runtime's own passes would leave both."""
    views = [
        node("Reshape", "x flat", "a"),
        node("Abs", "a", "b"),
        node("Unsqueeze", "b one", "c"),
        node("Reshape", "c back", "d"),
        node("Exp", "d", "y"),
    ]
    back = {"flat": np.array([-1, 6]), "back": np.array([-1, 2, 3])}
    probes = feeds(*SIZES)
    assert light(views, probes, **back) == {"Reshape": 2, "Abs": 1, "Exp": 1}
    heads = [node("Transpose", "x", "t", perm=[0, 2, 1, 3]), node("Exp", "t", "y")]
    shapes = [(2, 8, 3, 6), (3, 8, 7, 6), (5, 8, 4, 6), (9, 8, 11, 6)]
    assert light(heads, feeds(*shapes)) == {"Reshape": 2, "Transpose": 1, "Exp": 1}


def test_the_order_as_it_is_moves_no_axis() -> None:
    assert transposes.outward([0, 1, 2]) is None
    assert transposes.outward([0]) is None


def test_a_mask_turned_around_is_a_product_where_its_negation_is_read_elsewhere() -> None:
    nodes = [
        node("Greater", "x level", "shown"),
        node("Not", "shown", "hidden"),
        node("Where", "hidden level x", "a"),
        node("Cast", "hidden", "b", to=TensorProto.FLOAT),
        node("Add", "a b", "y"),
    ]
    kinds = light(nodes, feeds(*SIZES), level=np.float32(0))
    assert (kinds["Where"], kinds["Mul"]) == (0, 1)


def test_a_product_by_rows_needs_no_views_around_it() -> None:
    nodes = [
        node("Reshape", "x flat", "flat_rows"),
        node("MatMul", "flat_rows w", "product"),
        node("Shape", "x", "lead", end=2),
        node("Concat", "lead four", "target", axis=0),
        node("Reshape", "product target", "whole"),
        node("Exp", "whole", "y"),
    ]
    kinds = light(nodes, feeds(*SIZES), flat=np.array([-1, 6]), w=rows(6, 4))
    assert kinds == {"MatMul": 1, "Exp": 1}
