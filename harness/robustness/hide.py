"""Test scores of a trained model with a modality hidden, noisy or swapped, or with items and
users that it does not know; nothing is trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusefront.baselines.contract import Baseline
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.robustness.cold import (
    WithoutHistories,
    cold_items,
    cold_users,
    unknown_ids,
)
from fusefront.harness.robustness.condition import OTHER, Hidden
from fusefront.harness.robustness.vectors import Vectors, changed_vectors, other_vectors
from fusefront.harness.statistics.auc import Scores
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict


def shown_modalities(store: PreparedDataset, hidden: Hidden, seed: int = 0) -> NDArray[np.bool_]:
    """Which modalities stay, [n + 1, M] bool: the same items for every model, and a larger share
    hides all items of a smaller one."""
    modalities = list(store.manifest.schema_.modalities)
    column = modalities.index(hidden.modality)
    keep = np.ones((store.manifest.schema_.items + 1, len(modalities)), bool)
    draw = np.random.default_rng([seed, column]).random(len(keep))
    keep[:, column] = draw >= hidden.share
    return keep


def hidden_requests(store: PreparedDataset, hidden: Hidden, seed: int = 0) -> NDArray[np.bool_]:
    """Which rows [N] of test have the modality hidden, by request: the same requests for every
    model, and a larger share hides all requests of a smaller one."""
    start = np.asarray(store.split("test").row_start, np.int64)
    column = list(store.manifest.schema_.modalities).index(hidden.modality)
    draw = np.random.default_rng([seed, 1, column]).random(len(start) - 1)
    return np.repeat(draw < hidden.share, start[1:] - start[:-1])


def scores(
    model: Baseline,
    store: PreparedDataset,
    conditions: tuple[Hidden, ...],
    files: Mapping[str, Vectors] | None = None,
) -> Iterator[tuple[Hidden, Scores]]:
    """Logits [N] of the test split under each condition; the weights stay as trained.

    `files` are second vectors [n + 1, D] by modality, for conditions of the kind "other".
    """
    scorer = DisturbedScorer(model, store, files or {})
    for hidden in conditions:
        yield hidden, scorer.whole if hidden.share == 0 else scorer.disturbed(hidden)


@dataclass
class DisturbedScorer:
    """A trained model that scores the test split again and again."""

    model: Baseline
    store: PreparedDataset
    files: Mapping[str, Vectors]

    @cached_property
    def whole(self) -> Scores:
        """Logits [N] with nothing disturbed."""
        return self._scored()

    @cached_property
    def without_histories(self) -> Scores:
        """Logits [N] where no user has a history."""
        return self._scored(store=WithoutHistories(self.store.path, self.store.manifest))

    @cached_property
    def _absent(self) -> dict[str, Scores]:
        return {}

    def disturbed(self, hidden: Hidden) -> Scores:
        """Logits [N] under one condition of a share above 0."""
        kind, store = hidden.kind, self.store
        if kind == "requests":
            if hidden.modality not in self._absent:
                self._absent[hidden.modality] = self._hiding(Hidden(hidden.modality))
            absent = self._absent[hidden.modality]
            return np.where(hidden_requests(store, hidden), absent, self.whole)
        if kind == "cold_users":
            return np.where(cold_users(store, hidden.share), self.without_histories, self.whole)
        if kind == "cold_items":
            with unknown_ids(self.model, cold_items(store, hidden.share)):
                return self._scored()
        if kind in ("noise", "stale", OTHER):
            rows = changed_vectors(store, hidden, other=self.files.get(hidden.modality))
            with other_vectors(self.model, store, hidden.modality, rows):
                return self._scored()
        return self._hiding(hidden)

    def _hiding(self, hidden: Hidden) -> Scores:
        return self._scored(torch.from_numpy(shown_modalities(self.store, hidden)))

    def _scored(self, keep: Tensor | None = None, store: PreparedDataset | None = None) -> Scores:
        items = self.store.manifest.schema_.items
        codes = encode_table(self.model, items, keep)
        return predict(self.model, codes, store or self.store, "test")
