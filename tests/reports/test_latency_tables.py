"""The latency session on the page: what it holds, both scopes, queues, calls; numbers in files."""

from dataclasses import replace

import pytest

from fusefront.reports import latency_tables
from fusefront.reports.cells import values_of
from fusefront.reports.evidence import (
    Arriving,
    AtOnce,
    Evidence,
    Interval,
    ScopeGap,
    SessionQuality,
)
from fusefront.reports.exports import table_frame
from fusefront.reports.provenance import provenance
from fusefront.reports.sections import exported, sections
from fusefront.reports.tables import Table, cost

QUALITY = SessionQuality(
    sessions=2,
    rounds=40,
    visits=200,
    contended_visits=25,
    samples=4000,
    floor_p50=0.012,
    floor_p99=0.085,
    half_p50=0.009,
    half_p99=None,
    between_p50=0.004,
    between_p99=0.031,
    seconds=61.4,
    ended=("precise", "time"),
)
GAPS = (
    ScopeGap("pca64", Interval(3.0, 2.9, 3.1), Interval(4.0, 3.9, 4.1), Interval(1.0, 0.9, 1.1)),
    ScopeGap(
        "pca16",
        Interval(2.0, 1.9, 2.1),
        Interval(2.1, 2.0, 2.2),
        Interval(0.1, -0.02, 0.22),
        Interval(2.5),
        Interval(2.6),
    ),
)


@pytest.fixture
def timed(full_evidence: Evidence) -> Evidence:
    lean = replace(full_evidence, calibration=(), missing=None, training=(), ablations=())
    return replace(lean, session=QUALITY, scopes=GAPS)


def lines(table: Table) -> dict[str, str]:
    return {str(row.cells[0]): str(row.cells[1]).replace("\u00a0", " ") for row in table.rows}


def test_a_session_states_its_quality(timed: Evidence) -> None:
    table = latency_tables.session(timed)
    assert lines(table) == {
        "sessions": "2, 61 s together",
        "rounds": "40",
        "requests timed of each strategy": "4,000",
        "waited for a core": "12%: 25 of 200 visits, kept and marked",
        "two equal sessions differ by up to": "1.2% at p50, 8.5% at p99",
        "widest interval, to either side": "0.9% at p50, no bound at p99",
        "sessions repeat within (sd)": "0.4% at p50, 3.1% at p99",
    }
    assert table.note == (
        "Quiet enough to decide on. It ended with the precision that was asked for and the time "
        "that was given. Sessions are pooled, each counting as one."
    )
    frame = table_frame(table)
    assert frame.columns == ["measure", "value", "at_p99"]
    assert frame["value"].to_list() == [2, 40, 4000, 0.125, 0.012, 0.009, 0.004]
    assert frame["at_p99"].to_list() == [None, None, None, None, 0.085, None, 0.031]


def test_one_session_few_requests_and_disturbances_are_said(timed: Evidence) -> None:
    alone = replace(QUALITY, sessions=1, samples=400, between_p50=None, seconds=None, ended=())
    table = latency_tables.session(replace(timed, session=alone))
    shown = lines(table)
    assert shown["sessions"] == "1"
    assert shown["requests timed of each strategy"] == "400, no p99 below 1,000"
    assert shown["sessions repeat within (sd)"] == "not known: one session"
    assert table.note == (
        "Quiet enough to decide on. How far another session would differ is not known: "
        "`fusefront bench demo --add` measures one more."
    )
    ruined = replace(alone, disturbed=("120 of 141 visits waited for a core",), samples=None)
    table = latency_tables.session(replace(timed, session=ruined))
    assert lines(table)["requests timed of each strategy"] == "not recorded"
    assert table.note == (
        "Too disturbed to decide on: 120 of 141 visits waited for a core. Measure again."
    )


def test_both_scopes_stand_side_by_side_with_their_gap(timed: Evidence) -> None:
    table = latency_tables.scopes(timed)
    frame = table_frame(table)
    assert frame["strategy"].to_list() == ["pca16", "pca64"]  # the faster request first
    assert frame["gap_ms"].to_list() == [0.1, 1.0]
    assert frame["gap_ms_low"].to_list() == [-0.02, 0.9]
    assert frame["gap_share"].to_list() == pytest.approx([0.1 / 2.1, 0.25])
    assert frame["model_p99_ms"].to_list() == [2.5, None]
    assert [row.bar for row in table.rows] == [GAPS[1].gap, GAPS[0].gap]
    assert table.note.endswith("It is at most 25% of a request (pca64).")
    assert "key lookup" in table.note
    backwards = tuple(replace(gap, gap=Interval(-0.1)) for gap in GAPS)
    table = latency_tables.scopes(replace(timed, scopes=backwards))
    assert "at most" not in table.note


def test_queues_and_calls_have_their_own_axes(timed: Evidence) -> None:
    whole = replace(
        timed,
        arriving=(
            Arriving("pca64", 0.31, 250.0, Interval(0.004, 0.001, 0.007), 4.25, 5),
            Arriving("pca64", 1.4, 1200.0, Interval(0.9, 0.8, 1.0), None, 5, 4),
        ),
        at_once=(AtOnce("pca64", "onnx", 16, 100, 401_234.4),),
    )
    queue = latency_tables.arriving(whole)
    assert [str(row.cells[5]) for row in queue.rows] == ["4.25", "overloaded"]
    assert values_of(queue.heads[4], queue.rows[0].cells[4]) == (0.001, 0.007)
    assert str(queue.rows[0].cells[4]) == "[0.10%,\u00a00.70%]"
    assert table_frame(queue)["requests_per_second"].to_list() == [250.0, 1200.0]
    calls = table_frame(latency_tables.at_once(whole))
    assert calls["requests_at_once"].to_list() == [16]
    assert calls["predictions_per_second"].to_list() == [401_234]
    shown = sections(whole, "en")
    origins = provenance(whole, [], exported(whole, shown))["tables"]
    for name in ("session", "scopes", "arriving", "at_once"):  # each cell says what it is from
        columns = origins[name]["columns"]
        assert all(set(column) >= {"files", "in_runs"} for column in columns.values())
    keys = [section.key for section in shown]
    at = keys.index("cost")
    assert keys[at + 1 : at + 5] == ["session", "scopes", "arriving", "at_once"]
    bare = replace(whole, session=None, scopes=(), arriving=(), at_once=())
    assert not {"session", "scopes", "arriving", "at_once"} & {
        section.key for section in sections(bare, "en")
    }


def test_the_cost_table_says_whether_the_limit_is_kept(full_evidence: Evidence) -> None:
    graded = ("kept", "missed", "not known", None)
    points = tuple(
        replace(point, limit=limit, p99_open=limit == "not known")
        for point, limit in zip(full_evidence.points[:4], graded, strict=True)
    )
    table = cost(replace(full_evidence, points=points))
    column = table.heads.index("limit of 10\u00a0ms")
    by_name = {str(row.cells[0].values[0]): row.cells[column] for row in table.rows}
    names = [point.strategy for point in points]
    assert [by_name[name] for name in names] == ["kept", "missed", "not known", "\u2013"]
    open_ends = [str(row.cells[4]).endswith("] or more") for row in table.rows]
    assert sum(open_ends) == 1
