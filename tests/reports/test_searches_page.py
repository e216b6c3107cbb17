"""The page on searches: ways of fusing, budget spent, importances, winners to copy."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fusefront.reports.evidence import (
    Evidence,
    FusingVerdict,
    Interval,
    Searched,
    SearchSpent,
    TrainingCurve,
)
from fusefront.reports.render import render
from fusefront.reports.sections import Section, sections

SEARCHES = (
    SearchSpent(
        "pca64", 9, 1, 612.4, 0.7123, 6, "doubling the trials would bring about another 0.0031",
        {"training.learning_rate": 0.71, "head.dropout": 0.29},
        "pca64:\n  head: {dropout: 0.1}\n  training: {learning_rate: 0.004}\n  tune: false\n",
    ),
    SearchSpent(
        "late_weighted", 10, 0, 300.0, 0.7, importance={"training.learning_rate": 1.0},
        winner="late_weighted: {tune: false}\n",
    ),
)  # fmt: skip
VERDICTS = (
    FusingVerdict("late_weighted", 10, 0.0012, None, None, "baseline"),
    FusingVerdict("pca64", 9, 0.0021, Interval(0.004, -0.002, 0.01), 0.83, "cannot tell", "why"),
    FusingVerdict("other", 3, None, Interval(0.002), None, "no verdict", "3 completed trials"),
)
SENTENCE = "3 completed trials each (other): no verdict on strategies."


@pytest.fixture
def evidence(full_evidence: Evidence) -> Evidence:
    pooled = {"training.learning_rate": 0.9, "head.dropout": 0.1}
    searched = Searched(SEARCHES, pooled, VERDICTS, (SENTENCE,))
    curves = (
        TrainingCurve("pca64", "trials", (0.69, 0.7, 0.7123), None, seconds=(60.0, 200.0, 612.4)),
        TrainingCurve("late_weighted", "trials", (0.69, 0.7), None, seconds=(100.0, 300.0)),
    )
    return replace(full_evidence, searched=searched, training=curves)


@pytest.fixture
def shown(evidence: Evidence) -> dict[str, Section]:
    return {section.key: section for section in sections(evidence, "en")}


def test_ways_of_fusing_have_a_table_and_say_what_it_means(shown: dict[str, Section]) -> None:
    assert list(shown)[:2] == ["leaderboard", "fusing"]
    section = shown["fusing"]
    assert section.notes == (SENTENCE,)
    assert section.table is not None
    assert [row.cells for row in section.table.rows] == [
        ("late_weighted", "10", "±0.0012", "–", "–", "–", "baseline"),
        ("pca64", "9", "±0.0021", "+0.0040", "[\u22120.0020,\xa00.0100]", "83%", "cannot tell"),
        ("other", "3", "–", "+0.0020", "no interval", "–", "no verdict: 3 completed trials"),
    ]


def test_the_budget_spent_is_shown_with_why_a_search_had_not_converged(
    shown: dict[str, Section],
) -> None:
    table = shown["searches"].table
    assert table is not None
    assert [row.cells for row in table.rows] == [
        ("pca64", "9", "1", "6", "612", "0.7123",
         "not converged: doubling the trials would bring about another 0.0031"),
        ("late_weighted", "10", "0", "–", "300", "0.7000", "–"),
    ]  # fmt: skip


def test_importances_stand_for_all_searches_and_for_each(shown: dict[str, Section]) -> None:
    table = shown["importance"].table
    assert table is not None
    assert table.heads == ("strategy", "training.learning_rate", "head.dropout")
    assert [row.cells for row in table.rows] == [
        ("all", "90%", "10%"),
        ("pca64", "71%", "29%"),
        ("late_weighted", "100%", "–"),
    ]


def test_the_winners_are_yaml_of_a_study(shown: dict[str, Section]) -> None:
    assert yaml.safe_load(shown["winners"].code) == {
        "strategies": {
            "pca64": {
                "head": {"dropout": 0.1},
                "training": {"learning_rate": 0.004},
                "tune": False,
            },
            "late_weighted": {"tune": False},
        }
    }


def test_the_page_shows_all_of_it_and_the_record_keeps_it(
    evidence: Evidence, tmp_path: Path
) -> None:
    page = render(evidence, tmp_path).read_text(encoding="utf-8")
    for text in (
        SENTENCE,
        "learning_rate: 0.004",
        "not converged: doubling",
        "Seconds of training",
    ):
        assert text in page
    assert Evidence.from_json(evidence.to_json()) == evidence


def test_without_searches_there_is_no_heading(full_evidence: Evidence) -> None:
    keys = {section.key for section in sections(full_evidence, "en")}
    assert not keys & {"fusing", "searches", "importance", "winners"}
    bare = replace(full_evidence, searched=Searched(sentences=("As bare.",)))
    (only,) = [section for section in sections(bare, "en") if section.key == "fusing"]
    assert (only.table, only.notes) == (None, ("As bare.",))
