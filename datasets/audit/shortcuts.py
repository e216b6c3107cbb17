"""Checks for labels that one column reveals: AUC of every single feature, coded on train, scored on
valid."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusefront.datasets.audit.finding import Finding
from fusefront.datasets.audit.ranking import auc
from fusefront.datasets.audit.rates import NAMES, rates_so_far, unused_rates
from fusefront.datasets.audit.rows import RequestBlock, UserSample, blocks
from fusefront.datasets.store import PreparedDataset

SEVERE, WARNING = 0.95, 0.85
TRAIN_ROWS, VALID_ROWS = 2_000_000, 1_000_000
BINS = 64
OF_ITEMS = ("item popularity", "item click rate", "presence of modalities")
BY_COLUMN = (
    "A column known only after the click, or a shortcut of how rows were made: drop it, or accept "
    "it if it is known when the request is served."
)
BY_DRAW = (
    "Negatives are drawn from all items, so what is clicked often stands out by itself; draw: "
    "popularity asks more of a model, and no strategy should be read without that control."
)
PRIOR = 10.0  # rows at the mean rate that are added to every code

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Table = NDArray[np.generic]
Labels = NDArray[np.uint8]


class Feature(NamedTuple):
    """A column: the code of every row [n] or [n, C] (0 = none), for `size` codes."""

    name: str
    size: int
    codes: Callable[[RequestBlock], Codes]


def check_shortcuts(store: PreparedDataset, sample: UserSample) -> list[Finding] | None:
    """The AUC of each feature alone, of popularity, and of the rates so far, inputs or not."""
    aucs = single_aucs(store)
    if not aucs:
        return None
    aucs |= rates_so_far(store, sample)
    counters = store.manifest.counters
    of_the_past = {*NAMES.values(), *(counters.numbers if counters is not None else ())}
    ranked = sorted(aucs.items(), key=lambda pair: -pair[1])
    findings = unused_rates(store, aucs)
    for name, value in ranked:
        if value >= WARNING and name not in of_the_past:  # these use no label of the row or later
            sampled = store.manifest.drawn > 0 and (name in OF_ITEMS or name.startswith("item."))
            findings.append(
                Finding(
                    f"label_from.{name}",
                    "severe" if value >= SEVERE and not sampled else "warning",
                    f"{name} alone ranks the valid rows with AUC {value:.3f}.",
                    BY_DRAW if sampled else BY_COLUMN,
                    {"auc": value},
                )
            )
    best = ", ".join(f"{name} {value:.3f}" for name, value in ranked[:4])
    findings.append(
        Finding(
            "single_feature_auc",
            "note",
            f"Best single features on valid: {best}.",
            "Rates per value, coded on train; a model should beat the best of them.",
            dict(ranked),
        )
    )
    return findings


def single_aucs(store: PreparedDataset) -> dict[str, float]:
    """AUC on valid of each feature's click rate on train."""
    features = [*_plain(store), *category_features(store), *_number_features(store)]
    rows = [np.zeros(feature.size) for feature in features]
    clicks = [np.zeros(feature.size) for feature in features]
    for block in blocks(store, "train", most_rows=TRAIN_ROWS):
        clicked = np.asarray(block.split.label[block.rows], np.float64)
        for place, feature in enumerate(features):
            codes = feature.codes(block)
            weight = np.broadcast_to(clicked if codes.ndim == 1 else clicked[:, None], codes.shape)
            rows[place] += np.bincount(codes.ravel(), minlength=feature.size)
            clicks[place] += np.bincount(codes.ravel(), weight.ravel(), feature.size)
    mean = store.manifest.counts["train"].positives / max(store.manifest.counts["train"].rows, 1)
    rates = [(c + PRIOR * mean) / (r + PRIOR) for r, c in zip(rows, clicks, strict=True)]
    scores: list[list[Floats]] = [[] for _ in features]
    popularity: list[Floats] = []
    labels: list[Labels] = []
    for block in blocks(store, "valid", most_rows=VALID_ROWS):
        labels.append(np.asarray(block.split.label[block.rows]))
        popularity.append(store.items.impressions[block.split.item[block.rows]].astype(np.float64))
        for place, feature in enumerate(features):
            scores[place].append(_score(rates[place], feature.codes(block)))
    label = np.concatenate(labels)
    if label.min() == label.max():
        return {}
    aucs = {
        feature.name: auc(label, np.concatenate(parts))
        for feature, parts in zip(features, scores, strict=True)
    }
    return {"item popularity": auc(label, np.concatenate(popularity)), **aucs}


def _score(rate: Floats, codes: Codes) -> Floats:
    each: Floats = rate[codes]
    if codes.ndim == 1:
        return each
    there = codes > 0
    total = (each * there).sum(axis=1)
    mean: Floats = total / np.maximum(there.sum(axis=1), 1)
    return np.where(there.any(axis=1), mean, rate[0])


def _plain(store: PreparedDataset) -> list[Feature]:
    """What every store has: the item, the row's place, history length and presence."""
    longest = store.manifest.schema_.max_history
    present = store.items.present
    pattern = present @ (1 << np.arange(present.shape[1])) if present.shape[1] else None

    def place(block: RequestBlock) -> Codes:
        first = np.asarray(block.split.row_start[block.first : block.last]) - block.rows.start
        places: Codes = np.minimum(np.arange(len(block.owner)) - first[block.owner], BINS - 1)
        return places

    features = [
        Feature(
            "item click rate",
            store.manifest.schema_.items + 1,
            lambda block: np.asarray(block.split.item[block.rows], np.int64),
        ),
        Feature("place of the row in its request", BINS, place),
        Feature("history length", longest + 1, lambda block: block.length[block.owner]),
    ]
    if pattern is not None and present.shape[1] <= 12:
        features.append(
            Feature(
                "presence of modalities",
                1 << present.shape[1],
                lambda block: pattern[block.split.item[block.rows]],
            )
        )
    return features


def tables(store: PreparedDataset, kind: str) -> dict[str, Callable[[RequestBlock], Table]]:
    """How to read the integer or float columns of each side for the rows of a block: side -> a
    function to [rows, columns]."""
    fields = store.items.fields if kind == "ids" else store.items.numbers
    request, candidate = f"request_{kind}", f"candidate_{kind}"
    return {
        "request": lambda block: getattr(block.split, request)[block.first : block.last][
            block.owner
        ],
        "candidate": lambda block: np.asarray(getattr(block.split, candidate)[block.rows]),
        "item": lambda block: fields[block.split.item[block.rows]],
    }


def category_features(store: PreparedDataset) -> list[Feature]:
    """Every categorical field of requests, candidates and items."""
    schema = store.manifest.schema_
    sides = {
        "request": schema.request_fields,
        "candidate": schema.candidate_fields,
        "item": schema.item_fields,
    }
    read = tables(store, "ids")
    features = []
    for side, fields in sides.items():
        start = 0
        for field in fields:
            columns = slice(start, start + field.columns)
            start += field.columns
            features.append(_category(f"{side}.{field.name}", field.size, read[side], columns))
    return features


def _category(
    name: str, size: int, table: Callable[[RequestBlock], Table], columns: slice
) -> Feature:
    def codes(block: RequestBlock) -> Codes:
        part = table(block)[:, columns].astype(np.int64)
        return part[:, 0] if part.shape[1] == 1 else part

    return Feature(name, size, codes)


def _number_features(store: PreparedDataset) -> list[Feature]:
    """Numbers as 64 bins with equally many train rows, so that any shape of dependence is seen."""
    schema = store.manifest.schema_
    sides = {
        "request": schema.request_numbers,
        "candidate": schema.candidate_numbers,
        "item": schema.item_numbers,
    }
    read = tables(store, "numbers")
    features = []
    for side, names in sides.items():
        if not names:
            continue
        train_values = [read[side](block) for block in blocks(store, "train", most_rows=200_000)]
        values = np.concatenate(train_values).astype(np.float64)
        for column, name in enumerate(names):
            edges = np.unique(np.quantile(values[:, column], np.linspace(0, 1, BINS)[1:-1]))
            features.append(_number(f"{side}.{name}", edges, read[side], column))
    return features


def _number(
    name: str, edges: Floats, table: Callable[[RequestBlock], Table], column: int
) -> Feature:
    def codes(block: RequestBlock) -> Codes:
        return np.searchsorted(edges, table(block)[:, column], side="left")

    return Feature(name, len(edges) + 1, codes)
