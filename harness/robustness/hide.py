"""Test scores of a trained model with a modality hidden, noisy or swapped; nothing is trained."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from fusefront.baselines.contract import Baseline
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.robustness.condition import Hidden
from fusefront.harness.robustness.vectors import changed_vectors, other_vectors
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
    model: Baseline, store: PreparedDataset, conditions: tuple[Hidden, ...]
) -> Iterator[tuple[Hidden, Scores]]:
    """Logits [N] of the test split under each condition; the weights stay as trained."""
    items = store.manifest.schema_.items
    whole: Scores | None = None
    absent: dict[str, Scores] = {}
    for hidden in conditions:
        if hidden.share == 0 and whole is not None:
            yield hidden, whole
        elif hidden.kind == "requests" and hidden.share > 0:
            if whole is None:
                whole = predict(model, encode_table(model, items, None), store, "test")
            if hidden.modality not in absent:
                out = torch.from_numpy(shown_modalities(store, hidden._replace(share=1.0)))
                absent[hidden.modality] = predict(
                    model, encode_table(model, items, out), store, "test"
                )
            yield hidden, np.where(hidden_requests(store, hidden), absent[hidden.modality], whole)
        elif hidden.kind in ("noise", "stale") and hidden.share > 0:
            with other_vectors(model, store, hidden.modality, changed_vectors(store, hidden)):
                yield hidden, predict(model, encode_table(model, items, None), store, "test")
        else:
            keep = torch.from_numpy(shown_modalities(store, hidden)) if hidden.share > 0 else None
            logits = predict(model, encode_table(model, items, keep), store, "test")
            whole = logits if hidden.share == 0 else whole
            yield hidden, logits
