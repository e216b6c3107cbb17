"""A record is read as its type says, or refused in a sentence that names the file and the key."""

import json
from pathlib import Path

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.records import (
    AblationRecord,
    EnvironmentRecord,
    Matrix,
    RunSummary,
    Status,
    Trial,
    read_record,
    starting_with,
    write_record,
)

WHOLE = {"run_id": "a1", "seed": 3, "valid_auc": 0.7, "parameters_dense": 12, "report_text.x": 0.5}


def test_what_was_written_is_read_with_its_version_and_keys_of_later_programs(tmp_path: Path):
    path = tmp_path / "summary.json"
    write_record(path, {**WHOLE, "later": [1, 2]})
    assert read_record(path, RunSummary) == {"format": 1, **WHOLE, "later": [1, 2]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "got no readable JSON"),
        ("{", "got no readable JSON"),
        ("null", "the whole: input should be a valid dictionary"),
        ("[]", "the whole: input should be a valid dictionary"),
        ('{"seed": 1}', "run_id: field required"),
        ('{"run_id": 1}', "run_id: input should be a valid string"),
        ('{"run_id": "a", "valid_auc": "high"}', "valid_auc: input should be a valid number"),
        ('{"run_id": "a", "format": 2}', "got format 2, this program reads 1"),
        ("[" * 100_000, "got no readable JSON"),
    ],
)
def test_a_damaged_record_is_one_sentence(tmp_path: Path, text: str, says: str):
    path = tmp_path / "summary.json"
    path.write_text(text)
    with pytest.raises(DataContractError) as refusal:
        read_record(path, RunSummary)
    sentence = str(refusal.value)
    assert sentence.startswith(f"{path}: ")
    assert says in sentence
    assert "\n" not in sentence


def test_bytes_that_are_no_utf8_and_a_missing_file_are_sentences(tmp_path: Path):
    path = tmp_path / "status.json"
    path.write_bytes('{"state": "completed", "reason": "é"}'.encode("latin-1"))
    with pytest.raises(DataContractError, match="got no readable JSON"):
        read_record(path, Status)
    with pytest.raises(DataContractError, match="not there"):
        read_record(tmp_path / "none.json", Status)


@pytest.mark.parametrize(
    ("kind", "content", "key"),
    [
        (Status, {"state": "asleep"}, "state"),
        (Matrix, {"dataset": "d", "fingerprint": "f", "store": "s", "cells": [{}]}, "cells.0"),
        (AblationRecord, {"cells": [], "rows": [{"strategy": "a", "without": "b"}]}, "rows.0"),
        (Trial, {"number": 0, "state": "ok"}, "value"),
    ],
)
def test_a_key_inside_is_named_by_its_place(tmp_path: Path, kind, content, key: str):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataContractError, match=key):
        read_record(path, kind)


def test_numbers_under_a_prefix_are_given_without_it():
    assert starting_with(WHOLE, "parameters_") == {"dense": 12.0}
    assert starting_with(WHOLE, "report_") == {"text.x": 0.5}
    assert starting_with(WHOLE, "run_") == {}  # a text is no number


def test_an_environment_of_an_earlier_program_may_say_less(tmp_path: Path):
    path = tmp_path / "environment.json"
    path.write_text('{"python": "3.11"}')
    assert read_record(path, EnvironmentRecord) == {"python": "3.11"}
    path.write_text('{"git": {"sha": "a1"}}')  # of sources without their state
    assert read_record(path, EnvironmentRecord) == {"git": {"sha": "a1"}}
    path.write_text('{"python": 3}')
    with pytest.raises(DataContractError, match="python: input should be a valid string"):
        read_record(path, EnvironmentRecord)
