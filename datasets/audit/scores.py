"""Checks for columns that look like a model's score: a probability of the label, or its logit."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.audit.finding import Finding
from fusefront.datasets.audit.ranking import auc
from fusefront.datasets.audit.rows import RequestBlock, UserSample, blocks
from fusefront.datasets.audit.shortcuts import category_features, single_aucs, tables
from fusefront.datasets.store import PreparedDataset

ROWS = 300_000  # of train
DISTINCT = 50  # a score has many values
BINS = 20
CALIBRATED = 0.03  # mean distance of observed and predicted rates, in probability
SPREAD = 0.1  # range that observed rates must span, to exclude constants near the mean
SLOPE = (0.75, 1.33)  # accepted slopes of observed over predicted rates
FAR, LEAST_AUC = 0.1, 0.65  # above the best other column
_STEPS = 25

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]


class ScoreColumn(NamedTuple):
    """A column of raw numbers: its name, and its values for the rows of a block (NaN = none)."""

    name: str
    values: Callable[[RequestBlock], Floats]


def check_scores(store: PreparedDataset, _: UserSample) -> list[Finding]:
    """Numbers that are calibrated probabilities of the label, or rank far above all others."""
    findings = []
    counters = store.manifest.counters
    of_the_past = counters.numbers if counters is not None else ()  # rates that were known
    aucs: dict[str, float] = {}  # computed only if needed: they cost a pass over train
    for column in _numbers(store):
        if column.name in of_the_past:
            continue
        score, label = _read(store, column)
        if len(np.unique(score)) < DISTINCT or label.min() == label.max():
            continue
        alone = max(own := auc(label, score), 1 - own)
        finding = _probability(column.name, score, label, alone)
        if finding is None and alone >= LEAST_AUC:
            aucs = aucs or single_aucs(store)
            others = [value for name, value in aucs.items() if name != column.name]
            finding = _far_above(column.name, score, label, alone, max(others, default=0.5))
        findings += [finding] if finding else []
    return findings


def _read(store: PreparedDataset, column: ScoreColumn) -> tuple[Floats, Labels]:
    scores, labels = [], []
    for block in blocks(store, "train", most_rows=ROWS):
        values = column.values(block)
        there = np.isfinite(values)
        scores.append(values[there])
        labels.append(np.asarray(block.split.label[block.rows])[there])
    return np.concatenate(scores), np.concatenate(labels)


def _probability(name: str, score: Floats, label: Labels, alone: float) -> Finding | None:
    """A finding where the values, or their sigmoid, are the rates at which rows are clicked."""
    kinds = {"a probability": score} if score.min() >= 0 and score.max() <= 1 else {}
    kinds["a logit"] = 1 / (1 + np.exp(-np.clip(score, -50, 50)))
    for kind, predicted in kinds.items():
        off, slope, spread = calibration(predicted, label)
        if off <= CALIBRATED and spread >= SPREAD and SLOPE[0] <= slope <= SLOPE[1]:
            return Finding(
                f"score.{name}",
                "warning",
                f"{name} looks like {kind} of the label: the rows' rates follow it within "
                f"{off:.3f} (AUC {alone:.3f}).",
                "An old model's output or the truth itself: a strategy that reads it is compared "
                "on somebody else's work; leave it out, or accept it if it is served with the "
                "request.",
                {"auc": alone, "calibration_error": off, "slope": slope},
            )
    return None


def _far_above(
    name: str, score: Floats, label: Labels, alone: float, others: float
) -> Finding | None:
    """A finding where a smooth column ranks far above every other, as a model's score does."""
    if alone < others + FAR:
        return None
    bounded = bool(score.min() >= 0 and score.max() <= 1)
    if not bounded and calibration(logistic(score, label), label)[0] > CALIBRATED:
        return None
    return Finding(
        f"score.{name}",
        "warning",
        f"{name} alone ranks the train rows with AUC {alone:.3f}, the best other column with "
        f"{others:.3f}.",
        "So does an old model's score: leave it out, or accept it if it is known when the request "
        "is served.",
        {"auc": alone, "others": others},
    )


def calibration(predicted: Floats, label: Labels) -> tuple[float, float, float]:
    """For predicted rates [n] and labels [n], over 20 groups of equally many rows: (mean distance
    of observed and predicted rates, slope of observed over predicted, span of the observed rates).
    """
    order = np.argsort(predicted, kind="stable")
    groups = np.array_split(order, BINS)
    weight = np.array([len(group) for group in groups], np.float64)
    expected = np.array([predicted[group].mean() for group in groups if len(group)])
    observed = np.array([label[group].mean() for group in groups if len(group)])
    weight = weight[weight > 0]
    off = float(np.average(np.abs(expected - observed), weights=weight))
    x = expected - np.average(expected, weights=weight)
    y = observed - np.average(observed, weights=weight)
    width = float((weight * x * x).sum())
    slope = float((weight * x * y).sum()) / width if width > 0 else 0.0
    return off, slope, float(observed.max() - observed.min())


def logistic(score: Floats, label: Labels) -> Floats:
    """The rates [n] of a logistic regression of labels [n] on one column [n], by Newton's steps."""
    deviation = float(score.std()) or 1.0
    x = np.clip((score - score.mean()) / deviation, -10, 10)
    intercept = slope = 0.0
    for _ in range(_STEPS):
        rate = 1 / (1 + np.exp(-(intercept + slope * x)))
        error, weight = label - rate, np.maximum(rate * (1 - rate), 1e-9)
        hessian = np.array([[weight.sum(), (weight * x).sum()], [0.0, (weight * x * x).sum()]])
        hessian[1, 0] = hessian[0, 1]
        step = np.linalg.solve(hessian + 1e-9 * np.eye(2), [error.sum(), (error * x).sum()])
        intercept, slope = intercept + float(step[0]), slope + float(step[1])
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(1 / (1 + np.exp(-(intercept + slope * x))), np.float64)


def _numbers(store: PreparedDataset) -> Iterator[ScoreColumn]:
    """Number fields in their own units, and categories whose values are numbers in text."""
    schema, scalings = store.manifest.schema_, store.manifest.numbers
    sides = {
        "request": schema.request_numbers,
        "candidate": schema.candidate_numbers,
        "item": schema.item_numbers,
    }
    read = tables(store, "numbers")
    for side, names in sides.items():
        for column, field in enumerate(names):
            scaling = scalings.get(f"{side}.{field}")
            mean, deviation = (scaling.mean, scaling.deviation) if scaling else (0.0, 1.0)
            yield ScoreColumn(
                f"{side}.{field}",
                lambda block, c=column, m=mean, d=deviation, t=read[side]: (  # type: ignore[misc]
                    t(block)[:, c].astype(np.float64) * d + m
                ),
            )
    for feature in category_features(store):
        side, _, field = feature.name.partition(".")
        book = store.vocabulary(side, field)
        known = book.with_columns(
            number=pl.col("value").cast(pl.Float64, strict=False)
        ).drop_nulls()
        if known.height < max(DISTINCT, 0.9 * book.height):
            continue
        values = np.full(feature.size, np.nan)
        values[known["code"].to_numpy()] = known["number"].to_numpy()
        yield ScoreColumn(
            feature.name,
            lambda block, f=feature, v=values: _single(v[f.codes(block)]),  # type: ignore[misc]
        )


def _single(values: Floats) -> Floats:
    return values if values.ndim == 1 else values[:, 0]
