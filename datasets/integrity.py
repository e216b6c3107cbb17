"""Checks that a store still holds what was written: SHA-256 of every file, checksums of every
block.

A whole check reads everything. A quick check compares sizes and reads one random block of each file
and 64 more; a store with fewer blocks is read as a whole.
"""

import contextlib
import hashlib
import json
import os
import time
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fusefront.datasets.durable import write_bytes
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.manifest import BLOCKS, CURE, StoredFile, read_manifest
from fusefront.datasets.raw.files import sha256
from fusefront.datasets.store import PreparedDataset

NOTE = ".verified.json"  # file in a store: when it was last checked as a whole
BLOCK_BYTES = 1 << 20
SAMPLED = 64
DAY = 86_400.0


class Damage(NamedTuple):
    """A file of a store that is not as written, and the sentence about it."""

    file: str
    sentence: str


def record_files(folder: Path) -> dict[str, StoredFile]:
    """Hash every file of a new store and make it durable; writes blocks.json, which is among
    them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    hashed = {path.relative_to(folder).as_posix(): _hash(path) for path in paths}
    blocks = {name: checksums for name, (_, checksums) in hashed.items()}
    table = {"format": 1, "checksum": "crc32", "block_bytes": BLOCK_BYTES, "files": blocks}
    write_bytes(folder / BLOCKS, json.dumps(table).encode())
    files = {name: stored for name, (stored, _) in hashed.items()}
    return dict(sorted({**files, BLOCKS: _hash(folder / BLOCKS)[0]}.items()))


def _hash(path: Path) -> tuple[StoredFile, list[int]]:
    """Size and SHA-256 of a file, and the checksum of every block; the file is synced to disk."""
    digest, checksums, size = hashlib.sha256(), [], 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            checksums.append(zlib.crc32(block))
            size += len(block)
        os.fsync(file.fileno())
    return StoredFile(bytes=size, sha256=digest.hexdigest()), checksums


def whole_check(folder: Path) -> list[Damage]:
    """Every file of the store in `folder` compared by SHA-256; empty where all is as written."""
    manifest = read_manifest(folder)
    damaged = []
    for name, written in manifest.files.items():
        if sentence := _compare(folder / name, written):
            damaged.append(Damage(name, sentence))
    return damaged


def _compare(path: Path, written: StoredFile) -> str:
    try:
        size = path.stat().st_size
        if not path.is_file():
            return f"{path}: a folder or a device, not a file; {CURE}"
        if size != written.bytes:
            return f"{path}: {size:,} bytes, the manifest says {written.bytes:,}; {CURE}"
        if sha256(path) != written.sha256:
            return f"{path}: changed since it was written (its SHA-256 differs); {CURE}"
    except FileNotFoundError:
        return f"{path}: missing; {CURE}"
    except OSError as error:
        return f"{path}: {(error.strerror or 'cannot be read').lower()}; {CURE}"
    return ""


def quick_check(store: PreparedDataset, random: np.random.Generator) -> list[Damage]:
    """Blocks drawn by `random` compared; empty for a store from before there were checksums.

    `PreparedDataset.open` has compared the sizes.
    """
    if BLOCKS not in store.manifest.files:
        return []
    if sentence := _compare(store.path / BLOCKS, store.manifest.files[BLOCKS]):
        return [Damage(BLOCKS, sentence)]
    table = json.loads((store.path / BLOCKS).read_bytes())
    size, files = int(table["block_bytes"]), dict(table["files"])
    every = [(name, number) for name, sums in files.items() for number in range(len(sums))]
    chosen = {(name, int(random.integers(len(sums)))) for name, sums in files.items() if sums}
    chosen |= {every[k] for k in random.permutation(len(every))[:SAMPLED]}
    damaged = {}
    for name, number in sorted(chosen):
        with (store.path / name).open("rb") as file:
            file.seek(number * size)
            if zlib.crc32(file.read(size)) != files[name][number]:
                damaged[name] = (
                    f"{store.path / name}: changed since it was written (block {number:,} of "
                    f"{len(files[name]):,} differs); {CURE}"
                )
    return [Damage(name, sentence) for name, sentence in damaged.items()]


def check_store(store: PreparedDataset, *, whole: bool = False) -> None:
    """Check a store before it is used: as a whole once a day or with `whole`, else by random
    blocks.

    Raises:
        DataContractError: a file is not as written; the sentence names the first one and the number
            of others.
    """
    whole = whole or _age(store) > DAY
    damaged = whole_check(store.path) if whole else quick_check(store, np.random.default_rng())
    if damaged:
        others = f" ({len(damaged) - 1} more files are damaged)" if len(damaged) > 1 else ""
        raise DataContractError(f"{damaged[0].sentence}{others}")
    if whole:
        note_check(store)


def note_check(store: PreparedDataset) -> None:
    """Record that the whole store was checked now; a read-only store gets no record."""
    note = {"format": 1, "time": time.time(), "manifest": sha256(store.path / "manifest.json")}
    with contextlib.suppress(OSError):
        write_bytes(store.path / NOTE, json.dumps(note).encode())


def _age(store: PreparedDataset) -> float:
    """Seconds since the last whole check; infinite without one, or where the clock has jumped."""
    try:
        note = json.loads((store.path / NOTE).read_bytes())
        age = time.time() - float(note["time"])
        same = note["manifest"] == sha256(store.path / "manifest.json")
    except (OSError, ValueError, KeyError, TypeError):
        return float("inf")
    return age if same and age >= 0 else float("inf")
