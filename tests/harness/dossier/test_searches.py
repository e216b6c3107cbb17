"""Whether a search had settled is said of searches long enough to tell."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fusefront.harness.dossier.facts import finished_trials, searches
from fusefront.harness.runs.store import find_study

Make = Callable[..., Path]
CLIMBS = (0.60, 0.61, 0.62, 0.63, 0.64, 0.65, 0.66, 0.67)
RESTS = (0.60, 0.67, 0.62, 0.63, 0.64, 0.65, 0.66, 0.61)


@pytest.mark.parametrize(
    ("values", "settled"), [(CLIMBS, False), (RESTS, True), (CLIMBS[:2], None), (RESTS[:7], None)]
)
def test_a_short_search_is_not_judged(
    tmp_path: Path, make_study: Make, strategy: type, values: tuple[float, ...], settled: bool
) -> None:
    make_study(tmp_path, {"a": strategy(0.5, 1.0)}, baseline="a", name="one")
    study = find_study("one", tmp_path)
    (study.path / "tuning" / "a").mkdir(parents=True)
    for number, value in enumerate(values):
        record = {"number": number, "value": value, "state": "ok"}
        (study.path / "tuning" / "a" / f"trial-{number}.json").write_text(json.dumps(record))
    (curve,) = searches(study)
    assert curve.settled is settled
    assert curve.value[-1] == max(values)


def test_only_trials_that_ended_well_are_counted(
    tmp_path: Path, make_study: Make, strategy: type
) -> None:
    make_study(tmp_path, {"a": strategy(0.5, 1.0)}, baseline="a", name="one")
    study = find_study("one", tmp_path)
    ends = {"a": ("ok", "failed", "ok"), "b": ("failed",)}
    for name, states in ends.items():
        (study.path / "tuning" / name).mkdir(parents=True)
        for number, state in enumerate(states):
            record = {"number": number, "value": 0.5, "state": state}
            (study.path / "tuning" / name / f"trial-{number}.json").write_text(json.dumps(record))
    assert finished_trials(study) == {"a": 2, "b": 0}
