"""Logs of looks and decisions: whatever is changed, lost or emptied by hand is seen and said."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fusefront.harness.dossier.decide import DecisionOptions, record_decision
from fusefront.harness.dossier.decision_record import DECISIONS, changed
from fusefront.harness.jobs.repair import repair
from fusefront.harness.jobs.verify import verify
from fusefront.harness.runs import chain
from fusefront.harness.runs.seal import LOG, UNKNOWN_LOOKS, open_test, openings
from fusefront.harness.runs.store import StudyFolder


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    for number in range(4):
        chain.append(path, {"number": number, "text": "é"})
    return path


def test_every_line_seals_what_stands_before_it(log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines):
        before = b"".join(lines[:number])
        assert json.loads(line)["before"] == hashlib.sha256(before).hexdigest()
    assert chain.broken(log) == ""


def edited(lines: list[str]) -> list[str]:
    return [line.replace('"number": 1', '"number": 9') for line in lines]


CHANGES: dict[str, Callable[[list[str]], list[str]]] = {
    "edited": edited,
    "the last one edited": lambda lines: [*lines[:-1], lines[-1].replace("3", "5", 1)],
    "the first one lost": lambda lines: lines[1:],
    "one in the middle lost": lambda lines: [*lines[:2], *lines[3:]],
    "the last one lost": lambda lines: lines[:-1],
    "turned": lambda lines: lines[::-1],
    "emptied": lambda _: [],
}


@pytest.mark.parametrize("how", CHANGES)
def test_every_change_by_hand_is_seen(log: Path, how: str) -> None:
    lines = log.read_text().splitlines()
    log.write_text("".join(f"{line}\n" for line in CHANGES[how](lines)))
    assert chain.broken(log).startswith(f"{log}: lines were changed, lost or emptied")


def test_a_log_that_is_gone_is_seen_by_its_head(log: Path) -> None:
    log.unlink()
    assert "lost" in chain.broken(log)


@pytest.mark.parametrize(
    "how", ["edited", "the first one lost", "one in the middle lost", "turned"]
)
def test_the_lines_seal_each_other_where_the_head_is_lost(log: Path, how: str) -> None:
    chain.head_of(log).unlink()
    assert chain.broken(log) == ""
    lines = log.read_text().splitlines()
    log.write_text("".join(f"{line}\n" for line in CHANGES[how](lines)))
    assert chain.broken(log).startswith(f"{log}: lines were changed, lost or emptied")


def test_a_line_that_was_added_by_hand_is_seen(log: Path) -> None:
    """It stands behind what the head knows, as a line does whose head a kill prevented."""
    lines = log.read_text().splitlines()
    log.write_text("".join(f"{line}\n" for line in [*lines, lines[-1]]))
    assert chain.broken(log).startswith(f"{log}: lines were changed, lost or emptied")


def test_kills_break_no_log(log: Path) -> None:
    head = chain.head_of(log).read_bytes()
    chain.append(log, {"number": 4})
    chain.head_of(log).write_bytes(head)  # killed between the line and its head
    assert chain.broken(log) == ""
    with log.open("ab") as file:
        file.write(b'{"number": 5, "be')  # killed within a line
    assert chain.broken(log) == ""
    chain.append(log, {"number": 6})
    assert chain.broken(log) == ""
    assert len(log.read_text().splitlines()) == 7


def test_lines_of_earlier_versions_are_sealed_by_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"format": 1, "number": 0}\n')
    assert chain.broken(log) == ""
    chain.append(log, {"number": 1})
    assert chain.broken(log) == ""
    log.write_text(log.read_text().replace('"number": 0', '"number": 7'))
    assert chain.broken(log)


def test_an_emptied_log_of_looks_is_a_second_look_for_ever(trained_study: StudyFolder) -> None:
    path = trained_study.path
    (path / LOG).write_text("")
    looks = open_test(path, "compare")
    assert looks.second
    assert "The log of looks was changed or emptied." in looks.sentence
    assert openings(path)[0] == UNKNOWN_LOOKS  # now a line of the log itself
    assert json.loads((path / LOG).read_text().splitlines()[0])["purpose"] == UNKNOWN_LOOKS.purpose
    assert chain.broken(path / LOG) == ""
    assert open_test(path, "again").second


def test_a_repaired_log_of_looks_forgets_nothing(trained_study: StudyFolder) -> None:
    path = trained_study.path
    (path / LOG).write_text((path / LOG).read_text().replace("compare", "nothing"))
    moved = repair(verify("shop", trained_study.root), trained_study.root)
    assert {check.path.name for check in moved} == {LOG, f"{LOG}.head.json"}
    assert openings(path) == (UNKNOWN_LOOKS,)
    assert not any(check.damages for check in verify("shop", trained_study.root))


def test_a_decision_that_was_changed_by_hand_is_said(trained_study: StudyFolder) -> None:
    record_decision(trained_study, DecisionOptions(slo_ms=7.0))
    record_decision(trained_study, DecisionOptions(slo_ms=7.0))
    record_decision(trained_study, DecisionOptions(slo_ms=8.0))
    lines = (trained_study.path / DECISIONS).read_text().splitlines()
    limits = [json.loads(line)["slo_ms"] for line in lines]
    assert limits == [7.0, 8.0]
    assert changed(trained_study) == ""
    path = trained_study.path / "decision.json"
    path.write_text(path.read_text().replace('"slo_ms": 8.0', '"slo_ms": 80.0'))
    assert changed(trained_study).startswith(f"{path}: changed since it was recorded")
    (sentence,) = verify("shop", trained_study.root)[0].damaged
    assert sentence == changed(trained_study)
