"""All recorded runs as rows."""

from collections.abc import Mapping
from pathlib import Path

from fusefront.harness.runs.files import Json, read_json


def summaries(root: Path, wanted: Mapping[str, str]) -> list[dict[str, Json]]:
    """The summaries of complete runs whose values match, oldest first."""
    paths = sorted(
        (root / "runs").glob("*/*/*/summary.json"), key=lambda path: path.stat().st_mtime
    )
    rows = [{**read_json(path), "path": str(path.parent)} for path in paths]
    return [row for row in rows if all(str(row.get(k)) == value for k, value in wanted.items())]


def find_run(root: Path, text: str) -> Path | None:
    """A run's folder by its path or by its id, whole or the first digits of it."""
    given = Path(text)
    if (given / "summary.json").exists():
        return given
    found = list((root / "runs").glob(f"*/*/{text}*/summary.json")) if text else []
    return found[0].parent if len(found) == 1 else None


def told_of_codes(run: Path) -> list[dict[str, Json]]:
    """What the compressors of a run reported after training: modality, measure, value."""
    return codes_in(read_json(run / "summary.json"))


def codes_in(summary: Mapping[str, Json]) -> list[dict[str, Json]]:
    """The same of a summary that was read already."""
    told = {
        key.removeprefix("report_"): value
        for key, value in summary.items()
        if key.startswith("report_") and "." in key
    }
    rows = []
    for name, value in told.items():
        modality, _, measure = name.rpartition(".")
        rows.append({"modality": modality, "measure": measure, "value": value})
    return rows
