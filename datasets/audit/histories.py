"""Checks for answers inside the history: the target itself, or events that had not happened yet."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.audit.finding import Finding, Severity, percent
from fusefront.datasets.audit.rows import BLOCK_VALUES, SPLITS, Longs, UserSample, blocks, histories
from fusefront.datasets.store import PreparedDataset

Bools = NDArray[np.bool_]

# Hits among positives minus hits among negatives. Without any leak 0.02 was seen with 5,000 items
# and 0.14 with 500, since tastes repeat; a leak of the newest entry stands out sooner.
SEVERE_GAP, WARNING_GAP, NOTE_GAP = 0.3, 0.15, 0.05
SEVERE_NEWEST, WARNING_NEWEST = 0.2, 0.05
ALL = 0.95  # share of the positives: no log has so many repetitions
FEW = 50


def check_made(store: PreparedDataset, _: UserSample) -> list[Finding] | None:
    """Histories that are not the past but the user's train positives, because the log has no
    times."""
    history = store.manifest.history
    if store.manifest.schema_.max_history == 0 or history is None:
        return None
    if history.past != "train":
        return []
    return [
        Finding(
            "history_of_train",
            "note",
            history.sentence(),
            "It may hold events later than the row, as in the published untimed layouts; where "
            "there are times, name them in columns.timestamp.",
            {"max_length": store.manifest.schema_.max_history},
        )
    ]


def check_target(store: PreparedDataset, _: UserSample) -> list[Finding] | None:
    """Positives whose target is in their own history, compared with negatives."""
    if store.manifest.schema_.max_history == 0:
        return None
    hits, newest, counts = np.zeros(2), np.zeros(2), np.zeros(2)
    for name in SPLITS:
        for block in blocks(store, name, most_rows=4_000_000):
            label = np.asarray(block.split.label[block.rows])
            item = np.asarray(block.split.item[block.rows], np.int64)
            inside, last = _holds(store, block.start, block.length, block.owner, item)
            counts += np.bincount(label, minlength=2)
            hits += np.bincount(label, inside, 2)
            newest += np.bincount(label, last, 2)
    negative, positive = (float(share) for share in hits / np.maximum(counts, 1))
    others_end, ends_in_it = (float(share) for share in newest / np.maximum(counts, 1))
    severity = _severity(positive - negative, int(counts[1]), ends_in_it - others_end)
    advice = (
        "A history must end before its request; build it with history from: log, or accept this "
        "if people really come back to the same items that often."
    )
    if store.manifest.drawn:
        history = store.manifest.history  # earlier events alone cannot hold the row's own click
        causal = history is not None and history.past == "earlier"
        much = positive >= ALL or ends_in_it - others_end >= SEVERE_NEWEST
        if severity == "severe" and (causal or not much):
            severity = "warning"
        advice += (
            " Drawn negatives are never items that the user clicked, so a repeat gives its label "
            "away."
        )
    if severity is None:
        return []
    return [
        Finding(
            "target_in_history",
            severity,
            f"{percent(positive)} of the positives have their own target in their history, "
            f"{percent(negative)} of the negatives do; for {percent(ends_in_it)} it is the newest "
            "entry.",
            advice,
            {"positives": positive, "negatives": negative, "positives_newest": ends_in_it},
        )
    ]


def check_future(store: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """First-time positives that were already in the history of the user's previous request."""
    if store.manifest.schema_.max_history == 0 or not sample.timed:
        return None
    requests = sample.requests.sort("user", "time", "request").with_row_index("before")
    requests = requests.with_columns(
        pl.when(pl.col("user") == pl.col("user").shift(1)).then(pl.col("before").cast(pl.Int64) - 1)
    )
    new = sample.rows.sort("user", "item", "time").filter(
        (pl.col("label").cast(pl.Int64).cum_sum().over("user", "item") - pl.col("label")) == 0
    )
    links = requests.select("split", "request", "before")
    rows = new.join(links, on=["split", "request"]).drop_nulls("before")
    earlier = requests["time"].to_numpy()[rows["before"].to_numpy()]
    rows = rows.filter(pl.Series(earlier, dtype=pl.Int64) < rows["time"])
    inside = _inside_before(store, requests, rows)
    label = rows["label"].to_numpy()
    counts = np.bincount(label, minlength=2)
    negative, positive = (
        float(share) for share in np.bincount(label, inside, 2) / np.maximum(counts, 1)
    )
    severity = _severity(positive - negative, int(counts[1]))
    if severity is None:
        return []
    return [
        Finding(
            "future_in_history",
            severity,
            f"{percent(positive)} of the positives are already in the history of the user's "
            f"request before, though the user had not clicked them yet ({percent(negative)} of "
            "the negatives are).",
            "The history holds events of the future, as when one list a user is put on every row; "
            "build it with history from: log.",
            {"positives": positive, "negatives": negative, "rows": int(counts.sum())},
        )
    ]


def _severity(gap: float, positives: int, newest: float = 0.0) -> Severity | None:
    if positives < FEW:
        return None
    if gap >= SEVERE_GAP or newest >= SEVERE_NEWEST:
        return "severe"
    if gap >= WARNING_GAP or newest >= WARNING_NEWEST:
        return "warning"
    return "note" if gap >= NOTE_GAP else None


def _holds(
    store: PreparedDataset, start: Longs, length: Longs, owner: Longs, item: Longs
) -> tuple[Bools, Bools]:
    """Whether each row's item is in its request's history [n], and whether it is the newest [n]."""
    width = store.manifest.schema_.items + 1
    entries, request, distance = histories(store.history_values, start, length)
    keys = np.append(
        np.sort(request * width + entries), -1
    )  # the last one stands for "after the end"
    pairs = owner * width + item
    inside = keys[np.searchsorted(keys[:-1], pairs)] == pairs
    newest = np.zeros(len(start), np.int64)
    newest[request[distance == 0]] = entries[distance == 0]
    return inside, newest[owner] == item


def _inside_before(store: PreparedDataset, requests: pl.DataFrame, rows: pl.DataFrame) -> Bools:
    """Whether each row's item is in the history of the request `before` [n]."""
    start, length = requests["start"].to_numpy(), requests["length"].to_numpy()
    before, item = rows["before"].to_numpy(), rows["item"].to_numpy().astype(np.int64)
    inside = np.zeros(len(rows), bool)
    step = max(1, BLOCK_VALUES // max(store.manifest.schema_.max_history, 1))
    for first in range(0, len(rows), step):
        part = slice(first, first + step)
        used, owner = np.unique(before[part], return_inverse=True)
        inside[part] = _holds(store, start[used], length[used], owner, item[part])[0]
    return inside
