"""Dynamic int8: weights as QInt8, activations quantised while scoring."""

import logging
from pathlib import Path

import numpy as np
import onnx

from fusefront.datasets.durable import temporary_folder
from fusefront.harness.serving.export.online import Core

PRODUCTS = ("MatMul", "Gemm")
LEAST = 4096  # weights; below it the quantising of activations costs more than it saves


def quantized(core: Core) -> Core:
    """The core with the weights of its products in int8."""
    light = core.light and core.light._replace(graph=quantize(core.light.graph))
    return Core(quantize(core.graph), core.tracer, float("nan"), light)


def quantize(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the weights of its large products in int8; tables and the rest as they are."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    graph = copy
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises a pre-processing that `lighten` has done
    try:
        with temporary_folder("quantize") as folder:
            for number, node in enumerate(graph.graph.node):
                node.name = f"{number}_{node.op_type}"  # what a rule made has no name yet
            sizes = {i.name: int(np.prod(i.dims)) for i in graph.graph.initializer}
            products = [n for n in graph.graph.node if n.op_type in PRODUCTS]
            source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            onnx.save(graph, source)
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=list(PRODUCTS),
                weight_type=QuantType.QInt8,
                nodes_to_exclude=[n.name for n in products if sizes.get(n.input[1], 0) < LEAST],
                extra_options={"MatMulConstBOnly": True},
            )
            return onnx.load(target)
    finally:
        root.setLevel(level)
