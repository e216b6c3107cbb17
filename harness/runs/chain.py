"""Logs whose lines are chained by hashes, so that an edited, lost or emptied line is noticed.

Every line holds under "before" the SHA-256 of everything before it; <log>.head.json holds the
length of the log in bytes and its SHA-256. Lines that earlier versions wrote have no hash; the next
line covers them.
"""

import hashlib
import json
from pathlib import Path

from fusefront.datasets.durable import append_line
from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.files import Json, write_json
from fusefront.harness.runs.records import Record, read_record


class ChainEnd(Record):
    """The content of <log>.head.json."""

    bytes: int
    sha256: str


def append(log: Path, content: dict[str, Json]) -> None:
    """Append a line, then update the head; a kill between the two leaves a log that counts as
    intact.

    The caller must hold the lock of what the log belongs to.
    """
    raw = read(log)
    raw += b"\n" if raw and not raw.endswith(b"\n") else b""  # a line that a kill cut short
    line = {"format": 1, **content, "before": hashlib.sha256(raw).hexdigest()}
    append_line(log, json.dumps(line, sort_keys=True, ensure_ascii=False))
    written = read(log)
    head = {"format": 1, "bytes": len(written), "sha256": hashlib.sha256(written).hexdigest()}
    write_json(head_of(log), head)


def broken(log: Path) -> str:
    """A sentence if lines were changed, lost or added by hand; else ""."""
    raw, head = read(log), head_of(log)
    lost = f"{log}: lines were changed, lost or emptied since they were written"
    if head.exists():
        try:
            record = read_record(head, ChainEnd)
        except DataContractError as error:
            return str(error)
        if hashlib.sha256(raw[: record["bytes"]]).hexdigest() != record["sha256"]:
            return lost
    at = 0
    for line in raw.splitlines(keepends=True):
        before = _before(line)
        if before is not None and before != hashlib.sha256(raw[:at]).hexdigest():
            return lost
        at += len(line)
    return ""


def head_of(log: Path) -> Path:
    """The file that keeps the length and the hash of a log."""
    return log.with_name(f"{log.name}.head.json")


def read(log: Path) -> bytes:
    """The whole content of a log; empty if it does not exist.

    Raises:
        DataContractError: the file exists and cannot be read.
    """
    try:
        return log.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise DataContractError(
            f"{log}: {reason}; restore it from a copy, or move it away"
        ) from None


def _before(line: bytes) -> str | None:
    """The hash that a line holds; None if an earlier version wrote it, or if it is no line of a
    log."""
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return content.get("before") if isinstance(content, dict) else None
