"""Where a model is scored: torch eager, torch.compile, ONNX Runtime, ONNX Runtime int8."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Baseline, ItemCodes, Schema
from fusefront.harness.data.events import distinct_events
from fusefront.harness.errors import UsageError
from fusefront.harness.serving.export.online import Core, eager_request, write_scorer
from fusefront.harness.serving.export.quantize import quantized
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.serving.export.tables import RowFormat

Score = Callable[[Feed], NDArray[np.float32]]


@dataclass(frozen=True)
class Trained:
    """A strategy ready to be served: model, code table, its checked graph."""

    name: str
    model: Baseline
    codes: ItemCodes
    schema: Schema
    core: Core
    folder: Path  # where scorers are written
    rows: RowFormat = "float16"


class Backend(Protocol):
    """One way to serve: `name`, whether it is exact, and a scorer of feeds."""

    name: str
    exact: bool  # float32 throughout: the strict parity gate

    def missing(self) -> str | None:
        """Why it cannot run here; None if it can."""

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        """A call that scores a selected feed; what is timed."""

    def select(self, loaded: Callable[[Feed], object], feed: Feed) -> Feed:
        """The part of a feed that the call takes."""


class OnnxRuntime:
    """What ships: the exported graph, code tables memory-mapped."""

    name = "onnx"

    def __init__(self, rows: RowFormat | None = None) -> None:
        self.rows = rows
        self.exact = rows == "float32"

    def missing(self) -> str | None:
        """Always there: the package needs it."""
        return None

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        rows = self.rows or trained.rows
        path = trained.folder / f"{self.name}-{rows}" / "scorer.onnx"
        if not path.exists():
            write_scorer(trained.core, trained.codes, path, rows=rows)
        return Scorer(path).run

    def select(self, loaded: Callable[[Feed], object], feed: Feed) -> Feed:
        scorer: Scorer = loaded.__self__  # type: ignore[attr-defined]
        return scorer.select(feed)


class OnnxInt8(OnnxRuntime):
    """Weights as int8, activations quantised on the fly."""

    name = "onnx-int8"

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        rows = self.rows or trained.rows
        path = trained.folder / f"{self.name}-{rows}" / "scorer.onnx"
        if not path.exists():
            write_scorer(quantized(trained.core), trained.codes, path, rows=rows)
        return Scorer(path).run


class TorchEager:
    """The model as trained, its codes in memory."""

    name = "eager"
    exact = True

    def missing(self) -> str | None:
        return None

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        model, codes = trained.model.eval(), trained.codes

        def call(feed: Feed) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(model.score(eager_request(codes, feed)).logits.numpy())

        return call

    def select(self, loaded: Callable[[Feed], object], feed: Feed) -> Feed:
        return feed


class TorchCompiled(TorchEager):
    """The same through torch.compile; the first calls compile."""

    name = "compile"

    def missing(self) -> str | None:
        """It writes C++ and needs a compiler."""
        import shutil

        if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
            return "backend 'compile' needs a C++ compiler (g++ or clang++) and there is none; install one"
        return None

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        model, codes = trained.model.eval(), trained.codes
        score = torch.compile(lambda request: model.score(request).logits, dynamic=True)

        def call(feed: Feed) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(score(eager_request(codes, feed)).numpy())

        return call


def as_trained(trained: Trained) -> Callable[[Feed], object]:
    """Eager with the items encoded within the request: what serving costs without an item cache."""
    model = trained.model.eval()

    def call(feed: Feed) -> NDArray[np.float32]:
        with torch.inference_mode():
            both = np.concatenate([feed["history"].ravel(), feed["candidates"].ravel()])
            items, place = np.unique(both, return_inverse=True)
            cut = feed["history"].size
            local = dict(feed)
            local["history"] = place[:cut].reshape(feed["history"].shape)
            local["candidates"] = place[cut:].reshape(feed["candidates"].shape)
            if not model.history_kinds:
                codes = model.encode_items(torch.from_numpy(items))
                return np.asarray(model.score(eager_request(codes, local)).logits.numpy())
            kinds = local.pop("history_kinds")
            events = distinct_events(local["history"], kinds, len(items), model.history_kinds)
            codes, _ = model.encode(torch.from_numpy(items), None, events)
            request = eager_request(codes, local, events.place)
            return np.asarray(model.score(request).logits.numpy())

    return call


BACKENDS: dict[str, Callable[[], Backend]] = {
    "onnx": OnnxRuntime,
    "onnx-int8": OnnxInt8,
    "eager": TorchEager,
    "compile": TorchCompiled,
}


def find_backends(names: tuple[str, ...]) -> list[Backend]:
    """The backends by name, each able to run here."""
    for name in names:
        if name not in BACKENDS:
            raise UsageError(f"backend {name!r} is not known; known: {', '.join(BACKENDS)}")
    return [BACKENDS[name]() for name in names]
