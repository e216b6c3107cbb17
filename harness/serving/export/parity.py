"""The check before a latency counts: the served graph scores as the trained model does."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.baselines.contract import Baseline, ItemCodes, RequestBatch, Schema
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.batches import Batcher
from fusefront.harness.serving.export.online import (
    TOLERANCE,
    difference,
    eager_logits,
    random_feeds,
)
from fusefront.harness.serving.export.request import HISTORIES, Feed
from fusefront.harness.serving.export.trace import Example
from fusefront.harness.statistics.auc import exact_auc

AUC_TOLERANCE = 1e-4  # of reduced precisions
SIZES = (
    Example(1, 1, 64),
    Example(3, 7, 11),
    Example(4, 512, 64),
)  # with several users, the first has no history
ROWS = 20_000  # rows for the change of AUC: of validation, and of train if that is short
CALIBRATION_ROWS = 8_000
Logits = Callable[[Feed], NDArray[np.float32]]


class Parity(NamedTuple):
    """The result of the check."""

    passed: bool
    max_difference: float  # of probabilities, over K = 1, 7, 512 with empty and ragged histories
    auc_change: float | None  # on 20,000 rows; None for float32
    reason: str  # why it failed, "" if it passed


def check_exact(logits: Logits, model: Baseline, codes: ItemCodes, schema: Schema) -> Parity:
    """For float32: every probability within 1e-5 of PyTorch's."""
    worst = 0.0
    for feed in random_feeds(schema, SIZES):
        worst = max(worst, difference(logits(feed), eager_logits(model, codes, feed)))
    passed = worst <= TOLERANCE
    reason = "" if passed else f"probabilities differ by {worst:.1e} (at most {TOLERANCE:.0e})"
    return Parity(passed, worst, None, reason)


def check_reduced(
    logits: Logits, model: Baseline, codes: ItemCodes, schema: Schema, store: PreparedDataset
) -> Parity:
    """For reduced precision: the AUC on 20,000 rows within 1e-4 of PyTorch's.

    The rows are of validation and, if that is shorter, also of train: the two scorers are compared
    with each other, not judged, and in a few hundred rows a few swapped pairs change the AUC by
    more than 1e-4.
    """
    worst = check_exact(logits, model, codes, schema).max_difference
    parts = []
    count = 0
    for split in ("valid", "train"):
        if count < ROWS:
            reduced = score_split(logits, store, split, ROWS - count)
            two = score_split(
                lambda feed: eager_logits(model, codes, feed), store, split, ROWS - count
            )
            parts.append(np.stack([reduced, two, store.split(split).label[: len(reduced)]]))
            count += len(reduced)
    served, exact, label = np.concatenate(parts, 1)
    if len(np.unique(label)) < 2:
        return Parity(True, worst, None, "")
    change = exact_auc(served, label) - exact_auc(exact, label)
    passed = abs(change) <= AUC_TOLERANCE
    reason = "" if passed else f"AUC changes by {change:+.1e} (at most {AUC_TOLERANCE:.0e})"
    return Parity(passed, worst, float(change), reason)


def score_split(
    logits: Logits, store: PreparedDataset, split: str, most_rows: float = math.inf
) -> NDArray[np.float32]:
    """Logits [rows] of a split's rows in the store's order; `most_rows` stops after the first whole
    batches."""
    parts = [logits(feed).ravel()[rows] for feed, rows in first_feeds(store, split, most_rows)]
    return np.concatenate([np.zeros(0, np.float32), *parts])


def calibration_feeds(store: PreparedDataset, rows: int = CALIBRATION_ROWS) -> tuple[Feed, ...]:
    """Requests of validation (else of train) from which the ranges of activations are measured."""
    for split in ("valid", "train"):
        if feeds := tuple(feed for feed, _ in first_feeds(store, split, rows)):
            return feeds
    return ()


def first_feeds(
    store: PreparedDataset, split: str, most_rows: float
) -> Iterator[tuple[Feed, NDArray[np.int64]]]:
    """The first feeds of `split_feeds`, with their places [rows], that have `most_rows` rows
    together, or all."""
    count = 0
    for feed, places in split_feeds(store, split):
        yield feed, places
        count += len(places)
        if count >= most_rows:
            return


def split_feeds(
    store: PreparedDataset, split: str, batch_rows: int = 2048, longest: int = 512
) -> Iterator[tuple[Feed, NDArray[np.int64]]]:
    """Feeds of a whole split, and the flat places [rows] of their real candidates."""
    for batch in Batcher(store, split, longest).batches(batch_rows):
        yield batch_feed(batch), batch.rows.numpy()


def batch_feed(batch: RequestBatch) -> Feed:
    """A batch of the data module as a feed; its histories have at least one place."""
    items = batch.items.numpy()
    feed: Feed = {
        "history": items[batch.history.numpy()],
        "history_mask": batch.history_mask.numpy(),
        "candidates": items[batch.candidates.numpy()],
    }
    if batch.events is not None:
        feed["history_kinds"] = batch.events.kind[batch.events.place].numpy()
    if not feed["history"].size:
        for name in {*HISTORIES} & {*feed}:
            feed[name] = np.zeros((len(feed[name]), 1), feed[name].dtype)
    contexts = (("request", batch.request_context), ("candidate", batch.candidate_context))
    for side, context in contexts:
        for kind, part in (("ids", context.ids), ("numbers", context.numbers)):
            if part.shape[-1]:
                feed[f"{side}_{kind}"] = part.numpy()
    return feed
