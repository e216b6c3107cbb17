"""What a person does not set is what docs/models.md says, and so is what a search tries."""

from dataclasses import MISSING, fields

import pytest

from fusefront.baselines.zoo import BASELINES

NAMES = [name for name, kind in BASELINES.items() if kind.family != "published"]


@pytest.mark.parametrize("name", NAMES)
def test_defaults_and_choices_are_those_of_the_page(page_sections, in_page_words, name):
    kind, section = BASELINES[name], page_sections[name]
    defaults = {
        field.name: field.default if field.default is not MISSING else field.default_factory()
        for field in fields(kind.Settings)
    }
    assert section.settings
    assert {key: in_page_words(defaults[key]) for key in section.settings} == section.settings
    choices = {key: ", ".join(map(in_page_words, values)) for key, values in kind.choices.items()}
    assert choices == section.choices
