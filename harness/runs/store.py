"""The run store: one folder a run, one folder a study; files are the truth."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl

from fusefront.datasets.yaml_file import read_yaml
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.runs.hashes import read_predictions
from fusefront.harness.runs.records import (
    AblationRecord,
    Matrix,
    MatrixCell,
    RunSummary,
    Status,
    read_record,
)
from fusefront.harness.runs.study import Study, check_study


class RunEntry(NamedTuple):
    """A cell of a study's matrix and, where it exists, the record of its run."""

    run_id: str
    strategy: str
    family: str
    role: str  # strategy | control | ablation | trial
    seed: int
    state: str  # missing | running | completed | failed
    path: Path
    summary: RunSummary


@dataclass(frozen=True)
class StudyFolder:
    """out/studies/<name>, opened for reading."""

    root: Path  # the --out folder
    path: Path
    spec: Study

    @property
    def name(self) -> str:
        return self.spec.name

    def matrix(self) -> Matrix:
        """matrix.json: dataset, fingerprint, store, cells."""
        return read_record(self.path / "matrix.json", Matrix)

    @property
    def store_path(self) -> Path:
        """The prepared store that the study was run on."""
        return self.root / self.matrix()["store"]

    def entries(self, *, roles: tuple[str, ...] = ("strategy", "control")) -> list[RunEntry]:
        """The matrix with the state of each run, in the matrix's order; ablations on request."""
        matrix = self.matrix()
        cells = list(matrix["cells"])
        for extra in sorted(self.path.glob("ablation-*.json")):
            cells += read_record(extra, AblationRecord)["cells"]
        dataset = matrix["dataset"]
        where = run_index(self.root, dataset)
        entries = [_entry(cell, where, self.root / "runs" / dataset) for cell in cells]
        return [entry for entry in entries if entry.role in roles]

    def completed(self, *, roles: tuple[str, ...] = ("strategy", "control")) -> list[RunEntry]:
        """The entries whose runs are complete."""
        return [entry for entry in self.entries(roles=roles) if entry.state == "completed"]

    def predictions(self, entry: RunEntry, split: str) -> pl.DataFrame:
        """row_id, request, group, item, label, logit of one run, in the store's row order."""
        return read_predictions(entry.path, split)


def run_index(root: Path, dataset: str) -> dict[str, Path]:
    """run_id -> folder, over all strategies' folders of a data set."""
    base = root / "runs" / dataset
    if not base.is_dir():
        return {}
    return {
        run.name: run
        for strategy in sorted(base.iterdir())
        if strategy.is_dir()
        for run in sorted(strategy.iterdir())
        if run.is_dir()
    }


def _entry(cell: MatrixCell, where: dict[str, Path], base: Path) -> RunEntry:
    run_id = cell["run_id"]
    path = where.get(run_id, base / cell["strategy"] / run_id)
    state, summary = "missing", RunSummary(run_id=run_id)
    if (path / "summary.json").exists():
        state, summary = "completed", read_record(path / "summary.json", RunSummary)
    elif (path / "status.json").exists():
        state = read_record(path / "status.json", Status)["state"]
    family = summary.get("family", cell.get("family", "control"))
    return RunEntry(
        run_id,
        cell["strategy"],
        family,
        cell["role"],
        cell["seed"],
        state,
        path,
        summary,
    )


def find_study(text: str, out: Path) -> StudyFolder:
    """A study by its YAML, its folder or its name; it must have been run."""
    place = Path(text)
    if place.is_dir() and (place / "study.yaml").exists():
        return _open(place)
    name = str(read_yaml(place).get("name", "")) if place.is_file() else text
    path = out / "studies" / name
    if name and (path / "study.yaml").exists():
        return _open(path)
    if place.is_file():
        raise NothingToDoError(
            f"study {name!r} has no runs under {out}; `fusefront run {text}` first"
        )
    known = sorted(p.parent.name for p in (out / "studies").glob("*/study.yaml"))
    raise UsageError(
        f"got study {text!r}, expected a study file, a folder or one of: {', '.join(known) or 'none yet'}"
    )


def _open(path: Path) -> StudyFolder:
    path = path.resolve()
    raw = read_yaml(path / "study.yaml")
    return StudyFolder(path.parents[1], path, check_study(raw, str(path / "study.yaml")))
