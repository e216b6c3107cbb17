"""Ablations with real trainings on worlds of known truth: the planted effect stands where it was
planted, and nothing where nothing was.

The traps of these worlds: an MLP head hides what an operator adds (the factorial plan crosses the
two), and the multiplicative world has base rate .5, so that a modality alone says nothing.
"""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from fusefront.harness.ablation.run import AblationOptions, ablate_study
from fusefront.harness.jobs.pipeline import StudyRequest, begin, end, train
from fusefront.harness.runs.records import AblationRecord, MetricDelta

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def ablated(
    folder: Path, world: str, *, seed: int, requests: int, plan: str, **settings: Any
) -> AblationRecord:
    """Three seeds of compressed fusion and of the cells of a plan, trained and judged."""
    content = {
        "name": world.replace("_", "-"),
        "dataset": {
            "synthetic": world, "seed": seed, "train": requests, "valid": 1_000, "test": 3_000,
        },
        "baseline": "late_fusion",
        "strategies": {"compressed_fusion": settings, "late_fusion": {}},
        "controls": False,
        "seeds": [0, 1, 2],
        "training": {"epochs": 4, "batch_rows": 1024},
    }  # fmt: skip
    path = folder / f"{world}-{seed}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    request = StudyRequest(path, folder / f"out-{world}-{seed}", wandb=False)
    console = Console(file=io.StringIO())
    matrix, workspace = begin(request, console)
    failed = train(matrix, workspace)[1]
    end(workspace)
    assert failed == []
    return ablate_study(request, "compressed_fusion", console, AblationOptions(plan))


def holds_zero(ends: MetricDelta) -> bool:
    low, high = ends["low"], ends["high"]
    assert low is not None
    assert high is not None
    return low <= 0 <= high


def test_the_planted_modality_is_told_and_the_noise_is_not(tmp_path: Path) -> None:
    """Text steers every click of the noise world and image none (.819 and .501 alone), in three
    draws of it: differences of single removals, and the retrained Shapley values."""
    for seed in range(3):
        record = ablated(tmp_path, "noise", seed=seed, requests=3_000, plan="modalities")
        rows = {row["without"]: row for row in record["rows"]}
        planted, noise = rows["without text"], rows["without image"]
        assert planted["high"] is not None
        assert planted["high"] < -0.15
        assert holds_zero(noise), (seed, noise)
        shares = {share["modality"]: share["auc"] for share in record["shares"]}
        text = shares["text"]["low"]
        assert text is not None
        assert text > 0.15
        assert holds_zero(shares["image"]), (seed, shares)
        total = sum(shares[name]["delta"] for name in ("text", "image"))
        assert total == pytest.approx(shares["all modalities"]["delta"], abs=1e-9)
        steps = record["path"]["steps"]
        assert (record["path"]["choice"], steps[0]["part"]) == ("greedy", "text")
        assert not holds_zero(steps[0]["gain"])
        assert holds_zero(steps[1]["gain"])


CROSSED = """
design: factorial
factors:
  operator: [none]
  head: [linear]
"""


@pytest.mark.parametrize(("world", "requests"), [("multiplicative", 6_000), ("null", 6_000)])
def test_the_planted_interaction_is_told_and_none_where_there_is_none(
    tmp_path: Path, world: str, requests: int
) -> None:
    """A product of two modalities needs the bilinear operator or an MLP head: without both AUC is
    .50, with either .76. Where no modality steers anything neither matters."""
    plan = tmp_path / "crossed.yaml"
    plan.write_text(CROSSED, encoding="utf-8")
    record = ablated(tmp_path, world, seed=0, requests=requests, plan=str(plan))
    effects = {" x ".join(row["factors"]): row["effect"] for row in record["effects"]}
    both = effects["operator x head"]
    if world == "null":
        assert holds_zero(both), effects
        assert abs(both["delta"]) < 0.01
        return
    assert both["high"] is not None
    assert both["high"] < -0.1
    for main in ("operator", "head"):
        high = effects[main]["high"]
        assert high is not None
        assert high < 0
