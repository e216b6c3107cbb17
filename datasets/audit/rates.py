"""Checks how well the user's and the item's click rate so far rank the rows, and whether they are
inputs."""

import numpy as np

from fusefront.datasets.audit.finding import Finding
from fusefront.datasets.audit.ranking import auc
from fusefront.datasets.audit.rows import UserSample
from fusefront.datasets.counting.numbers import POSITIVES, ROWS
from fusefront.datasets.counting.plan import Ledger
from fusefront.datasets.counting.timeline import Timeline
from fusefront.datasets.store import PreparedDataset

NAMES = {"user": "the user's rate so far", "item": "the item's rate so far"}
PRIOR = 10.0  # rows at train's mean rate that are added to every rate
VALID = 1


def rates_so_far(store: PreparedDataset, sample: UserSample) -> dict[str, float]:
    """AUC on valid of the rates over all rows of the sample strictly before each row's time.

    Empty without times, or if negatives are drawn, since those were never shown.
    """
    if not sample.timed or store.manifest.drawn:
        return {}
    rows = sample.rows
    label, time = rows["label"].to_numpy(), rows["time"].to_numpy().astype(np.int64)
    valid = rows["split"].to_numpy() == VALID
    if not valid.any() or label[valid].min() == label[valid].max():
        return {}
    train = store.manifest.counts["train"]
    values = np.stack([np.ones(len(label), np.int64), label.astype(np.int64)], axis=1)
    aucs = {}
    for key, name in NAMES.items():
        timeline = Timeline(rows[key].to_numpy().astype(np.int64).view(np.uint64), time)
        number = timeline.numbers()[valid]
        sums = timeline.sums(Ledger((key,)), values, number, time[valid])
        shrunk = sums[:, POSITIVES] + PRIOR * train.positives / train.rows
        aucs[name] = auc(label[valid], shrunk / (sums[:, ROWS] + PRIOR))
    return aucs


def unused_rates(store: PreparedDataset, aucs: dict[str, float]) -> list[Finding]:
    """A note where rates so far are known and no input of the models."""
    counters = store.manifest.counters
    entries = counters.entries if counters is not None else ()
    used = {entry.key[0] for entry in entries if entry.of is not None and len(entry.key) == 1}
    unused = {key: aucs[name] for key, name in NAMES.items() if name in aucs and key not in used}
    if not unused:
        return []
    listed = " and ".join(f"{NAMES[key]} (AUC {value:.3f})" for key, value in unused.items())
    verb = "are no inputs" if len(unused) > 1 else "is no input"
    add = ", ".join(f"{{of: {key}}}" for key in unused)
    return [
        Finding(
            "rates_so_far",
            "note",
            f"{listed[0].upper()}{listed[1:]}, strictly before the row, {verb}.",
            f"A model without them may lose to a few such numbers: add counters: [{add}], or run "
            "the control that counts.",
            {NAMES[key]: value for key, value in unused.items()},
        )
    ]
