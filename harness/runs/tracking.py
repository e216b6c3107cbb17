"""Our records mirrored to Weights & Biases: offline by default, from the files, once a run."""

import json
import os
import shutil
from pathlib import Path
from typing import Literal

import yaml

from fusefront.harness.runs.files import write_json
from fusefront.harness.runs.records import EpochLine, RunSummary, read_record

MARK = "mirrored.json"


def mirror(run: Path, project: str = "fusefront") -> bool:
    """Write a complete run to its own offline wandb run; False if that was done before.

    The wandb run's id is our run id, so that a later `sync` twice makes no duplicate.
    """
    folder = run / "wandb"
    if (folder / MARK).exists():
        return False
    import wandb

    summary = read_record(run / "summary.json", RunSummary)
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    shutil.rmtree(folder, ignore_errors=True)  # a mirror cut short by a kill is made anew
    folder.mkdir()
    mirrored = wandb.init(
        project=project,
        id=str(summary["run_id"]),
        name=f"{summary['strategy']}-{summary['seed']}",
        group=str(summary["strategy"]),
        job_type=str(summary["role"]),
        dir=str(run),
        config=config,
        mode=_mode(),
        reinit="create_new",
        settings=wandb.Settings(
            silent=True, console="off", x_disable_stats=True, x_disable_meta=True, disable_git=True
        ),
    )
    for line in _epochs(run):
        mirrored.log(dict(line), step=line["epoch"])
    mirrored.summary.update({key: value for key, value in summary.items() if value is not None})
    mirrored.finish()
    write_json(folder / MARK, {"format": 1, "run_id": summary["run_id"], "project": project})
    return True


def _mode() -> Literal["online", "offline"]:
    return "online" if os.environ.get("WANDB_MODE") == "online" else "offline"


def _epochs(run: Path) -> list[EpochLine]:
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
