"""The backends that score a model: PyTorch eager, torch.compile, ONNX Runtime, ONNX Runtime with
int8."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.harness.data.events import distinct_events
from fusefront.harness.errors import UsageError
from fusefront.harness.serving.contract import Backend, Trained
from fusefront.harness.serving.export.online import (
    PROBES,
    eager_request,
    random_feeds,
    write_scorer,
)
from fusefront.harness.serving.export.quantize import quantized
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.serving.export.search_of import search_of
from fusefront.harness.serving.export.searched import SearchedScorer
from fusefront.harness.serving.export.tables import RowFormat


class OnnxRuntime(Backend):
    """What ships: the exported graph with memory-mapped item tables."""

    name: ClassVar[str] = "onnx"
    exact = False  # with its default rows

    def __init__(self, rows: RowFormat | None = None) -> None:
        self.rows = rows
        self.exact = rows == "float32"

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        rows = self.rows or trained.rows
        path = trained.folder / f"{self.name}-{rows}" / "scorer.onnx"
        if not path.exists():
            write_scorer(trained.core, trained.codes, path, rows=rows)
        return Scorer(path).run

    def select(self, loaded: Callable[[Feed], object], feed: Feed) -> Feed:
        scorer: Scorer | SearchedScorer = loaded.__self__  # type: ignore[attr-defined]
        return scorer.select(feed)


class OnnxSearched(OnnxRuntime):
    """What ships, fed with the items that content search left, found before the request; for
    models without such a search it is what ships."""

    name: ClassVar[str] = "onnx-searched"

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        scorer: Scorer = super().load(trained).__self__  # type: ignore[attr-defined]
        return SearchedScorer(scorer, search_of(trained.model, trained.codes)).run


class OnnxInt8(OnnxRuntime):
    """The exported graph with its large products in int8, calibrated on requests of validation."""

    name: ClassVar[str] = "onnx-int8"

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        rows = self.rows or trained.rows
        path = trained.folder / f"{self.name}-{rows}" / "scorer.onnx"
        if not path.exists():
            feeds = trained.calibration or tuple(random_feeds(trained.schema, PROBES))
            core = quantized(trained.core, trained.codes, feeds)
            write_scorer(core, trained.codes, path, rows=rows)
        return Scorer(path).run


class TorchEager(Backend):
    """The model as trained, its item codes in memory."""

    name: ClassVar[str] = "eager"
    exact = True

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        model, codes = trained.model.eval(), trained.codes

        def call(feed: Feed) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(model.score(eager_request(codes, feed)).logits.numpy())

        return call


class TorchCompiled(TorchEager):
    """The trained model through torch.compile; the first calls compile."""

    name: ClassVar[str] = "compile"

    def missing(self) -> str | None:
        """A sentence if no C++ compiler is found, since torch.compile writes C++."""
        import shutil

        if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
            return (
                "backend 'compile' needs a C++ compiler (g++ or clang++) and there is none; "
                "install one"
            )
        return None

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        model, codes = trained.model.eval(), trained.codes
        score = torch.compile(lambda request: model.score(request).logits, dynamic=True)

        def call(feed: Feed) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.asarray(score(eager_request(codes, feed)).numpy())

        return call


def as_trained(trained: Trained) -> Callable[[Feed], object]:
    """The model in PyTorch with the items encoded within the request: the cost of serving without
    an item cache."""
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


BACKENDS: Mapping[str, type[Backend]] = {
    "onnx": OnnxRuntime,
    "onnx-int8": OnnxInt8,
    "onnx-searched": OnnxSearched,
    "eager": TorchEager,
    "compile": TorchCompiled,
}


def find_backends(
    names: Sequence[str], known: Mapping[str, type[Backend]] = BACKENDS
) -> dict[str, Backend]:
    """The backends by name, each built; raises UsageError, which lists the known names."""
    backends = {}
    for name in names:
        if name not in known:
            raise UsageError(
                f"backend {name!r} is not known; known: {', '.join(known)}, and those of files "
                "given with --include-path"
            )
        backends[name] = known[name]()
    return backends
