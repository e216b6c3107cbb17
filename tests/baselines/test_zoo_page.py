"""docs/zoo_results.md: every part has a row, nothing diverged, and what it says follows."""

import re
from pathlib import Path

import pytest

from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS

TEXT = (Path(__file__).parents[2] / "docs" / "zoo_results.md").read_text("utf-8")
BAYES = float(re.search(r"Bayes AUC of these is\s+([.\d]+)\.", TEXT)[1])
ROW = re.compile(r"^\| `(\w+)`(?: at (\w+))? \| ([.\d]+) ± ([.\d]+) \|", re.MULTILINE)
PARTS = {
    "pooler": POOLERS,
    "head": HEADS,
    "compressor": COMPRESSORS,
    "alignment": ALIGNMENTS,
    "operator": [name for name in OPERATORS if name != "logit_stacked"],
    "model": [name for name in BASELINES if name not in ("counts", "boosted", "composed")],
}


def rows(part):
    """(name, placement) to AUC and half-width of a section."""
    section = re.search(rf"^## {part}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)[1]
    return {(name, place): (float(a), float(b)) for name, place, a, b in ROW.findall(section)}


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_a_row_or_is_named_as_not_trained(part):
    untrained = re.search(r"^Not trained in this study: (.*)\.$", TEXT, re.MULTILINE)
    others = set(re.findall(r"`([^`]+)`", untrained[1])) if untrained else set()
    names = {name for name, _ in rows(part)} | {name.split(" at ")[0] for name in others}
    assert set(PARTS[part]) <= names
    assert "Refused" not in TEXT


@pytest.mark.parametrize("part", PARTS)
def test_no_model_lies_above_the_truth(part):
    for auc, half in rows(part).values():
        assert 0.45 < auc < BAYES + half


def test_every_operator_at_interaction_is_ahead_of_every_one_at_item_and_pooled():
    by_place = {}
    for (_, place), (auc, _) in rows("operator").items():
        by_place.setdefault(place, []).append(auc)
    assert min(by_place["interaction"]) > max(by_place["item"] + by_place["pooled"])
    assert len(by_place["interaction"]) == len(by_place["item"]) == len(by_place["pooled"]) > 20


def test_models_that_compare_content_are_beside_operators_at_interaction():
    crossed = [auc for (_, place), (auc, _) in rows("operator").items() if place == "interaction"]
    models = {name: auc for (name, _), (auc, _) in rows("model").items()}
    for name in ("simtier", "muse", "dmf"):
        assert min(crossed) < models[name] < max(crossed)
