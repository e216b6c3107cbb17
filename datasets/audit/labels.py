"""Label rates by split and over time."""

import math
from collections.abc import Iterator

import numpy as np

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import SPLITS, UserSample, blocks
from fusefront.datasets.store import PreparedDataset

PERIODS = 20
SURE, UNSURE = 5.0, 2.0  # standard errors beyond which a difference is, or may be, more than chance
MUCH = 1.25  # times the lower rate


def check_classes(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Splits with clicks only, or without any click."""
    findings = []
    for name in SPLITS:
        counts = store.manifest.counts[name]
        if counts.positives in (0, counts.rows):
            only = "clicks" if counts.positives else "non-clicks"
            findings.append(
                Finding(
                    f"single_class.{name}",
                    "severe",
                    f"The {name} split holds {only} only ({counts.rows:,} rows).",
                    "No AUC exists there; check the label column, or draw negatives.",
                    {"rows": counts.rows, "positives": counts.positives},
                )
            )
    return findings


def check_rates(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Label rates of the splits, and whether they differ by more than chance."""
    counts = store.manifest.counts
    return [
        say_rates(
            {name: (counts[name].positives, counts[name].rows) for name in SPLITS},
            drawn=store.manifest.drawn,
        )
    ]


def say_rates(counts: dict[str, tuple[int, int]], *, drawn: int = 0) -> Finding:
    """The finding on the splits' (positives, rows); `drawn` negatives were drawn for each positive.

    Chance is the standard error of a difference of two rates of independent rows. Since rows of a
    user are dependent, only differences beyond five of these errors are called more than chance,
    and only those within two are called no more than chance.
    """
    rates = {name: positives / max(rows, 1) for name, (positives, rows) in counts.items()}
    high, low = max(rates, key=rates.__getitem__), min(rates, key=rates.__getitem__)
    gap = rates[high] - rates[low]
    clicks = counts[high][0] + counts[low][0]
    mean = clicks / max(counts[high][1] + counts[low][1], 1)
    inverse = 1 / max(counts[high][1], 1) + 1 / max(counts[low][1], 1)
    chance = math.sqrt(mean * (1 - mean) * inverse)
    errors = gap / chance if chance else 0.0
    apart = errors > SURE and rates[high] > MUCH * rates[low] and not drawn
    points = f"{100 * gap:.2g} points"
    if drawn:
        detail = f"It is that of the draw, {drawn} negatives for each positive, not of the log."
    elif apart:
        detail = (
            f"{high} clicks far more than {low} ({points}): the splits are different populations, "
            "and calibration will not carry over; check how rows were chosen."
        )
    elif errors > SURE:
        detail = (
            f"{high} clicks more than {low} by {points}, which is more than chance: calibration "
            "learned on train will be off by about so much."
        )
    elif errors > UNSURE:
        detail = f"{high} and {low} differ by {points}, which chance may just give."
    else:
        detail = "They differ no more than by chance."
    listing = ", ".join(f"{name} {percent(rate)}" for name, rate in rates.items())
    return Finding(
        "label_rate",
        "warning" if apart else "note",
        f"Label rate: {listing}.",
        detail,
        {
            **{f"{name}_rate": rate for name, rate in rates.items()},
            "gap": gap,
            "errors": errors,
        },
    )


def check_drift(store: PreparedDataset, _: UserSample) -> list[Finding] | None:
    """Label rate over twenty equal periods of the log."""
    if not store.manifest.timestamps or store.manifest.drawn:  # then the draw sets the rate
        return None
    spans = [span for name in SPLITS for span in _spans(store, name)]
    first, last = min(span[0] for span in spans), max(span[1] for span in spans)
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
            "A rule, a page or the logging changed; train on the latest regime, or report by "
            "period.",
            {
                "lowest": float(rate.min()),
                "highest": float(rate.max()),
                "first_period": float(rate[0]),
                "last_period": float(rate[-1]),
            },
        )
    ]


def _spans(store: PreparedDataset, name: str) -> Iterator[tuple[int, int]]:
    """First and last time of each block of a split."""
    for block in blocks(store, name):
        assert block.split.timestamp is not None
        time = np.asarray(block.split.timestamp[block.rows])
        yield int(time.min()), int(time.max())
