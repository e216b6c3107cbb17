"""Columns of the log that must not be features: outcomes of the impression, and likely scores of a
model."""

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

OUTCOME = re.compile(
    r"^(is_?)?(click|like|follow|comment|forward|share|hate|dislike|favou?rite|collect|save|skip|"
    r"download|purchase|buy|bought|cart|conver|order|long_?view|finish|complete|profile_enter)"
    r"(e?d|s|ion|ing)?(_?(flag|label))?$|"
    r"(^|_)(play|watch|stay|dwell|read|view|listen)(ed)?_?(time|ratio|ms|sec|seconds|duration|pct|length)",
    re.IGNORECASE,
)
_SCORE = re.compile(r"(score|prob|pred|p_?ctr|p_?cvr|logit|likelihood|propensity)", re.IGNORECASE)
_ROWS = 200  # fewest rows to judge a score by
_AUC, _NAMED_AUC, _SIGMAS = 0.6, 0.55, 5.0
_STRIKING = 0.85


def leak(column: pl.Series, positive: NDArray[np.bool_] | None) -> str:
    """Why a number of the log must not be a feature; "" if it may be one.

    A model's score is in [0, 1] (or is a logit) and orders the label far better than chance, or
    equals the rate at which the label is 1.
    """
    if OUTCOME.search(column.name):
        return "looks like another outcome, known after the click only"
    if positive is None or not column.dtype.is_numeric():
        return ""
    values = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
    there = np.isfinite(values)
    values, label = values[there], positive[there]
    hits = int(label.sum())
    if len(values) < _ROWS or hits in (0, len(label)):
        return ""
    auc = _auc(label, values)
    error = np.sqrt((len(label) + 1) / (12.0 * hits * (len(label) - hits)))
    strength = abs(auc - 0.5)
    if strength < _SIGMAS * error:
        return ""
    fractions = column.dtype.is_float() and len(np.unique(values)) > 20
    inside = bool(values.min() >= 0 and values.max() <= 1)
    logits = bool(values.min() < 0 < values.max())
    rate = values if inside else 1 / (1 + np.exp(-np.clip(values, -50, 50)))
    by_name = _SCORE.search(column.name) is not None
    far = strength > (_NAMED_AUC if by_name else _AUC) - 0.5
    if (fractions or by_name) and (
        (inside and far)
        or (logits and strength > 0.15)
        or (by_name and far)
        or ((inside or logits) and _calibrated(rate, label))
    ):
        return f"looks like a model's score: alone it orders the label with AUC {auc:.3f}"
    if strength > _STRIKING - 0.5:
        return f"alone it orders the label with AUC {auc:.3f}: known after the click only?"
    return ""


def _calibrated(rate: NDArray[np.float64], label: NDArray[np.bool_]) -> bool:
    """Whether ten bins by the rate hold as many positives as it says, within three errors."""
    edges = np.quantile(rate, np.linspace(0, 1, 11)[1:-1])
    place = np.searchsorted(edges, rate)
    count = np.bincount(place, minlength=10)
    if (count < 20).any() or rate.std() < 0.02:
        return False
    expected = np.bincount(place, rate, 10)
    spread = np.sqrt(np.bincount(place, rate * (1 - rate), 10))
    off = np.abs(np.bincount(place, label, 10) - expected) / np.maximum(spread, 1e-9)
    return bool((off < 3).all())


def _auc(label: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Area under the ROC curve, ties one half."""
    _, code, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    hits = int(label.sum())
    won = float(rank[code[label]].sum()) - hits * (hits + 1) / 2
    return won / (hits * (len(label) - hits))
