"""`fusefront sync`: mirrors offline what has no mirror yet, and sends each mirror to the server
once."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import FusefrontError, NothingToDoError
from fusefront.harness.jobs.mirror import Mirror, Tell
from fusefront.harness.runs.files import read_json, write_json
from fusefront.harness.runs.records import Trial, read_matrix, read_record
from fusefront.harness.runs.table import summaries
from fusefront.harness.runs.tracking import (
    MARK,
    QUIET,
    USUAL,
    Account,
    TrackingCard,
    is_mirrored,
    is_synced,
)


def mirror_missing(out: Path, account: Account, tell: Tell) -> None:
    """Mirror offline every complete run and every decided study that has no mirror yet.

    Raises:
        NothingToDoError: there is no run.
    """
    rows, damaged = summaries(out, {})
    for sentence in damaged:
        tell(f"left out: {sentence}")
    if not rows:
        raise NothingToDoError(f"no runs under {out}")
    studies = studies_of_runs(out)
    mirror = Mirror(account._replace(project=account.project or USUAL.project), "", tell)
    mirror.mode = "offline"
    for row in rows:
        run = Path(row["path"])
        if not is_mirrored(run):
            study = studies.get(row["run_id"], "")
            card = TrackingCard(
                row["run_id"], str(row["strategy"]), str(row["role"]), int(row["seed"]), study
            )
            mirror.send_run(run, card)
    for decision in sorted((out / "studies").glob("*/decision.json")):
        page = out / "reports" / decision.parent.name / "index.html"
        mirror.decided(decision.parent, page)
    if missing := mirror.close():
        raise FusefrontError(f"{missing} runs could not be mirrored; sync again")


def studies_of_runs(out: Path) -> dict[str, str]:
    """run_id -> the first study by name that the run is part of; damaged records are skipped."""
    studies: dict[str, str] = {}
    for folder in sorted((out / "studies").glob("*")):
        ids = []
        for path in sorted(folder.glob("tuning/*/trial-*.json")):
            with contextlib.suppress(DataContractError):
                ids.append(str(read_record(path, Trial).get("run_id", "")))
        with contextlib.suppress(DataContractError):
            cells = read_matrix(folder / "matrix.json").matrix["cells"]
            ids += [cell["run_id"] for cell in cells]
        for run_id in ids:
            studies.setdefault(run_id, folder.name)
    return studies


def unsent(out: Path) -> list[Path]:
    """Runs and studies whose mirror has not reached a server."""
    marks = [*out.glob(f"runs/*/*/*/wandb/{MARK}"), *out.glob(f"studies/*/wandb/{MARK}")]
    folders = sorted(mark.parent.parent for mark in marks)
    return [folder for folder in folders if not is_synced(folder)]


def send(folders: Sequence[Path], account: Account, patience: float) -> None:
    """Hand offline mirrors to `wandb sync`, one after the other, and mark each that arrived.

    Raises:
        FusefrontError: the server refuses one, or takes longer than `patience` seconds.
    """
    for number, folder in enumerate(folders):
        offline = sorted((folder / "wandb").glob("offline-run-*"))
        words = [sys.executable, "-m", "wandb", "sync"]
        words += ["--project", account.project] if account.project else []
        words += ["--entity", account.entity] if account.entity else []
        reason = _sent([*words, *map(str, offline)], offline, patience)
        if not reason:
            mark = folder / "wandb" / MARK
            write_json(mark, {**read_json(mark), "synced": True})
            continue
        raise FusefrontError(
            f"{number} of {len(folders)} mirrors sent, then {folder.name} was not ({reason}); log "
            "in (`wandb login`) or check the network, and sync again: it goes on there"
        )


def _sent(words: list[str], offline: Sequence[Path], patience: float) -> str:
    """Why mirrors did not arrive; "" if all did. wandb marks success by a file that ends in
    .synced.

    Its exit code cannot be used: it is 0 even if the server has refused them.
    """
    try:
        process = subprocess.run(
            words,
            check=False,
            timeout=patience,
            capture_output=True,
            text=True,
            env={**os.environ, **QUIET, "WANDB_SILENT": "false"},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"no answer for {patience:g} s"
    if offline and all(list(folder.glob("*.synced")) for folder in offline):
        return ""
    lines = (process.stderr or process.stdout or "").strip().splitlines()
    reason = lines[-1].removeprefix("wandb: ").strip()[:160] if lines else ""
    return reason or f"wandb sync ended with code {process.returncode}"
