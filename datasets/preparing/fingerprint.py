"""The name of a prepared store: a hash of the spec and the bytes of its inputs, not of their
place."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from fusefront.datasets.allowed import NOTHING, Allowed, named_paths, raw_files
from fusefront.datasets.encoders import identity
from fusefront.datasets.raw.files import find, sha256
from fusefront.datasets.spec import DatasetSpec

NEWER = (
    ("interactions", "names"),
    ("users", "names"),
    ("items", "names"),
    ("columns", "time_format"),
    ("columns", "time_unit"),
    ("columns", "no_request"),
    ("history", "events"),
    ("history", "kind"),
    ("history", "lag"),
)
STORE_VERSION = 3  # increase it when the same input makes another store
DRAWN_VERSION = 2  # likewise, where negatives are drawn
DROPPED_VERSION = 3  # likewise, where a history's unknown items are dropped: before its oldest are
BESIDE_VERSION = 1  # likewise, where columns side by side are the history
COUNTED_VERSION = 1  # likewise, where there are counters


def inputs(spec: DatasetSpec, data: Path, allowed: Allowed = NOTHING) -> Iterator[tuple[str, Path]]:
    """(role, path) of every file that the spec names, in a fixed order."""
    for role, name in named_paths(spec):
        if not role.startswith("raw."):
            yield role, find(data, name)
            continue
        for raw in raw_files(name, data, allowed):
            yield f"{role}.{raw.name}", raw


def fingerprint(spec: DatasetSpec, data: Path, allowed: Allowed = NOTHING) -> str:
    """16 hex digits over the spec (without paths and `accept`), the encoders and the files'
    content."""
    words = spec.model_dump(
        mode="json",
        exclude={
            "accept": True,
            "interactions": {"path", "train", "valid", "test"},
            "users": {"path"},
            "items": {"path"},
            "modalities": {name: {"path", "ids"} for name in spec.modalities},
        },
    )
    encoders = {
        name: identity(modality.encode, modality.encoder, modality.settings, allowed.encoders)
        for name, modality in spec.modalities.items()
        if modality.encode
    }
    for part, key in NEWER:  # keys that older specs lack: without them the fingerprint stays
        holder = words.get(part)
        if isinstance(holder, dict) and holder.get(key) is None:
            holder.pop(key, None)
    if not spec.counters:
        del words["counters"]
    digest = hashlib.sha256()
    digest.update(json.dumps([_version(spec), words, encoders], sort_keys=True).encode())
    for role, path in inputs(spec, data, allowed):
        digest.update(f"{role}={_content(path)}\n".encode())
    return digest.hexdigest()[:16]


def _version(spec: DatasetSpec) -> int | list[int]:
    """The version; a part's own version counts only if the spec has the part, so that other stores
    keep their names."""
    parts = [DRAWN_VERSION] if spec.negatives else []
    if spec.history.column is not None and spec.items.unknown == "drop":
        parts.append(DROPPED_VERSION)
    if spec.history.column is not None and "*" in spec.history.column:
        parts.append(BESIDE_VERSION)
    if spec.counters:
        parts.append(COUNTED_VERSION)
    return [STORE_VERSION, *parts] if parts else STORE_VERSION


def _content(path: Path) -> str:
    try:
        return sha256(path)
    except OSError:  # an unreadable raw file counts as absent
        return "unreadable"
