"""What can be taken out of a strategy, and what is left of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from fusefront.baselines.contract import Baseline, Parts, Schema
from fusefront.baselines.models.early_fusion import EarlyFusion
from fusefront.harness.ablation.plan import AblatedStrategy, ablations
from fusefront.harness.errors import UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import Strategy
from fusefront.harness.testing.scene import SCHEMA


@pytest.fixture(scope="module")
def parts() -> Parts:
    return load_parts([])


def removed(parts: Parts, **body: object) -> list[AblatedStrategy]:
    return ablations("mine", Strategy.model_validate(body), SCHEMA, parts)


def table(removals: list[AblatedStrategy]) -> list[tuple[str, str, str, str]]:
    return [
        (removal.name, removal.kind, removal.without, removal.strategy.baseline)
        for removal in removals
    ]


def test_a_preset_loses_a_modality_or_a_component_at_a_time(parts: Parts) -> None:
    removals = removed(parts, baseline="early_fusion")
    outs = [("modality", name) for name in ("text", "image", "audio")]
    names = ("use_id", "compressor", "operator", "pooler", "head", "products")
    outs += [("component", name) for name in names]
    assert table(removals) == [
        (f"mine without {out}", kind, out, "early_fusion") for kind, out in outs
    ]
    assert [removal.strategy.settings for removal in removals] == [
        {"modalities": ["image", "audio"]},
        {"modalities": ["text", "audio"]},
        {"modalities": ["text", "image"]},
        {"use_id": False},
        {"compressor": None},
        {"operator": None},
        {"pooler": {"name": "mean"}},
        {"head": {"name": "linear"}},
        {"products": False},
    ]
    assert {removal.strategy.role for removal in removals} == {"ablation"}


def test_what_the_parent_says_stays(parts: Parts) -> None:
    removals = removed(
        parts,
        baseline="gated_fusion",
        role="control",
        shuffle=("text",),
        training={"epochs": 7},
        tune=False,
        space={"k": (1, 2)},
        operator={"name": "scalar_gate", "hidden": 32},
        token_width=8,
    )
    for removal in removals:
        strategy = removal.strategy
        assert (strategy.role, strategy.shuffle, strategy.tune) == ("ablation", ("text",), False)
        assert strategy.training == {"epochs": 7}
        assert strategy.space == {"k": (1, 2)}
        assert strategy.settings["token_width"] == 8
        assert strategy.settings["operator"] == {"name": "scalar_gate", "hidden": 32}
    assert "operator" not in {
        removal.without for removal in removals
    }  # a gate is what the preset is


def test_two_modalities_leave_one_each_and_one_is_left_alone(parts: Parts) -> None:
    two = removed(parts, baseline="early_fusion", modalities=["audio", "text"])
    left = {
        removal.without: removal.strategy.settings["modalities"]
        for removal in two
        if removal.kind == "modality"
    }
    assert left == {"text": ["audio"], "audio": ["text"]}
    single = removed(parts, baseline="unimodal", modality="image")
    assert [removal.kind for removal in single] == ["component"] * len(single)
    assert [removal.without for removal in single] == ["compressor", "pooler", "head", "products"]


def test_what_is_plain_already_is_no_removal(parts: Parts) -> None:
    """A mean, a linear head and concatenation: the second choice is the same as what is there."""
    removals = removed(
        parts,
        baseline="composed",
        pooler="mean",
        head="linear",
        operator="concat",
        compressor="none",
        products=False,
    )
    assert [removal.without for removal in removals] == [
        "text",
        "image",
        "audio",
        "use_id",
        "operator",
    ]
    assert removals[-1].strategy.settings["operator"] is None


def test_additions_are_taken_out_too(parts: Parts) -> None:
    removals = removed(parts, baseline="composed", alignment="infonce", presence_features=True)
    changed = {
        removal.without: removal.strategy.settings
        for removal in removals
        if removal.kind == "component"
    }
    assert changed["alignment"]["alignment"] is None
    assert changed["presence_features"]["presence_features"] is False


@dataclass(frozen=True)
class JoinedSettings:
    operator: Mapping[str, object] | None = field(default_factory=lambda: {"name": "sum"})


class Joined(Baseline):
    """A whole model of somebody's own that needs an operator."""

    name: ClassVar[str] = "joined"
    Settings: ClassVar[type] = JoinedSettings

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> Any:
        resolved = super().check(schema, settings, parts)
        if resolved.operator is None:
            raise ValueError("joined: needs an operator")
        return resolved


def test_the_operator_becomes_a_concatenation_where_none_is_refused(parts: Parts) -> None:
    own = parts._replace(baselines={**parts.baselines, "joined": Joined})
    (removal,) = removed(own, baseline="joined")
    assert (removal.without, removal.strategy.baseline) == ("operator", "joined")
    assert removal.strategy.settings == {"operator": {"name": "concat"}}
    with pytest.raises(UsageError, match="has no part that can be taken out"):
        removed(own, baseline="joined", operator="concat")


class Fixed(EarlyFusion):
    """A preset of somebody's own that stands for its operator."""

    name: ClassVar[str] = "fixed"
    fixed: ClassVar[tuple[str, ...]] = ("placement", "operator")


def test_a_fixed_part_of_a_preset_goes_out_through_the_composed_model(parts: Parts) -> None:
    own = parts._replace(baselines={**parts.baselines, "fixed": Fixed})
    removals = removed(
        own, baseline="fixed", training={"epochs": 3}, tune=False, shuffle=("text",), token_width=8
    )
    assert {removal.strategy.baseline for removal in removals if removal.without != "operator"} == {
        "fixed"
    }
    (strategy,) = (removal.strategy for removal in removals if removal.without == "operator")
    assert (strategy.baseline, strategy.role, strategy.tune) == ("composed", "ablation", False)
    assert (strategy.training, strategy.shuffle) == ({"epochs": 3}, ("text",))
    settings = strategy.settings  # spelt out
    assert (settings["operator"], settings["placement"]) == (None, "item")
    assert (settings["token_width"], settings["use_id"]) == (8, True)
    assert settings["head"] == {"name": "mlp", "hidden": [64, 32]}  # a list, as YAML gives it


class Published(Fixed):
    """One with a recipe of its own."""

    name: ClassVar[str] = "published"
    recipe: ClassVar[Mapping[str, object]] = {"epochs": 5, "learning_rate": 0.02}


@pytest.mark.parametrize(
    ("recipe", "training"),
    [
        ("own", {"epochs": 3, "learning_rate": 0.02}),
        ("common", {"epochs": 3}),
        (None, {"epochs": 3}),
    ],
)
def test_the_composed_model_trains_by_the_recipe_that_its_preset_trains_by(
    parts: Parts, recipe: str | None, training: dict[str, object]
) -> None:
    """The published one with the strategy's own keys over it, or no other than the study's."""
    own = parts._replace(baselines={**parts.baselines, "published": Published})
    removals = removed(own, baseline="published", recipe=recipe, training={"epochs": 3})
    by = {removal.without: removal.strategy for removal in removals}
    assert (by["operator"].baseline, by["operator"].training) == ("composed", training)
    assert (by["head"].baseline, by["head"].training) == ("published", {"epochs": 3})


def test_what_reads_no_vectors_has_no_compressor_to_lose(parts: Parts) -> None:
    outs = [removal.without for removal in removed(parts, baseline="id_only")]
    assert outs == ["pooler", "head", "products"]


@pytest.mark.parametrize("baseline", ["popularity", "din"])
def test_what_has_no_parts_says_so(parts: Parts, baseline: str) -> None:
    with pytest.raises(
        UsageError, match=rf"^strategy 'mine' \({baseline}\) has no part that can be taken out$"
    ):
        removed(parts, baseline=baseline)
