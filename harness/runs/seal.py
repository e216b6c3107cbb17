"""Records in opened.jsonl who looks at the test split of a study, and warns of repeated looks."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.locks import Wait, lock_file, locked
from fusefront.harness.runs import chain
from fusefront.harness.runs.files import digest
from fusefront.harness.runs.records import read_matrix

LOG = "opened.jsonl"
WHY = "waiting for another process to write the records of the same study"


class Opening(NamedTuple):
    """One recorded look at the test split of a study."""

    time: str  # UTC, seconds
    purpose: str
    study: str  # hash of study.yaml
    matrix: str  # hash of the runs that were looked at

    @property
    def content(self) -> tuple[str, str]:
        """What the look compared; a second look at the same content reveals nothing new."""
        return self.study, self.matrix


UNREADABLE = "unreadable"  # stands for the hash of a record that cannot be read
UNKNOWN_LOOKS = Opening("at an unknown time", "unknown: the log was changed or emptied", "", "")


class Looks(NamedTuple):
    """A look at test and all looks before it."""

    opening: Opening
    before: tuple[Opening, ...]

    @property
    def second(self) -> bool:
        """Whether an earlier look had other content."""
        return any(other.content != self.opening.content for other in self.before)

    @property
    def number(self) -> int:
        """The number of this look: 1 + how many different contents were looked at before its
        own."""
        contents = [other.content for other in self.before]
        first = contents.index(self.opening.content) if self.opening.content in contents else None
        return 1 + len(set(contents[:first]))

    @property
    def sentence(self) -> str:
        """The sentence for the report; "" at the first look."""
        if not self.second:
            return ""
        others = [o.time for o in self.before if o.content != self.opening.content]
        return (
            "The test split was opened before for another version of this study "
            f"(looks: {len(others)}, first {others[0]}): what was chosen since may be fitted to it."
            f"{' The log of looks was changed or emptied.' if UNKNOWN_LOOKS in self.before else ''}"
        )


def open_test(study_path: Path, purpose: str) -> Looks:
    """Append one look to opened.jsonl; a second look at the same content for the same purpose adds
    no line."""
    return _look(study_path, purpose, _content(study_path))


def _look(study_path: Path, purpose: str, content: tuple[str, str]) -> Looks:
    opening = Opening(datetime.now(UTC).isoformat(timespec="seconds"), purpose, *content)
    before = openings(study_path)
    if not _recorded(before, opening):
        with locked(lock_file(study_path.parents[1], "study", study_path.name), Wait(WHY)):
            before = openings(study_path)
            if not _recorded(before, opening):
                if before and before[0] == UNKNOWN_LOOKS:  # a continued log keeps its unknown looks
                    chain.append(study_path / LOG, dict(UNKNOWN_LOOKS._asdict()))
                chain.append(study_path / LOG, dict(opening._asdict()))
    return Looks(opening, before)


def begin_again(study_path: Path) -> None:
    """Begin a new log after the previous one was moved aside: its first line stands for unknown
    looks."""
    with locked(lock_file(study_path.parents[1], "study", study_path.name), Wait(WHY)):
        chain.append(study_path / LOG, dict(UNKNOWN_LOOKS._asdict()))


def _recorded(before: tuple[Opening, ...], opening: Opening) -> bool:
    return any(o.content == opening.content and o.purpose == opening.purpose for o in before)


def open_test_of_run(root: Path, run_id: str, purpose: str) -> None:
    """Record a look at the test predictions of one run in every study that the run is part of.

    A study whose matrix cannot be read may have the run, so it gets a look of unknown content.
    """
    for path in sorted((root / "studies").glob("*/matrix.json")):
        try:
            matrix, damaged = read_matrix(path)
        except DataContractError:
            _look(path.parent, purpose, (UNREADABLE, UNREADABLE))
            continue
        if damaged or any(cell["run_id"] == run_id for cell in matrix["cells"]):
            open_test(path.parent, purpose)


def openings(study_path: Path) -> tuple[Opening, ...]:
    """All recorded looks, in the order of time.

    A line that a kill cut short counts as an unknown look; a log that was changed or emptied by
    hand begins with one.
    """
    text = chain.read(study_path / LOG).decode(errors="replace")  # damage is an unknown look
    looks = tuple(_parse(line) for line in text.splitlines() if line)
    changed = UNKNOWN_LOOKS not in looks and chain.broken(study_path / LOG)
    return (UNKNOWN_LOOKS, *looks) if changed else looks


def _parse(line: str) -> Opening:
    try:
        content = json.loads(line)
        return Opening(*(str(content[name]) for name in Opening._fields))
    except (json.JSONDecodeError, KeyError, TypeError):
        return Opening("at an unknown time", "unreadable record", "", "")


def _content(study_path: Path) -> tuple[str, str]:
    path = study_path / "study.yaml"
    if not path.is_file():
        raise DataContractError(
            f"{path}: missing, so a look at the test split cannot be recorded; run the study "
            "again, which writes it anew, or delete the study's folder"
        )
    study = digest(path.read_bytes().decode(errors="replace"))
    cells = read_matrix(study_path / "matrix.json").matrix["cells"]
    return study, digest(sorted(cell["run_id"] for cell in cells))
