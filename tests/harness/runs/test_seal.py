"""The record of looks at test stands damage: an unknown look, or one sentence."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs import seal
from fusefront.harness.runs.files import write_json, write_text
from fusefront.harness.runs.seal import (
    LOG,
    UNKNOWN_LOOKS,
    Looks,
    Opening,
    open_test,
    open_test_of_run,
    openings,
)

CELL = {"strategy": "a", "role": "strategy", "seed": 0, "run_id": "r", "baseline": "b"}
MATRIX = {"format": 1, "dataset": "d", "fingerprint": "f", "store": "s", "cells": [CELL]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_text(tmp_path / "study.yaml", "name: shop\n")
    write_json(tmp_path / "matrix.json", {**MATRIX, "cells": [{**CELL, "settings": {}}]})
    return tmp_path


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00", "é\n".encode("latin-1"), b"null\n", b"[1]\n"])
def test_a_damaged_line_is_an_unknown_look_and_the_others_stay(folder: Path, damage: bytes) -> None:
    open_test(folder, "compare")
    known = openings(folder)
    (folder / LOG).write_bytes(damage + b"\n" + (folder / LOG).read_bytes())
    *unknown, second = openings(folder)
    assert {look.time for look in unknown} == {"at an unknown time"}
    assert (second,) == known
    assert open_test(folder, "decide").second  # an unknown look may have been at anything


def test_a_look_at_a_study_without_its_spec_is_one_sentence(folder: Path) -> None:
    (folder / "study.yaml").unlink()
    with pytest.raises(DataContractError, match=r"study\.yaml: missing, so a look.*run the study"):
        open_test(folder, "compare")


def test_a_look_is_numbered_by_the_contents_seen_before_it(folder: Path) -> None:
    assert open_test(folder, "compare").number == 1
    assert open_test(folder, "decide").number == 1  # the same content for another purpose
    write_text(folder / "study.yaml", "name: shop\nmargin: 0.002\n")
    assert open_test(folder, "compare").number == 2
    write_text(folder / "study.yaml", "name: shop\nmargin: 0.003\n")
    assert open_test(folder, "compare").number == 3
    write_text(folder / "study.yaml", "name: shop\nmargin: 0.002\n")
    assert open_test(folder, "compare").number == 2  # looked at second


A, B, C = (Opening("t", "report", "study", matrix) for matrix in "abc")


@pytest.mark.parametrize(
    ("before", "number", "others"),
    [
        ((), 1, 0),
        ((A,), 1, 0),
        ((B,), 2, 1),
        ((A, B), 1, 1),  # A was the first look
        ((B, A), 2, 1),
        ((B, B, C), 3, 3),
        ((B, C, A, C), 3, 3),
    ],
)
def test_a_look_has_the_number_of_contents_that_were_looked_at_before_its_own(
    before: tuple[Opening, ...], number: int, others: int
) -> None:
    looks = Looks(A, before)
    assert (looks.number, looks.second) == (number, others > 0)
    if others:
        assert f"(looks: {others}, first t): what was chosen since may be" in looks.sentence
        assert not looks.sentence.endswith("emptied.")
    else:
        assert looks.sentence == ""


def test_what_was_looked_at_is_the_study_and_its_runs_and_no_purpose() -> None:
    for other, second in (
        (A._replace(purpose="compare", time="later"), False),
        (A._replace(study="another"), True),
        (A._replace(matrix="another"), True),
    ):
        assert Looks(A, (other,)).second == second
    unknown = Looks(A, (UNKNOWN_LOOKS, B))
    assert unknown.number == 3
    assert unknown.sentence.endswith("The log of looks was changed or emptied.")
    assert "(looks: 2, first at an unknown time)" in unknown.sentence


def test_a_log_that_was_emptied_goes_on_and_forgets_nothing(folder: Path) -> None:
    open_test(folder, "compare")
    (folder / LOG).write_bytes(b"")
    assert openings(folder) == (UNKNOWN_LOOKS,)
    looks = open_test(folder, "decide")
    assert (looks.number, looks.second) == (2, True)
    assert openings(folder) == (UNKNOWN_LOOKS, looks.opening)
    lines = (folder / LOG).read_text().splitlines()
    assert len(lines) == 2
    assert open_test(folder, "decide").before == (UNKNOWN_LOOKS, looks.opening)
    assert (folder / LOG).read_text().splitlines() == lines


def test_two_looks_at_once_are_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process writes its line while this one waits for the lock."""
    shutil.copytree(folder, folder / "studies" / "shop")
    place = folder / "studies" / "shop"
    whole = seal.locked

    @contextlib.contextmanager
    def late(*words: Any) -> Any:
        monkeypatch.setattr(seal, "locked", whole)
        open_test(place, "compare")
        with whole(*words):
            yield

    monkeypatch.setattr(seal, "locked", late)
    assert open_test(place, "compare").number == 1
    assert [look.purpose for look in openings(place)] == ["compare"]
    open_test(place, "decide")
    assert [look.purpose for look in openings(place)] == ["compare", "decide"]


def test_a_look_at_a_run_is_one_at_every_study_that_has_it_or_may_have_it(tmp_path: Path) -> None:
    for name, run_id in (("with", "r"), ("without", "other"), ("broken", "other"), ("torn", "")):
        study = tmp_path / "studies" / name
        study.mkdir(parents=True)
        write_text(study / "study.yaml", f"name: {name}\n")
        cells = [{**CELL, "run_id": run_id, "settings": {}}]
        if name == "broken":
            cells.append({"strategy": "b"})
        write_json(study / "matrix.json", {**MATRIX, "cells": cells})
    write_text(tmp_path / "studies" / "torn" / "matrix.json", "{")
    open_test_of_run(tmp_path, "r", "explain")
    looks = {
        path.name: [look.purpose for look in openings(path)]
        for path in (tmp_path / "studies").iterdir()
        if path.name[0] != "."
    }
    assert looks == {"with": ["explain"], "without": [], "broken": ["explain"], "torn": ["explain"]}
