"""Test scores of a trained model with a modality hidden for a share of the items."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Baseline
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.statistics.auc import Scores
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict


class Hidden(NamedTuple):
    """One modality hidden for one share of the items."""

    modality: str
    share: float  # 0 .. 1


def shown_modalities(store: PreparedDataset, hidden: Hidden, seed: int = 0) -> NDArray[np.bool_]:
    """Which modalities stay, [n + 1, M]; shares are nested and the same items for every model."""
    modalities = list(store.manifest.schema_.modalities)
    column = modalities.index(hidden.modality)
    keep = np.ones((store.manifest.schema_.items + 1, len(modalities)), bool)
    draw = np.random.default_rng([seed, column]).random(len(keep))
    keep[:, column] = draw >= hidden.share
    return keep


def scores(
    model: Baseline, store: PreparedDataset, conditions: tuple[Hidden, ...]
) -> Iterator[tuple[Hidden, Scores]]:
    """Logits [N] of the test split under each condition; the weights stay as they were trained."""
    items = store.manifest.schema_.items
    for hidden in conditions:
        keep = torch.from_numpy(shown_modalities(store, hidden)) if hidden.share > 0 else None
        codes = encode_table(model, items, keep)
        yield hidden, predict(model, codes, store, "test")
