"""Mirrors recorded runs to Weights & Biases, from their files, once a run; offline by default.

Everything here runs in a process of its own (`harness/jobs/mirror.py`), so that it never stops a
study.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import yaml

from fusefront.harness.runs.files import Json, digest, read_json, write_json
from fusefront.harness.runs.records import EpochLine, Record, RunSummary, read_record

if TYPE_CHECKING:
    import wandb

MARK = "mirrored.json"
Mode = Literal["online", "offline", "disabled"]
INIT_S = 20.0  # how long a server may take to answer at the start of a run
_LONGEST_TAG = 64
# offline must send nothing: without these, wandb reports errors and usage to its makers
QUIET = {"WANDB_ERROR_REPORTING": "false", "WANDB_SILENT": "true"}


class Account(NamedTuple):
    """The entity and project at Weights & Biases; an empty entity means the default of the
    API key."""

    project: str = "fusefront"
    entity: str = ""


USUAL = Account()


class TrackingCard(NamedTuple):
    """The names under which a run is filed."""

    run_id: str
    strategy: str
    role: str
    seed: int
    study: str


class Mark(Record):
    """mirrored.json: what was mirrored, and whether a server has it."""

    run_id: str
    synced: bool


def mode_here() -> Mode:
    """The value of WANDB_MODE; "offline" if it is not set."""
    asks = os.environ.get("WANDB_MODE", "")
    return asks if asks in ("online", "disabled") else "offline"  # type: ignore[return-value]


def is_mirrored(folder: Path) -> bool:
    """Whether a run or a study was mirrored before."""
    return (folder / "wandb" / MARK).exists()


def is_synced(folder: Path) -> bool:
    """Whether a server has the mirror; marks that earlier versions wrote do not tell."""
    path = folder / "wandb" / MARK
    return path.exists() and bool(read_json(path).get("synced", False))


def note(folder: Path, run_id: str, *, synced: bool) -> None:
    """Record that a run or a study is mirrored."""
    mark = {"format": 1, "run_id": run_id, "synced": synced}
    write_json(folder / "wandb" / MARK, mark)


def begin(run: Path, card: TrackingCard, account: Account, mode: Mode) -> "wandb.Run":
    """Open the mirror of a run whose config.yaml is written.

    Its id is our run id, so that sending it twice makes no duplicate.
    """
    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    tags = [card.strategy[:_LONGEST_TAG], card.role, f"seed {card.seed}"]
    name = f"{card.strategy}-{card.seed}"
    return _open(run, card.run_id, name, card.study, card.role, tags, config, account, mode)


def finish(mirrored: "wandb.Run", run: Path, after: int = 0) -> None:
    """Send the epochs after number `after` and the summary of a complete run, then close its
    mirror."""
    summary = read_record(run / "summary.json", RunSummary)
    for line in _epochs(run):
        if line["epoch"] > after:
            mirrored.log(dict(line), step=line["epoch"])
    mirrored.summary.update({key: value for key, value in summary.items() if value is not None})
    mirrored.finish()


def mirror_study(study: Path, page: Path, account: Account, mode: Mode) -> bool:
    """Mirror a decided study as one summary run: test metrics with intervals, table, frontier.

    Returns False if the same decision was mirrored before.
    """
    decision = read_json(study / "decision.json")
    run_id = digest({"study": study.name, "fingerprint": decision.get("fingerprint")})
    content = digest([decision.get("strategies"), decision.get("sentence")])
    mark = study / "wandb" / MARK
    if mark.exists() and read_json(mark).get("content") == content:
        return False
    import wandb

    config = {"dataset": decision.get("dataset"), "fingerprint": decision.get("fingerprint")}
    name = f"{study.name}: decision"
    tags = ["decision"]
    mirrored = _open(study, run_id, name, study.name, "decision", tags, config, account, mode)
    strategies: Any = decision.get("strategies", [])
    rows = [dict(_flat(row)) for row in strategies]
    for row in rows:
        for key, value in row.items():
            if isinstance(value, int | float | str):
                mirrored.summary[f"{row['strategy']}/{key}"] = value
    mirrored.summary["decision"] = decision.get("sentence", "")
    columns: list[str | int] = sorted({key for row in rows for key in row})
    table = wandb.Table(
        columns=columns, data=[[row.get(str(key)) for key in columns] for row in rows]
    )
    shown: dict[str, Any] = {"strategies": table}
    picture = page.parent / "figures" / "frontier-wide.png"
    if picture.exists():
        shown["frontier"] = wandb.Image(str(picture))
    mirrored.log(shown)
    mirrored.finish()
    record = {"format": 1, "run_id": run_id, "synced": mode == "online", "content": content}
    write_json(mark, record)
    return True


def _open(
    folder: Path,
    run_id: str,
    name: str,
    group: str,
    kind: str,
    tags: list[str],
    config: dict[str, Json],
    account: Account,
    mode: Mode,
) -> "wandb.Run":
    import wandb

    shutil.rmtree(folder / "wandb", ignore_errors=True)  # a mirror cut short is made again
    (folder / "wandb").mkdir()
    return wandb.init(
        project=account.project,
        entity=account.entity or None,
        id=run_id,
        name=name,
        group=group,
        job_type=kind,
        tags=tags,
        dir=str(folder),
        config=config,
        mode=mode,
        reinit="create_new",
        resume="allow" if mode == "online" else None,
        settings=wandb.Settings(
            silent=True,
            console="off",
            init_timeout=INIT_S,
            x_disable_stats=True,
            x_disable_meta=True,
            disable_git=True,
            disable_code=True,
        ),
    )


def _flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Nested values under dotted keys; lists as text."""
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield f"{prefix}{key}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{key}", value


def _epochs(run: Path) -> list[EpochLine]:
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
