"""The decision and the report know nothing of each other and say the same words.

`harness/decision` imports no report and `reports` imports nothing but itself, so the words of a
decision stand in both. A word that is added on one side alone fails here.
"""

from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

import pytest

from fusefront.harness.decision import outcome, sensitivity
from fusefront.reports import evidence


def shape(kind: type) -> dict[str, tuple[Any, Any]]:
    """field -> its type and its default."""
    hints = get_type_hints(kind)
    return {
        each.name: (hints[each.name], None if each.default is MISSING else each.default)
        for each in fields(kind)  # type: ignore[arg-type]
    }


@pytest.mark.parametrize("name", ["Case", "Reason"])
def test_cases_and_reasons_are_the_same_words_in_the_same_order(name: str) -> None:
    words = get_args(getattr(outcome, name))
    assert len(words) >= 4
    assert words == get_args(getattr(evidence, name))


def test_what_is_missing_has_the_same_fields_types_and_defaults() -> None:
    kinds = get_args(get_type_hints(outcome.MissingEvidence)["kind"])
    assert len(kinds) >= 7
    assert shape(outcome.MissingEvidence) == shape(evidence.Lack)


def test_knobs_and_sides_of_a_change_are_the_same_words() -> None:
    hints = get_type_hints(evidence.Change)
    assert get_args(hints["knob"]) == get_args(sensitivity.Knob)
    sides = get_args(get_type_hints(sensitivity.Flip)["side"])
    assert get_args(hints["side"]) == ("at", *sides)


def test_what_a_step_and_a_change_share_has_one_type() -> None:
    ours, theirs = get_type_hints(sensitivity.Flip), get_type_hints(evidence.Change)
    assert ours["value"] is theirs["value"] is float
    assert get_args(get_type_hints(outcome.Outcome)["case"]) == get_args(theirs["case"])
