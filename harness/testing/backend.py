"""The contract of a latency backend, checked by one call: `check_backend(TwoThreads)`."""

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from fusefront.harness.errors import GateError
from fusefront.harness.parts.kinds import BACKEND
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.serving.contract import Backend, Trained
from fusefront.harness.serving.export.online import (
    TOLERANCE,
    eager_logits,
    export_core,
    random_feeds,
)
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.trace import Example
from fusefront.harness.testing.declaration import check_builds, check_class, check_of, label_of
from fusefront.harness.testing.promises import (
    BatchError,
    DeclarationError,
    ParityError,
    Promise,
    SeedError,
    ShapeError,
)
from fusefront.harness.testing.scene import make_scene
from fusefront.harness.training.module import encode_table

MODEL = "late_fusion"
SIZES = (Example(1, 1, 16), Example(3, 7, 5), Example(2, 300, 16))
REDUCED = 0.03  # largest difference of a probability in reduced precision


class ServedModel:
    """A small model with random weights, on a backend."""

    def __init__(self, label: str, kind: type[Backend]) -> None:
        self.label, self.kind = label, kind
        self.folder = Path(tempfile.mkdtemp(prefix="fusefront-check-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    @cached_property
    def trained(self) -> Trained:
        """Late fusion over three hundred items, with its checked graph."""
        scene, parts = make_scene(), load_parts([])
        model = scene.model(parts.baselines[MODEL], {}, parts).float().eval()
        codes = encode_table(model, scene.schema.items)
        core = export_core(model, codes, scene.schema)
        return Trained(MODEL, model, codes, scene.schema, core, self.folder)

    @cached_property
    def backend(self) -> Backend:
        """The backend, built."""
        return self.kind()

    @cached_property
    def call(self) -> Callable[[Feed], object]:
        """The backend's call, after loading the model."""
        return self.backend.load(self.trained)

    @cached_property
    def feeds(self) -> list[Feed]:
        """Feeds of one request and of several, some with empty histories."""
        return list(random_feeds(self.trained.schema, SIZES, seed=3))

    @property
    def allowed(self) -> float:
        """The largest allowed difference of a probability from the model's."""
        return TOLERANCE if self.backend.exact else REDUCED

    def probabilities(self, feed: Feed) -> NDArray[np.float64]:
        """The probabilities [R, K] of a feed.

        Raises:
            ShapeError: the backend does not return one logit a candidate.
        """
        result = self.call(self.backend.select(self.call, feed))
        logits = np.asarray(result[0] if isinstance(result, list) else result)
        if logits.shape != feed["candidates"].shape:
            raise ShapeError(
                f"{self.label}: scores have shape {logits.shape} for candidates of shape "
                f"{feed['candidates'].shape}; give one logit a candidate"
            )
        return np.asarray(special.expit(logits.astype(np.float64)))


def backend_promises(kind: type[Backend]) -> Iterator[Promise]:
    """The promises of a latency backend, on a small model with random weights."""
    label = label_of(BACKEND, kind)
    served = ServedModel(label, kind)

    def over(check: Callable[[ServedModel], None]) -> Callable[[], None]:
        return lambda: check(served)

    yield Promise("the class says what it is and can be built", over(_check_declared), gate=True)
    yield Promise("it runs on this machine", over(_check_runs), gate=True)
    yield Promise("one logit [R, K] a candidate", over(_check_shapes), gate=True)
    yield Promise("a call repeats its scores", over(_check_repeats))
    yield Promise("its scores are the model's", over(_check_parity))
    yield Promise("a request is scored alone as among others", over(_check_alone))


check_backend = check_of(BACKEND, backend_promises)


def _check_declared(served: ServedModel) -> None:
    check_class(BACKEND, served.kind)
    check_builds(served.label, served.kind)
    if not isinstance(served.backend.exact, bool):
        raise DeclarationError(
            f"{served.label}: exact is {served.backend.exact!r}; say True where it is float32 "
            "throughout, False otherwise"
        )


def _check_runs(served: ServedModel) -> None:
    reason = served.backend.missing()
    if reason is not None and not (isinstance(reason, str) and reason):
        raise DeclarationError(f"{served.label}: missing gives {reason!r}; expected None or why")
    if reason:
        raise DeclarationError(f"{served.label}: nothing more can be checked here: {reason}")
    try:
        _ = served.trained
    except GateError as error:  # ours, not the backend's
        raise DeclarationError(
            f"{served.label}: the model to try cannot be built: {error}"
        ) from error


def _check_shapes(served: ServedModel) -> None:
    for feed in served.feeds:
        served.probabilities(feed)


def _check_repeats(served: ServedModel) -> None:
    feed = served.feeds[1]
    if not np.array_equal(served.probabilities(feed), served.probabilities(feed)):
        raise SeedError(f"{served.label}: the same requests twice get different scores")


def _check_parity(served: ServedModel) -> None:
    model, codes = served.trained.model, served.trained.codes
    for feed in served.feeds:
        model_probability = special.expit(eager_logits(model, codes, feed).astype(np.float64))
        off = float(np.abs(served.probabilities(feed) - model_probability).max())
        if not off <= served.allowed:
            raise ParityError(
                f"{served.label}: probabilities differ by {off:.1e} from the model's (at most "
                f"{served.allowed:.0e} where exact is {served.backend.exact})"
            )


def _check_alone(served: ServedModel) -> None:
    feed = served.feeds[1]
    whole = served.probabilities(feed)
    for request in range(len(whole)):
        alone = served.probabilities({name: part[[request]] for name, part in feed.items()})
        if not float(np.abs(alone - whole[[request]]).max()) <= served.allowed:
            raise BatchError(
                f"{served.label}: a request gets another score alone than among others"
            )
