"""Small graphs made by hand, run as they are, for tests of the rules that rewrite graphs."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fusefront.harness.serving.export.offline import move_offline
from fusefront.harness.serving.export.rewrite import count_nodes, observe, prune

RNG = np.random.default_rng(3)
Feed = dict[str, NDArray[Any]]
TYPES = {"float32": TensorProto.FLOAT, "bool": TensorProto.BOOL, "int64": TensorProto.INT64}


def node(kind: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), output.split(), **attributes)


def graph_of(
    nodes: list[onnx.NodeProto],
    feed: Feed,
    weights: dict[str, Any] | None = None,
    outputs: str = "y",
) -> onnx.ModelProto:
    """A graph whose inputs have free axes; outputs are floats."""
    inputs = [
        helper.make_tensor_value_info(
            name, TYPES[str(value.dtype)], [f"{name}{axis}" for axis in range(value.ndim)]
        )
        for name, value in feed.items()
    ]
    results = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs.split()
    ]
    fixed = [
        numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()
    ]
    whole = helper.make_graph(nodes, "small", inputs, results, fixed)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def values_of(model: onnx.ModelProto, feed: Feed) -> list[NDArray[Any]]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, {each.name: feed[each.name] for each in session.get_inputs()}))


def applied(
    model: onnx.ModelProto, feeds: list[Feed], rule: Callable[..., None], *, observed: bool = True
) -> Counter[str]:
    """Nodes after a rule, which gives the same values at every feed and at a larger one."""
    before = [values_of(model, feed) for feed in feeds]
    if observed:
        rule(model, observe(model, feeds[:-1]))
    else:
        rule(model)
    model = prune(model)
    for feed, expected in zip(feeds, before, strict=True):
        for value, right in zip(values_of(model, feed), expected, strict=True):
            np.testing.assert_allclose(value, right, rtol=1e-6, atol=1e-6)
    return count_nodes(model)


def rows(*shape: int) -> NDArray[Any]:
    return RNG.normal(size=shape).astype(np.float32)


def feeds(*sizes: tuple[int, ...]) -> list[Feed]:
    return [{"x": rows(*size)} for size in sizes]


SIZES = ((2, 5, 6), (3, 7, 6), (5, 4, 6), (9, 11, 6))  # the last is not observed
ITEM_SIZES = ((2, 5), (3, 7), (5, 4))


def probes(columns: int = 8) -> list[Feed]:
    """Rows of a history and two truths of each."""
    return [
        {
            "history_values": rows(r, n, columns),
            "history_present": RNG.random((r, n, 2)) < 0.5,
        }
        for r, n in ITEM_SIZES
    ]


def moved(nodes: list[onnx.NodeProto], feeds: list[Feed], **weights: Any) -> onnx.ModelProto:
    """The graph after the work on items moved, if any did; the scores are the same."""
    read = {name for each in nodes for name in each.input}
    feeds = [{name: value for name, value in feed.items() if name in read} for feed in feeds]
    model = graph_of(nodes, feeds[0], weights)
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 8
    online, items = move_offline(model, observe(model, feeds))
    for feed, expected in zip(feeds, [values_of(model, feed)[0] for feed in feeds], strict=True):
        for part in items:
            present = feed.get("history_present", np.zeros((*feed["history_values"].shape[:2], 1)))
            values, truths = part.apply(feed["history_values"], present.astype(bool))
            feed = feed | {"history_values": values, "history_present": truths}
        np.testing.assert_allclose(values_of(online, feed)[0], expected, rtol=1e-6, atol=1e-6)
    return online
