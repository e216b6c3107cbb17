"""The score source of a study: its prediction files, read one vector at a time."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import CURE
from fusefront.datasets.raw.npy import open_npy
from fusefront.harness.dossier.record_types import StoreFacts, store_facts
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.hashes import read_predictions
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.statistics.auc import Scores
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import SliceCodes


@dataclass(frozen=True)
class StudySource:
    """The completed runs of a study; every prediction file must have the same rows."""

    study: StudyFolder
    roles: tuple[str, ...] = ("strategy", "control")
    only: tuple[str, ...] = ()  # strategies to read; () = all
    other: int | None = None  # another recipe: its index in the study's `sensitivity`

    @cached_property
    def entries(self) -> dict[str, dict[int, RunEntry]]:
        """Completed, intact runs by strategy and seed, in the order of the study."""
        runs: dict[str, dict[int, RunEntry]] = {}
        for entry in self.study.checked_entries(roles=self.roles, other=self.other):
            if entry.state != "completed":
                continue
            if not self.only or entry.strategy in self.only:
                self._check_data(entry)
                runs.setdefault(entry.strategy, {})[entry.seed] = entry
        return runs

    def _check_data(self, entry: RunEntry) -> None:
        """Refuses runs on different data, whose differences have no meaning."""
        ours = str(self.study.matrix()["fingerprint"])
        theirs = str(entry.summary.get("fingerprint", ours))
        if theirs != ours:
            raise DataContractError(
                f"study {self.study.name!r}: {entry.strategy} seed {entry.seed} was trained on "
                f"data {theirs}, the study's is {ours}; runs of different fingerprints are not "
                "compared: run the study again on one data set"
            )

    @cached_property
    def manifest(self) -> StoreFacts:
        """The manifest of the prepared store; empty if the store is gone."""
        return store_facts(self.study.store_path)

    @property
    def strategies(self) -> tuple[str, ...]:
        return tuple(self.entries)

    @property
    def cluster(self) -> str:
        """The independent units according to the data set's spec: "user" or "request"."""
        return str(self.manifest.get("cluster", "user"))

    def role(self, strategy: str) -> str:
        return next(iter(self.entries[strategy].values())).role

    def seeds(self, strategy: str) -> tuple[int, ...]:
        return tuple(self.entries[strategy])

    def rows(self, split: str) -> RowTable:
        first = next(iter(next(iter(self.entries.values())).values()))
        columns = ["label", "group", "request", "item", "row_id"]
        frame = read_predictions(first.path, split, columns)
        return RowTable(*(frame[name].to_numpy() for name in frame.columns))

    @cached_property
    def _row_ids(self) -> dict[str, NDArray[np.int64]]:
        return {}

    def logits(self, strategy: str, seed: int, split: str) -> Scores:
        """Logits [rows] that the run recorded, in the order of the split's rows.

        Raises:
            UsageError: the run was scored on other rows than the study's first.
        """
        path = self.entries[strategy][seed].path
        frame = read_predictions(path, split, ["row_id", "logit"])
        if split not in self._row_ids:
            self._row_ids[split] = self.rows(split).row_id
        if not np.array_equal(self._row_ids[split], frame["row_id"].to_numpy()):
            raise UsageError(
                f"{path / 'predictions' / split}.parquet: got other rows than the first run of the "
                "study, expected the same row_id in the same order; run the strategy again"
            )
        return frame["logit"].cast(pl.Float32).to_numpy()

    def gap(self, strategy: str, seed: int) -> float | None:
        entry = self.entries[strategy][seed]
        train = entry.summary.get("train_logloss", entry.summary.get("train_loss"))
        valid = entry.summary.get("valid_logloss")
        return None if train is None or valid is None else float(valid) - float(train)

    def slices(self, split: str) -> tuple[SliceCodes, ...]:
        columns = []
        for name, about in self.manifest.get("slices", {}).items():
            path = self.study.store_path / split / "row" / f"slice_{name}.npy"
            if path.exists():
                values = tuple(about["values"])
                sensitive = about.get("sensitive", False)
                columns.append(SliceCodes(name, values, open_npy(path, CURE), sensitive))
        return tuple(columns)
