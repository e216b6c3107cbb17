"""Files of text without a header line: the spec names their columns."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing.fingerprint import fingerprint
from fusefront.datasets.raw.reading import count_rows
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.table_text import TableText
from fusefront.datasets.yaml_file import Json

ROWS, USERS, ITEMS = 300, 12, 9


def films(folder: Path) -> list[tuple[int, int, int, int]]:
    """u.data, u.user and u.item as MovieLens has them; the rows of the log."""
    draw = np.random.default_rng(0)
    log = [
        (int(u), int(i), int(rating), 880_000_000 + 7 * k)
        for k, (u, i, rating) in enumerate(
            zip(
                draw.integers(1, USERS + 1, ROWS),
                draw.integers(1, ITEMS + 1, ROWS),
                draw.integers(1, 6, ROWS),
                strict=True,
            )
        )
    ]
    lines = ["\t".join(map(str, row)) for row in log]
    (folder / "u.data").write_text("\n".join(lines) + "\n", encoding="utf-8")
    users = [f"{u}|{20 + u}|{'MF'[u % 2]}" for u in range(1, USERS + 1)]
    (folder / "u.user").write_text("\n".join(users), encoding="utf-8")  # no line end at the end
    items = [f"{i}|Film {i}|{'abc'[i % 3]}" for i in range(1, ITEMS + 1)]
    (folder / "u.item").write_text("\n".join(items) + "\n", encoding="utf-8-sig")
    return log


def raw_spec() -> dict[str, Json]:
    return {
        "name": "films",
        "interactions": {"path": "u.data", "separator": "\t", "names": ["u", "i", "r", "t"]},
        "columns": {"user": "u", "item": "i", "label": "r", "timestamp": "t"},
        "label": {"positive_when": ">= 4"},
        "history": {"from": "none"},
        "users": {
            "path": "u.user",
            "key": "id",
            "separator": "|",
            "names": ["id", "age", "sex"],
            "fields": [{"column": "sex"}],
        },
        "items": {
            "path": "u.item",
            "key": "id",
            "separator": "|",
            "names": ["id", "title", "kind"],
            "fields": [{"column": "kind"}],
        },
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }


def prepared(folder: Path, raw: dict[str, Json]) -> PreparedDataset:
    return prepare(parse_spec(raw, "test"), folder, folder / "out")


def test_every_row_of_headerless_files_is_read(tmp_path: Path) -> None:
    log = films(tmp_path)
    store = prepared(tmp_path, raw_spec())
    keys = dict(store.item_keys().iter_rows())
    sex = dict(store.vocabulary("request", "sex").iter_rows())
    kinds = dict(store.vocabulary("item", "kind").iter_rows())
    by_row = {}
    for name in ("train", "valid", "test"):
        split = store.split(name)
        for request in range(len(split.group)):
            for row in range(int(split.row_start[request]), int(split.row_start[request + 1])):
                item = int(split.item[row])
                by_row[int(split.row_id[row])] = (
                    int(split.group[request]),
                    keys[item],
                    int(split.label[row]),
                    sex[int(split.request_ids[request, 0])],
                    kinds[int(store.items.fields[item, 0])],
                )
    want = {k: (u, i, int(r >= 4), "MF"[u % 2], "abc"[i % 3]) for k, (u, i, r, _) in enumerate(log)}
    assert by_row == want


def test_rows_are_counted_with_and_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for text in ("1,2\n3,4\n5,6", "1,2\n3,4\n5,6\n"):
        path.write_text(text, encoding="utf-8")
        assert count_rows(path, TableText(",", ("a", "b"))) == 3
        assert count_rows(path) == 2


@pytest.mark.parametrize(
    ("part", "names", "kind", "sentence"),
    [
        ("interactions", ["u", "i", "r"], DataContractError, "4 values in the first line, 3 names"),
        ("interactions", ["u", "i", "r", "r"], SpecError, "the name 'r' twice"),
        ("interactions", [], SpecError, "names"),
        ("interactions", ["u", "i", "r", "time"], DataContractError, "column 't' is missing"),
        ("items", ["id", "kind"], DataContractError, "3 values in the first line, 2 names"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    tmp_path: Path, part: str, names: list[Json], kind: type[Exception], sentence: str
) -> None:
    films(tmp_path)
    raw = raw_spec()
    holder = raw[part]
    assert isinstance(holder, dict)
    holder["names"] = names
    with pytest.raises(kind, match=sentence) as refusal:
        prepared(tmp_path, raw)
    assert "\n" not in str(refusal.value)


def test_names_beside_a_header_or_a_parquet_are_refused(tmp_path: Path) -> None:
    films(tmp_path)
    body = (tmp_path / "u.data").read_text(encoding="utf-8")
    (tmp_path / "u.data").write_text("u\ti\tr\tt\n" + body, encoding="utf-8")
    with pytest.raises(DataContractError, match="first line holds the names; remove 'names'"):
        prepared(tmp_path, raw_spec())
    raw = raw_spec()
    raw["interactions"] = {"path": "u.parquet", "names": ["u", "i", "r", "t"]}
    pl.DataFrame({"u": [1], "i": [1], "r": [1], "t": [1]}).write_parquet(tmp_path / "u.parquet")
    with pytest.raises(DataContractError, match="remove 'names'"):
        prepared(tmp_path, raw)


def test_a_spec_without_names_keeps_its_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("u,i,y\n1,2,0\n", encoding="utf-8")
    raw: dict[str, Json] = {
        "name": "old",
        "interactions": {"path": "log.csv"},
        "columns": {"user": "u", "item": "i", "label": "y"},
        "history": {"from": "none"},
        "items": {"keys": "log"},
        "split": {"by": "random"},
    }
    assert fingerprint(parse_spec(raw, "test"), tmp_path) == "bb35fd6800afad65"  # before names
    with_names = raw | {"interactions": {"path": "log.csv", "names": ["u", "i", "y"]}}
    assert fingerprint(parse_spec(with_names, "test"), tmp_path) != "bb35fd6800afad65"
