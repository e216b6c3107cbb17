"""A store's name: kept where nothing that matters changed, another one where something did."""

from pathlib import Path
from typing import Any

import pytest

from fusefront.datasets.allowed import Allowed
from fusefront.datasets.preparing.fingerprint import fingerprint, inputs
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.harness.parts.data_parts import handed, own_encoders

LOG = b"u,i,y,t\n1,2,1,5\n"


def spec(**changes: Any) -> DatasetSpec:
    raw: dict[str, Any] = {
        "name": "shop",
        "interactions": {"path": "log.csv"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "list", "column": "h"},
        "users": {"path": "users.csv", "key": "u"},
        "items": {"path": "items.csv", "key": "i"},
        "modalities": {"text": {"path": "text.npy", "ids": "ids.csv"}},
        "split": {"by": "time"},
    }
    return parse_spec(raw | changes, "test")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, content in {
        "log.csv": LOG,
        "users.csv": b"u\n1\n",
        "items.csv": b"i\n2\n",
        "text.npy": b"vectors",
        "ids.csv": b"i\n2\n",
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


DROPPING = {"items": {"path": "items.csv", "key": "i", "unknown": "drop"}}
DRAWING = {"columns": {"user": "u", "item": "i"}, "negatives": {"per_positive": 2}}
DRAWING |= {"split": {"by": "user"}}
RECORDED = {  # names that stores on disk have: they change only where their content does
    "plain": ({}, "3ea2d0305709c482"),
    "dropping": (DROPPING, "a1ee6133c5988c8c"),
    "drawing": (DRAWING, "0e2ce719e7ccdce5"),
    "both": (DRAWING | DROPPING, "1f079d8cc485af1c"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_stores_of_before_keep_their_names(shop: Path, name: str) -> None:
    changes, recorded = RECORDED[name]
    assert fingerprint(spec(**changes), shop) == recorded


def test_where_files_lie_and_what_is_accepted_changes_no_name(shop: Path) -> None:
    moved = shop / "moved"
    moved.mkdir()
    for path in list(shop.glob("*.*")):
        (moved / f"my_{path.name}").write_bytes(path.read_bytes())
    there = spec(
        interactions={"path": "my_log.csv"},
        users={"path": "my_users.csv", "key": "u"},
        items={"path": "my_items.csv", "key": "i"},
        modalities={"text": {"path": "my_text.npy", "ids": "my_ids.csv"}},
        accept=["label_rate"],
    )
    assert fingerprint(there, moved) == fingerprint(spec(), shop)


def test_every_file_and_every_choice_is_in_the_name(shop: Path) -> None:
    names = [fingerprint(spec(), shop)]
    for path in sorted(shop.glob("*.*")):
        before = path.read_bytes()
        path.write_bytes(before + b"3\n")
        names.append(fingerprint(spec(), shop))
        path.write_bytes(before)
    choices: tuple[dict[str, Any], ...] = (
        {"name": "another"},
        {"interactions": {"path": "log.csv", "names": ["u", "i", "y", "t"]}},
        {"users": {"path": "users.csv", "key": "u", "names": ["u"]}},
        {"items": {"path": "items.csv", "key": "i", "names": ["i"]}},
        {"columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t", "time_unit": "s"}},
        {"modalities": {"text": {"path": "text.npy", "ids": "ids.csv", "dtype": "int8"}}},
        {"modalities": {"words": {"path": "text.npy", "ids": "ids.csv"}}},
        {"split": {"by": "time", "seed": 1}},
    )
    names += [fingerprint(spec(**changes), shop) for changes in choices]
    assert len(set(names)) == len(names)
    assert {len(name) for name in names} == {16}


def test_raw_files_are_inputs_by_their_names_and_may_be_unreadable(shop: Path) -> None:
    (shop / "plots").mkdir()
    (shop / "plots" / "2.txt").write_text("a plot")
    own = shop / "mine.py"
    own.write_text("def letters(texts):\n    return [[len(text)] for text in texts]\n")
    modality = {"path": "plots/{key}.txt", "encode": "text", "encoder": "mine:letters"}
    raw = spec(modalities={"plot": modality})

    def name_of_store() -> str:
        return fingerprint(raw, shop, Allowed(handed(own_encoders(raw, [own]))))

    roles = [role for role, _ in inputs(raw, shop, Allowed(handed(own_encoders(raw, [own]))))]
    assert roles == ["interactions.0", "users", "items", "raw.plot.2.txt"]
    observed = {name_of_store()}
    (shop / "plots" / "2.txt").write_text("another plot")
    observed.add(name_of_store())
    (shop / "plots" / "2.txt").rename(shop / "plots" / "3.txt")
    observed.add(name_of_store())
    own.write_text("def letters(texts):\n    return [[2 * len(text)] for text in texts]\n")
    observed.add(name_of_store())
    assert len(observed) == 4
