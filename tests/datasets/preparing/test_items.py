"""Items of a file, of the log or of the vectors: their keys, fields and numbers by plain loops."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.spec import DatasetSpec, parse_spec

ROWS, ITEMS = 120, 12
TAGS = [["a"], ["a", "b"], ["late"], ["b", "a", "c"], [], ["b"]]


def spec(**changes: Any) -> DatasetSpec:
    raw: dict[str, Any] = {
        "name": "items",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y"},
        "history": {"from": "none"},
        "items": {"path": "items.parquet", "key": "i"},
        "split": {"by": "given", "column": "s"},
    }
    return parse_spec(raw | changes, "test")


def write(folder: Path, **columns: Any) -> pl.DataFrame:
    """A log in which train shows items 1 to 8 of 12; the keys are ten times as large."""
    rng = np.random.default_rng(0)
    part = np.arange(ROWS) % 3
    log = pl.DataFrame(
        {
            "u": rng.integers(0, 9, ROWS),
            "i": 10 * np.where(part == 0, rng.integers(1, 9, ROWS), rng.integers(1, 13, ROWS)),
            "y": rng.integers(0, 2, ROWS),
            "s": [("train", "valid", "test")[k] for k in part],
            **columns,
        }
    )
    log.write_parquet(folder / "log.parquet")
    return log


def test_fields_keep_what_train_has_and_take_the_columns_that_their_longest_item_needs(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    tags = [*TAGS, *TAGS]
    tags[9] = ["a", "b", "c", "a"]  # the longest is no item of train
    kind = ["x", "y", "x", "x", "y", "x", "x", None, "new", "x", "new", "y"]
    price = [None, *(float(k * k) for k in range(1, ITEMS))]
    items = {"i": [10 * k for k in range(1, ITEMS + 1)], "tags": tags, "kind": kind, "price": price}
    pl.DataFrame(items).write_parquet(tmp_path / "items.parquet")
    fields = [
        {"column": "price", "type": "number"},
        {"column": "tags", "type": "categories", "max_values": 5},
        {"column": "kind"},
    ]
    table: dict[str, Any] = {"path": "items.parquet", "key": "i", "fields": fields}
    store = prepare(spec(items=table), tmp_path, tmp_path / "out")
    stored = {field.name: field for field in store.manifest.schema_.item_fields}
    assert list(stored) == ["tags", "kind"]
    assert [stored[name].columns for name in stored] == [4, 1]
    assert stored["tags"].size == 1 + len({tag for k in range(8) for tag in tags[k]})
    assert stored["kind"].size == 1 + 2
    words = {name: dict(store.vocabulary("item", name).iter_rows()) for name in stored}
    ids = np.asarray(store.items.fields)
    assert not ids[0].any()
    known = {tag for k in range(8) for tag in tags[k]}
    for row in range(ITEMS):
        codes = ids[row + 1]
        assert [words["tags"].get(int(c)) for c in codes[: len(tags[row])]] == [
            tag if tag in known else None for tag in tags[row]
        ]
        assert not codes[len(tags[row]) : 4].any()
        assert words["kind"].get(int(codes[4])) == (kind[row] if kind[row] != "new" else None)
    warm = np.array([p for p in price[:8] if p is not None])
    scaling = store.manifest.numbers["item.price"]
    assert scaling.mean == pytest.approx(warm.mean())
    assert scaling.deviation == pytest.approx(warm.std())
    scores = [0.0, *(0.0 if p is None else (p - warm.mean()) / warm.std() for p in price)]
    np.testing.assert_allclose(store.items.numbers[:, 0], scores, rtol=1e-6)
    losses = {key: (loss.count, loss.of) for key, loss in store.manifest.losses.items()}
    assert losses == {
        "item.tags.absent": (2, ITEMS),
        "item.kind.absent": (1, ITEMS),
        "item.kind.unseen.items": (2, ITEMS - 1),
        "item.price.absent": (1, ITEMS),
    }


def test_an_item_file_without_fields_has_empty_tables(tmp_path: Path) -> None:
    write(tmp_path)
    pl.DataFrame({"i": [10 * k for k in range(ITEMS, 0, -1)]}).write_parquet(
        tmp_path / "items.parquet"
    )
    store = prepare(spec(), tmp_path, tmp_path / "out")
    assert store.items.fields.shape == store.items.numbers.shape == (ITEMS + 1, 0)
    keys = store.item_keys()
    assert keys["row"].to_list() == list(range(1, ITEMS + 1))  # in the order of the file
    assert keys["key"].to_list() == [10 * k for k in range(ITEMS, 0, -1)]


def test_the_items_of_a_log_are_those_of_every_file_and_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, 16, 1, 1, 1))
    histories: list[list[int] | None] = [[] for _ in range(ROWS)]
    histories[0], histories[70], histories[100] = [500, 3, 10], None, [7]
    log = write(tmp_path, h=histories)
    log[:50].write_parquet(tmp_path / "a.parquet")
    log[50:].write_parquet(tmp_path / "b.parquet")
    chosen = spec(
        interactions={"path": ["a.parquet", "b.parquet"]},
        items={"keys": "log"},
        history={"from": "list", "column": "h", "max_length": 2},
    )
    store = prepare(chosen, tmp_path, tmp_path / "out")
    right = sorted({*log["i"].to_list(), 3, 10, 7})  # 500 is older than the two newest
    assert store.item_keys()["key"].to_list() == right


def test_the_items_of_vectors_are_their_rows(tmp_path: Path) -> None:
    write(tmp_path, i=[k % 7 for k in range(ROWS)])
    np.save(tmp_path / "v.npy", np.ones((9, 2)))
    chosen = spec(items={"keys": "rows"}, modalities={"v": {"path": "v.npy"}})
    store = prepare(chosen, tmp_path, tmp_path / "out")
    assert store.item_keys()["key"].to_list() == list(range(9))
    with pytest.raises(SpecError, match="keys: rows needs a modality with an npy file; add one"):
        prepare(spec(items={"keys": "rows"}), tmp_path, tmp_path / "out")


def test_numbers_as_text_in_one_file_are_the_numbers_of_another(tmp_path: Path) -> None:
    log = write(tmp_path)
    log[:50].write_csv(tmp_path / "a.csv")
    log[50:].with_columns(pl.lit("7").alias("i")).write_csv(tmp_path / "b.csv")
    chosen = spec(interactions={"path": ["a.csv", "b.csv"]}, items={"keys": "log"})
    store = prepare(chosen, tmp_path, tmp_path / "out")
    assert store.item_keys()["key"].to_list() == sorted({*log["i"][:50].to_list(), 7})


@pytest.mark.parametrize(
    ("row", "key", "sentence"),
    [
        (0, " a", r"log\.parquet, column 'h', row 0: the history holds ' a', a key with blanks"),
        (37, "b ", r"log\.parquet, column 'h', row 37: the history holds 'b ', a key with blanks"),
    ],
)
def test_a_key_with_blanks_around_it_is_refused_with_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int, key: str, sentence: str
) -> None:
    monkeypatch.setattr(pipeline, "_first_chunk", lambda *_: 16)
    histories = [["x", "y"] for _ in range(ROWS)]
    histories[row] = ["x", "z", key]
    write(tmp_path, i=["x", "y"] * (ROWS // 2), h=histories)
    chosen = spec(items={"keys": "log"}, history={"from": "list", "column": "h", "max_length": 2})
    with pytest.raises(DataContractError, match=sentence):
        prepare(chosen, tmp_path, tmp_path / "out")


def test_keys_of_another_type_than_the_items_are_refused(tmp_path: Path) -> None:
    write(tmp_path, h=[["a"]] * ROWS)
    chosen = spec(items={"keys": "log"}, history={"from": "list", "column": "h"})
    sentence = (
        r"column 'h', row 0: item keys are text, column 'i' of log\.parquet holds whole numbers"
    )
    with pytest.raises(DataContractError, match=sentence):
        prepare(chosen, tmp_path, tmp_path / "out")
    write(tmp_path)
    pl.read_parquet(tmp_path / "log.parquet").clear().write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataContractError, match=r"log\.parquet: no rows; export it again"):
        prepare(spec(items={"keys": "log"}), tmp_path, tmp_path / "out")
