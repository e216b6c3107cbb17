"""The one place that trains: `run(cell, root, ...)` returns a complete record or raises."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import pytorch_lightning as pl
import torch
import yaml

from fusefront.baselines.contract import Baseline, Parts
from fusefront.baselines.frozen import kept_by
from fusefront.datasets.durable import forget, sweep, sync
from fusefront.datasets.locks import Tell, Wait, lock_file, locked
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.cost import macs_per_candidate
from fusefront.harness.data.module import CPU, RequestData
from fusefront.harness.data.tables import schema_of
from fusefront.harness.parts.identity import code_of
from fusefront.harness.parts.included import remember
from fusefront.harness.parts.kinds import MODEL_KINDS
from fusefront.harness.parts.origins import used_by
from fusefront.harness.parts.outside_parts import own_parts
from fusefront.harness.runs.environment import environment
from fusefront.harness.runs.files import write_json, write_text
from fusefront.harness.runs.hashes import CONFIG_MARK, record_hashes
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.records import EnvironmentRecord, RunSummary, read_record
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.store import run_index
from fusefront.harness.training.allocator import give_freed_memory_back
from fusefront.harness.training.build import build_model, save_model
from fusefront.harness.training.checkpoint import (
    PausedError,
    read_checkpoint,
    remove_checkpoint,
    restore_random_state,
    write_checkpoint,
)
from fusefront.harness.training.fit import Epochs, Progress, device_of, fit
from fusefront.harness.training.frozen import FrozenTables
from fusefront.harness.training.module import ClickModule, encode_table
from fusefront.harness.training.nested import write_widths
from fusefront.harness.training.predict import predict, write_predictions

CODE_FILE = "code.json"  # the code that the run depends on, module by module


@dataclass(frozen=True)
class RunRecord:
    """The folder of a run and its flat summary."""

    path: Path
    summary: RunSummary


def run_folder(cell: Cell, root: Path) -> Path:
    """The folder that this cell's run is trained in, unless another strategy's name has recorded
    the run."""
    return root / "runs" / cell.spec.dataset / cell.strategy / cell.spec.run_id


def find_record(cell: Cell, root: Path) -> RunRecord | None:
    """The record of this cell's run, under whichever strategy's name it was recorded; None before
    it exists."""
    path = run_index(root, cell.spec.dataset).get(cell.spec.run_id)
    if path is None or not (path / "summary.json").exists():
        return None
    if cell.with_test and not (path / "predictions" / "test.parquet").exists():
        return None
    return RunRecord(path, read_record(path / "summary.json", RunSummary))


def run(
    cell: Cell,
    root: Path,
    store: PreparedDataset,
    parts: Parts,
    progress: Progress | None = None,
    include: Sequence[Path] = (),
    tell: Tell | None = None,
    until: int | None = None,
) -> RunRecord:
    """Train the cell's spec unless its record exists; a run that fails writes its reason and
    raises.

    With `until` the run pauses after that epoch (counted from 1). A later call goes on from there,
    and its numbers are equal, to the bit, to those of a run that never paused.

    Where several processes need the same run, one trains it, under whichever strategy's name, and
    the others wait; `tell` gets a sentence then.

    include.json beside the run lists the parts from `include` that the run uses, so that later
    commands can load them.

    Raises:
        PausedError: the run has paused after epoch `until`.
    """
    folder = run_folder(cell, root)
    why = f"{cell.strategy} seed {cell.seed}: waiting for another process to train the same run"
    with locked(lock_file(root, "run", cell.spec.run_id), Wait(why, tell)):
        if (recorded := find_record(cell, root)) is not None:
            return recorded
        for part in (folder, folder / "predictions", folder / "model"):
            sweep(part)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        spelled = yaml.safe_dump(cell.spec.to_json(), sort_keys=True)
        write_text(folder / "config.yaml", CONFIG_MARK + spelled)
        write_json(folder / "environment.json", _environment(cell.spec, parts))
        write_json(folder / "status.json", {"format": 1, "state": "running", "started": started})
        own = own_parts(include, MODEL_KINDS)
        remember(folder, used_by(own, cell.spec.baseline, cell.spec.settings))
        forget(folder / "summary.json")  # a summary must never stand beside files of another try
        try:
            summary = _train(cell, root, folder, store, parts, progress or (lambda _: None), until)
        except PausedError as pause:
            _status(folder, "paused", started, str(pause))
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            _status(folder, "failed", started, reason)
            raise
        write_json(folder / "summary.json", summary)
        _status(folder, "completed", started, "")
        return RunRecord(folder, summary)


def _status(folder: Path, state: str, started: str, reason: str) -> None:
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    status = {"format": 1, "state": state, "started": started, "ended": ended, "reason": reason}
    write_json(folder / "status.json", status)


def _environment(spec: RunSpec, parts: Parts) -> EnvironmentRecord:
    """The environment of the run; a recipe that cannot train here is reported by the training
    itself."""
    kind = parts.baselines.get(spec.baseline)
    recipe = Training.model_validate(spec.training)
    gpu = torch.cuda.is_available() and recipe.device != "cpu" and not (kind and kind.solved)
    return environment(spec.threads, torch.cuda.get_device_name() if gpu else "cpu")


def _train(
    cell: Cell,
    root: Path,
    folder: Path,
    store: PreparedDataset,
    parts: Parts,
    progress: Progress,
    until: int | None,
) -> RunSummary:
    spec = cell.spec
    torch.set_num_threads(spec.threads)
    recipe = Training.model_validate(spec.training).resolved(len(store.split("train").item))
    last = recipe.epochs if until is None else min(until, recipe.epochs)
    before = read_checkpoint(folder)
    if before is not None and last < recipe.epochs and before.epochs >= last:
        raise PausedError(f"paused after epoch {before.epochs}")
    begin = time.monotonic()
    pl.seed_everything(spec.seed, verbose=False)
    with kept_by(FrozenTables(root, spec)):
        model = build_model(spec, store, parts)
    give_freed_memory_back()  # of the fit: steps need it in other pieces
    write_json(folder / CODE_FILE, {"format": 1, **code_of(model)._asdict()})
    assert recipe.batch_rows is not None
    device = device_of(recipe, solved=model.solved)
    data = RequestData(
        store,
        batch_rows=recipe.batch_rows,
        max_candidates=recipe.max_candidates,
        seed=spec.seed,
        first=before.epochs if before else 0,
        device=device,
    )
    module = ClickModule(model, store.manifest.schema_.items, recipe, data.steps)
    lines = before.lines if before else []
    epochs = Epochs(folder / "metrics.jsonl", data.train.rows, cell, progress, lines)
    if before is not None:
        module.resume(before.module)
        restore_random_state(before.random_state)
    fit(module, data, recipe, epochs, last)
    trained = time.monotonic() - begin + (before.seconds if before else 0.0)
    if last < recipe.epochs and not module.stopped and not model.solved:
        write_checkpoint(folder, module, epochs.lines, trained)
        raise PausedError(f"paused after epoch {len(module.epochs)}")
    model.load_state_dict(module.best_state, strict=False)
    model.to(device)
    codes = encode_table(model, store.manifest.schema_.items)
    for split in ("valid", "test") if cell.with_test else ("valid",):
        logits = predict(model, codes, store, split)
        if not np.isfinite(logits).all():
            raise FloatingPointError(
                f"{int((~np.isfinite(logits)).sum())} of {len(logits)} {split} scores are not "
                "finite; lower the learning rate"
            )
        write_predictions(folder / "predictions" / f"{split}.parquet", logits, store, split)
    model.to(CPU)
    save_model(model, spec, folder / "model")
    write_widths(folder, model, store)
    macs = macs_per_candidate(model, store.manifest.schema_.items, schema_of(store))
    summary = _summary(cell, module, model)
    summary["macs_per_candidate"] = macs
    summary["seconds"] = round(trained, 3)
    summary["rows_per_second"] = epochs.speed()
    sync(folder / "metrics.jsonl")
    summary["sha256"] = record_hashes(folder)
    remove_checkpoint(folder)  # what is on record has none
    return summary


def _summary(cell: Cell, module: ClickModule, model: Baseline) -> RunSummary:
    best = module.epochs[module.best_epoch]
    summary: RunSummary = {
        "format": 1,
        "run_id": cell.spec.run_id,
        "dataset": cell.spec.dataset,
        "fingerprint": cell.spec.fingerprint,
        "baseline": cell.spec.baseline,
        "strategy": cell.strategy,
        "role": cell.role,
        "family": "control" if cell.role == "control" else model.family,
        "seed": cell.seed,
        "code": cell.spec.code,
        "threads": cell.spec.threads,
        "host_pid": os.getpid(),
        "best_epoch": module.best_epoch + 1,
        "epochs": len(module.epochs),
        "train_loss": best["train_loss"],
        "valid_auc": best["valid_auc"],
        "valid_logloss": best["valid_logloss"],
    }
    sizes = {
        f"parameters_{role}": sum(parameter.numel() for parameter in parameters)
        for role, parameters in model.parameter_roles().items()
    }
    report = {f"report_{name}": value for name, value in model.report().items()}
    return cast(RunSummary, {**summary, **sizes, **report})
