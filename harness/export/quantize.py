"""Dynamic int8: weights as QInt8, activations quantised while scoring."""

import logging
import tempfile
from pathlib import Path

import onnx


def quantize(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with the weights of its products in int8; tables and the rest as they are."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises a pre-processing that `lighten` has done
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            onnx.save(graph, source)
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=["MatMul", "Gemm"],
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
            )
            return onnx.load(target)
    finally:
        root.setLevel(level)
