"""What `verify` returns: damages, what must be made again for each, and the kinds of records it
reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from fusefront.datasets.errors import DataContractError
from fusefront.harness.dossier.firmness import SensitivityRecord
from fusefront.harness.dossier.record_types import (
    AuditRecord,
    DecisionRecord,
    ExplanationRecord,
    GapsRecord,
    NestedRecord,
    ReplayRecord,
    RobustnessRecord,
)
from fusefront.harness.parts.included import FILE as INCLUDED
from fusefront.harness.parts.included import read_record as read_parts
from fusefront.harness.runs.cure import cure
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.hashes import check_format
from fusefront.harness.runs.records import (
    AblationRecord,
    Claim,
    EnvironmentRecord,
    Interruption,
    Matrix,
    NewerFormatError,
    OriginRecord,
    Record,
    RunCode,
    RungRecord,
    SearchIdentity,
    Status,
    StepRecord,
    TimedTrial,
    Trial,
    WinnerRecord,
    read_record,
)
from fusefront.harness.serving.latency.bench_record import Bench

OF_RUN: dict[str, type[Record]] = {
    "environment.json": EnvironmentRecord,
    "status.json": Status,
    "code.json": RunCode,
    "nested.json": NestedRecord,
}
OF_STUDY: dict[str, type[Record]] = {
    "matrix.json": Matrix,
    "origin.json": OriginRecord,
    "audit.json": AuditRecord,
    "decision.json": DecisionRecord,
    "replay.json": ReplayRecord,
    "robustness.json": RobustnessRecord,
    "explanation.json": ExplanationRecord,
    "gaps.json": GapsRecord,
    "bench/bench.json": Bench,
    "timed-*/bench.json": Bench,
    "ablation-*.json": AblationRecord,
    "sensitivity.json": SensitivityRecord,
    "tuning/*/search.json": SearchIdentity,
    "tuning/*/claim-*.json": Claim,
    "tuning/*/trial-*.json": Trial,
    "tuning/*/step-*.json": StepRecord,
    "tuning/*/rung-*.json": RungRecord,
    "tuning/*/timed-*.json": TimedTrial,
    "tuning/*/winner-*.json": WinnerRecord,
    "tuning/*/interrupted-*.json": Interruption,
}


class RecordDamage(NamedTuple):
    """A difference from the record, and the folder that must be made again to mend it; None = it
    cannot be."""

    sentence: str
    remake: Path | None


class Verification(NamedTuple):
    """What was checked of one store, run, study or bundle: its damages, and what could not be
    checked."""

    kind: str
    path: Path
    damages: tuple[RecordDamage, ...]
    remarks: tuple[str, ...] = ()

    @property
    def damaged(self) -> tuple[str, ...]:
        """A sentence for each damaged file."""
        return tuple(damage.sentence for damage in self.damages)

    def to_json(self) -> dict[str, Json]:
        """The JSON object that `verify --json` prints."""
        return {
            "kind": self.kind,
            "path": str(self.path),
            "whole": not self.damages,
            "damaged": list(self.damaged),
            "remarks": list(self.remarks),
        }


def all_of(sentences: list[str], remake: Path) -> tuple[RecordDamage, ...]:
    """One damage a sentence, each mended by making `remake` again."""
    return tuple(RecordDamage(sentence, remake) for sentence in sentences)


def unreadable(
    folder: Path, kinds: dict[str, type[Record]], remake: Path | None = None
) -> Iterator[RecordDamage]:
    """The records that exist and cannot be read; each is made again, or the whole of `remake`."""
    for pattern, kind in kinds.items():
        for path in sorted(folder.glob(pattern)):
            try:
                read_record(path, kind)
            except NewerFormatError as error:
                yield RecordDamage(str(error), None)
            except DataContractError as error:
                yield RecordDamage(str(error), remake or path)


def unreadable_bench(study: Path) -> Iterator[RecordDamage]:
    """The tables of a latency session that exist and cannot be read; they are mended by a new
    session."""
    for path in sorted((study / "bench").glob("*.parquet")):
        try:
            check_format(path, pl.read_parquet_metadata(path))
            pl.read_parquet(path, glob=False)
        except DataContractError as error:
            yield RecordDamage(str(error), None)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).split("\n")[0][:160]
            yield RecordDamage(f"{path}: unreadable ({reason}); {cure(path)}", study / "bench")


def unreadable_parts(folder: Path, remake: Path | None = None) -> Iterator[RecordDamage]:
    """A damage if include.json exists and cannot be read."""
    try:
        read_parts(folder)
    except DataContractError as error:
        yield RecordDamage(str(error), remake or folder / INCLUDED)


def broken_lines(path: Path) -> Iterator[str]:
    """A sentence if a file of JSON lines is missing or one of its lines is not JSON."""
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            json.loads(line)
    except FileNotFoundError:
        yield f"{path}: missing; {cure(path)}"
    except (OSError, ValueError, RecursionError):
        yield f"{path}: a line is no JSON; {cure(path)}"
