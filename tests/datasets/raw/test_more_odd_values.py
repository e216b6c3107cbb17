"""Values that were read as others without a word: refused now, or read as they stand."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.row_encoder import RowEncoder
from fusefront.datasets.spec import History, parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS = 120


def frame(**columns: Any) -> pl.DataFrame:
    draw = np.random.default_rng(2)
    base = {
        "u": draw.integers(0, 9, ROWS),
        "i": draw.integers(1, 9, ROWS),
        "y": draw.integers(0, 2, ROWS),
        "t": np.arange(ROWS) + 1_600_000_000,
    }
    return pl.DataFrame(base | columns)


def prepared(folder: Path, **changes: Any) -> PreparedDataset:
    raw: dict[str, Any] = {
        "name": "odd",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "none"},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }
    return prepare(parse_spec(raw | changes, "test"), folder, folder / "out")


@pytest.mark.parametrize(
    ("labels", "when", "sentence"),
    [
        (
            ["view", "buy", "click"],
            "in ['click', 'Buy']",
            r"no row has the label 'Buy', .*'buy', 'cl",
        ),
        (["view", "click "], "== 'click'", r"no row has the label 'click', .*'click ', 'view'"),
        (["view", "click"], "!= 'seen'", r"no row has the label 'seen'"),
        ([0.0, 5.0, 3.7], "in [3.7, 5]", r"no row has the label 3\.7, .*3\.70000004768"),
        ([1, 2, 3], "== 4", r"no row has the label 4\.0, .*1\.0, 2\.0, 3\.0"),
    ],
)
def test_a_label_that_no_row_has_is_refused(
    tmp_path: Path, labels: list[Any], when: str, sentence: str
) -> None:
    kind = pl.Float32 if isinstance(labels[0], float) else None
    column = pl.Series([labels[k % len(labels)] for k in range(ROWS)], dtype=kind)
    frame(y=column).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataContractError, match=rf"log\.parquet, column 'y': {sentence}"):
        prepared(tmp_path, label={"positive_when": when})


def test_labels_that_stand_in_one_part_alone_are_there(tmp_path: Path) -> None:
    words = [["view", "click", "buy"][k % 2 if k < 60 else k % 3] for k in range(ROWS)]
    log = frame(y=pl.Series(words))
    log[:60].write_parquet(tmp_path / "a.parquet")
    log[60:].write_parquet(tmp_path / "b.parquet")
    files = {"path": ["a.parquet", "b.parquet"]}
    when = "in ['click', 'buy']"
    store = prepared(tmp_path, interactions=files, label={"positive_when": when})
    positives = sum(part.positives for part in store.manifest.counts.values())
    assert positives == sum(word != "view" for word in words)
    store = prepared(tmp_path, interactions=files, label={"positive_when": "!= 'view'"})
    assert sum(part.positives for part in store.manifest.counts.values()) == positives


def test_a_quote_behind_a_backslash_is_refused(tmp_path: Path) -> None:
    lines = [f"{k % 9},{1 + k % 8},{k % 2},{1_600_000_000 + k},x" for k in range(ROWS)]
    lines[70] = f'1,2,1,{1_600_000_070},"a\\"b"'
    (tmp_path / "log.csv").write_text("u,i,y,t,c\n" + "\n".join(lines) + "\n")
    changes = {"interactions": {"path": "log.csv"}, "candidate_fields": [{"column": "c"}]}
    with pytest.raises(DataContractError, match=r"log\.csv, column 'c', row 70: .* behind a back"):
        prepared(tmp_path, **changes)
    words = ['a"b', "c\\", "\\d", '"e"', '{"k": "\\\\"}']
    log = frame(c=[words[k % 5] for k in range(ROWS)])
    log.write_csv(tmp_path / "log.csv", quote_style="always")
    assert set(prepared(tmp_path, **changes).vocabulary("candidate", "c")["value"]) == set(words)


def beside(names: list[str]) -> pl.DataFrame:
    """hist_1 holds 1, hist_2 holds 2, and so on."""
    return frame(**{name: [int(name[5:])] * ROWS for name in names})


@pytest.mark.parametrize("order", ["names", "rising", "falling"])
def test_columns_side_by_side_are_read_by_their_numbers(
    tmp_path: Path, order: str, readback: Any
) -> None:
    numbers = list(range(1, 13))
    names = [f"hist_{k}" for k in numbers]
    names = {"names": sorted(names), "rising": names, "falling": names[::-1]}[order]
    expected = tuple(numbers[::-1] if order == "falling" else numbers)
    beside(names).write_parquet(tmp_path / "log.parquet")
    history = {"from": "padded", "column": "hist_*", "max_length": 12}
    items = pl.DataFrame({"i": range(1, 13)})
    items.write_parquet(tmp_path / "items.parquet")
    store = prepared(tmp_path, history=history, items={"path": "items.parquet", "key": "i"})
    assert {row.history for row in readback(store).rows} == {expected}
    assert store.manifest.raw is not None
    assert store.manifest.raw.history_columns == tuple(f"hist_{k}" for k in expected)
    encoder = RowEncoder(
        store.manifest.raw, KeyIndex(store.item_keys()["key"], tmp_path, "key"), {}, {}
    )
    rows = beside([f"hist_{k}" for k in (7, *range(1, 7), *range(8, 13))])[:1]  # in any order
    columns = encoder.columns(rows.columns, tmp_path)
    encoded = encoder.encode(rows.select(columns.all), columns, tmp_path, 0)
    assert encoded.histories.values.tolist() == list(expected)  # row k of the items is k
    with pytest.raises(DataContractError, match="column 'hist_12' is missing"):
        encoder.columns(rows.drop("hist_12").columns, tmp_path)


def test_columns_without_numbers_stay_as_they_stand() -> None:
    history = History.model_validate({"from": "padded", "column": "h_*"})
    assert history.columns(["h_new", "u", "h_old", "h_first"]) == ("h_new", "h_old", "h_first")


def test_a_key_more_than_vectors_is_no_header_line(tmp_path: Path) -> None:
    frame().write_parquet(tmp_path / "log.parquet")
    pl.DataFrame({"i": range(1, 9)}).write_parquet(tmp_path / "items.parquet")
    np.save(tmp_path / "text.npy", np.arange(1, 25, dtype="f4").reshape(8, 3))
    changes = {
        "items": {"path": "items.parquet", "key": "i"},
        "modalities": {"text": {"path": "text.npy", "ids": "ids.csv"}},
    }
    (tmp_path / "ids.csv").write_text("".join(f"{k}\n" for k in (8, 1, 2, 3, 4, 5, 6, 7, 9)))
    with pytest.raises(DataContractError, match=r"ids\.csv: 9 keys for 8 vectors"):
        prepared(tmp_path, **changes)
    (tmp_path / "ids.csv").write_text("key\n" + "".join(f"{k}\n" for k in (8, 1, 2, 3, 4, 5, 6, 7)))
    assert prepared(tmp_path, **changes).vectors("text")[8].tolist() == [1, 2, 3]
