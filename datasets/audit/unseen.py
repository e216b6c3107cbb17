"""Fields whose values in valid or test are mostly unknown to train."""

import numpy as np

from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.rows import SPLITS, UserSample, blocks
from fusefront.datasets.audit.shortcuts import Feature, category_features
from fusefront.datasets.store import PreparedDataset

MOSTLY = 0.5  # share of the rows, beyond the share that train lacks
ROWS = 1_000_000


def check_unseen(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Categories with code 0 on most rows of valid or test, and on fewer of train."""
    findings = []
    for feature in category_features(store):
        share = {name: _without(store, feature, name) for name in SPLITS}
        if max(share["valid"], share["test"]) - share["train"] < MOSTLY:
            continue
        findings.append(
            Finding(
                f"unseen.{feature.name}",
                "warning",
                f"{percent(share['test'])} of the test rows and {percent(share['valid'])} of the "
                f"valid rows have no value of {feature.name} that train knows (in train itself "
                f"{percent(share['train'])} have none).",
                "A value that changes with time, such as a date, or one that is written in another "
                "way in another file: 1 and 1.0, 0 and False. Nothing learned of it helps there.",
                {f"{name}_rows": part for name, part in share.items()},
            )
        )
    return findings


def _without(store: PreparedDataset, feature: Feature, split: str) -> float:
    """The share of the rows whose every column of the field is 0: absent or unseen."""
    none = rows = 0
    for block in blocks(store, split, most_rows=ROWS):
        codes = feature.codes(block)
        empty = codes == 0 if codes.ndim == 1 else (codes == 0).all(axis=1)
        none, rows = none + int(np.count_nonzero(empty)), rows + len(codes)
    return none / max(rows, 1)
