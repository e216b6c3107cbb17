"""Splits that a log brings: several files a split, and what a column calls them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec, parse_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.yaml_file import Json

ROWS = 120


def log() -> pl.DataFrame:
    draw = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "u": draw.integers(0, 9, ROWS),
            "i": draw.integers(0, 7, ROWS),
            "y": draw.integers(0, 2, ROWS),
        }
    )


def raw_spec(**changes: Json) -> dict[str, Json]:
    return {
        "name": "given",
        "interactions": {"path": "log.csv"},
        "columns": {"user": "u", "item": "i", "label": "y"},
        "history": {"from": "none"},
        "items": {"keys": "log"},
        "split": {"by": "given"},
        **changes,
    }


def rows_of(store: PreparedDataset) -> dict[str, list[tuple[int, int, int, int]]]:
    """split -> (row of the source, user, item key, label), in the order of the source."""
    keys = dict(store.item_keys().iter_rows())
    by_split = {}
    for name in ("train", "valid", "test"):
        split = store.split(name)
        rows = []
        for request in range(len(split.group)):
            for row in range(int(split.row_start[request]), int(split.row_start[request + 1])):
                item, label = keys[int(split.item[row])], int(split.label[row])
                rows.append((int(split.row_id[row]), int(split.group[request]), item, label))
        by_split[name] = sorted(rows)
    return by_split


def test_a_split_may_have_several_files(tmp_path: Path) -> None:
    table = log()
    edges = {"a": (0, 40), "b": (40, 70), "c": (70, 90), "d": (90, 100), "e": (100, ROWS)}
    for name, (start, end) in edges.items():
        table[start:end].write_parquet(tmp_path / f"{name}.parquet")
    files: dict[str, Json] = {
        "train": ["a.parquet", "b.parquet"],
        "valid": ["c.parquet"],
        "test": ["d.parquet", "e.parquet"],
    }
    store = prepare(parse_spec(raw_spec(interactions=files), "test"), tmp_path, tmp_path / "out")
    want = {"train": (0, 70), "valid": (70, 90), "test": (90, ROWS)}
    rows = [(k, *row) for k, row in enumerate(table.iter_rows())]
    assert rows_of(store) == {name: rows[start:end] for name, (start, end) in want.items()}
    moved = files | {"train": "a.parquet", "valid": ["b.parquet", "c.parquet"]}
    other = prepare(parse_spec(raw_spec(interactions=moved), "test"), tmp_path, tmp_path / "out")
    assert other.manifest.fingerprint != store.manifest.fingerprint
    assert rows_of(other)["valid"] == rows[40:90]


@pytest.mark.parametrize(
    "words",
    [("train", "val", "test"), ("Train", "Dev", "Test"), ("training", "validation", "testing")],
)
def test_splits_are_known_by_their_usual_names(tmp_path: Path, words: tuple[str, ...]) -> None:
    table = log().with_columns(
        s=pl.Series([words[0 if k % 5 < 3 else k % 5 - 2] for k in range(ROWS)])
    )
    table.write_csv(tmp_path / "log.csv")
    split: dict[str, Json] = {"by": "given", "column": "s"}
    store = prepare(parse_spec(raw_spec(split=split), "test"), tmp_path, tmp_path / "out")
    by_split = rows_of(store)
    for place, name in enumerate(("train", "valid", "test")):
        rows = [
            (k, u, i, y)
            for k, (u, i, y, s) in enumerate(table.iter_rows())
            if words.index(s) == place
        ]
        assert by_split[name] == rows
    table.with_columns(s=pl.lit("holdout")).write_csv(tmp_path / "log.csv")
    with pytest.raises(DataContractError, match="'holdout', expected train, valid or test"):
        prepare(parse_spec(raw_spec(split=split), "test"), tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"train": [], "valid": "a.csv", "test": "b.csv"}, "an empty list"),
        ({"path": []}, "an empty list"),
        ({"train": "a.csv", "test": ["b.csv"]}, "give all three"),
        ({"train": ["a.csv"], "path": "b.csv"}, "either 'path' or"),
    ],
)
def test_files_that_make_no_split_are_refused(files: dict[str, Json], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        parse_spec(raw_spec(interactions=files), "test")


def test_what_is_left_unknown_is_refused_with_its_line(tmp_path: Path) -> None:
    text = "name: x\ncolumns:\n  {user: u, item: UNKNOWN}  # UNKNOWN: a or b\n"
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=r"spec\.yaml: line 3: 'item' is UNKNOWN: .*write one"):
        load_spec(tmp_path / "spec.yaml")
    text = text.replace("item: UNKNOWN", 'item: "UNKNOWN"')  # in quotes it is a column's name
    (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match="key 'interactions' is missing"):
        load_spec(tmp_path / "spec.yaml")
