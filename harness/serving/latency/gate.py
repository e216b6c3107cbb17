"""Which strategy on which backend may be timed: parity first, or its latency does not count."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.serving.export.parity import Parity, check_exact, check_reduced
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.latency.backends import Backend, Trained

AT_A_TIME = 2  # comparisons


@dataclass(frozen=True)
class Gated:
    """A strategy on a backend, loaded and compared with eager."""

    trained: Trained
    backend: Backend
    call: Callable[[Feed], object]
    parity: Parity

    def select(self, feed: Feed) -> Feed:
        """What the call takes of a feed."""
        return self.backend.select(self.call, feed)

    def again(self) -> "Gated":
        """The same in a session of its own: the twin that gives the floor."""
        return Gated(self.trained, self.backend, self.backend.load(self.trained), self.parity)


def gate(
    trained: Sequence[Trained],
    backends: Sequence[Backend],
    folder: StudyFolder,
    say: Callable[[str], None],
) -> list[Gated]:
    """Load and compare all, two at a time: nothing is timed yet. What fails is told and kept out."""
    store = PreparedDataset.open(folder.store_path)

    def load(pair: tuple[Backend, Trained]) -> Gated:
        backend, model = pair
        call = backend.load(model)
        return Gated(model, backend, call, compare(model, backend, call, store))

    passed = []
    pairs = [(backend, model) for backend in backends for model in trained]
    # a thread has its own count of torch's threads
    with ThreadPoolExecutor(AT_A_TIME, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for gated in pool.map(load, pairs):
            if gated.parity.passed:
                passed.append(gated)
            else:
                name, reason = gated.trained.name, gated.parity.reason
                say(f"{name} on {gated.backend.name}: {reason}; its latency does not count")
    return passed


def compare(
    trained: Trained, backend: Backend, call: Callable[[Feed], object], store: PreparedDataset
) -> Parity:
    """The strict gate for float32, the change of AUC for reduced precisions."""

    def logits(feed: Feed) -> NDArray[np.float32]:
        result = call(backend.select(call, feed))
        return np.asarray(result[0] if isinstance(result, list) else result)

    if backend.exact or (backend.name == "onnx" and trained.rows == "float32"):
        return check_exact(logits, trained.model, trained.codes, trained.schema)
    return check_reduced(logits, trained.model, trained.codes, trained.schema, store)
