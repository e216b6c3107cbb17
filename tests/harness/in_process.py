"""Jobs whose trainings run one after the other in this process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.jobs import pipeline
from fusefront.harness.jobs.pipeline import StudyRequest
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import Cell
from fusefront.harness.training.run import run
from fusefront.harness.training.workers import Message, Workers


class InProcess(Workers):
    """Workers that train one cell after the other in this process."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.trained: list[Cell] = []
        self.closed = False

    def execute(
        self, source: Callable[[], Cell | str | None], *_: Any, **__: Any
    ) -> Iterator[tuple[str, Cell, Message]]:
        store, parts = PreparedDataset.open(self.store_path), load_parts(self.include)
        while (cell := source()) is not None:
            assert isinstance(cell, Cell)  # nothing else runs that it could wait for
            assert not self.closed
            yield "start", cell, {}
            messages: list[Message] = []
            self.trained.append(cell)
            try:
                run(cell, self.root, store, parts, messages.append, self.include)
            except Exception as error:
                yield "failed", cell, {"reason": f"{type(error).__name__}: {error}", "detail": ""}
                continue
            yield from (("epoch", cell, message) for message in messages)
            yield "done", cell, {}

    def close(self) -> None:
        self.closed = True


@dataclass
class Jobs:
    """Study files on the ragged log, and the workers of the jobs that were begun."""

    folder: Path
    workers: list[InProcess]

    def request(self, out: str, *, name: str = "small", **changes: Any) -> StudyRequest:
        """A request for a study of two strategies at seeds 4 and 9; `changes` are keys of it."""
        study = {
            "name": name,
            "dataset": "ragged.yaml",
            "baseline": "late_fusion",
            "strategies": {"early_fusion": {}, "late_fusion": {}},
            "controls": False,
            "seeds": [4, 9],
            "training": {"epochs": 1, "batch_rows": 128},
            **changes,
        }
        path = self.folder / f"{out}-{name}.yaml"
        path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
        return StudyRequest(path, self.folder / out, wandb=False)


@pytest.fixture
def jobs(ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Jobs whose trainings run in this process."""
    begun: list[InProcess] = []

    def build(*arguments: Any) -> InProcess:
        begun.append(InProcess(*arguments))
        return begun[-1]

    monkeypatch.setattr(pipeline, "Workers", build)
    return Jobs(ragged.path.parents[3], begun)
