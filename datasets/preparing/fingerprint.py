"""What names a prepared store: the spec and the bytes of its inputs, not where they lie."""

import hashlib
import json
from pathlib import Path

from fusefront.datasets.raw.files import find, sha256
from fusefront.datasets.spec import DatasetSpec

STORE_VERSION = 1  # raise it when the same input makes another store
_PATHS = ("path", "train", "valid", "test", "ids")


def inputs(spec: DatasetSpec, data: Path) -> list[tuple[str, Path]]:
    """(role, path) of every file that the spec names, in a fixed order."""
    found = [(f"interactions.{k}", name) for k, (name, _) in enumerate(spec.interactions.files())]
    if spec.users:
        found.append(("users", spec.users.path))
    if spec.items.path:
        found.append(("items", spec.items.path))
    for name, modality in spec.modalities.items():
        if modality.encode == "image":
            continue
        found += [(f"modality.{name}.{k}", path) for k, path in enumerate(modality.files())]
        if modality.ids:
            found.append((f"modality.{name}.ids", modality.ids))
    return [(role, find(data, path)) for role, path in found]


def fingerprint(spec: DatasetSpec, data: Path) -> str:
    """16 hex digits over the spec (without paths and `accept`) and the content of the inputs."""
    digest = hashlib.sha256()
    words = _without_paths(spec.model_dump(mode="json", exclude={"accept"}))
    digest.update(json.dumps([STORE_VERSION, words], sort_keys=True).encode())
    for role, path in [*inputs(spec, data), *_images(spec, data)]:
        digest.update(f"{role}={sha256(path)}\n".encode())
    return digest.hexdigest()[:16]


def _images(spec: DatasetSpec, data: Path) -> list[tuple[str, Path]]:
    found = []
    for name, modality in spec.modalities.items():
        if modality.encode == "image":
            pattern = str(modality.path)
            paths = sorted(data.glob(pattern.replace("{key}", "*")))
            found += [(f"image.{name}.{path.name}", path) for path in paths]
    return found


def _without_paths(value: object) -> object:
    if isinstance(value, dict):
        split = value.get("by")  # fractions keep their names in `split`
        return {
            key: _without_paths(inner)
            for key, inner in value.items()
            if key not in _PATHS or isinstance(inner, float) or split is not None
        }
    if isinstance(value, list | tuple):
        return [_without_paths(inner) for inner in value]
    return value
