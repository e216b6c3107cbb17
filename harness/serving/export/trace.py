"""Traces the online half of a model to an ONNX graph over gathered rows; tables are attached later.

The TorchScript tracer needs a fiftieth of the processor time of the graph capture exporter (0.4 s
against 18 s). Sizes that it wrongly fixes are found by comparing at other sizes; the slower
exporter is used then.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fusefront.baselines.contract import (
    Baseline,
    Context,
    ItemCodes,
    Request,
    Rows,
    history_rows,
)
from fusefront.datasets.durable import temporary_folder
from fusefront.harness.serving.export.request import CONTEXTS, Feed

Tracer = Literal["script", "capture"]
ROWS = ("history_values", "history_present", "candidate_values", "candidate_present")
OPSET = {"script": 17, "capture": 20}


class Example(NamedTuple):
    """The sizes of a traced or compared request; all differ, so that axes can be told apart."""

    requests: int = 2
    candidates: int = 3
    history: int = 5


class Online(nn.Module):
    """`score` over flat inputs: the rows of `ROWS`, history_mask, and those contexts that exist."""

    def __init__(self, model: Baseline, names: tuple[str, ...]) -> None:
        super().__init__()
        self.scorer, self.names = model, names

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits [R, K]."""
        by_name = dict(zip(self.names, inputs, strict=True))
        values, present = by_name["candidate_values"], by_name["candidate_present"]
        mask = by_name["history_mask"]
        nothing = values[..., :0]
        contexts = [
            by_name[name]
            if name in by_name
            else _empty(nothing if side == "candidate" else nothing[:, 0], kind)
            for name in CONTEXTS
            for side, kind in (name.split("_"),)
        ]
        request = Request(
            Rows(by_name["history_values"], by_name["history_present"]),
            mask,
            Rows(values, present),
            Context(contexts[0], contexts[1]),
            Context(contexts[2], contexts[3]),
        )
        return self.scorer.score(request).logits


class _SizesAsValues(TorchFunctionMode):
    """`unflatten` as a reshape by the sizes of its input.

    The TorchScript exporter would keep the example's sizes of an `unflatten` and fold what follows
    into constants.
    """

    def __torch_function__(
        self,
        function: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        if function in (torch.unflatten, Tensor.unflatten) and not kwargs and len(args) == 3:
            x, dim, sizes = args
            assert isinstance(x, Tensor)
            assert isinstance(dim, int)
            assert isinstance(sizes, tuple | list)
            at = dim % x.dim()
            lead, tail = list(x.shape)[:at], list(x.shape)[at + 1 :]
            return x.reshape(*lead, *sizes, *tail)
        return function(*args, **(kwargs or {}))


def _empty(nothing: Tensor, kind: str) -> Tensor:
    return nothing.long() if kind == "ids" else nothing


def core_inputs(codes: ItemCodes, feed: Feed, events: Tensor | None = None) -> dict[str, Tensor]:
    """The gathered rows, mask and contexts of a feed: the inputs of `Online` by name.

    `events` [R, L] are the rows of the history, if the codes are not those of a whole table.
    """
    history, candidates = (_tensor(feed[name]) for name in ("history", "candidates"))
    kinds = _tensor(feed["history_kinds"]) if "history_kinds" in feed else None
    history = history_rows(codes, history, kinds) if events is None else events
    inputs = {
        "history_values": codes.history.values[history],
        "history_present": codes.history.present[history],
        "history_mask": _tensor(feed["history_mask"]),
        "candidate_values": codes.candidate.values[candidates],
        "candidate_present": codes.candidate.present[candidates],
    }
    return inputs | {name: _tensor(feed[name]) for name in CONTEXTS if name in feed}


def _tensor(array: NDArray[Any]) -> Tensor:
    """The array as a tensor without a copy; a read-only view of a store is copied, because torch
    warns of it."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def trace(model: Baseline, codes: ItemCodes, example: Feed, tracer: Tracer) -> onnx.ModelProto:
    """The graph with dynamic R, K and L; inputs named as by `core_inputs`, output `logits`."""
    inputs = core_inputs(codes, example)
    online = Online(model, tuple(inputs)).eval()
    arguments = tuple(value.detach().clone() for value in inputs.values())
    with torch.no_grad(), quiet(), _SizesAsValues():
        return (_script if tracer == "script" else _capture)(online, arguments, list(inputs))


def axes(name: str) -> dict[int, str]:
    """The dynamic axes of an input."""
    if name.startswith("history"):
        return {0: "requests", 1: "history"}
    return {0: "requests", 1: "candidates"} if name.startswith("candidate") else {0: "requests"}


def _script(online: Online, arguments: tuple[Tensor, ...], names: list[str]) -> onnx.ModelProto:
    with temporary_folder("trace") as folder:
        path = Path(folder) / "traced.onnx"
        _export_script(online, arguments, names, path)
        return onnx.load(path)


def _export_script(
    online: Online, arguments: tuple[Tensor, ...], names: list[str], path: Path
) -> None:
    torch.onnx.export(
        online,
        arguments,
        path,
        dynamo=False,
        input_names=names,
        output_names=["logits"],
        dynamic_axes={
            **{name: axes(name) for name in names},
            "logits": {0: "requests", 1: "candidates"},
        },
        opset_version=OPSET["script"],
    )


def _capture(online: Online, arguments: tuple[Tensor, ...], names: list[str]) -> onnx.ModelProto:
    dims = {name: torch.export.Dim(name) for name in ("requests", "candidates", "history")}
    shapes = tuple({axis: dims[dim] for axis, dim in axes(name).items()} for name in names)
    program = torch.onnx.export(
        online,
        arguments,
        dynamo=True,
        input_names=names,
        output_names=["logits"],
        dynamic_shapes=(shapes,),
        opset_version=OPSET["capture"],
        verbose=False,
    )
    assert program is not None
    return program.model_proto


@contextmanager
def quiet() -> Iterator[None]:
    """Silences known warnings of the exporters; all others are still shown."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            for message in (
                ".*axis name: .* will not be used.*",
                ".*isinstance.*LeafSpec.*",
                ".*Constant folding.*",
                ".*torchvision is not installed.*",
            ):
                warnings.filterwarnings("ignore", message=message)
            # the tracer takes shapes for constants: the comparison at other sizes decides
            warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)  # type: ignore[attr-defined]
            yield
    finally:
        logger.setLevel(level)
