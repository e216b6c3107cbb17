"""The interface that a comparison reads scores through, and an implementation in memory."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fusefront.harness.statistics.auc import Scores
from fusefront.harness.statistics.rows import RowTable


class SliceCodes(NamedTuple):
    """A declared slice: the code of every row and the names of the codes."""

    name: str
    values: tuple[str, ...]
    code: NDArray[np.integer]  # [N]
    sensitive: bool = False


class ScoreSource(Protocol):
    """Strategies with their scores on the same rows; every call may read from disk."""

    @property
    def strategies(self) -> tuple[str, ...]:
        """Names of the strategies, including the baseline."""

    def role(self, strategy: str) -> str:
        """The role: "strategy", "control" or "ablation"."""
        ...

    def seeds(self, strategy: str) -> tuple[int, ...]:
        """The seeds that a strategy was trained with."""

    def rows(self, split: str) -> RowTable:
        """The N rows of a split that every strategy scored."""

    def logits(self, strategy: str, seed: int, split: str) -> Scores:
        """Logits float32 [N] in the order of `rows(split)`."""
        ...

    def gap(self, strategy: str, seed: int) -> float | None:
        """Log loss in nats on validation minus that on train; None if it was not recorded."""
        ...

    def slices(self, split: str) -> tuple[SliceCodes, ...]:
        """The declared slices of a split's rows."""


@dataclass(frozen=True)
class MemorySource:
    """Scores that are already in memory: `scores[strategy][seed]` is float32 [N]."""

    table: RowTable
    scores: Mapping[str, Mapping[int, Scores]]
    roles: Mapping[str, str] | None = None
    declared: tuple[SliceCodes, ...] = ()
    valid: "MemorySource | None" = None  # the validation split, if there is one

    @property
    def strategies(self) -> tuple[str, ...]:
        return tuple(self.scores)

    def role(self, strategy: str) -> str:
        return (self.roles or {}).get(strategy, "strategy")

    def seeds(self, strategy: str) -> tuple[int, ...]:
        return tuple(self.scores[strategy])

    def _of(self, split: str) -> "MemorySource":
        return self.valid if split == "valid" and self.valid is not None else self

    def rows(self, split: str) -> RowTable:
        return self._of(split).table

    def logits(self, strategy: str, seed: int, split: str) -> Scores:
        """Logits float32 [N] in the order of `rows(split)`."""
        return self._of(split).scores[strategy][seed]

    def gap(self, strategy: str, seed: int) -> float | None:
        return None

    def slices(self, split: str) -> tuple[SliceCodes, ...]:
        return self._of(split).declared
