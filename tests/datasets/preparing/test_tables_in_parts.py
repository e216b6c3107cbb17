"""Items and users in several files are read as the same table in one file; stores are compared."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, ITEMS, USERS = 300, 40, 25
Write = Callable[[pl.DataFrame, Path], None]


def csv(frame: pl.DataFrame, path: Path) -> None:
    frame.write_csv(path)


def parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path)


def source(folder: Path, *, text_keys: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The log is written; the tables of items and users are returned whole."""
    rng = np.random.default_rng(3)
    key = (lambda k: f"i{k:03d}") if text_keys else (lambda k: 10 * k)
    order = rng.permutation(ITEMS)
    pl.DataFrame(
        {
            "u": rng.integers(0, USERS, ROWS),
            "i": [key(int(k)) for k in rng.integers(0, ITEMS, ROWS)],
            "y": rng.integers(0, 2, ROWS),
            "t": np.arange(ROWS) + 1_600_000_000,
        }
    ).write_parquet(folder / "log.parquet")
    items = pl.DataFrame(
        {
            "i": [key(int(k)) for k in order],
            "brand": [f"b{k % 7}" for k in order],
            "tags": ["|".join(sorted({f"t{k % 3}", f"t{k % 5}"})) for k in order],
            "price": [float(k) + 0.5 for k in order],
            "here": [bool(k % 4) for k in order],
            "zone": [f"z{k % 3}" for k in order],
        }
    )
    users = rng.permutation(USERS)
    table = {"u": users, "city": [f"c{k % 6}" for k in users], "age": users + 0.25}
    people = pl.DataFrame(table | {"band": [f"a{k % 4}" for k in users]})
    np.save(folder / "text.npy", rng.standard_normal((ITEMS, 3)).astype("f4"))
    return items, people


SPEC: dict[str, Any] = {
    "name": "parts",
    "interactions": {"path": "log.parquet"},
    "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
    "history": {"from": "log", "max_length": 4},
    "split": {"by": "time", "valid": 0.2, "test": 0.2},
    "slices": [{"name": "zone", "column": "zone"}, {"name": "band", "column": "band"}],
    "modalities": {"text": {"path": "text.npy", "present": "here"}},
}
ITEM_FIELDS = [
    {"column": "brand"},
    {"column": "tags", "type": "categories", "separator": "|"},
    {"column": "price", "type": "number"},
]
USER_FIELDS = [{"column": "city"}, {"column": "age", "type": "number"}]


def prepared(folder: Path, items: Any, users: Any, **more: Any) -> PreparedDataset:
    spec = SPEC | {
        "items": {"path": items, "key": "i", "fields": ITEM_FIELDS},
        "users": {"path": users, "key": "u", "fields": USER_FIELDS},
    }
    return prepare(parse_spec(spec | more, "test"), folder, folder / "out")


def cut(frame: pl.DataFrame, at: list[int], folder: Path, name: str, write: list[Write]) -> Any:
    """Parts written beside one another; an empty one where two cuts are equal."""
    names = []
    for number, (start, stop) in enumerate(zip([0, *at], [*at, frame.height], strict=True)):
        way = write[number % len(write)]
        names.append(f"{name}-{number}.{way.__name__}")
        way(frame[start:stop], folder / names[-1])
    return names


def content(store: PreparedDataset) -> dict[str, Any]:
    """Everything that a store holds but its name, as plain values."""
    out: dict[str, Any] = {"keys": store.item_keys()["key"].to_list()}
    for path in sorted(store.path.rglob("*.npy")):
        out[path.relative_to(store.path).as_posix()] = np.load(path).tolist()
    for path in sorted(store.path.glob("vocabularies/*")):
        out[path.name] = pl.read_parquet(path).rows()
    return out


@pytest.mark.parametrize("text_keys", [False, True])
@pytest.mark.parametrize(
    "write", [[parquet], [csv], [parquet, csv]], ids=["parquet", "csv", "both"]
)
def test_a_table_in_parts_makes_the_store_of_the_same_table_in_one_file(
    tmp_path: Path, readback: Any, write: list[Write], text_keys: bool
) -> None:
    items, users = source(tmp_path, text_keys=text_keys)
    parquet(items, tmp_path / "items.parquet")
    parquet(users, tmp_path / "users.parquet")
    whole = prepared(tmp_path, "items.parquet", "users.parquet")
    some = cut(items, [7, 7, 30], tmp_path, "items", write)
    people = cut(users, [1, 20], tmp_path, "users", write)
    parts = prepared(tmp_path, some, people)
    assert parts.manifest.fingerprint != whole.manifest.fingerprint
    assert content(parts) == content(whole)
    assert parts.manifest.kinds["items"] == whole.manifest.kinds["items"] | (
        {"price": "fractions", "here": "booleans"}
    )
    back = readback(parts)
    for row in items.iter_rows(named=True):
        stored = back.items[row["i"]]
        assert stored["brand"] in (row["brand"], None)
        assert stored["price"] == pytest.approx(row["price"], abs=1e-4)
        assert (row["i"] in back.vectors["text"]) == row["here"]
    city = dict(users.select("u", "city").iter_rows())
    zone = dict(items.select("i", "zone").iter_rows())
    for stored_row in back.rows:
        assert stored_row.of_request["city"] in (city[stored_row.user], None)
        assert stored_row.slices["zone"] == zone[stored_row.item]


def test_one_file_in_a_list_is_that_file(tmp_path: Path) -> None:
    items, users = source(tmp_path, text_keys=False)
    csv(items, tmp_path / "items.csv")
    csv(users, tmp_path / "users.csv")
    alone = prepared(tmp_path, "items.csv", "users.csv")
    listed = prepared(tmp_path, ["items.csv"], ["users.csv"])
    assert listed.manifest.fingerprint == alone.manifest.fingerprint


def test_vectors_in_a_column_and_texts_are_read_over_the_parts(tmp_path: Path) -> None:
    items, users = source(tmp_path, text_keys=True)
    vectors = np.load(tmp_path / "text.npy")
    items = items.with_columns(pl.Series("v", vectors.tolist(), dtype=pl.List(pl.Float32)))
    names = cut(items, [11, 29], tmp_path, "items", [parquet])
    parquet(users, tmp_path / "users.parquet")
    store = prepared(tmp_path, names, "users.parquet", modalities={"v": {"column": "v"}})
    assert np.array_equal(store.vectors("v")[1:], vectors)
    narrow = pl.Series("v", [[1.0, 2.0]] * 11, dtype=pl.List(pl.Float32))
    parquet(items[29:].with_columns(narrow), tmp_path / names[2])
    with pytest.raises(
        DataContractError,
        match=r"items-2\.parquet, column 'v', row 0: 2 numbers, the rows before had 3",
    ):
        prepared(tmp_path, names, "users.parquet", modalities={"v": {"column": "v"}})


def test_a_key_twice_over_parts_is_refused_with_both_places(tmp_path: Path) -> None:
    items, users = source(tmp_path, text_keys=False)
    parquet(pl.concat([items, items[3:4]]), tmp_path / "items.parquet")
    parquet(users, tmp_path / "users.parquet")
    again = f"the key {items['i'][3]} was there before"
    with pytest.raises(DataContractError, match=rf"items\.parquet, column 'i', row 40: {again};"):
        prepared(tmp_path, "items.parquet", "users.parquet")
    names = cut(pl.concat([items, items[3:4]]), [20], tmp_path, "items", [parquet])
    where = rf"items-1\.parquet, column 'i', row 20: {again}, in row 3 of items-0\.parquet;"
    with pytest.raises(DataContractError, match=where):
        prepared(tmp_path, names, "users.parquet")
    within = cut(pl.concat([items, items[30:31]]), [20], tmp_path, "items", [csv])
    with pytest.raises(DataContractError, match=r"items-1\.csv, column 'i', row 20: .* before;"):
        prepared(tmp_path, within, "users.parquet")
    people = cut(pl.concat([users, users[:1]]), [5], tmp_path, "users", [csv])
    whole = cut(items, [], tmp_path, "items", [parquet])
    where = rf"users-1\.csv, column 'u', row 20: .* {users['u'][0]} .*, in row 0 of users-0\.csv;"
    with pytest.raises(DataContractError, match=where):
        prepared(tmp_path, whole, people)


def _as(name: str, kind: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.with_columns(pl.col(name).cast(kind))


OTHERWISE: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "key as text": (
        _as("i", pl.String),
        r"items-1.parquet, column 'i', row 0: item keys are text, those of items-0.parquet are "
        "whole numbers",
    ),
    "fractions for a category": (
        lambda frame: frame.with_columns(brand=pl.lit(1.0)),
        r"items-1.parquet, column 'brand', row 0: values are fractions, those of items-0.parquet "
        "are text",
    ),
    "text for a number": (
        _as("price", pl.String),
        r"items-1.parquet, column 'price', row 0: values are text, those of items-0.parquet are "
        "fractions",
    ),
    "a column less": (
        lambda frame: frame.drop("zone"),
        r"items-1.parquet: column 'zone' is missing",
    ),
    "no key": (
        lambda frame: frame.with_columns(
            i=pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise(pl.col("i"))
        ),
        r"items-1.parquet, column 'i', row 2: an item without a key",
    ),
    "no flag": (
        lambda frame: frame.with_columns(here=pl.Series(["yes"] * frame.height)),
        r"items-1.parquet, column 'here', row 0: values are text, those of items-0.parquet are "
        "booleans",
    ),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_parts_that_disagree_are_refused_with_both_kinds_files_and_the_row(
    tmp_path: Path, name: str
) -> None:
    change, sentence = OTHERWISE[name]
    items, users = source(tmp_path, text_keys=False)
    names = cut(items, [15], tmp_path, "items", [parquet])
    parquet(users, tmp_path / "users.parquet")
    parquet(change(items[15:]), tmp_path / names[1])
    with pytest.raises(DataContractError, match=sentence):
        prepared(tmp_path, names, "users.parquet")


def test_whole_numbers_of_another_width_are_the_same_keys(tmp_path: Path) -> None:
    items, users = source(tmp_path, text_keys=False)
    parquet(users, tmp_path / "users.parquet")
    names = cut(items, [15], tmp_path, "items", [parquet])
    right = content(prepared(tmp_path, names, "users.parquet"))
    parquet(items[15:].with_columns(pl.col("i").cast(pl.UInt16)), tmp_path / names[1])
    assert content(prepared(tmp_path, names, "users.parquet")) == right


@pytest.mark.parametrize("items", [[], [""], [7]])
def test_paths_that_name_no_files_are_refused(tmp_path: Path, items: Any) -> None:
    with pytest.raises(SpecError, match=r"items\.path"):
        prepared(tmp_path, items, "users.parquet")


def test_parts_without_any_row_are_refused(tmp_path: Path) -> None:
    items, users = source(tmp_path, text_keys=False)
    parquet(users, tmp_path / "users.parquet")
    names = cut(items[:0], [0], tmp_path, "items", [csv])
    with pytest.raises(DataContractError, match=re.escape("items-0.csv and 1 more have no rows")):
        prepared(tmp_path, names, "users.parquet")
