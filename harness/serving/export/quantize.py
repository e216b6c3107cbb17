"""Products in int8: one scale a column of weights; activations are calibrated, in one byte or two.

What costs AUC is rounding activations to one byte, mostly in one wide product: at the published
widths the head's first layer alone moves the logits by 4 % of their standard deviation, while the
weights' bytes and all other products move them by 1 %. In such a product an activation x is s q +
r, with the rest r in a second byte at s / 254, so that x W is two integer products. Which products
need two bytes is measured on the calibration feeds. Rounding the weights costs as much
as what is left of the activations'; rounding.py rounds them together, which adds no node.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from fusefront.baselines.contract import ItemCodes
from fusefront.harness.serving.export.online import Core
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.rewrite import observe, prune
from fusefront.harness.serving.export.rounding import Rounded, rounded
from fusefront.harness.serving.export.rules import Observed, replace
from fusefront.harness.serving.export.scorer import session_options
from fusefront.harness.serving.export.trace import core_inputs

PRODUCTS = ("MatMul", "Gemm")
LEAST = 16_384  # weights; in smaller products quantising activations costs more than it saves
TOLERABLE = 0.01  # how far one product in one byte may move the logits, in their sd
HEADROOM = 1.5  # times the observed range: two bytes leave headroom for it
MOST_ROWS = 8_000  # of inputs for fitting a rounding, and as many for judging it
STEPS = 254  # steps of the second byte within one step of the first
DOMAIN = "com.microsoft"


class Product(NamedTuple):
    """A product with fixed weights [in, out] and its bias, by name."""

    node: onnx.NodeProto
    weights: NDArray[np.float64]
    bias: list[str]


class Integer(NamedTuple):
    """A product with its weights rounded and its activations in `width` bytes."""

    product: Product
    weights: Rounded
    width: int


def quantized(core: Core, codes: ItemCodes, feeds: Sequence[Feed]) -> Core:
    """The core with its large products in int8, calibrated on the activations of `feeds`."""
    gathered = [
        {name: value.detach().numpy() for name, value in core_inputs(codes, feed).items()}
        for feed in feeds
    ]
    light = core.light
    if light is not None:
        moved = [light.feed(feed) for feed in gathered]
        light = light._replace(graph=quantize(light.graph, moved))
    return Core(quantize(core.graph, gathered), core.tracer, float("nan"), light)


def quantize(graph: onnx.ModelProto, feeds: Sequence[Feed], least: int = LEAST) -> onnx.ModelProto:
    """The graph with its large products in int8; tables and everything else are unchanged."""
    large = [p for p in products(graph) if p.weights.size >= least]
    if not large:
        return _copy(graph)
    observed = observe(graph, feeds)
    exact = _logits(graph, feeds)
    written = []
    for product in large:
        integer = Integer(product, rounded(product.weights, _rows(observed, product)), 1)
        moved = _logits(_with_integers(graph, observed, [integer]), feeds) - exact
        fine = moved.std() <= TOLERABLE * exact.std()
        written.append(integer if fine else integer._replace(width=2))
    return _with_integers(graph, observed, written)


def _rows(observed: Observed, product: Product) -> NDArray[np.float64]:
    """[n, in] inputs of the product, evenly thinned to the rows that its rounding uses."""
    width = len(product.weights)
    parts = [x.reshape(x.size // width, width) for x in observed[product.node.input[0]]]
    step = max(1, sum(map(len, parts)) // (2 * MOST_ROWS))
    thinned = [part[::step].astype(np.float64) for part in parts]
    return np.concatenate([np.zeros((0, width)), *thinned])


def _copy(graph: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    return copy


def _logits(graph: onnx.ModelProto, feeds: Sequence[Feed]) -> NDArray[np.float64]:
    """All logits of the feeds, one after the other."""
    session = ort.InferenceSession(
        graph.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    parts = [session.run(["logits"], {name: feed[name] for name in names})[0] for feed in feeds]
    return np.concatenate([part.ravel() for part in parts]).astype(np.float64)


def _with_integers(
    graph: onnx.ModelProto, observed: Observed, chosen: Sequence[Integer]
) -> onnx.ModelProto:
    """A copy with the chosen products in integers."""
    copy, by_output = _copy(graph), {i.product.node.output[0]: i for i in chosen}
    if not any(opset.domain == DOMAIN for opset in copy.opset_import):
        copy.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    nodes: list[onnx.NodeProto] = []
    for node in copy.graph.node:
        integer = by_output.get(node.output[0])
        if integer is None:
            nodes.append(node)
            continue
        values, headroom = observed[node.input[0]], HEADROOM if integer.width == 2 else 1.0
        low = headroom * min([0.0, *(float(x.min()) for x in values if x.size)])
        high = headroom * max([0.0, *(float(x.max()) for x in values if x.size)])
        constants, integers = _nodes(integer, low, high)
        copy.graph.initializer.extend(constants)
        nodes += integers
    replace(copy.graph.node, nodes)
    return prune(copy)


def products(graph: onnx.ModelProto) -> list[Product]:
    """The products with a fixed matrix; those that scale the sum or the input are left out."""
    fixed = {i.name: i for i in graph.graph.initializer if len(i.dims) == 2}
    whole = []
    for node in graph.graph.node:
        if node.op_type not in PRODUCTS or node.input[1] not in fixed:
            continue
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if attributes.get("transA", 0) or attributes.get("beta", 1.0) != 1.0:
            continue
        weights = numpy_helper.to_array(fixed[node.input[1]]).astype(np.float64)
        weights = weights.T if attributes.get("transB", 0) else weights
        bias = [name for name in node.input[2:] if name]
        whole.append(Product(node, weights * attributes.get("alpha", 1.0), bias))
    return whole


def _nodes(
    integer: Integer, low: float, high: float
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """The constants and nodes of one integer product, or of two and their sum."""
    product, column = integer.product, integer.weights.column
    name, source = product.node.output[0], product.node.input[0]
    step = max((high - low) / 255, 1e-12)
    values: dict[str, NDArray[np.generic]] = {
        "step": np.array(step, np.float32),
        "zero": np.array(round(-low / step), np.uint8),
        "fine": np.array(step / STEPS, np.float32),
        "half": np.array(128, np.uint8),
        "weights": integer.weights.integers,
        "column": column.astype(np.float32),
        "nought": np.zeros(len(column), np.int8),
    }

    def of(part: str) -> str:
        return f"{name}_int8_{part}"

    def multiply(rows: str, step: str, zero: str, out: str, bias: list[str]) -> onnx.NodeProto:
        parts = (rows, "weights", step, "column", zero, "nought")
        return helper.make_node(
            "MatMulIntegerToFloat", [*map(of, parts), *bias], [of(out)], domain=DOMAIN
        )

    first = helper.make_node("QuantizeLinear", [source, of("step"), of("zero")], [of("first")])
    if integer.width == 1:
        only = multiply("first", "step", "zero", "coarse", product.bias)
        only.output[0] = name
        return [numpy_helper.from_array(v, of(part)) for part, v in values.items()], [first, only]
    nodes = [
        first,
        helper.make_node("DequantizeLinear", [of("first"), of("step"), of("zero")], [of("near")]),
        helper.make_node("Sub", [source, of("near")], [of("rest")]),
        helper.make_node("QuantizeLinear", [of("rest"), of("fine"), of("half")], [of("second")]),
        multiply("first", "step", "zero", "coarse", product.bias),
        multiply("second", "fine", "half", "finer", []),
        helper.make_node("Add", [of("coarse"), of("finer")], [name]),
    ]
    return [numpy_helper.from_array(value, of(part)) for part, value in values.items()], nodes
