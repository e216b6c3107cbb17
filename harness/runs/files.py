"""Atomic files: written beside, flushed, renamed or linked."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

Json = Any  # None, bool, int, float, str, lists and string-keyed mappings of these


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step; a kill leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp{os.getpid()}")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def write_json(path: Path, value: Json) -> None:
    """Replace `path` by `value` as JSON, keys sorted."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_once(path: Path, value: Json) -> bool:
    """Write JSON unless `path` exists: the first writer wins, whoever comes second learns it by False."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.tmp{os.getpid()}")
    write_text(beside, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink()
    return True


def read_json(path: Path) -> dict[str, Json]:
    """The JSON object in `path`."""
    value: dict[str, Json] = json.loads(path.read_text(encoding="utf-8"))
    return value


def canonical(value: Json) -> str:
    """The one spelling of a JSON value that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Json, length: int = 12) -> str:
    """First hex digits of the SHA-256 of a JSON value.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]
