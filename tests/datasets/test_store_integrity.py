"""A store that is not what was written is seen: by its hashes, by its blocks, by its numbers."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl
import pytest

from fusefront.datasets import integrity
from fusefront.datasets.audit.report import audit
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.integrity import (
    BLOCKS,
    NOTE,
    check_store,
    quick_check,
    record_files,
    whole_check,
)
from fusefront.datasets.manifest import read_manifest
from fusefront.datasets.prepare import prepare
from fusefront.datasets.raw.files import sha256
from fusefront.datasets.soundness import check_values
from fusefront.datasets.spec import load_spec, parse_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    return write_world("null", folder, train=300, valid=100, test=100, warm=100, cold=30)


@pytest.fixture
def store(world: Path, tmp_path: Path) -> PreparedDataset:
    return prepare(load_spec(world), world.parent, tmp_path / "out")


Checkable = TypeVar("Given")


def refusal(check: Callable[[Checkable], object], subject: Checkable) -> str:
    """The sentence with which a check refuses what it is given; empty where it does not."""
    try:
        check(subject)
    except DataContractError as error:
        return str(error)
    return ""


def flip(path: Path, place: int = -1) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def test_every_file_has_its_hash_and_every_block_its_checksum(store: PreparedDataset) -> None:
    written = {
        path.relative_to(store.path).as_posix()
        for path in store.path.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert set(store.manifest.files) == written
    for name, stored in store.manifest.files.items():
        assert stored.sha256 == sha256(store.path / name)
    blocks = json.loads((store.path / BLOCKS).read_text())
    assert set(blocks["files"]) == written - {BLOCKS}


@pytest.mark.parametrize("place", [-1, 0, 40])
def test_one_changed_byte_in_any_file_is_found(store: PreparedDataset, place: int) -> None:
    assert whole_check(store.path) == []
    random = np.random.default_rng(0)
    for name in store.manifest.files:
        flip(store.path / name, place)
        (damage,) = whole_check(store.path)
        assert damage.file == name
        assert damage.sentence.startswith(f"{store.path / name}: changed since it was written")
        assert [quick.file for quick in quick_check(store, random)] == [name]  # small: all is read
        flip(store.path / name, place)
    assert whole_check(store.path) == []


def test_what_is_missing_cut_or_no_file_has_a_sentence_each(store: PreparedDataset) -> None:
    (store.path / "train/row/label.npy").unlink()
    item = store.path / "train/row/item.npy"
    size = item.stat().st_size
    item.write_bytes(item.read_bytes()[:-4])
    (store.path / "test/row/item.npy").unlink()
    (store.path / "test/row/item.npy").mkdir()
    sentences = {damage.file: damage.sentence for damage in whole_check(store.path)}
    assert sorted(sentences) == ["test/row/item.npy", "train/row/item.npy", "train/row/label.npy"]
    assert "missing" in sentences["train/row/label.npy"]
    assert f"{size - 4:,} bytes, the manifest says {size:,}" in sentences["train/row/item.npy"]
    assert "a folder or a device" in sentences["test/row/item.npy"]


def test_any_changed_byte_of_the_manifest_is_one_sentence(store: PreparedDataset) -> None:
    path = store.path / "manifest.json"
    content = path.read_bytes()
    for place in range(0, len(content), 37):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        sentence = refusal(read_manifest, store.path)
        if sentence:
            assert sentence.startswith(str(path))
            assert "\n" not in sentence
        else:  # only blanks between keys may change unseen
            assert chr(content[place]) in " \n", (place, content[place - 9 : place + 9])
    path.write_bytes(content)
    assert read_manifest(store.path) == store.manifest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"format": None}, "format None, this version reads 1"),
        ({"files": {"../../x": {"bytes": 1, "sha256": "0"}}}, "lies outside the store"),
        ({"files": {"/dev/zero": {"bytes": 1, "sha256": "0"}}}, "lies outside the store"),
        ({"counts": 3}, "unreadable"),
        ({"files": 3}, "unreadable"),
        ({"files": {"blocks.json": {"bytes": 1, "sha256": "0"}}}, "changed since it was written"),
    ],
)
def test_a_foreign_manifest_is_one_sentence(
    store: PreparedDataset, change: dict[str, object], sentence: str
) -> None:
    path = store.path / "manifest.json"
    raw = json.loads(path.read_bytes())
    del raw["sha256"], raw["files"][BLOCKS]
    raw |= change
    path.write_text(json.dumps(raw))
    with pytest.raises(DataContractError, match=sentence) as refusal:
        PreparedDataset.open(store.path)
    assert "\n" not in str(refusal.value)


def older(store: PreparedDataset) -> PreparedDataset:
    """The store as an earlier version wrote it: no blocks, no hash of the manifest."""
    path = store.path / "manifest.json"
    raw = json.loads(path.read_bytes())
    del raw["sha256"], raw["kinds"], raw["files"][BLOCKS]
    path.write_text(json.dumps(raw))
    (store.path / BLOCKS).unlink()
    return PreparedDataset.open(store.path)


def test_an_older_store_is_opened_and_checked_whole(store: PreparedDataset) -> None:
    old = older(store)
    check_store(old)
    flip(old.path / "items" / "present.npy")
    assert quick_check(old, np.random.default_rng(0)) == []
    with pytest.raises(DataContractError, match=r"present\.npy: changed"):
        check_store(old, whole=True)


def test_a_quick_check_reads_a_block_of_each_file_and_some_more(
    store: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "BLOCK_BYTES", 64)
    monkeypatch.setattr(integrity, "SAMPLED", 3)
    manifest = store.manifest.model_copy(update={"files": rehashed(store)})
    many = PreparedDataset(store.path, manifest)
    name = "train/row/item.npy"
    blocks = -(-(many.path / name).stat().st_size // 64)
    assert blocks > 20
    flip(many.path / name)
    alarms = [bool(quick_check(many, np.random.default_rng(seed))) for seed in range(200)]
    assert 0 < sum(alarms) < 0.5 * len(alarms)
    again = [bool(quick_check(many, np.random.default_rng(seed))) for seed in range(200)]
    assert again == alarms
    (damage,) = quick_check(many, np.random.default_rng(alarms.index(True)))
    assert damage.file == name
    assert f"block {blocks - 1:,} of {blocks:,} differs" in damage.sentence
    only = (many.path / "items" / "clicks.npy").read_bytes()
    (many.path / "items" / "clicks.npy").write_bytes(
        bytes(b ^ 1 for b in only)
    )  # every block of it
    for seed in range(20):
        damaged = [d.file for d in quick_check(many, np.random.default_rng(seed))]
        assert "items/clicks.npy" in damaged


def rehashed(store: PreparedDataset) -> dict[str, integrity.StoredFile]:
    (store.path / BLOCKS).unlink()
    manifest = (store.path / "manifest.json").read_bytes()
    (store.path / "manifest.json").unlink()
    files = record_files(store.path)
    (store.path / "manifest.json").write_bytes(manifest)
    return files


def test_all_is_read_once_a_day_and_when_told(
    store: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[Path] = []
    real = integrity.whole_check

    def counted(folder: Path) -> list[integrity.Damage]:
        whole.append(folder)
        return real(folder)

    monkeypatch.setattr(integrity, "whole_check", counted)
    now = 2_000_000_000.0
    monkeypatch.setattr(integrity.time, "time", lambda: now)
    check_store(store)
    check_store(store)
    assert len(whole) == 1
    check_store(store, whole=True)
    assert len(whole) == 2
    monkeypatch.setattr(integrity.time, "time", lambda: now + 86_390)
    check_store(store)
    assert len(whole) == 2
    monkeypatch.setattr(integrity.time, "time", lambda: now + 86_500)
    check_store(store)
    assert len(whole) == 3
    monkeypatch.setattr(integrity.time, "time", lambda: now)  # the clock went back
    check_store(store)
    assert len(whole) == 4
    (store.path / NOTE).write_text("{")
    check_store(store)
    assert len(whole) == 5
    flip(store.path / "train" / "row" / "label.npy")
    with pytest.raises(DataContractError, match=r"label\.npy: changed"):
        check_store(store)
    with pytest.raises(DataContractError, match=r"label\.npy: changed"):
        check_store(store, whole=True)
    flip(store.path / "test" / "row" / "label.npy")
    with pytest.raises(DataContractError, match=r"\(1 more files are damaged\)"):
        check_store(store, whole=True)


def test_everything_is_on_disk_before_the_store_has_its_name(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace
    at_rename: list[tuple[set[str], set[str]]] = []

    def sync(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        real_sync(handle)

    def replace(path: Path, target: Path) -> Path:
        if path.is_dir():  # the store; single files have their names before
            there = {str(p.resolve()) for p in [path, *path.rglob("*")]}
            at_rename.append((there, set(synced)))
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    prepared = prepare(load_spec(world), world.parent, tmp_path / "out")
    ((there, durable),) = at_rename
    assert len(there) > 20
    assert there - durable == set()
    assert synced[-1] == str(prepared.path.parent.resolve())


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("train/row/label.npy", 200, "row 5: 200, expected 0 to 1"),
        ("train/row/item.npy", 1 << 30, "row 5: 1073741824, expected 1 to"),
        ("train/row/item.npy", 0, "row 5: 0, expected 1 to"),
        ("train/request/row_start.npy", 1 << 40, "comes after"),
        ("train/request/row_start.npy", -7, "comes after"),
        ("train/request/history_length.npy", -3, "row 5: -3, expected 0 to"),
        ("train/request/history_start.npy", 1 << 50, "row 5: 1125899906842624, expected 0 to"),
        ("history/values.npy", -8, "row 5: -8, expected 0 to"),
        ("train/row/slice_cold_item.npy", 9, "row 5: 9, expected 0 to 1"),
        ("items/clicks.npy", -1, "row 5: -1, expected 0 to"),
    ],
)
def test_a_number_that_cannot_be_is_a_sentence_in_audit(
    store: PreparedDataset, name: str, value: int, sentence: str
) -> None:
    path = store.path / name
    array = np.load(path)
    array[5] = value
    np.save(path, array)
    with pytest.raises(DataContractError, match=sentence) as refusal:
        audit(PreparedDataset(store.path, store.manifest))
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "high"),
    [
        ("items/fields.npy", 3),
        ("train/row/context_ids.npy", 4),
        ("test/request/context_ids.npy", 2),
    ],
)
def test_a_code_that_no_vocabulary_has_is_a_sentence(tmp_path: Path, name: str, high: int) -> None:
    rng, rows = np.random.default_rng(0), 400
    log = {
        "u": rng.integers(1, 41, rows),
        "i": rng.integers(1, 31, rows),
        "y": rng.integers(0, 2, rows),
        "t": np.arange(rows),
        "c": rng.integers(0, 4, rows),
        "d": rng.integers(0, 2, rows),
    }
    pl.DataFrame(log).write_parquet(tmp_path / "log.parquet")
    items = {"i": np.arange(1, 31), "g": np.arange(30) % 3}
    pl.DataFrame(items).write_parquet(tmp_path / "items.parquet")
    spec = {
        "name": "shop",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": 5},
        "candidate_fields": [{"column": "c"}],
        "request_fields": [{"column": "d"}],
        "items": {"path": "items.parquet", "key": "i", "fields": [{"column": "g"}]},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }
    prepared = prepare(parse_spec(spec, "spec"), tmp_path, tmp_path / "out")
    check_values(prepared)
    codes = np.load(prepared.path / name)
    assert codes.max() == high
    codes[7, 0] = high + 1
    np.save(prepared.path / name, codes)
    sentence = refusal(check_values, PreparedDataset(prepared.path, prepared.manifest))
    assert f"{name}: row 7: {high + 1}, expected 0 to {high}" in sentence


def test_any_whole_number_is_a_user(store: PreparedDataset) -> None:
    for value in (-1, 0, np.iinfo(np.int64).min, np.iinfo(np.int64).max):
        group = np.load(store.path / "train/request/group.npy")
        group[5] = value
        np.save(store.path / "train/request/group.npy", group)
        check_values(PreparedDataset(store.path, store.manifest))


def test_a_damaged_header_is_a_sentence(store: PreparedDataset) -> None:
    for name in ("train/row/label", "train/row/item", "items/present", "history/values"):
        path = store.path / f"{name}.npy"
        content = path.read_bytes()
        for place in range(0, 90, 3):
            for bit in (0x01, 0x40):
                changed = bytearray(content)
                changed[place] ^= bit
                path.write_bytes(changed)
                sentence = refusal(check_values, PreparedDataset(store.path, store.manifest))
                assert not sentence or str(path) in sentence, (place, bit)
                assert "\n" not in sentence
        path.write_bytes(content)
    check_values(PreparedDataset(store.path, store.manifest))
