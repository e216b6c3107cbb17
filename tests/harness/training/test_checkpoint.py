"""A training that pauses and goes on against one that never did: equal to the bit."""

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fusefront.baselines.contract import Parts
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.training import run as training
from fusefront.harness.training.checkpoint import (
    FILE,
    Checkpoint,
    PausedError,
    read_checkpoint,
    restore_random_state,
    write_checkpoint,
)
from fusefront.harness.training.run import RunRecord, run

RECIPE = {**Training().model_dump(mode="json"), "epochs": 3, "batch_rows": 512}
# modality dropout draws at every step; the rest is state of optimiser, schedule and module
RECIPES: dict[str, dict[str, Any]] = {
    "one cycle, averaged": {"average": 0.5},
    "plateau, patience": {
        "schedule": "plateau",
        "optimizer": "adam",
        **dict.fromkeys(("tau", "id_tau", "weight_decay", "id_weight_decay")),
        "l2": 1e-4,
        "epochs": 9,
        "patience": 2,
        "learning_rate": 0.05,
    },
}


@pytest.fixture(scope="module")
def shipped() -> Parts:
    return load_parts([])


@pytest.fixture(scope="module", params=list(RECIPES))
def cell(request: pytest.FixtureRequest, world: PreparedDataset) -> Cell:
    recipe = {**RECIPE, **RECIPES[request.param]}
    settings = {"modality_dropout": 0.3}
    spec = RunSpec(world.name, world.fingerprint, "early_fusion", settings, recipe, 3, code="c")
    return Cell("early_fusion", "trial", spec, with_test=False)


@pytest.fixture(scope="module")
def straight(
    cell: Cell, world: PreparedDataset, shipped: Parts, tmp_path_factory: pytest.TempPathFactory
) -> RunRecord:
    return run(cell, tmp_path_factory.mktemp("straight"), world, shipped)


def content(path: Path) -> dict[str, bytes]:
    """Weights and predictions, and AUC and loss of every epoch as they are spelled."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    names = ("epoch", "train_loss", "valid_auc", "valid_logloss")
    epochs = json.dumps([[line[name] for name in names] for line in lines]).encode()
    files = [*(path / "model").glob("*.safetensors"), *(path / "predictions").glob("*.parquet")]
    assert len(files) == 2
    return {"epochs": epochs, **{file.name: file.read_bytes() for file in files}}


def test_a_training_that_pauses_ends_with_the_same_bits(
    cell: Cell, straight: RunRecord, world: PreparedDataset, shipped: Parts, tmp_path: Path
) -> None:
    messages: list[dict[str, Any]] = []
    seconds = 0.0
    for until in (1, 2):
        torch.rand(until)  # another process has other generators
        with pytest.raises(PausedError, match=f"paused after epoch {until}"):
            run(cell, tmp_path, world, shipped, messages.append, until=until)
        (folder,) = tmp_path.glob("runs/*/*/*")
        assert not (folder / "summary.json").exists()
        assert json.loads((folder / "status.json").read_text())["state"] == "paused"
        checkpoint = read_checkpoint(folder)
        assert checkpoint is not None
        assert checkpoint.epochs == until
        assert checkpoint.seconds > seconds  # of all processes so far
        seconds = checkpoint.seconds
    with (folder / "metrics.jsonl").open("a") as file:  # an epoch that a kill cut off
        file.write('{"epoch": 3}\n')
    np.random.seed(1)  # noqa: NPY002 - the generator that is put back
    random.seed(1)
    record = run(cell, tmp_path, world, shipped, messages.append)
    assert content(record.path) == content(straight.path)
    count = straight.summary["epochs"]
    assert count > 2
    assert [message["epoch"] for message in messages] == list(range(1, count + 1))
    for key in ("valid_auc", "best_epoch", "train_loss", "epochs"):
        assert record.summary[key] == straight.summary[key]
    assert record.summary["seconds"] > seconds
    assert not (record.path / FILE).exists()


def drawn() -> list[float]:
    legacy = np.random.random()  # noqa: NPY002 - the generator that is put back
    return [random.random(), legacy, torch.rand(1).item()]


def test_a_checkpoint_is_read_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    """A byte that changed: the training begins anew, nobody trains on from other weights."""
    state = {"tensors": {"weight": torch.arange(4.0)}, "epochs": [{"valid_auc": 0.6}]}
    module: Any = SimpleNamespace(state=lambda: state)
    assert read_checkpoint(tmp_path) is None
    write_checkpoint(tmp_path, module, [{"epoch": 1, "seconds": 0.5}], 2.5)
    before = drawn()
    read = read_checkpoint(tmp_path)
    assert read is not None
    assert (read.epochs, read.seconds, read.lines) == (1, 2.5, [{"epoch": 1, "seconds": 0.5}])
    assert torch.equal(read.module["tensors"]["weight"], torch.arange(4.0))
    restore_random_state(read.random_state)
    assert drawn() == before
    whole = (tmp_path / FILE).read_bytes()
    for at in (0, 40, len(whole) // 2, len(whole) - 1):
        (tmp_path / FILE).write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert read_checkpoint(tmp_path) is None
    for short in (0, 31, 32, len(whole) - 1):
        (tmp_path / FILE).write_bytes(whole[:short])
        assert read_checkpoint(tmp_path) is None


def test_what_has_come_far_enough_is_not_trained(
    world: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tuner died before it was told."""
    spec = RunSpec(world.name, world.fingerprint, "early_fusion", {}, RECIPE, 3, code="c")
    cell = Cell("early_fusion", "trial", spec, with_test=False)
    whole = Checkpoint({}, {}, [{"epoch": 1}, {"epoch": 2}], 1.0)
    monkeypatch.setattr(training, "read_checkpoint", lambda _: whole)
    monkeypatch.setattr(training, "build_model", None)
    for until in (1, 2):
        with pytest.raises(PausedError, match="after epoch 2"):
            run(cell, tmp_path, world, load_parts([]), until=until)
