"""Intervals of one strategy's metric and of its difference, or the sentence why there is none."""

import numpy as np
from scipy import special

from fusefront.harness.statistics.comparison import Estimate
from fusefront.harness.statistics.joint import FEWEST_CLUSTERS, JointModel
from fusefront.harness.statistics.metrics import ALL_METRICS
from fusefront.harness.statistics.panel import Panel

TRAINED_ONLY = "these trained models only; no verdict on the strategy"


def lacking(model: JointModel) -> str:
    """Why the model gives no intervals, empty if it does."""
    if model.m < 2:
        return "one cluster: an estimate only"
    if model.mc < FEWEST_CLUSTERS:
        return (
            f"no interval: {model.mc} clusters hold a positive and a negative class or fewer, "
            f"{FEWEST_CLUSTERS} are needed"
        )
    return ""


def alone(panel: Panel, metric: str, name: str) -> Estimate:
    """A strategy's metric with its 95 % interval over rows and seeds."""
    about = ALL_METRICS[metric]
    model = panel.models[metric]
    place = model.index(name)
    value, se, df = model.alone(place)
    if np.isnan(value):
        return Estimate(value, note=f"undefined: {about.undefined or 'one class only'}")
    if note := lacking(model):
        return Estimate(value, note=note)
    if name in panel.constant and about.scale == "logit":
        return Estimate(value, note="no variation: every score is the same")
    if not se > 0:
        return Estimate(value, note="no interval: nothing varies")
    t = float(special.stdtrit(min(df, 1e9), 0.975))
    note = TRAINED_ONLY if model.n[place] < 2 else ""
    if about.scale == "logit":
        if not 0 < value < 1:
            return Estimate(value, note="no interval: the value is at its limit")
        half = t * se / (value * (1 - value))
        middle = special.logit(value)
        low, high = special.expit(middle - half), special.expit(middle + half)
        return Estimate(value, float(low), float(high), note)
    # an ECE is too high by at most what chance alone would show
    bias = panel.chance["ece_scaled" if metric.endswith("scaled") else "ece"][name]
    low = max(value - bias - t * se, 0.0) if about.scale == "biased" else value - t * se
    return Estimate(value, low, value + t * se, note)


def difference(panel: Panel, metric: str, a: str, b: str) -> Estimate:
    """a - b with its 95 % interval over rows and seeds."""
    model = panel.models[metric]
    i, j = model.index(a), model.index(b)
    value = float(model.diff[i, j])
    if np.isnan(value):
        return Estimate(value, note=f"undefined: {ALL_METRICS[metric].undefined or 'one class'}")
    if panel.identical(a, b):
        return Estimate(value, note=f"identical predictions to {b!r}")
    if ALL_METRICS[metric].scale == "biased":
        return Estimate(value, note="no interval: its coverage is not proven")
    if note := lacking(model):
        return Estimate(value, note=note)
    if min(model.n[i], model.n[j]) < 2:
        pair = model.trained_pair(i, j)
        return Estimate(value, pair.low, pair.high, TRAINED_ONLY)
    pair = model.pair(i, j)
    if not pair.se > 0:
        return Estimate(
            value, note="no interval: the difference varies neither with rows nor seeds"
        )
    return Estimate(value, pair.low, pair.high)
