"""A loaded exported graph; needs onnxruntime and NumPy alone."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from fusefront.harness.serving.export.request import Array, Feed


def session_options(threads: int = 1) -> ort.SessionOptions:
    """Options with one thread by default; idle threads sleep, since spinning would use a core
    beside the next measurement."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class Scorer:
    """An ONNX session that takes the inputs it needs from a feed."""

    def __init__(self, graph: Path, threads: int = 1) -> None:
        self.path = graph
        self.session = ort.InferenceSession(
            str(graph), session_options(threads), providers=["CPUExecutionProvider"]
        )
        self.inputs = [value.name for value in self.session.get_inputs()]
        self.outputs = [value.name for value in self.session.get_outputs()]

    def select(self, feed: Feed) -> Feed:
        """The inputs of the graph, from a feed."""
        return {name: feed[name] for name in self.inputs}

    def logits(self, feed: Feed) -> NDArray[np.float32]:
        """Logits [R, K] of a feed."""
        result: list[Array] = self.session.run(self.outputs, self.select(feed))
        return result[0]

    def run(self, feed: Feed) -> list[Array]:
        """The bare call with a selected feed, which is timed; returns logits [R, K]."""
        result: list[Array] = self.session.run(self.outputs, feed)
        return result


def probability(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Click probability [...] of logits [...]."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64)))  # no logit overflows
