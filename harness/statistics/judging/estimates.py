"""Intervals of a strategy's metric and of its difference, or a sentence that says why there is
none."""

import numpy as np
from scipy import special

from fusefront.harness.statistics import student
from fusefront.harness.statistics.joint import FEWEST_CLUSTERS, FEWEST_EFFECTIVE, JointModel
from fusefront.harness.statistics.panel import Panel
from fusefront.harness.statistics.result_rows import Estimate

TRAINED_ONLY = "these trained models only; no verdict on the strategy"


def lacking(model: JointModel) -> str:
    """Why the model gives no intervals; "" if it does."""
    if model.m < 2:
        return "one cluster: an estimate only"
    if model.mc < FEWEST_CLUSTERS:
        return (
            f"no interval: only {clusters_hold(model.mc)} one of the classes, "
            f"{FEWEST_CLUSTERS} are needed"
        )
    if model.informative < FEWEST_EFFECTIVE:
        return (
            f"no interval: one cluster holds so much that all count as {model.informative:.1f} "
            f"equal ones, {FEWEST_EFFECTIVE:g} are needed"
        )
    return ""


def clusters_hold(count: int) -> str:
    """Subject and verb of a sentence about few clusters.

    >>> clusters_hold(1), clusters_hold(9)
    ('1 cluster holds', '9 clusters hold')
    """
    return "1 cluster holds" if count == 1 else f"{count} clusters hold"


def alone(panel: Panel, metric: str, name: str) -> Estimate:
    """A strategy's metric with its 95 % interval over rows and seeds."""
    about = panel.about[metric]
    model = panel.models[metric]
    place = model.index(name)
    value, se, _ = model.alone(place)
    if np.isnan(value):
        return Estimate(value, note=f"undefined: {about.undefined or 'one class only'}")
    if note := lacking(model):
        return Estimate(value, note=note)
    if name in panel.constant and about.scale == "logit":
        return Estimate(value, note="no variation: every score is the same")
    if not se > 0:
        return Estimate(value, note="no interval: nothing varies")
    if about.scale == "logit" and not 0 < value < 1:
        return Estimate(value, note="no interval: the value is at its limit")
    bias = 0.0
    if about.scale == "biased":
        bias = panel.chance["ece_scaled" if metric.endswith("scaled") else "ece"][name]
    low, high = ends(model, place, about.scale, bias)
    return Estimate(value, low, high, TRAINED_ONLY if model.n[place] < 2 else "")


def ends(model: JointModel, place: int, scale: str, bias: float = 0.0) -> tuple[float, float]:
    """95 % interval of one strategy's metric; on the logit scale for shares, on the log scale for
    ratios.

    `bias` is the largest upward bias of an error measure that cannot be negative (ECE).
    """
    value, se, df = model.alone(place)
    half = float(student.quantile(df, 0.5 + model.level / 2)) * se
    if scale == "logit":
        middle, half = float(special.logit(value)), half / (value * (1 - value))
        return float(special.expit(middle - half)), float(special.expit(middle + half))
    if scale == "log":
        middle, half = float(np.log(value)), half / value
        return float(np.exp(middle - half)), float(np.exp(middle + half))
    if scale == "biased":
        return max(value - bias - half, 0.0), value + half
    return value - half, value + half


def difference(panel: Panel, metric: str, a: str, b: str, critical: float) -> Estimate:
    """a - b with its interval over rows and seeds, `critical` standard errors to either side."""
    model = panel.models[metric]
    i, j = model.index(a), model.index(b)
    value = float(model.diff[i, j])
    if np.isnan(value):
        return Estimate(value, note=f"undefined: {panel.about[metric].undefined or 'one class'}")
    if panel.identical(a, b):
        return Estimate(value, note=f"identical predictions to {b!r}")
    if panel.about[metric].scale == "biased":
        return Estimate(value, note="no interval: its coverage is not proven")
    if note := lacking(model):
        return Estimate(value, note=note)
    if min(model.n[i], model.n[j]) < 2:
        pair = model.trained_pair(i, j)
        return Estimate(value, pair.low, pair.high, TRAINED_ONLY)
    pair = model.simultaneous(i, j, critical)
    if not pair.se > 0:
        return Estimate(
            value, note="no interval: the difference varies neither with rows nor seeds"
        )
    return Estimate(value, pair.low, pair.high)
