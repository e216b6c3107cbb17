"""Small graphs made by hand, run as they are, for tests of the rules that rewrite graphs."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

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
