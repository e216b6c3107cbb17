"""The zoo's models over the scene of the public checks."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from fusefront.baselines.contract import Baseline, Parts, Schema
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.testing.scene import SCHEMA, Scene, make_scene

PARTS = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)

torch.set_num_threads(1)


class ZooScene(Scene):
    """A scene whose models are named as in the zoo."""

    def build(
        self, name: str, settings: Mapping[str, object] | None = None, *, seed: int = 0
    ) -> Baseline:
        """The model over this data, in float64 so that comparisons are sharp."""
        return self.model(BASELINES[name], settings or {}, PARTS, seed)


def scene_over(schema: Schema) -> ZooScene:
    return ZooScene(*make_scene(schema))


@pytest.fixture(scope="session")
def scene() -> ZooScene:
    return scene_over(SCHEMA)


@pytest.fixture(scope="session")
def scene_of() -> Callable[[Schema], ZooScene]:
    return scene_over


@pytest.fixture(scope="session")
def schema() -> Schema:
    return SCHEMA


@pytest.fixture(scope="session")
def parts() -> Parts:
    return PARTS


class PageSection(NamedTuple):
    """What docs/models.md promises of a model, as it stands there: key -> default or choices."""

    settings: Mapping[str, str]
    choices: Mapping[str, str]
    recipe: str


def page_section(text: str) -> PageSection:
    def line(start: str) -> str:
        matched = re.search(rf"^{start}: (.*)\.$", text, re.MULTILINE)
        return matched[1].split("; the rest as ")[0] if matched else ""

    def pairs(row: str, separator: str) -> dict[str, str]:
        parts = re.split(rf"{separator} (?=`)", row) if row else []
        return {part[1:].split("` ")[0]: part.split("` ", 1)[1] for part in parts}

    settings, choices = pairs(line("Settings"), ","), pairs(line("Searched"), ";")
    return PageSection(settings, choices, line("Trained by default as published"))


def page_spelling(value: object) -> str:
    """A default or a choice as the page spells it."""
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "-".join(str(part) for part in value)
    if isinstance(value, Mapping):
        inner = [f"{key}: {page_spelling(own)}" for key, own in value.items() if key != "name"]
        return f"{value['name']} ({', '.join(inner)})" if inner else str(value["name"])
    return str(value) or "first"


@pytest.fixture(scope="session")
def page_sections() -> Mapping[str, PageSection]:
    """Section of docs/models.md by the model's name; of models alone."""
    page = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
    sections = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    by_name = {text.split("\n")[0]: text for text in sections}
    return {name: page_section(text) for name, text in by_name.items() if name in BASELINES}


@pytest.fixture(scope="session")
def settings_of_code() -> Callable[[str], tuple[dict[str, str], dict[str, str]]]:
    """A model's defaults and its choices, as the page spells them."""

    def spelled(name: str) -> tuple[dict[str, str], dict[str, str]]:
        kind = BASELINES[name]
        defaults = {
            field.name: field.default if field.default is not MISSING else field.default_factory()
            for field in fields(kind.Settings)
        }
        choices = {
            key: ", ".join(map(page_spelling, values)) for key, values in kind.choices.items()
        }
        return {key: page_spelling(value) for key, value in defaults.items()}, choices

    return spelled
