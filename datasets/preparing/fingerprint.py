"""What names a prepared store: the spec and the bytes of its inputs, not where they lie."""

import glob
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from fusefront.datasets.encoders import identity
from fusefront.datasets.raw.files import find, sha256
from fusefront.datasets.spec import DatasetSpec

NEWER = (("interactions", "names"), ("users", "names"), ("items", "names"))
STORE_VERSION = 2  # raise it when the same input makes another store
DRAWN_VERSION = 2  # likewise, for logs whose negatives are drawn


def inputs(spec: DatasetSpec, data: Path) -> Iterator[tuple[str, Path]]:
    """(role, path) of every file that the spec names, in a fixed order."""
    for k, (name, _) in enumerate(spec.interactions.files()):
        yield f"interactions.{k}", find(data, name)
    if spec.users:
        yield "users", find(data, spec.users.path)
    if spec.items.path:
        yield "items", find(data, spec.items.path)
    for name, modality in spec.modalities.items():
        for k, path in enumerate(modality.files()):
            yield f"modality.{name}.{k}", find(data, path)
        if modality.ids:
            yield f"modality.{name}.ids", find(data, modality.ids)
        if modality.encode and isinstance(modality.path, str):
            pattern = glob.escape(modality.path).replace("{key}", "*")
            for raw in sorted(data.glob(pattern)):
                if raw.is_file():
                    yield f"raw.{name}.{raw.name}", raw


def fingerprint(spec: DatasetSpec, data: Path) -> str:
    """16 hex digits over the spec (without paths and `accept`), the encoders and the files' content."""
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
        name: identity(modality.encode, modality.encoder, modality.settings)
        for name, modality in spec.modalities.items()
        if modality.encode
    }
    for part, key in NEWER:  # specs from before them keep their fingerprint
        holder = words.get(part)
        if isinstance(holder, dict) and holder.get(key) is None:
            holder.pop(key, None)
    digest = hashlib.sha256()
    version = [STORE_VERSION, DRAWN_VERSION] if spec.negatives else STORE_VERSION
    digest.update(json.dumps([version, words, encoders], sort_keys=True).encode())
    for role, path in inputs(spec, data):
        digest.update(f"{role}={_content(path)}\n".encode())
    return digest.hexdigest()[:16]


def _content(path: Path) -> str:
    try:
        return sha256(path)
    except OSError:  # a raw file that may not be read counts as absent
        return "unreadable"
