"""Compares a whole model's online half with its exported graph in ONNX Runtime."""

import onnxruntime as ort
import torch

from fusefront.harness.errors import GateError
from fusefront.harness.serving.export.online import (
    difference,
    eager_logits,
    export_core,
    random_feeds,
)
from fusefront.harness.serving.export.trace import Example, core_inputs
from fusefront.harness.testing.promises import ExportError
from fusefront.harness.testing.subject import Subject

SIZES = (1, 7, 512)
TOLERANCE = 1e-5  # of a probability


def check_exported(subject: Subject) -> None:
    """Exported at a batch of 2, the graph agrees with PyTorch at other sizes, also with empty
    histories.

    Raises:
        ExportError: the model cannot be exported, or the numbers differ.
    """
    model, schema = subject.model().float().eval(), subject.scene.schema
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():  # no zeros and ones of the initialisation
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        codes = model.encode_items(torch.arange(schema.items + 1))
    try:
        core = export_core(model, codes, schema)
    except GateError as error:
        raise ExportError(f"{subject.label}: {error}") from error
    session = ort.InferenceSession(
        core.graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    sizes = (
        *(Example(2, candidates, 9) for candidates in SIZES),
        *(Example(requests, 3, 16) for requests in SIZES),
    )
    for size, feed in zip(sizes, random_feeds(schema, sizes), strict=True):
        inputs = {key: value.numpy() for key, value in core_inputs(codes, feed).items()}
        (served,) = session.run(["logits"], {key: inputs[key] for key in names})
        off = difference(served, eager_logits(model, codes, feed))
        if not off < TOLERANCE:  # NaN too
            raise ExportError(
                f"{subject.label}: ONNX Runtime gives other probabilities than eager for "
                f"{size.requests} requests of {size.candidates} candidates (up to {off:.1e})"
            )
