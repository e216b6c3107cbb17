"""What a person does not set is what docs/models.md says, and so is what a search tries."""

import pytest

from fusefront.baselines.zoo import BASELINES

NAMES = [name for name, kind in BASELINES.items() if kind.family != "published"]


@pytest.mark.parametrize("name", NAMES)
def test_defaults_and_choices_are_those_of_the_page(page_sections, settings_of_code, name):
    section, (defaults, choices) = page_sections[name], settings_of_code(name)
    assert section.settings
    assert {key: defaults[key] for key in section.settings} == section.settings
    assert choices == section.choices
