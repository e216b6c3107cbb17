"""Label rates by split and over time."""

import math

import numpy as np

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import SPLITS, Sample, blocks
from fusefront.datasets.store import PreparedDataset

PERIODS = 20


def check_classes(store: PreparedDataset, _: Sample) -> list[Finding]:
    """Splits with clicks only or without any."""
    found = []
    for name in SPLITS:
        counts = store.manifest.counts[name]
        if counts.positives in (0, counts.rows):
            only = "clicks" if counts.positives else "non-clicks"
            found.append(
                Finding(
                    f"single_class.{name}",
                    "severe",
                    f"The {name} split holds {only} only ({counts.rows:,} rows).",
                    "No AUC exists there; check the label column, or draw negatives.",
                    {"rows": counts.rows, "positives": counts.positives},
                )
            )
    return found


def check_rates(store: PreparedDataset, _: Sample) -> list[Finding]:
    """Label rates that differ between the splits by more than chance and a quarter."""
    counts = store.manifest.counts
    rates = {name: counts[name].positives / max(counts[name].rows, 1) for name in SPLITS}
    high, low = max(rates, key=rates.__getitem__), min(rates, key=rates.__getitem__)
    rows = sum(part.rows for part in counts.values())
    mean = sum(part.positives for part in counts.values()) / max(rows, 1)
    smallest = min(counts[high].rows, counts[low].rows)
    chance = math.sqrt(mean * (1 - mean) * 2 / max(smallest, 1))
    apart = rates[high] - rates[low] > 5 * chance and rates[high] > 1.25 * rates[low]
    said = ", ".join(f"{name} {percent(rate)}" for name, rate in rates.items())
    return [
        Finding(
            "label_rate",
            "warning" if apart else "note",
            f"Label rate: {said}.",
            f"{high} clicks far more than {low}: the splits are different populations, and "
            "calibration will not carry over; check how rows were chosen."
            if apart
            else "The splits agree.",
            {f"{name}_rate": rate for name, rate in rates.items()},
        )
    ]


def check_drift(store: PreparedDataset, _: Sample) -> list[Finding] | None:
    """Label rate over twenty equal periods of the log."""
    if not store.manifest.timestamps:
        return None
    edges = [_span(store, name) for name in SPLITS]
    first, last = min(edge[0] for edge in edges), max(edge[1] for edge in edges)
    rows, clicks = np.zeros(PERIODS), np.zeros(PERIODS)
    for name in SPLITS:
        for block in blocks(store, name):
            assert block.split.timestamp is not None
            time = np.asarray(block.split.timestamp[block.rows]) - first
            period = np.minimum(time * PERIODS // max(last - first, 1), PERIODS - 1)
            rows += np.bincount(period, minlength=PERIODS)
            label = np.asarray(block.split.label[block.rows])
            clicks += np.bincount(period, label, PERIODS)
    enough = rows >= max(100, rows.sum() / 200)
    rate = clicks[enough] / rows[enough]
    if len(rate) < 2:
        return []
    chance = math.sqrt(2 * float(rate.mean()) * (1 - float(rate.mean())) / rows[enough].min())
    apart = rate.max() - rate.min() > max(5 * chance, 0.02) and rate.max() > 1.5 * rate.min()
    if not apart:
        return []
    return [
        Finding(
            "label_drift",
            "warning",
            f"The label rate moves between {percent(float(rate.min()))} and "
            f"{percent(float(rate.max()))} over the log.",
            "A rule, a page or the logging changed; train on the latest regime, or report by period.",
            {
                "lowest": float(rate.min()),
                "highest": float(rate.max()),
                "first_period": float(rate[0]),
                "last_period": float(rate[-1]),
            },
        )
    ]


def _span(store: PreparedDataset, name: str) -> tuple[int, int]:
    low, high = 2**62, -(2**62)
    for block in blocks(store, name):
        assert block.split.timestamp is not None
        time = np.asarray(block.split.timestamp[block.rows])
        if len(time):
            low, high = min(low, int(time.min())), max(high, int(time.max()))
    return low, high
