"""Checks of the items: which lack a modality, and which are new to train."""

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import SPLITS, UserSample, blocks
from fusefront.datasets.store import PreparedDataset


def shown(store: PreparedDataset, name: str) -> NDArray[np.int64]:
    """How often each item is a candidate in a split [n + 1]."""
    counts = np.zeros(store.manifest.schema_.items + 1, np.int64)
    for block in blocks(store, name):
        counts += np.bincount(block.split.item[block.rows], minlength=len(counts))
    return counts


def check_missing(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Items and interactions without a modality."""
    present = np.asarray(store.items.present)
    counts = {name: shown(store, name) for name in SPLITS}
    findings = []
    for m, modality in enumerate(store.manifest.schema_.modalities):
        absent = ~present[:, m]
        items = float(absent[1:].mean())
        if items == 0:
            continue
        rows = {name: float(c[absent].sum() / max(c.sum(), 1)) for name, c in counts.items()}
        most, least = max(rows, key=rows.__getitem__), min(rows, key=rows.__getitem__)
        gap = rows[most] - rows[least]
        findings.append(
            Finding(
                f"missing.{modality}",
                "warning" if rows[most] > 0.5 or gap > 0.2 else "note",
                f"{percent(items)} of the items and {percent(rows['test'])} of the test rows lack "
                f"{modality!r} (train {percent(rows['train'])}).",
                f"It lacks on {percent(gap)} more of the {most} rows than of the {least} rows: "
                "what train teaches of it does not carry over as it stands."
                if gap > 0.2
                else (
                    "Presence is passed to every model; the ablation shows what the modality gives."
                ),
                {
                    "items": items,
                    "gap": gap,
                    **{f"{name}_rows": share for name, share in rows.items()},
                },
            )
        )
    return findings


def check_cold_items(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Rows whose item train has not seen; in an item-cold split, items that it has seen."""
    in_train = np.asarray(store.items.impressions) > 0
    counts = {name: shown(store, name) for name in SPLITS[1:]}
    rows = {name: float(c[~in_train].sum() / max(c.sum(), 1)) for name, c in counts.items()}
    findings = []
    if any(rows.values()):
        findings.append(
            Finding(
                "cold_items",
                "note",
                f"{percent(rows['test'])} of the test rows and {percent(rows['valid'])} of the "
                "valid rows show an item that train never showed.",
                "Id embeddings know nothing there; the slice when: cold_item shows them apart.",
                {
                    **{f"{name}_rows": share for name, share in rows.items()},
                    "items": int(((counts["test"] > 0) & ~in_train).sum()),
                },
            )
        )
    if store.manifest.split_by == "item_cold" and rows["test"] < 0.5:
        findings.append(
            Finding(
                "item_overlap",
                "warning",
                f"Only {percent(rows['test'])} of the test rows of this item-cold split show a "
                "cold item.",
                "Requests with one cold candidate bring their warm ones along; read the slice "
                "when: cold_item.",
                {"test_rows_cold": rows["test"]},
            )
        )
    return findings
