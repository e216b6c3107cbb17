"""Trains a recorded run again and compares its scores with the recorded ones."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fusefront.datasets.durable import temporary_folder
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.parts.included import included
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.files import Json
from fusefront.harness.runs.hashes import read_predictions, read_summary
from fusefront.harness.runs.records import RunCode, read_record
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.table import find_run
from fusefront.harness.training.build import read_spec
from fusefront.harness.training.run import CODE_FILE, run


def reproduce_run(text: str, out: Path, include: Sequence[Path]) -> dict[str, Json]:
    """Train the run again: it is reproduced if all logits agree to 1e-6.

    Raises:
        UsageError: there is no such run, or its store is gone.
        GateError: a logit differs by more than 1e-6.
    """
    folder = find_run(out, text)
    if folder is None:
        raise UsageError(f"run {text!r}: expected one run under {out}; `fusefront runs` lists them")
    spec = read_spec(folder)
    store_path = out / "prepared" / spec.dataset / spec.fingerprint
    if not store_path.is_dir():
        raise UsageError(f"{store_path}: the prepared store is gone; `fusefront prepare` it again")
    summary = read_summary(folder)
    files = included(folder, include)
    with temporary_folder("reproduce") as aside:
        cell = Cell(str(summary["strategy"]), str(summary["role"]), replace(spec), with_test=False)
        again = run(cell, aside, PreparedDataset.open(store_path), load_parts(files), include=files)
        changed = read_record(again.path / CODE_FILE, RunCode)["version"] != spec.code
        now = read_predictions(again.path, "valid")["logit"].to_numpy()
    then = read_predictions(folder, "valid")["logit"].to_numpy()
    off = float(np.abs(now.astype(np.float64) - then).max(initial=0.0))
    note = " (the training code has changed since)" if changed else ""
    result: dict[str, Json] = {
        "run_id": spec.run_id,
        "largest_difference": off,
        "valid_auc_then": summary["valid_auc"],
        "valid_auc_now": again.summary["valid_auc"],
        "code_changed": changed,
    }
    if off > 1e-6:
        raise GateError(
            f"run {spec.run_id} is not reproduced{note}: logits differ by up to {off:.3g},"
            f" valid AUC {summary['valid_auc']:.5f} then, {again.summary['valid_auc']:.5f} now"
        )
    result["sentence"] = f"run {spec.run_id} is reproduced: logits within {off:.1g}{note}"
    return result
