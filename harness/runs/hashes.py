"""Compares a run's files with its record: its config with its id, weights and predictions with
their SHA-256."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

import polars as pl
import yaml

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.raw.files import sha256
from fusefront.harness.errors import UsageError
from fusefront.harness.runs.cure import cure
from fusefront.harness.runs.files import digest
from fusefront.harness.runs.records import RunSummary, read_record

SUMMARY = "summary.json"
CONFIG = "config.yaml"
CONFIG_MARK = "# format: 1\n"  # a comment, since the content of config.yaml is the run's identity
WEIGHTS = "model/weights.safetensors"
PREDICTIONS = ("predictions/valid.parquet", "predictions/test.parquet")
FILES = (WEIGHTS, *PREDICTIONS)
COLUMNS = ("row_id", "request", "group", "item", "label", "logit")  # of predictions
METRICS = "metrics.jsonl"
WIDTHS = "predictions/valid-k*.parquet"  # of nested codes
MARK = {"fusefront.format": "1"}  # in weights and predictions: the version of their format


def read_summary(run: Path) -> RunSummary:
    """The summary.json of a finished run, after checking that it and config.yaml belong to the
    folder's run.

    Raises:
        DataContractError: one of them is damaged or of another run; the message says what to do.
    """
    summary = named_summary(run)
    if (run / CONFIG).exists() and (sentence := misidentified(run, run / CONFIG)):
        raise DataContractError(sentence)
    return summary


def named_summary(run: Path) -> RunSummary:
    """The summary.json of a finished run, after checking that it belongs to the folder's run.

    Raises:
        DataContractError: the summary is of another run.
    """
    summary = read_record(run / SUMMARY, RunSummary)
    if summary["run_id"] != run.name:
        raise DataContractError(
            f"{run / SUMMARY}: says it is of run {summary['run_id']!r}, expected {run.name!r}; "
            f"{cure(run / SUMMARY)}"
        )
    return summary


def misidentified(run: Path, path: Path) -> str:
    """A sentence if the spec in `path` does not hash to the run id in the folder's name; else
    ""."""
    try:
        text = path.read_bytes().decode()
        content = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        written = digest(content)
    except FileNotFoundError:
        return f"{path}: missing; {cure(path)}"
    except (OSError, ValueError, TypeError, yaml.YAMLError, RecursionError):
        return f"{path}: unreadable; {cure(path)}"
    first = text.partition("\n")[0]
    if path.name == CONFIG and first.startswith("# format:") and first != CONFIG_MARK.strip():
        return (
            f"{path}: got {first[2:]!r}, this program reads format 1; use the version of fusefront "
            "that wrote it, or a newer one"
        )
    return (
        ""
        if written == run.name
        else f"{path}: describes run {written}, expected {run.name}; {cure(path)}"
    )


def record_hashes(run: Path) -> dict[str, str]:
    """The hash of each existing file of a finished run, as its summary keeps them: file ->
    SHA-256."""
    widths = sorted(path.relative_to(run).as_posix() for path in run.glob(WIDTHS))
    names = (*FILES, METRICS, *widths)
    return {name: sha256(run / name) for name in names if (run / name).exists()}


def hashed(summary: RunSummary) -> tuple[str, ...]:
    """The files of a run whose hashes its summary holds, and those that every summary should
    hold."""
    others = [
        name
        for name in summary.get("sha256", {})
        if name == METRICS or (fnmatch(name, WIDTHS) and name.count("/") == 1)
    ]
    return (*FILES, *sorted(others))


def damage(run: Path, name: str, summary: RunSummary) -> str:
    """A sentence if a file is missing or differs from its recorded hash; "" if all is well or no
    hash was recorded.

    Records that are older than hashes have none, and later ones may lack those of metrics and
    widths.
    """
    path, written = run / name, summary.get("sha256")
    if written is None:
        return ""
    if name not in written:
        if name not in FILES:
            return ""
        return f"{path}: the run's record does not know it; {cure(path)}" if path.exists() else ""
    try:
        status = path.stat()
        now = _hash(path, status.st_size, status.st_mtime_ns, status.st_ino)
    except FileNotFoundError:
        return f"{path}: missing; {cure(path)}"
    except OSError as error:
        return f"{path}: {(error.strerror or 'cannot be read').lower()}; {cure(path)}"
    if now == written[name]:
        return ""
    return f"{path}: changed since the run was recorded (its SHA-256 differs); {cure(path)}"


@lru_cache(maxsize=4096)
def _hash(path: Path, *_: int) -> str:
    """The SHA-256 of a file, computed once a process as long as its size, time and place are the
    same."""
    return sha256(path)


def checked(run: Path, name: str) -> Path:
    """The path of a run's file, after checking it against its recorded hash.

    Raises:
        DataContractError: the file differs; the message names it and says what to do.
    """
    record = run / SUMMARY
    if record.exists() and (sentence := damage(run, name, read_record(record, RunSummary))):
        raise DataContractError(sentence)
    return run / name


def read_predictions(run: Path, split: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The recorded predictions of a run on `split`: row_id, request, group, item, label, logit; one
    row a candidate.

    Raises:
        UsageError: the run has no predictions of that split.
    """
    path = run / "predictions" / f"{split}.parquet"
    if not path.exists():
        raise UsageError(f"{path}: got no predictions, expected them there; run the study again")
    return read_scores(checked(run, f"predictions/{split}.parquet"), columns or COLUMNS)


def read_scores(path: Path, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """A file of predictions, after checking the version of its format.

    Raises:
        DataContractError: the file is damaged, or its format is not known here.
    """
    try:
        names = None if columns is None else list(columns)
        check_format(path, pl.read_parquet_metadata(path))
        frame = pl.read_parquet(path, columns=names, glob=False)
        frame = frame if names is None else frame.select(names)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).split("\n")[0][:160]
        raise DataContractError(f"{path}: unreadable ({reason}); {cure(path)}") from None
    for name in set(COLUMNS) & set(frame.columns):
        column = frame[name]
        right = column.dtype.is_float() if name == "logit" else column.dtype.is_integer()
        if not right or column.null_count():
            kind = "numbers" if name == "logit" else "whole numbers"
            raise DataContractError(
                f"{path}: column {name!r} holds {column.dtype} with {column.null_count()} nulls, "
                f"expected {kind} without; {cure(path)}"
            )
    return frame


def check_format(path: Path, metadata: Mapping[str, str]) -> None:
    """Refuse, with a DataContractError, a file whose format this version does not know; older files
    name none."""
    for key, known in MARK.items():
        if (version := metadata.get(key, known)) != known:
            raise DataContractError(
                f"{path}: got format {version!r}, this program reads {known}; use the version of "
                "fusefront that wrote it, or a newer one"
            )


def remark(summaries: Sequence[RunSummary]) -> str:
    """A sentence on the runs that have no hashes to compare their files with; "" without any."""
    old = sum("sha256" not in summary for summary in summaries)
    if not old:
        return ""
    return (
        f"{old} of {len(summaries)} runs were recorded before hashes of weights and predictions "
        "were kept: their files are taken as they lie."
    )
