"""All recorded runs as rows of a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from typing_extensions import TypedDict

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.hashes import named_summary, read_summary
from fusefront.harness.runs.records import RunSummary, starting_with


class RunRow(RunSummary):
    """A run's summary and folder."""

    path: str


class CompressorMeasure(TypedDict):
    """A measure that the compressor of a modality reported after training."""

    modality: str
    measure: str
    value: float


class Listed(NamedTuple):
    """The complete runs, and a sentence for each record that cannot be read."""

    rows: list[RunRow]
    damaged: list[str]


def summaries(root: Path, conditions: Mapping[str, str]) -> Listed:
    """The summaries of complete runs that meet `conditions` (key -> value), oldest first."""
    paths = (root / "runs").glob("*/*/*/summary.json")
    rows, damaged = [], []
    for path in sorted(paths, key=lambda path: path.lstat().st_mtime):
        try:
            row = RunRow(**named_summary(path.parent), path=str(path.parent))
        except DataContractError as error:
            damaged.append(str(error))
            continue
        if all(str(row.get(key)) == value for key, value in conditions.items()):
            rows.append(row)
    return Listed(rows, damaged)


def find_run(root: Path, text: str) -> Path | None:
    """A run's folder, given by its path, its id or the first digits of the id; None without one."""
    path = Path(text)
    if (path / "summary.json").exists():
        return path
    records = sorted((root / "runs").glob(f"*/*/{text}*/summary.json")) if text else []
    if len({path.parent.name for path in records}) != 1:
        return None
    return records[0].parent  # earlier versions may have trained a run twice


def code_measures(run: Path) -> list[CompressorMeasure]:
    """What the compressors of a run reported after training: modality, measure, value."""
    return codes_in(read_summary(run))


def codes_in(summary: RunSummary) -> list[CompressorMeasure]:
    """The same, from a summary that was read before."""
    rows = []
    for name, value in starting_with(summary, "report_").items():
        modality, dot, measure = name.rpartition(".")
        if dot:
            rows.append(CompressorMeasure(modality=modality, measure=measure, value=value))
    return rows
