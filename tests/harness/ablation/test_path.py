"""The path from the plainest strategy to the whole: nested, in order, and what means nothing is
added with the next."""

from typing import Any

import pytest

from fusefront.baselines.contract import Parts
from fusefront.harness.ablation.path import build_path, by_gain
from fusefront.harness.ablation.plan import Workbench, removals
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Strategy
from fusefront.harness.testing.scene import SCHEMA


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts([])


def opened(parts: Parts, **body: Any) -> Workbench:
    strategy = Strategy.model_validate({"baseline": "compressed_fusion", **body})
    return Workbench.open("mine", strategy, SCHEMA, parts)


def test_parts_are_added_in_the_order_given(parts: Parts) -> None:
    """Each strategy leaves out what comes later; the last lacks only the part added last."""
    table = opened(parts)
    factors = {factor.name: factor for factor in removals(table)}
    order = ["use_id", "text", "operator", "head"]
    path = build_path(table, [factors[name] for name in order])
    assert path.parts == order
    assert path.base == ""
    assert [each.without for each in path.strategies] == [
        "use_id, text, operator, head",
        "text, operator, head",
        "operator, head",
        "head",
    ]
    assert path.strategies[-1].name == "mine without head"  # the single removal's own run
    first = path.strategies[0].strategy.settings
    assert first["use_id"] is False
    assert first["modalities"] == ["image", "audio"]
    assert (first["operator"], first["head"]) == (None, {"name": "linear"})
    assert set(path.strategies[0].changed) == {"use_id", "modalities", "operator", "head"}


def test_what_means_nothing_is_added_with_the_next(parts: Parts) -> None:
    """Without id, item fields and any modality nothing is left: the path begins with one."""
    table = opened(parts, side_width=0, operator=None)
    factors = {factor.name: factor for factor in removals(table)}
    order = ["text", "use_id", "image", "audio"]
    path = build_path(table, [factors[name] for name in order])
    assert path.parts == ["use_id", "image", "audio"]
    assert path.base == "text"
    assert path.strategies[0].without == "use_id, image, audio"
    assert path.strategies[0].strategy.settings["modalities"] == ["text"]
    longer = build_path(table, [factors[name] for name in ["head", *order]])
    assert (longer.parts, longer.base) == (path.parts, "head + text")


def test_the_most_on_validation_comes_first(parts: Parts) -> None:
    factors = removals(opened(parts))
    gains = {"text": 0.02, "head": 0.05, "audio": -0.01}
    names = [factor.name for factor in by_gain(factors, gains)]
    assert names[:3] == ["head", "text", "audio"]
    assert sorted(names[3:]) == sorted({f.name for f in factors} - set(gains))
