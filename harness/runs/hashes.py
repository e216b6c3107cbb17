"""A run's record keeps SHA-256 of its weights and predictions; whoever reads them holds them to
it."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import polars as pl

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.files import sha256
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.records import RunSummary, read_record

SUMMARY = "summary.json"
WEIGHTS = "model/weights.safetensors"
FILES = (WEIGHTS, "predictions/valid.parquet", "predictions/test.parquet")
CURE = "delete the run's folder and run the study again"


def record_hashes(run: Path) -> dict[str, str]:
    """What the summary of a finished run keeps: the hash of each file that is there."""
    return {name: sha256(run / name) for name in FILES if (run / name).exists()}


def damage(run: Path, name: str, summary: RunSummary) -> str:
    """The sentence on a file that is not what the record says; empty where it is, or may be.

    Records from before hashes were kept say nothing of their files.
    """
    path, written = run / name, summary.get("sha256")
    if written is None:
        return ""
    if name not in written:
        return f"{path}: the run's record does not know it; {CURE}" if path.exists() else ""
    try:
        status = path.stat()
        digest = _hash(path, status.st_size, status.st_mtime_ns, status.st_ino)
    except FileNotFoundError:
        return f"{path}: missing; {CURE}"
    except OSError as error:
        return f"{path}: {(error.strerror or 'cannot be read').lower()}; {CURE}"
    if digest == written[name]:
        return ""
    return f"{path}: changed since the run was recorded (its SHA-256 differs); {CURE}"


@lru_cache(maxsize=4096)
def _hash(path: Path, *_: int) -> str:
    """Computed once a process for a file of this size, time and place."""
    return sha256(path)


def checked(run: Path, name: str) -> Path:
    """The path of a run's file once it is what the run's record says.

    Raises:
        DataContractError: it is not; the sentence names the file and the cure.
    """
    record = run / SUMMARY
    if record.exists() and (sentence := damage(run, name, read_record(record, RunSummary))):
        raise DataContractError(sentence)
    return run / name


def read_predictions(run: Path, split: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """row_id, request, group, item, label, logit of a run's split, as they were recorded."""
    path = run / "predictions" / f"{split}.parquet"
    if not path.exists():
        raise UsageError(f"{path}: got no predictions, expected them there; run the study again")
    checked(run, f"predictions/{split}.parquet")
    try:
        names = None if columns is None else list(columns)
        frame = pl.read_parquet(path, columns=names, glob=False)
        return frame if names is None else frame.select(names)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).split("\n")[0][:160]
        raise DataContractError(f"{path}: unreadable ({reason}); {CURE}") from None


def remark(summaries: Sequence[RunSummary]) -> str:
    """A sentence on the runs whose files cannot be held to their record; empty without any."""
    old = sum("sha256" not in summary for summary in summaries)
    if not old:
        return ""
    return (
        f"{old} of {len(summaries)} runs were recorded before hashes of weights and predictions "
        "were kept: their files are taken as they lie."
    )
