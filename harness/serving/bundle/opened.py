"""Opens and verifies a serving bundle, with NumPy and onnxruntime alone.

This file uses nothing else of the package: every bundle holds a copy as `check.py`, so that
`python check.py` replays the golden requests on a machine without this package.
"""

import hashlib
import json
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

MANIFEST = "bundle.json"
KIND = "fusefront-bundle"
NEEDED = ("scorer.onnx", "golden.npz", "items.parquet", "dataset.json")
TOLERANCE = 1e-5  # largest difference of a probability between the export and this machine


class BundleError(ValueError):
    """The bundle is not as exported; the message names the file."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """bundle.json of a folder, after checking that every listed file is complete and unchanged.

    Raises:
        BundleError: it is no bundle of this format, or a file is missing or changed.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"{path}: not there, so {str(folder)!r} is no serving bundle; export one from a run"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: unreadable ({error}); export again") from None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise BundleError(f"{path}: not written by an export of this program; export a run")
    if manifest.get("format") != 1:
        raise BundleError(
            f"{path}: got format {manifest.get('format')!r}, expected 1; export again with this "
            "version"
        )
    _complete(path, manifest)
    files = {name: _confined(path, name) for name in manifest["files"]}
    for name, facts in manifest["files"].items():  # sizes first: reading contents takes time
        _sized(files[name], facts)
    for name, facts in manifest["files"].items():
        if sha256(files[name]) != facts["sha256"]:
            raise BundleError(
                f"{files[name]}: its content was changed since the export; copy it again"
            )
    return manifest


def _confined(path: Path, name: str) -> Path:
    """The path of a listed file; refuses one outside the bundle."""
    parts = Path(name).parts
    file = path.parent / name
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise BundleError(f"{path}: names {name!r}, which lies outside the bundle; export again")
    for place in (file, *list(file.parents)[: len(parts) - 1]):
        if place.is_symlink():
            raise BundleError(f"{place}: a link, expected the file itself; copy the bundle whole")
    return file


def _complete(path: Path, manifest: dict[str, Any]) -> None:
    """Refuses a manifest that lacks files the export wrote, as after editing or merging."""
    files = manifest.get("files")
    lacks = [key for key in ("strategy", "run_id", "serving", "shape") if key not in manifest]
    listed = files if isinstance(files, dict) else {}
    lacks += [name for name in NEEDED if not _facts(listed.get(name))]
    lacks += [name for name, facts in listed.items() if not _facts(facts)]
    if lacks:
        raise BundleError(f"{path}: says nothing of {lacks[0]!r}; copy it again or export again")


def _facts(value: object) -> bool:
    """Whether the value holds the size in bytes and the SHA-256 of a file."""
    if not isinstance(value, dict):
        return False
    size, digest = value.get("bytes"), value.get("sha256")
    return isinstance(size, int) and not isinstance(size, bool) and isinstance(digest, str)


def _sized(path: Path, facts: dict[str, Any]) -> None:
    try:
        regular, size = path.is_file(), path.stat().st_size
    except OSError:
        raise BundleError(f"{path}: missing; copy the whole bundle or export again") from None
    if not regular:
        raise BundleError(f"{path}: no file of a bundle; copy the whole bundle or export again")
    if size != facts["bytes"]:
        raise BundleError(
            f"{path}: {size:,} bytes, the bundle says {facts['bytes']:,}; copy it again"
        )


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def load_session(folder: Path) -> Any:
    """The scorer of a verified bundle, on one thread.

    Raises:
        BundleError: onnxruntime is missing or cannot load the graph.
    """
    try:
        import onnxruntime as ort
    except ImportError as error:
        raise BundleError(
            f"{folder}: onnxruntime cannot be loaded ({error}); pip install it"
        ) from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    path = folder / "scorer.onnx"
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise BundleError(f"{path}: onnxruntime cannot load it ({reason}); export again") from None


def score(session: Any, folder: Path, feed: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Logits [R, K] of a feed; raises BundleError if the graph does not accept it."""
    try:
        logits: np.ndarray[Any, Any] = session.run(["logits"], feed)[0]
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise BundleError(
            f"{folder / 'scorer.onnx'}: cannot score what the bundle encodes ({reason}); export "
            "again"
        ) from None
    return logits


def golden_requests(folder: Path) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The recorded requests: inputs by name, `logits` [R, K] as served and `eager` [R, K] as
    trained.

    Raises:
        BundleError: the file is unreadable.
    """
    path = folder / "golden.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            requests: dict[str, dict[str, np.ndarray[Any, Any]]] = {}
            for name in file.files:
                number, _, part = name.partition(".")
                requests.setdefault(number, {})[part] = file[name]
        return [requests[number] for number in sorted(requests, key=int)]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{path}: unreadable ({error}); export again") from None


def replay(folder: Path) -> dict[str, Any]:
    """Score the golden requests and compare; the result's `passed` says whether all scores agree.

    Raises:
        BundleError: an input of the graph was not recorded.
    """
    manifest = read_manifest(folder)
    session = load_session(folder)
    names = [value.name for value in session.get_inputs()]
    requests = golden_requests(folder)
    worst, rows = 0.0, 0
    for request in requests:
        if stray := [name for name in (*names, "logits") if name not in request]:
            raise BundleError(
                f"{folder / 'golden.npz'}: has no {stray[0]!r}, which scorer.onnx asks for; "
                "export again"
            )
        logits = score(session, folder, {name: request[name] for name in names})
        if logits.shape != request["logits"].shape or not np.isfinite(logits).all():
            worst = float("inf")
            break
        apart = np.abs(_probability(logits) - _probability(request["logits"]))
        worst, rows = max(worst, float(apart.max(initial=0.0))), rows + logits.size
    return {
        "bundle": str(folder),
        "strategy": manifest["strategy"],
        "run_id": manifest["run_id"],
        "requests": len(requests),
        "predictions": rows,
        "max_difference": worst,
        "tolerance": TOLERANCE,
        "passed": bool(worst <= TOLERANCE and rows > 0),
    }


def _probability(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    probability: np.ndarray[Any, Any] = 1 / (
        1 + np.exp(-np.clip(logits.astype(np.float64), -500, 500))
    )
    return probability


def main() -> int:
    """Replay the bundle named on the command line, or the one that this file is in; returns the
    exit code."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    try:
        result = replay(folder)
    except BundleError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0 if result["passed"] else 4


if __name__ == "__main__":
    sys.exit(main())
