"""What a person does not set is what docs/models.md says, and so is what a search tries."""

import re

import pytest

from fusefront.baselines.zoo import BASELINES

NAMES = [name for name, kind in BASELINES.items() if kind.family == "published"]


@pytest.mark.parametrize("name", NAMES)
def test_defaults_and_choices_are_those_of_the_page(page_sections, settings_of_code, name):
    section, (defaults, choices) = page_sections[name], settings_of_code(name)
    assert section.settings
    assert {key: defaults[key] for key in section.settings} == section.settings
    assert choices == section.choices


@pytest.mark.parametrize("name", NAMES)
def test_the_recipe_is_that_of_the_page_number_by_number(page_sections, name):
    """Adam at a constant rate or one that falls without gain, and a patience; L2 where it is."""
    recipe = dict(BASELINES[name].recipe)
    text = page_sections[name].recipe
    matched = re.match(
        r"Adam (?P<learning_rate>\S+), "
        r"(rate x (?P<anneal>\S+) an epoch without gain|constant rate), "
        r"at most (?P<epochs>\d+) epochs, patience (?P<patience>\d+), batch (?P<batch_rows>\d+)"
        r"(, L2 (?P<l2>\d\S*?))?(, L2 of embeddings (?P<l2_embedding>\S+?))?\. From: .+",
        text,
    )
    assert matched, text
    numbers = {key: float(value) for key, value in matched.groupdict().items() if value}
    assert recipe.pop("optimizer") == "adam"
    assert recipe.pop("schedule") == ("plateau" if matched["anneal"] else "constant")
    assert {key: value for key, value in recipe.items() if value} == numbers
