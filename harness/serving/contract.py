"""The contract of a latency backend, shipped or plug-in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fusefront.baselines.contract import Baseline, ItemCodes, Schema
from fusefront.harness.serving.export.online import Core
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.tables import RowFormat


@dataclass(frozen=True)
class Trained:
    """A strategy that is ready to be served: model, item codes, and its checked graph."""

    name: str
    model: Baseline
    codes: ItemCodes
    schema: Schema
    core: Core  # `core.graph` is the online half as an ONNX model
    folder: Path  # where scorers are written
    rows: RowFormat = "float16"
    calibration: tuple[Feed, ...] = ()  # requests of validation, to calibrate reduced precision


class Backend:
    """One way to serve: it loads a trained strategy and returns the call that is timed.

    Before timing, its logits are compared with the model's. An `exact` backend (float32 throughout)
    may differ by 1e-5 in a probability; the others must keep the AUC within 1e-4.
    """

    name: ClassVar[str]
    exact: bool  # float32 throughout

    def missing(self) -> str | None:
        """Why the backend cannot run on this machine, as a sentence; None if it can."""
        return None

    def load(self, trained: Trained) -> Callable[[Feed], object]:
        """A call that scores a selected feed: logits [R, K] of R requests with K candidates.

        A feed has `history` [R, L] and `candidates` [R, K] as item rows, `history_mask` [R, L] and
        the context; `eager_request(trained.codes, feed)` makes a request of the model of it.
        """
        raise NotImplementedError

    def select(self, loaded: Callable[[Feed], object], feed: Feed) -> Feed:
        """The part of a feed that the call needs, selected before the clock starts."""
        return feed
