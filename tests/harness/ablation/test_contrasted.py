"""Paths, effects, shares and deltas of planted metrics: weights and ends by hand, no file read."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fusefront.harness.ablation.deltas import AblationScores, adjusted_deltas
from fusefront.harness.statistics.contrasts import contrasts
from fusefront.harness.statistics.joint import JointModel
from fusefront.harness.statistics.judging.table import minimum_effect
from fusefront.harness.statistics.judging.verdicts import read
from fusefront.harness.statistics.measures.metrics import ALL_METRICS

SIZE = 4
S2 = np.array([1e-6, 2e-6, 4e-6, 3e-6])
K = np.diag([1e-6, 3e-6, 2e-6, 5e-6])
OPTIONS = SimpleNamespace(metrics=("auc", "logloss", "pcoc"), alpha=0.05, margin=0.004)


def model_of(names: tuple[str, ...], theta: Any, n: Any = 3) -> JointModel:
    zero = np.zeros(SIZE)
    seeds = np.broadcast_to(np.array(n), SIZE).copy()
    return JointModel(names, np.array(theta), S2, seeds, K, zero, K * 0, 3000, 3000)


class PlantedScores(AblationScores):
    """One look at metrics that are there."""

    models: dict[str, JointModel]
    looks: list[Any]

    def panel(self, others: list[str], metrics: tuple[str, ...]) -> Any:
        self.looks.append((others, metrics))
        return SimpleNamespace(
            models=self.models,
            strategies=[name for name in self.models["auc"].names if name != "refused"],
            identical=lambda a, b: False,
            about=ALL_METRICS,
        )


def scores(parent: str, **models: JointModel) -> PlantedScores:
    planted = PlantedScores(cast(Any, None), parent, cast(Any, OPTIONS))
    object.__setattr__(planted, "models", models)
    object.__setattr__(planted, "looks", [])
    return planted


def ends(model: JointModel, weights: Any, at: int) -> dict[str, Any]:
    result = contrasts(model, np.array(weights, float))
    return {
        "delta": pytest.approx(float(result.value[at])),
        "low": pytest.approx(float(result.low[at])),
        "high": pytest.approx(float(result.high[at])),
        "p": pytest.approx(float(result.p[at])),
    }


def test_a_path_goes_from_the_plainest_to_the_whole() -> None:
    """Its steps in the path's order, whatever order the model has the strategies in."""
    model = model_of(("whole", "mid", "plain", "more"), [0.72, 0.70, 0.66, 0.715])
    planted = scores("whole", auc=model)
    path = planted.path(["plain", "mid", "more", "whole"], ["image", "head", "text"], "ids")
    assert planted.looks == [(["plain", "mid", "more"], ("auc",))]
    assert (path["start"], path["base"], path["start_auc"]) == ("plain", "ids", 0.66)
    weights = [[0, 1, -1, 0], [0, -1, 0, 1], [1, 0, 0, -1]]
    names, aucs = ("mid", "more", "whole"), (0.70, 0.715, 0.72)
    for at, (step, part) in enumerate(zip(path["steps"], ("image", "head", "text"), strict=True)):
        assert (step["part"], step["strategy"], step["auc"]) == (part, names[at], aucs[at])
        assert step["gain"] == ends(model, weights, at)
        assert step["gain"]["low"] < step["gain"]["delta"] < step["gain"]["high"]
    assert sum(step["gain"]["delta"] for step in path["steps"]) == pytest.approx(0.06)


def test_effects_are_means_over_the_other_factors_levels() -> None:
    factors = {"operator": ["as it is", "none"], "head": ["as it is", "linear"]}
    model = model_of(("no head", "whole", "neither", "no operator"), [0.70, 0.72, 0.65, 0.71])
    cells = {
        "whole": (),
        "no operator": ("none", "as it is"),
        "no head": ("as it is", "linear"),
        "neither": ("none", "linear"),
    }
    planted = scores("whole", auc=model)
    rows, auc = planted.effects(factors, cells)
    assert planted.looks == [(["no operator", "no head", "neither"], ("auc",))]
    assert auc == dict(zip(model.names, model.theta.tolist(), strict=True))
    weights = [[-0.5, -0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5], [-1, 1, 1, -1]]
    expected = [
        (["operator"], ["none"], 2),
        (["head"], ["linear"], 2),
        (["operator", "head"], ["none", "linear"], 1),
    ]
    for at, (row, about) in enumerate(zip(rows, expected, strict=True)):
        assert (row["factors"], row["levels"], row["cells"]) == about
        assert row["effect"] == ends(model, weights, at)
    assert rows[0]["effect"]["delta"] == pytest.approx((0.71 - 0.72 + 0.65 - 0.70) / 2)
    other = {name: ("none", f"level {name}") for name in model.names if name != "whole"}
    assert planted.effects(factors, {"whole": (), **other}) == ([], auc)  # no pair of cells


def test_retrained_shares_are_those_of_two_orders() -> None:
    model = model_of(("none", "whole", "image", "text"), [0.60, 0.72, 0.63, 0.70])
    planted = scores("whole", auc=model)
    out = {
        "whole": frozenset[str](),
        "text": frozenset({"image"}),
        "image": frozenset({"text"}),
        "none": frozenset({"text", "image"}),
    }
    shares = planted.shares(["text", "image"], out)
    assert planted.looks == [(["text", "image", "none"], ("auc",))]
    assert [share["modality"] for share in shares] == ["text", "image", "all modalities"]
    weights = [[-0.5, 0.5, -0.5, 0.5], [-0.5, 0.5, 0.5, -0.5], [-1, 1, 0, 0]]
    for at, share in enumerate(shares):
        assert share["auc"] == ends(model, weights, at)
    by_orders = ((0.70 - 0.60) + (0.72 - 0.63)) / 2
    assert shares[0]["auc"]["delta"] == pytest.approx(by_orders)
    del out["image"]
    assert planted.shares(["text", "image"], out) == []


def test_a_delta_has_its_verdict_its_error_and_what_it_could_see() -> None:
    """Of three metrics; strategies whose scores are refused are no rows."""
    names = ("less", "whole", "near", "refused")
    models = {
        "auc": model_of(names, [0.69, 0.72, 0.7205, 0.5]),
        "logloss": model_of(names, [0.44, 0.40, 0.401, 0.9]),
        "pcoc": model_of(names, [1.1, 1.0, 1.02, 3.0]),
    }
    planted = scores("whole", **models)
    deltas = planted.deltas(["near", "less", "refused"])
    assert planted.looks == [(["near", "less", "refused"], OPTIONS.metrics)]
    assert list(deltas) == ["near", "less"]
    model, panel = models["auc"], planted.panel([], ())
    by, alone = adjusted_deltas(panel, "auc", ["near", "less"], "whole", 0.05)
    for name, delta in deltas.items():
        i = names.index(name)
        pair = model.pair(i, 1)
        assert {key: delta[key] for key in ("delta", "low", "high", "p")} == by[name]
        assert (delta["se"], delta["df"]) == (pair.se, pair.df)
        assert delta["mde"] == pytest.approx(minimum_effect(model, i, 1, alone))
        low, high = by[name]["low"], by[name]["high"]
        assert low is not None
        assert high is not None
        assert delta["verdict"] == read(low, high, 0.004)
        assert list(delta["metrics"]) == ["logloss", "pcoc"]
    assert len({delta["verdict"] for delta in deltas.values()}) == 2
    assert deltas["less"]["metrics"]["logloss"]["delta"] == pytest.approx(0.04)


def test_one_seed_has_the_ends_of_its_trained_models_and_no_p() -> None:
    """And is not counted among those that p is adjusted for."""
    names = ("less", "whole", "single", "same")
    model = model_of(names, [0.69, 0.72, 0.71, 0.72], n=[3, 3, 1, 3])
    model = replace(model, floor=np.eye(SIZE) * 1e-7)
    panel = cast(
        Any,
        SimpleNamespace(
            models={"auc": model}, identical=lambda a, b: "same" in (a, b), about=ALL_METRICS
        ),
    )
    deltas, alone = adjusted_deltas(panel, "auc", ["less", "single", "same"], "whole", 0.05)
    trained = model.trained_pair(2, 1)
    assert trained.low < trained.high
    assert deltas["single"] == {
        "delta": pytest.approx(-0.01),
        "low": trained.low,
        "high": trained.high,
        "p": None,
    }
    assert deltas["same"] == {"delta": 0.0, "low": None, "high": None, "p": None}
    assert alone == 0.05  # one p, and it is shown
    assert deltas["less"]["p"] == pytest.approx(model.pair(0, 1).p)
    two = model_of(names, [0.69, 0.72, 0.71, 0.72], n=2)
    panel.models["auc"] = two
    assert adjusted_deltas(panel, "auc", ["less"], "whole", 0.05).deltas["less"]["p"] is not None
