"""JSON on disk: one spelling, written once, on disk with its name before anybody relies on it."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.files import canonical, digest, read_json, write_json, write_once


def test_the_first_writer_wins_and_whoever_comes_second_learns_it(tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    assert write_once(path, {"b": 1, "a": "é"})
    assert not write_once(path, {"b": 2})
    assert path.read_text("utf-8") == '{\n "a": "é",\n "b": 1\n}\n'
    assert [entry.name for entry in tmp_path.iterdir()] == ["claim.json"]


def test_a_claim_and_its_name_are_on_disk_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, str]] = []
    real_sync, real_link = os.fsync, os.link

    def sync(handle: int) -> None:
        events.append(("sync", Path(os.readlink(f"/proc/self/fd/{handle}")).name))
        real_sync(handle)

    def link(source: Path, target: Path) -> None:
        events.append(("link", target.name))
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", link)
    write_once(tmp_path / "claim.json", {})
    place = events.index(("link", "claim.json"))
    assert ("sync", "claim.json") in events[:place]  # the content, before it has its name
    assert ("sync", tmp_path.name) in events[place:]  # then the name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[1]", "got a JSON list, expected an object"),
        ("3", "got a JSON int, expected an object"),
        ("{", "no readable JSON"),
        ("[" * 100_000, "no readable JSON"),
    ],
)
def test_a_file_without_an_object_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataContractError) as refusal:
        read_json(path)
    assert str(refusal.value).startswith(f"{path}: {sentence}")
    assert "\n" not in str(refusal.value)
    write_json(path, {"a": [1]})
    assert read_json(path) == {"a": [1]}


def test_the_hash_is_of_one_spelling() -> None:
    value = {"b": [1, None], "a": "é"}
    assert canonical(value) == '{"a":"é","b":[1,null]}'
    whole = hashlib.sha256('{"a":"é","b":[1,null]}'.encode()).hexdigest()
    assert (digest(value), digest(value, 5)) == (whole[:12], whole[:5])
    assert json.loads(canonical(value)) == value
