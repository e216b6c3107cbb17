"""Atomic files and folders: written beside, synced to disk, renamed or linked."""

import ctypes
import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TypeAlias

from fusefront.datasets.durable import sync_folder
from fusefront.datasets.errors import DataContractError

Json: TypeAlias = object  # what JSON can hold; whatever is read again has a type of its own
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux


def beside(path: Path) -> Path:
    """Where a file or folder is written before `place` gives it its name; its parent is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.tmp{os.getpid()}")


def place(written: Path, path: Path) -> None:
    """Give what was written beside its name: durable first, then renamed, then its folder durable.

    A kill or a power cut leaves the old file or the new one, whole. An old folder changes names
    with the new one in one step where the system can (Linux), and is deleted then; elsewhere it is
    moved aside first.
    """
    inner = sorted(written.rglob("*")) if written.is_dir() else []
    for part in (*inner, written):
        _sync(part)
    old = None
    if written.is_dir() and path.exists():
        if _exchange(written, path):
            sync_folder(path.parent)
            shutil.rmtree(written)
            return
        old = path.with_name(f".{path.name}.old{os.getpid()}")
        path.rename(old)
    written.replace(path)
    sync_folder(path.parent)
    if old is not None:
        shutil.rmtree(old)


def _exchange(path: Path, other: Path) -> bool:
    """Swap two names in one step; False where the system cannot."""
    try:
        swap = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    code: int = swap(_HERE, os.fsencode(path), _HERE, os.fsencode(other), _EXCHANGE)
    return code == 0


def _sync(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
        return
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step; a kill leaves the old file or the new one."""
    written = beside(path)
    written.write_text(text, encoding="utf-8")
    place(written, path)


def write_json(path: Path, value: Json) -> None:
    """Replace `path` by `value` as JSON, keys sorted."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_once(path: Path, value: Json) -> bool:
    """Write JSON unless `path` exists: the first writer wins, whoever comes second learns it by False."""
    written = beside(path)
    write_text(written, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    try:
        os.link(written, path)
    except FileExistsError:
        return False
    finally:
        written.unlink()
    sync_folder(path.parent)
    return True


def read_json(path: Path) -> dict[str, Json]:
    """The JSON object in `path`; DataContractError names a file that holds none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error).split("\n")[0]
        raise DataContractError(
            f"{path}: no readable JSON ({reason}); restore the file, or delete it and run the same "
            "command again"
        ) from None
    if not isinstance(value, dict):
        raise DataContractError(
            f"{path}: got a JSON {type(value).__name__}, expected an object; restore the file, or "
            "delete it and run the same command again"
        )
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
