"""A model whose best epoch is known and is not the last, and runs of it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from fusefront.baselines.contract import (
    Baseline,
    ItemCodes,
    ItemTable,
    Parts,
    Request,
    Rows,
    Schema,
    Scored,
)
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.training.run import RunRecord, run


@dataclass(frozen=True)
class TurningSettings:
    best_at: float = 0.5  # of `turn`, where the signal is strongest


class Turning(Baseline):
    """`turn` grows by the learning rate at each step; AUC is best where it passes `best_at`.

    In training mode the signal is left out, so that codes encoded in it score like chance.
    """

    name: ClassVar[str] = "turning"
    Settings: ClassVar[type] = TurningSettings

    def __init__(self, schema: Schema, items: ItemTable, settings: Any, parts: Parts) -> None:
        super().__init__(schema, items, settings, parts)
        self.turn = nn.Parameter(torch.zeros(()))
        self.ids = nn.Embedding(schema.items + 1, 1)
        self.modes: list[bool] = []

    def encode(self, ids: Tensor, keep: Tensor | None = None) -> tuple[ItemCodes, Tensor]:
        self.modes.append(self.training)
        noise = torch.sin(ids * 12.9898)
        signal = torch.where((ids - 1) % 3 == 0, 1.0, -1.0) * (not self.training)
        strength = (1.0 - 4 * (self.turn - self.settings.best_at).abs()).detach()
        code = (strength * signal + noise + 0.0 * self.ids(ids).squeeze(-1)).unsqueeze(-1)
        rows = Rows(code, torch.ones(len(ids), 1, dtype=torch.bool))
        return ItemCodes(rows, rows), -self.turn

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        return Scored(request.candidates.values.squeeze(-1), torch.zeros(()))

    def report(self) -> dict[str, float]:
        return {"turn": float(self.turn.detach())}


Train = Callable[..., RunRecord]


@pytest.fixture(scope="session")
def parts() -> Parts:
    """The shipped parts and `turning`."""
    shipped = load_parts([])
    return shipped._replace(baselines={**shipped.baselines, "turning": Turning})


@pytest.fixture(scope="session")
def make_cell(ragged: PreparedDataset) -> Callable[..., Cell]:
    """The cell of a baseline on the ragged log; keywords are the recipe's."""

    def build(
        baseline: str = "turning",
        settings: dict[str, object] | None = None,
        seed: int = 0,
        *,
        with_test: bool = True,
        role: str = "strategy",
        shuffle: tuple[str, ...] = (),
        randomize: tuple[str, ...] = (),
        **recipe: float,
    ) -> Cell:
        training = Training(epochs=5, batch_rows=64, weight_decay=0.0, learning_rate=0.05)
        spec = RunSpec(
            ragged.name,
            ragged.fingerprint,
            baseline,
            settings or {},
            {**training.model_dump(mode="json"), **recipe},
            seed,
            shuffle=shuffle,
            randomize=randomize,
        )
        return Cell(f"my {baseline}", role, spec, with_test)

    return build


@pytest.fixture(scope="session")
def train(
    ragged: PreparedDataset, parts: Parts, make_cell: Callable[..., Cell]
) -> Callable[..., RunRecord]:
    """Train a cell of the ragged log under a folder."""

    def trained(root: Path, *arguments: object, **recipe: Any) -> RunRecord:
        progress = recipe.pop("progress", None)
        return run(make_cell(*arguments, **recipe), root, ragged, parts, progress)

    return trained
