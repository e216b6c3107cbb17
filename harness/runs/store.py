"""Reads runs and studies from their folders; everything the program knows is in these files."""

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import polars as pl

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.yaml_file import read_yaml
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.runs.hashes import (
    PREDICTIONS,
    SUMMARY,
    damage,
    read_predictions,
    read_summary,
)
from fusefront.harness.runs.records import (
    AblationRecord,
    Matrix,
    MatrixCell,
    RunSummary,
    Status,
    read_matrix,
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
    state: str  # missing | running | completed | failed | damaged
    path: Path
    summary: RunSummary
    damage: str = ""  # the sentence that names file and cure, where state is damaged
    recipe: str = ""  # common | own | exact; "" where the matrix is older


@dataclass(frozen=True)
class StudyFolder:
    """The folder out/studies/<name>, opened for reading."""

    root: Path  # the --out folder
    path: Path
    spec: Study
    # file of the one ablation that is read; "": all of them
    ablation: str = field(default="", kw_only=True)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def place(self) -> str:
        """The value that a command needs for --out; "" where the default is right."""
        return "" if self.root.resolve() == Path("out").resolve() else str(self.root)

    def command(self, verb: str) -> str:
        """A command with `verb` on this study, quoted for a shell."""
        place = ("--out", self.place) if self.place else ()
        return shlex.join(["fusefront", verb, self.name, *place])

    def matrix(self) -> Matrix:
        """matrix.json: dataset, fingerprint, store path, and the cells that can be read."""
        return read_matrix(self.path / "matrix.json").matrix

    def lost_cells(self) -> tuple[str, ...]:
        """A sentence for each cell of matrix.json that cannot be read and is left out."""
        return read_matrix(self.path / "matrix.json").damaged

    @property
    def store_path(self) -> Path:
        """The prepared store that the study was run on."""
        return self.root / self.matrix()["store"]

    def entries(
        self, *, roles: tuple[str, ...] = ("strategy", "control"), other: int | None = None
    ) -> list[RunEntry]:
        """The cells of the matrix with the state of each run, in the matrix's order; ablations only
        on request.

        `other` is an index into the study's `sensitivity`: the matrix trained by that recipe.
        """
        matrix = self.matrix()
        others = matrix.get("sensitivity", [])
        own = matrix["cells"] if other is None else others[other]["cells"]
        cells = [*own, *(c for record in self.ablations()[0] for c in record["cells"])]
        dataset = matrix["dataset"]
        where = run_index(self.root, dataset)
        entries = [_entry(cell, where, self.root / "runs" / dataset) for cell in cells]
        return [entry for entry in entries if entry.role in roles]

    def checked_entries(
        self, *, roles: tuple[str, ...] = ("strategy", "control"), other: int | None = None
    ) -> list[RunEntry]:
        """The entries; a complete run whose predictions differ from their recorded hash has the
        state damaged."""
        return [_checked(entry) for entry in self.entries(roles=roles, other=other)]

    def ablations(self) -> tuple[list[AblationRecord], list[str]]:
        """The readable ablation-<strategy>.json, sorted by name, and a sentence for each unreadable
        one."""
        records, damaged = [], []
        for path in sorted(self.path.glob(self.ablation or "ablation-*.json")):
            try:
                records.append(read_record(path, AblationRecord))
            except DataContractError as error:
                damaged.append(str(error))
        return records, damaged

    def completed(
        self, *, roles: tuple[str, ...] = ("strategy", "control"), other: int | None = None
    ) -> list[RunEntry]:
        """The entries whose runs are complete."""
        entries = self.entries(roles=roles, other=other)
        return [entry for entry in entries if entry.state == "completed"]

    def predictions(self, entry: RunEntry, split: str) -> pl.DataFrame:
        """row_id, request, group, item, label, logit of one run on `split`, in the store's row
        order."""
        return read_predictions(entry.path, split)


def run_index(root: Path, dataset: str) -> dict[str, Path]:
    """run_id -> folder of all runs of a data set, in the folders of all strategies.

    A run may have two folders if one was killed under another strategy's name: the more complete
    one counts.
    """
    base = root / "runs" / dataset
    index: dict[str, Path] = {}
    for strategy in sorted(base.iterdir()) if base.is_dir() else ():
        for run in sorted(strategy.iterdir()) if strategy.is_dir() else ():
            other = index.get(run.name)
            if run.is_dir() and (other is None or _came(other) < _came(run)):
                index[run.name] = run
    return index


def _came(run: Path) -> tuple[bool, bool]:
    """How complete a run is: whether it has a record, and whether it has scores of test."""
    return (run / SUMMARY).exists(), (run / "predictions" / "test.parquet").exists()


def _entry(cell: MatrixCell, where: dict[str, Path], base: Path) -> RunEntry:
    run_id = cell["run_id"]
    path = where.get(run_id, base / cell["strategy"] / run_id)
    state, summary, sentence = "missing", RunSummary(run_id=run_id), ""
    try:
        if (path / SUMMARY).exists():
            state, summary = "completed", read_summary(path)
        elif (path / "status.json").exists():
            state = read_record(path / "status.json", Status)["state"]
    except DataContractError as error:
        state, sentence = "damaged", str(error)
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
        sentence,
        cell.get("recipe", ""),
    )


def _checked(entry: RunEntry) -> RunEntry:
    if entry.state != "completed":
        return entry
    sentences = (damage(entry.path, name, entry.summary) for name in PREDICTIONS)
    sentence = next(filter(None, sentences), "")
    return entry._replace(state="damaged", damage=sentence) if sentence else entry


def find_study(text: str, out: Path) -> StudyFolder:
    """A study that was run, given by its YAML, its folder or its name.

    Raises:
        NothingToDoError: the study was not run yet.
        UsageError: there is no study of that name.
    """
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
        f"got study {text!r}, expected a study file, a folder or one of: "
        f"{', '.join(known) or 'none yet'}"
    )


def _open(path: Path) -> StudyFolder:
    path = path.resolve()
    raw = read_yaml(path / "study.yaml")
    return StudyFolder(path.parents[1], path, check_study(raw, str(path / "study.yaml")))
