"""JSON and text files that are replaced in one step, or written once by the first of several
processes."""

import hashlib
import json
import os
from pathlib import Path
from typing import TypeAlias

from fusefront.datasets.durable import scratch_folder, sync, sync_folder, write_bytes
from fusefront.datasets.errors import DataContractError

Json: TypeAlias = object  # what JSON can hold; whatever is read again has a type of its own


def write_text(path: Path, text: str) -> None:
    """Replace the content of `path` by `text` in one step; a kill leaves the old file or the new
    one."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Json) -> None:
    """Replace the content of `path` by `value` as JSON with sorted keys, in one step."""
    write_text(path, json_text(value))


def write_once(path: Path, value: Json) -> bool:
    """Write JSON unless `path` exists; False if it does: the first writer wins."""
    with scratch_folder(path) as scratch:
        written = scratch / path.name
        written.write_text(json_text(value), encoding="utf-8")
        sync(written)
        try:
            os.link(written, path)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True


def json_text(value: Json) -> str:
    """Indented JSON text that ends in a newline."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_json(path: Path) -> dict[str, Json]:
    """The JSON object in `path`; raises DataContractError, which names the file, if it holds
    none."""
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
    """The canonical JSON text of a value, which is hashed: equal values have equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Json, length: int = 12) -> str:
    """First hex digits of the SHA-256 of a JSON value.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]
