"""Which strategies may be timed on which backend: only those that score as the model does."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import FusefrontError, UsageError
from fusefront.harness.parts.origins import source_of
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.serving.contract import Backend, Trained
from fusefront.harness.serving.export.parity import Parity, check_exact, check_reduced
from fusefront.harness.serving.export.request import Feed

AT_A_TIME = 2  # comparisons


@dataclass(frozen=True)
class Gated:
    """A strategy loaded on a backend and compared with PyTorch."""

    trained: Trained
    way: str  # the backend's name
    backend: Backend
    call: Callable[[Feed], object]
    parity: Parity

    def select(self, feed: Feed) -> Feed:
        """The part of a feed that the call needs."""
        return self.backend.select(self.call, feed)

    def again(self) -> "Gated":
        """The same in a session of its own: the twin from which the floor is computed."""
        call = self.backend.load(self.trained)
        return Gated(self.trained, self.way, self.backend, call, self.parity)


def gate(
    trained: Sequence[Trained],
    backends: Mapping[str, Backend],
    folder: StudyFolder,
    say: Callable[[str], None],
) -> list[Gated]:
    """Load and compare all strategies, two at a time, before anything is timed. Those that fail are
    reported and left out."""
    store = PreparedDataset.open(folder.store_path)

    def load(pair: tuple[str, Trained]) -> Gated:
        way, model = pair
        backend = backends[way]
        try:
            call = backend.load(model)
            return Gated(model, way, backend, call, compare(model, way, backend, call, store))
        except FusefrontError:
            raise
        except Exception as error:
            if source_of(backend) is None:
                raise
            raise UsageError(_raised(way, model, error)) from error

    passed = []
    pairs = [(way, model) for way in backends for model in trained]
    # torch's number of threads is set for each thread
    with ThreadPoolExecutor(AT_A_TIME, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for gated in pool.map(load, pairs):
            if gated.parity.passed:
                passed.append(gated)
            else:
                name, reason = gated.trained.name, gated.parity.reason
                say(f"{name} on {gated.way}: {reason}; its latency does not count")
    return passed


def _raised(way: str, model: Trained, error: Exception) -> str:
    """The sentence for whatever a plug-in backend raised."""
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return (
        f"latency backend {way!r} raised {type(error).__name__} ({reason}) on strategy "
        f"{model.name!r}; mend it, `fusefront check` says what it breaks"
    )


def compare(
    trained: Trained,
    way: str,
    backend: Backend,
    call: Callable[[Feed], object],
    store: PreparedDataset,
) -> Parity:
    """The strict comparison for float32, the change of AUC for reduced precision."""

    def logits(feed: Feed) -> NDArray[np.float32]:
        result = call(backend.select(call, feed))
        scores = np.asarray(result[0] if isinstance(result, list) else result)
        if scores.shape != feed["candidates"].shape:
            raise UsageError(
                f"latency backend {way!r}: {trained.name!r} gives scores of shape {scores.shape} "
                f"for candidates of shape {feed['candidates'].shape}; give one logit a candidate"
            )
        return scores

    if backend.exact or (way == "onnx" and trained.rows == "float32"):
        return check_exact(logits, trained.model, trained.codes, trained.schema)
    return check_reduced(logits, trained.model, trained.codes, trained.schema, store)
