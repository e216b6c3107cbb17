"""The evidence is what crosses from the harness to the page: it must survive the trip."""

import dataclasses
import json
import math
from pathlib import Path

import pytest

from fusefront.reports.evidence import Decision, Evidence, FrontierBand, Interval, Point, StudyFacts


def small() -> Evidence:
    return Evidence(
        study=StudyFacts(name="s", dataset="d", rows_test=100, modalities={"text": 8}),
        decision=Decision(case="clear", reason="better", slo_ms=10.0, margin=0.001, choice="a"),
        points=(
            Point("a", "early", Interval(0.7, 0.69, 0.71), parameters={"dense": 3}),
            Point("<script>", "odd", Interval(0.6), metrics={"logloss": Interval(0.1)}),
        ),
        band=FrontierBand((1.0, 2.0), (None, 0.1), (None, 0.2), (None, 0.3)),
    )


def test_json_round_trip_loses_nothing():
    there = json.loads(json.dumps(small().to_json()))
    assert Evidence.from_json(there) == small()


def test_a_file_round_trip_loses_nothing(tmp_path: Path):
    small().save(tmp_path / "deep" / "evidence.json")
    assert Evidence.load(tmp_path / "deep" / "evidence.json") == small()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["evidence.json"]


def test_nan_is_written_as_null_and_read_as_nan():
    point = Point("a", "early", Interval(math.nan, math.inf, 1.0))
    value = dataclasses.replace(small(), points=(point,)).to_json()
    json.dumps(value, allow_nan=False)
    back = Evidence.from_json(value).points[0].auc
    assert math.isnan(back.value)
    assert (back.low, back.high) == (None, 1.0)


def test_a_whole_number_is_read_as_a_float_where_a_float_is_meant():
    value = json.loads(json.dumps(small().to_json()))
    value["decision"]["slo_ms"] = 10
    assert isinstance(Evidence.from_json(value).decision.slo_ms, float)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, '"format": 1'),
        ({"pionts": []}, "unknown key 'pionts'"),
        ({"study": 3}, "evidence.study: got 3, expected an object"),
        ({"points": [{"strategy": "a", "family": "early"}]}, r"points\[0\].*auc"),
        ({"decision": {"case": "won"}}, "decision.case: got 'won', expected one of 'clear'"),
        ({"points": "all"}, "points: got 'all'"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], message: str):
    value = json.loads(json.dumps(small().to_json())) | change
    with pytest.raises(ValueError, match=message):
        Evidence.from_json(value)


def test_a_broken_file_is_named(tmp_path: Path):
    path = tmp_path / "evidence.json"
    path.write_text('{"format": 1,')
    with pytest.raises(ValueError, match=r"evidence\.json: not JSON"):
        Evidence.load(path)
