"""Compares an operator with its graph in ONNX Runtime: exported at 2 items, compared at 1, 7 and
512."""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from fusefront.harness.serving.export.trace import quiet
from fusefront.harness.testing.case import Case
from fusefront.harness.testing.promises import ExportError

SIZES = (1, 7, 512)
TOLERANCE = 1e-4  # relative to the largest output, float32


class _Plain(nn.Module):
    """A wrapper with tensors in and tensors out, as an exported graph needs."""

    def __init__(self, operator: nn.Module) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> list[Tensor]:
        fused = self.operator(x, present, query)
        return [fused.tokens, fused.present]


def check_export(case: Case) -> None:
    """Exported at a batch of 2, the graph agrees with PyTorch at 1, 7 and 512 rows, also with NaN
    in absent slots.

    Raises:
        ExportError: the operator cannot be exported, or the numbers differ.
    """
    module = _Plain(case.build()).eval()
    parts = [case.x.float(), case.present, *([] if case.query is None else [case.query.float()])]
    names = ["x", "present", "query"][: len(parts)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "operator.onnx"
        _export(case.label, module, tuple(part[-2:] for part in parts), names, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        for size in SIZES:
            _compare(case, module, session, dict(zip(names, parts, strict=True)), size)


def _export(
    label: str, module: nn.Module, example: tuple[Tensor, ...], names: list[str], path: Path
) -> None:
    batch = torch.export.Dim("batch")
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        try:
            torch.onnx.export(
                module,
                example,
                path,
                input_names=names,
                output_names=["tokens", "tokens_present"],
                dynamic_shapes={name: {0: batch} for name in names},
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            raise ExportError(f"{label}: ONNX export fails: {error}") from error


def _compare(
    case: Case,
    module: nn.Module,
    session: onnxruntime.InferenceSession,
    parts: dict[str, Tensor],
    size: int,
) -> None:
    rows = -1 - torch.arange(size) % len(case.x)  # the first rows hold nothing
    inputs = {name: part[rows] for name, part in parts.items()}
    inputs["x"] = inputs["x"].masked_fill(~inputs["present"].unsqueeze(-1), float("nan"))
    with torch.no_grad():
        tokens, present = module(*inputs.values())
    eager = tokens.numpy()
    known = {node.name for node in session.get_inputs()}
    served, there = session.run(
        None, {name: part.numpy() for name, part in inputs.items() if name in known}
    )
    limit = TOLERANCE * max(float(np.abs(eager).max(initial=0.0)), 1e-6)
    if served.shape != eager.shape or not np.all(np.abs(served - eager) <= limit):
        raise ExportError(
            f"{case.label}: ONNX Runtime gives other tokens than eager for {size} items"
        )
    if not np.array_equal(there, present.numpy()):
        raise ExportError(
            f"{case.label}: ONNX Runtime gives another presence than eager for {size} items"
        )
