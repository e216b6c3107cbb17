"""Paired differences on test from the strategy that is ablated; test is opened here, once."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from fusefront.harness.ablation.subsets import TrainedShares, trained_subsets
from fusefront.harness.dossier.comparison import study_options
from fusefront.harness.dossier.predictions import StudySource
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.records import (
    AblationPath,
    EffectRow,
    MetricDelta,
    PairedDelta,
    RetrainedShare,
)
from fusefront.harness.runs.seal import open_test
from fusefront.harness.runs.store import StudyFolder
from fusefront.harness.statistics.contrasts import contrasts
from fusefront.harness.statistics.drawn_shares import drawing_errors, with_drawing
from fusefront.harness.statistics.factorial import effects
from fusefront.harness.statistics.joint import Floats
from fusefront.harness.statistics.judging.estimates import difference
from fusefront.harness.statistics.judging.table import minimum_effect
from fusefront.harness.statistics.judging.verdicts import read
from fusefront.harness.statistics.measures.metrics import Layout
from fusefront.harness.statistics.options import Options, check_rows, spent
from fusefront.harness.statistics.panel import ITEMS_MATTER, Panel, PanelRequest, collect
from fusefront.harness.statistics.shapley import Coalitions

BESIDE = ("logloss", "pcoc")  # reported beside the AUC, which alone gets verdicts


@dataclass(frozen=True)
class AblationScores:
    """The test scores of the parent and other strategies, at the error level of this look at
    test."""

    folder: StudyFolder
    parent: str
    options: Options

    @classmethod
    def open(cls, folder: StudyFolder, parent: str) -> "AblationScores":
        """Open test and record it in opened.jsonl."""
        base = study_options(folder, metrics=("auc",))
        look = open_test(folder.path, f"ablation of {parent}").number
        alpha = base.alpha * (spent(look) / spent(1))
        options = replace(base, baseline=parent, family=(), trials=None, look=look, alpha=alpha)
        return cls(folder, parent, replace(options, metrics=("auc", *BESIDE)))

    def panel(self, others: list[str], metrics: tuple[str, ...]) -> Panel:
        """The metrics of the parent and of `others`.

        Raises:
            UsageError: a strategy has no completed runs, or its scores are refused.
        """
        names = (self.parent, *others)
        source = StudySource(self.folder, ("strategy", "control", "ablation"), names)
        if missing := [name for name in names if name not in source.strategies]:
            raise UsageError(
                f"got no completed runs of {', '.join(missing)}, expected them in study "
                f"{self.folder.name!r}"
            )
        layout = Layout(source.rows("test"), self.options.cluster)
        check_rows(layout.rows, "test")
        request = PanelRequest(
            layout, "test", metrics, two_way=self.options.two_way, crossing="auc"
        )
        panel = collect(source, request)
        if sentence := panel.refused.get(self.parent):
            raise UsageError(f"{self.parent!r} is {sentence}")
        if not self.options.two_way and panel.crossings["auc"].ratio(self.parent) > ITEMS_MATTER:
            panel = collect(source, replace(request, two_way=True))
        level = 1 - spent(self.options.look)
        panel.models = {name: replace(m, level=level) for name, m in panel.models.items()}
        return panel

    def deltas(self, others: list[str]) -> dict[str, PairedDelta]:
        """AUC, log loss and PCOC of each of `others` minus the parent's; p by Benjamini-Hochberg
        over `others`, one metric at a time.

        Intervals match these p values (Benjamini & Yekutieli 2005, JASA 100:71): if R of m
        differences are shown at rate q, intervals have the level 1 - R q / m, so that an interval
        excludes 0 exactly where its adjusted p is below q.
        """
        panel = self.panel(others, self.options.metrics)
        usable = [name for name in others if name in panel.strategies]
        by_metric = {
            metric: adjusted_deltas(panel, metric, usable, self.parent, self.options.alpha)
            for metric in ("auc", *BESIDE)
        }
        model, deltas = panel.models["auc"], {}
        alpha = by_metric["auc"].alpha
        for name in usable:
            i, base = model.index(name), model.index(self.parent)
            pair, delta = model.pair(i, base), by_metric["auc"].deltas[name]
            low, high = (np.nan if end is None else end for end in (delta["low"], delta["high"]))
            judged = delta["p"] is not None
            record: PairedDelta = {
                "delta": delta["delta"],
                "low": delta["low"],
                "high": delta["high"],
                "p": delta["p"],
                "se": known(pair.se),
                "df": known(pair.df),
                "mde": known(minimum_effect(model, i, base, alpha)),
                "verdict": read(low, high, self.options.margin) if judged else "no verdict",
                "note": difference(panel, "auc", name, self.parent, np.nan).note,
                "metrics": {metric: by_metric[metric].deltas[name] for metric in BESIDE},
            }
            deltas[name] = record
        return deltas

    def path(self, names: list[str], parts: list[str], base: str) -> AblationPath:
        """What each of `parts` adds along the strategies `names`, from the plainest to the parent,
        which comes last; intervals hold for all steps at once. `base`: the parts that the path
        starts with."""
        panel = self.panel(names[:-1], ("auc",))
        model = panel.models["auc"]
        weights = np.zeros((len(parts), len(model.names)))
        for step, (before, after) in enumerate(itertools.pairwise(names)):
            weights[step, model.index(after)] += 1
            weights[step, model.index(before)] -= 1
        steps = contrasts(model, weights)
        auc = model.means
        return {
            "start": names[0],
            "base": base,
            "start_auc": auc[names[0]],
            "steps": [
                {
                    "part": part,
                    "strategy": names[at + 1],
                    "auc": auc[names[at + 1]],
                    "gain": {
                        "delta": float(steps.value[at]),
                        "low": known(steps.low[at]),
                        "high": known(steps.high[at]),
                        "p": known(steps.p[at]),
                    },
                }
                for at, part in enumerate(parts)
            ],
        }

    def effects(
        self, factors: Mapping[str, Sequence[str]], cells: Mapping[str, tuple[str, ...]]
    ) -> tuple[list[EffectRow], dict[str, float]]:
        """Main effects and pairwise interactions, and the AUC of each strategy. `cells`: strategy
        -> its level of every factor; the parent's levels are the first ones."""
        names = [name for name in cells if name != self.parent]
        panel = self.panel(names, ("auc",))
        model = panel.models["auc"]
        own = tuple(levels[0] for levels in factors.values())
        levels = [own if name == self.parent else cells[name] for name in model.names]
        contrasted = effects(factors, levels)
        auc = model.means
        if not contrasted:
            return [], auc
        result = contrasts(model, np.array([effect.weights for effect in contrasted]))
        rows: list[EffectRow] = [
            {
                "factors": list(effect.factors),
                "levels": list(effect.levels),
                "cells": effect.cells,
                "effect": {
                    "delta": float(result.value[at]),
                    "low": known(result.low[at]),
                    "high": known(result.high[at]),
                    "p": known(result.p[at]),
                },
            }
            for at, effect in enumerate(contrasted)
        ]
        return rows, auc

    def shares(
        self,
        modalities: Sequence[str],
        out: Mapping[str, frozenset[str]],
        subsets: Coalitions | None = None,
    ) -> list[RetrainedShare]:
        """What each modality adds over all subsets, each of which is a model of its own, or over
        the subsets of sampled orders; intervals hold for all at once, and the shares sum to the
        last row. [] if a subset was not trained."""
        panel = self.panel([name for name in out if name != self.parent], ("auc",))
        model = panel.models["auc"]
        drawn = subsets or trained_subsets(len(modalities))
        weights = TrainedShares(model.names, modalities, out).weights(drawn)
        if weights is None:
            return []
        each = weights @ model.theta
        result = with_drawing(contrasts(model, weights.mean(0)), model.level, each)
        drawing = drawing_errors(each)
        rows: list[RetrainedShare] = []
        for at, name in enumerate((*modalities, "all modalities")):
            ends: MetricDelta = {
                "delta": float(result.value[at]),
                "low": known(result.low[at]),
                "high": known(result.high[at]),
                "p": known(result.p[at]),
            }
            rows.append({"modality": name, "auc": ends})
            if not drawn.exact:
                rows[-1]["drawing"] = float(drawing[at])
        return rows


class AdjustedDeltas(NamedTuple):
    """The differences of one metric, and the two-sided error of each interval alone."""

    deltas: dict[str, MetricDelta]
    alpha: float


def adjusted_deltas(
    panel: Panel, metric: str, names: list[str], parent: str, alpha: float
) -> AdjustedDeltas:
    """The differences of `names` to the parent, by Benjamini-Hochberg, with intervals that
    match."""
    model = panel.models[metric]
    base = model.index(parent)
    p: Floats = np.full(len(names), np.nan)
    for at, name in enumerate(names):
        i = model.index(name)
        if min(model.n[i], model.n[base]) > 1 and not panel.identical(name, parent):
            p[at] = model.pair(i, base).p
    adjusted = benjamini_hochberg(p)
    shown = max(int((adjusted < alpha).sum()), 1)
    alone = shown * alpha / max(int(np.isfinite(p).sum()), 1)
    deltas: dict[str, MetricDelta] = {}
    for at, name in enumerate(names):
        delta = difference(panel, metric, name, parent, np.nan)
        low, high = delta.low, delta.high
        if np.isfinite(p[at]) and np.isfinite(low):
            pair = model.pair(model.index(name), base, 1 - alone)
            low, high = pair.low, pair.high
        deltas[name] = {
            "delta": delta.value,
            "low": known(low),
            "high": known(high),
            "p": known(adjusted[at]),
        }
    return AdjustedDeltas(deltas, alone)


def benjamini_hochberg(p: Floats) -> Floats:
    """Adjusted p values [n] that control the false discovery rate (Benjamini & Hochberg 1995); nan
    stays nan and does not count.

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.04, 0.04]
    """
    adjusted = np.full(len(p), np.nan)
    places = np.flatnonzero(~np.isnan(p))
    order = places[np.argsort(p[places], kind="stable")]
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted


def known(value: float) -> float | None:
    """The number for JSON; None if it is nan."""
    return float(value) if np.isfinite(value) else None
