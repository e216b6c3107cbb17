"""How much was searched is said as the records hold it, never as the study asked for it."""

from dataclasses import replace

import pytest

from fusefront.reports.evidence import Evidence
from fusefront.reports.words.reviewer import methods


@pytest.mark.parametrize(
    ("finished", "sentence"),
    [
        ({}, "No setting was searched."),
        (
            {"a": 8, "b": 8},
            "Every strategy that was searched has 8 finished tuning trials on record.",
        ),
        ({"b": 7, "a": 8}, "Finished tuning trials on record differ by strategy: a 8, b 7."),
        ({"a": 8, "b": 0}, "Finished tuning trials on record differ by strategy: a 8, b 0."),
    ],
)
def test_the_budget_is_counted(
    full_evidence: Evidence, finished: dict[str, int], sentence: str
) -> None:
    study = replace(full_evidence.study, finished_trials=finished)
    (_, text), *others = methods(replace(full_evidence, study=study))
    assert text.endswith(sentence)
    assert "same number" not in text
    assert len(others) > 2
