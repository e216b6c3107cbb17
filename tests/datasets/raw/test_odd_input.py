"""Odd files that are right: they are read as meant, whatever the size of the chunks."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget
from fusefront.datasets.raw.column_kinds import TEXT, WHOLE
from fusefront.datasets.raw.users import UserCodes
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS, ITEMS = 240, 12
CSV = Path("log.csv")


def spec(**changes: Any) -> DatasetSpec:
    raw: dict[str, Any] = {
        "name": "odd",
        "interactions": {"path": "log.csv"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log"},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }
    return parse_spec(raw | changes, "test")


def log() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "u": rng.integers(0, 20, ROWS),
            "i": rng.integers(0, ITEMS, ROWS),
            "y": rng.integers(0, 2, ROWS),
            "t": np.arange(ROWS) + 1000,
        }
    )


def prepared(folder: Path, dataset: DatasetSpec) -> PreparedDataset:
    return prepare(dataset, folder, folder / "out")


def rows(store: PreparedDataset) -> int:
    return sum(part.rows for part in store.manifest.counts.values())


def test_users_of_a_csv_are_the_same_in_chunks_of_any_size() -> None:
    column = pl.Series("u", ["12", "7", "anna", "12", "b", "7", "anna"])
    code, word = UserCodes(TEXT).read(column, CSV, 0)
    reader = UserCodes(TEXT)
    by_chunk = [reader.read(column[k : k + 2], CSV, k) for k in range(0, len(column), 2)]
    np.testing.assert_array_equal(code, np.concatenate([part[0] for part in by_chunk]))
    np.testing.assert_array_equal(word, np.concatenate([part[1] for part in by_chunk]))
    assert len(set(code.tolist())) == column.n_unique()
    assert UserCodes(WHOLE).read(column[:2], CSV, 0)[0].tolist() == [12, 7]


def test_users_beyond_63_bits_stay_apart() -> None:
    column = pl.Series("u", np.array([1, 2**63, 2**63 + 1, 2**64 - 1], np.uint64))
    code, word = UserCodes(WHOLE).read(column, Path("log.parquet"), 0)
    assert len(set(code.tolist())) == len(set(word.tolist())) == 4


@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_times_of_a_csv_have_the_unit_of_the_whole_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(pipeline, "plan", lambda *_: Budget(1 << 30, chunk, 1, 1, 1))
    times = [str(1000 + k) if k < ROWS - 1 else "2000.5" for k in range(ROWS)]  # a fraction at last
    log().with_columns(t=pl.Series(times)).write_csv(tmp_path / "log.csv")
    store = prepared(tmp_path, spec())
    assert store.manifest.kinds["interactions"]["t"] == "fractions"
    for name in ("train", "valid", "test"):
        split = store.split(name)
        assert split.timestamp is not None
        for row, time in zip(split.row_id.tolist(), split.timestamp.tolist(), strict=True):
            assert time == float(times[row]) * 1000


def test_blanks_and_quotes_in_a_header_and_boolean_labels(tmp_path: Path) -> None:
    table = log().with_columns(pl.col("y") == 1, n=pl.lit(0.5))
    body = table.write_csv(include_header=False)
    (tmp_path / "log.csv").write_text('u, i , y,t,"price, in ""€"""\n' + body, encoding="utf-8")
    price = {"column": 'price, in "€"', "type": "number"}
    store = prepared(tmp_path, spec(candidate_fields=[price]))
    assert store.manifest.schema_.candidate_numbers == ('price, in "€"',)
    positives = sum(part.positives for part in store.manifest.counts.values())
    assert (rows(store), positives) == (ROWS, table["y"].sum())


def test_line_ends_inside_quotes_are_text(tmp_path: Path) -> None:
    words = ["two\nlines, " + "x" * 900, "one"] * (ROWS // 2)  # over several blocks of the reader
    table = pl.concat([log().with_columns(c=pl.Series(words))] * 4)
    table.write_csv(tmp_path / "log.csv")
    store = prepared(tmp_path, spec(candidate_fields=[{"column": "c"}]))
    assert rows(store) == 4 * ROWS
    assert set(store.vocabulary("candidate", "c")["value"]) == set(words)


def test_no_field_name_leaves_the_store(tmp_path: Path) -> None:
    names = ["../../../../../out", "a/b", "a%2Fb", "nul\0", "x" * 300, "naïve 😀"]
    columns = {name: pl.Series(["p", "q"] * (ROWS // 2)) for name in names}
    log().with_columns(**columns).write_parquet(tmp_path / "log.parquet")
    fields = [{"column": name} for name in names]
    store = prepared(tmp_path, spec(interactions={"path": "log.parquet"}, candidate_fields=fields))
    for name in names:
        assert store.vocabulary("candidate", name)["value"].to_list() == ["p", "q"]
    assert len(list((store.path / "vocabularies").iterdir())) == len(names)
    assert not (tmp_path / "out.parquet").exists()


def test_the_first_thousands_of_items_may_lack_a_vector(tmp_path: Path) -> None:
    log().write_csv(tmp_path / "log.csv")
    items = 5000
    vectors = [None] * (items - 1) + [[1.0, 2.0]]
    pl.DataFrame({"i": range(items), "v": vectors}).write_parquet(tmp_path / "items.parquet")
    dataset = spec(items={"path": "items.parquet", "key": "i"}, modalities={"v": {"column": "v"}})
    store = prepared(tmp_path, dataset)
    assert store.items.present.nonzero()[0].tolist() == [items]
    assert store.items.vectors["v"][items].tolist() == [1.0, 2.0]


def test_keys_of_vectors_may_have_a_header_and_blanks(tmp_path: Path) -> None:
    log().with_columns(pl.format("item {}", "i").alias("i")).write_csv(tmp_path / "log.csv")
    np.save(tmp_path / "v.npy", np.arange(1.0, ITEMS + 1)[:, None])
    keys = [f"item {k}" for k in reversed(range(ITEMS))]
    (tmp_path / "ids.csv").write_text("\n".join(["key", *keys]), encoding="utf-8")
    store = prepared(tmp_path, spec(modalities={"v": {"path": "v.npy", "ids": "ids.csv"}}))
    by_key = dict(zip(store.item_keys()["key"], store.items.vectors["v"][1:, 0], strict=True))
    assert by_key == {key: k + 1 for k, key in enumerate(keys)}


def test_written_histories_in_a_parquet_are_numbers_where_the_items_are(tmp_path: Path) -> None:
    log().with_columns(h=pl.lit("3 1 4")).write_parquet(tmp_path / "log.parquet")
    pl.DataFrame({"i": range(ITEMS)}).write_parquet(tmp_path / "items.parquet")
    history = {"from": "list", "column": "h", "separator": " "}
    for items in ({"keys": "log"}, {"path": "items.parquet", "key": "i"}):
        folder = spec(interactions={"path": "log.parquet"}, history=history, items=items)
        assert set(prepared(tmp_path, folder).history_values.tolist()) == {2, 4, 5}


@pytest.mark.parametrize("items", [{"keys": "log"}, {"path": "items.csv", "key": "i"}])
def test_the_memory_is_said_before_anything_is_read(tmp_path: Path, items: dict[str, str]) -> None:
    log().write_csv(tmp_path / "log.csv")
    log().unique("i").write_csv(tmp_path / "items.csv")
    lines: list[str] = []
    prepare(
        spec(items=items), tmp_path, tmp_path / "out", max_memory=512 << 20, progress=lines.append
    )
    assert f"{ROWS} rows; memory at most 512.0 MiB" in lines[0]
    assert any("temporary files" in line for line in lines[:2])


@pytest.mark.parametrize("ways", [(0, 1), (1, 0)])
def test_days_among_times_of_day_count_as_midnight_and_are_counted(
    tmp_path: Path, ways: tuple[int, int]
) -> None:
    """A spreadsheet writes 2024-01-05 for midnight; a log of both kinds has lost its order."""
    forms = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")
    at = pl.Series(np.arange(ROWS) * 3_607_000 + 1_704_067_200_000).cast(pl.Datetime("ms"))
    short = np.arange(ROWS) % 4 == 0
    text = [at.dt.strftime(forms[way]).to_list() for way in ways]
    written = [text[0][k] if short[k] else text[1][k] for k in range(ROWS)]
    log().with_columns(t=pl.Series(written)).write_csv(tmp_path / "log.csv")
    store = prepared(tmp_path, spec())
    days = int(short.sum()) if ways[0] == 0 else int((~short).sum())
    loss = store.manifest.losses["time.day_alone"]
    assert (loss.count, loss.of) == (days, ROWS)
    day = short if ways[0] == 0 else ~short
    expected = [t - t % 86_400_000 if d else t for t, d in zip(at.to_physical(), day, strict=True)]
    stored = [t for name in ("train", "valid", "test") for t in store.split(name).timestamp]
    assert sorted(stored) == sorted(expected)


def test_days_alone_are_a_clock_of_their_own(tmp_path: Path) -> None:
    at = pl.Series(np.arange(ROWS) * 86_400_000 + 1_704_067_200_000).cast(pl.Datetime("ms"))
    log().with_columns(t=at.dt.strftime("%Y-%m-%d")).write_csv(tmp_path / "log.csv")
    assert "time.day_alone" not in prepared(tmp_path, spec()).manifest.losses
