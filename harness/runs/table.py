"""All recorded runs as rows."""

from collections.abc import Mapping
from pathlib import Path

from typing_extensions import TypedDict

from fusefront.harness.runs.records import RunSummary, read_record, starting_with


class RunRow(RunSummary):
    """A summary and the folder that it lies in."""

    path: str


class CompressorMeasure(TypedDict):
    """What a compressor of a modality reported after training."""

    modality: str
    measure: str
    value: float


def summaries(root: Path, conditions: Mapping[str, str]) -> list[RunRow]:
    """The summaries of complete runs whose values match, oldest first."""
    paths = sorted(
        (root / "runs").glob("*/*/*/summary.json"), key=lambda path: path.stat().st_mtime
    )
    rows = [RunRow(**read_record(path, RunSummary), path=str(path.parent)) for path in paths]
    return [row for row in rows if all(str(row.get(k)) == value for k, value in conditions.items())]


def find_run(root: Path, text: str) -> Path | None:
    """A run's folder by its path or by its id, whole or the first digits of it."""
    path = Path(text)
    if (path / "summary.json").exists():
        return path
    records = sorted((root / "runs").glob(f"*/*/{text}*/summary.json")) if text else []
    if len({path.parent.name for path in records}) != 1:
        return None
    return records[0].parent  # earlier versions could train a run twice


def code_measures(run: Path) -> list[CompressorMeasure]:
    """What the compressors of a run reported after training: modality, measure, value."""
    return codes_in(read_record(run / "summary.json", RunSummary))


def codes_in(summary: RunSummary) -> list[CompressorMeasure]:
    """The same of a summary that was read already."""
    rows = []
    for name, value in starting_with(summary, "report_").items():
        modality, dot, measure = name.rpartition(".")
        if dot:
            rows.append(CompressorMeasure(modality=modality, measure=measure, value=value))
    return rows
