"""Records of a chunk, tables of a spec and users of a file, value by value against the source."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.raw.category_codes import Codebook, FieldEncoder
from fusefront.datasets.raw.columns import ITEMS, LOG, USERS, TableFile, decide
from fusefront.datasets.raw.hashing import mix, rows_hash, text_hash
from fusefront.datasets.raw.keys import KeyIndex
from fusefront.datasets.raw.log_records import Part, Recorder
from fusefront.datasets.raw.reading import (
    columns_of,
    count_rows,
    is_parquet,
    read_table,
    require,
    stream,
    typed_columns,
)
from fusefront.datasets.raw.users import UserCodes, read_users
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.table_text import COMMAS, TableText

ITEM_KEYS = [30, 10, 20]
LOG_ROWS: dict[str, list[Any]] = {
    "u": ["b", "b", "a", "c", "zoe", "b"],
    "i": [10, 20, 99, 30, 10, 30],
    "y": [1, 0, 1, 1, 0, 1],
    "t": [5, 6, 7, 8, 9, 10],
    "r": ["x", None, "x", "y", "y", "x"],
    "p": [0.25, 0.5, 0.0, 1.0, 0.75, 0.125],
    "g": ["g2", "g1", None, "g1", "g3", "g2"],
    "n": [1.5, None, 2.5, -1.0, 0.0, 7.0],
    "d": ["d1", "d1", "d2", None, "d1", "d2"],
    "m": [-1.0, -2.0, None, -4.0, -5.0, -6.0],
    "s": ["s1", "s2", "s1", None, "s3", "s1"],
    "h": [[10, 20], [10, 20], [30], [], [20, 10, 30], [10, 20]],
    "k": ["buy", "view", "view", "buy", None, "view"],
}
USER_ROWS = {
    "u": ["a", "b", "c"],
    "age": [50, 20, None],
    "city": ["x", None, "y"],
    "w": [1.0, 2.0, 3.0],
}


def spec(**changes: Any) -> DatasetSpec:
    raw: dict[str, Any] = {
        "name": "shop",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t", "request": "r"},
        "history": {"from": "list", "column": "h", "max_length": 2},
        "request_fields": [{"column": "g"}, {"column": "n", "type": "number"}],
        "candidate_fields": [{"column": "d"}, {"column": "m", "type": "number"}],
        "users": {
            "path": "users.parquet",
            "key": "u",
            "fields": [{"column": "city"}, {"column": "w", "type": "number"}],
        },
        "items": {"path": "items.parquet", "key": "i", "unknown": "drop"},
        "split": {"by": "random"},
        "truth": {"column": "p"},
        "slices": [{"name": "shape", "column": "s"}, {"name": "years", "column": "age"}],
    }
    return parse_spec(raw | changes, "test")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    pl.DataFrame(LOG_ROWS).write_parquet(tmp_path / "log.parquet")
    pl.DataFrame(USER_ROWS).write_parquet(tmp_path / "users.parquet")
    pl.DataFrame({"i": ITEM_KEYS}).write_parquet(tmp_path / "items.parquet")
    return tmp_path


def recorder(folder: Path, chosen: DatasetSpec) -> Recorder:
    log = folder / "log.parquet"
    kinds = decide(chosen, folder, [TableFile(log, COMMAS)], 100)
    of_users = tuple(part for part in chosen.slices if kinds.slices.get(str(part.column)) == USERS)
    of_log = {part.name: str(part.column) for part in chosen.slices if part not in of_users}
    users = read_users(folder, chosen.users, of_users, kinds.table(USERS)) if chosen.users else None
    return Recorder(
        chosen,
        KeyIndex(pl.Series("i", ITEM_KEYS), folder / "items.parquet", "i"),
        FieldEncoder(chosen.request_fields, kinds.table(LOG)),
        FieldEncoder(chosen.candidate_fields, kinds.table(LOG)),
        users,
        {name: Codebook() for name in of_log},
        of_log,
        kinds,
        chosen.history.columns(LOG_ROWS),
    )


def words(book: Codebook, codes: Any) -> list[str | None]:
    return [book.values[int(code)] or None for code in codes]


def test_every_column_of_a_chunk_is_in_its_record(shop: Path) -> None:
    reader = recorder(shop, spec())
    frame = pl.DataFrame(LOG_ROWS)
    assert set(reader.columns) == set(LOG_ROWS) - {"k"}
    chunk = reader.read(frame, Part(shop / "log.parquet", None, COMMAS), 0, 100)
    known = [row for row in range(6) if LOG_ROWS["i"][row] in ITEM_KEYS]
    records = chunk.records
    assert chunk.left_out == 1
    assert records["row"].tolist() == [100 + row for row in known]
    users = [LOG_ROWS["u"][row] for row in known]
    hashed = text_hash(pl.Series(users))
    assert records["user"].tolist() == hashed.tolist()
    assert records["group"].tolist() == (hashed >> np.uint64(1)).tolist()
    assert records["item"].tolist() == [1 + ITEM_KEYS.index(LOG_ROWS["i"][row]) for row in known]
    for name, column in {"label": "y", "time": "t", "truth": "p"}.items():
        assert records[name].tolist() == [LOG_ROWS[column][row] for row in known]
    requests = [LOG_ROWS["r"][row] for row in known]
    names = {
        id_: word for id_, word in zip(requests, records["request"].tolist(), strict=True) if id_
    }
    assert names == {id_: int(text_hash(pl.Series([id_]))[0]) for id_ in ("x", "y")}
    assert records["request"][1] not in names.values()
    at = {user: place for place, user in enumerate(USER_ROWS["u"])}
    city = [USER_ROWS["city"][at[user]] if user in at else None for user in users]
    weight = [USER_ROWS["w"][at[user]] if user in at else np.nan for user in users]
    request_books = reader.request_books
    assert words(request_books[0], records["request_ids"][:, 0]) == [
        LOG_ROWS["g"][k] for k in known
    ]
    assert words(request_books[1], records["request_ids"][:, 1]) == city
    numbers = [[LOG_ROWS["n"][k] for k in known], weight]
    expected = np.array([[np.nan if x is None else x for x in column] for column in numbers]).T
    np.testing.assert_array_equal(records["request_numbers"], expected)
    assert words(reader.candidate.books[0], records["candidate_ids"][:, 0]) == [
        LOG_ROWS["d"][k] for k in known
    ]
    assert records["candidate_numbers"][:, 0].tolist() == [LOG_ROWS["m"][k] for k in known]
    assert words(reader.slices["shape"], records["slices"][:, 0]) == [
        LOG_ROWS["s"][k] for k in known
    ]
    assert reader.users is not None
    ages = [USER_ROWS["age"][at[user]] if user in at else None for user in users]
    assert words(reader.users.slice_books[0], records["slices"][:, 1]) == [
        None if age is None else str(age) for age in ages
    ]
    assert [field.label for field in reader.request_fields] == ["g", "n", "city", "w"]
    losses = {key: (loss.count, loss.of) for key, loss in reader.tally.losses().items()}
    assert losses["rows.user_not_in_table"] == (1, 6)
    assert losses["rows.unknown_item"] == (1, 6)
    assert losses["rows.no_request"] == (1, 6)


def test_a_history_is_kept_once_for_rows_that_share_it_in_turn(shop: Path) -> None:
    reader = recorder(shop, spec())
    frame = pl.DataFrame(LOG_ROWS)
    chunk = reader.read(frame, Part(shop / "log.parquet", None, COMMAS), 0, 0)
    known = [0, 1, 3, 4, 5]  # row 2 is of no item
    lists = [[1 + ITEM_KEYS.index(key) for key in LOG_ROWS["h"][row]][-2:] for row in known]
    assert chunk.records["length"].tolist() == [len(part) for part in lists]
    own = [1, 0, 1, 1, 1]  # rows 0 and 1: one user, one history
    assert chunk.records["own"].tolist() == own
    remaining = [item for part, first in zip(lists, own, strict=True) if first for item in part]
    assert chunk.values.tolist() == remaining
    flat = np.array([item for part in lists for item in part], np.int32)
    hashes = rows_hash(flat, np.array([len(part) for part in lists]))
    assert chunk.records["history"].tolist() == hashes.tolist()
    none = recorder(shop, spec(history={"from": "none"}))
    bare = none.read(frame.drop("h"), Part(shop / "log.parquet", None, COMMAS), 0, 0)
    assert len(bare.values) == 0
    assert bare.records["row"].tolist() == known
    assert not bare.records["own"].any()


@pytest.mark.parametrize("events", [None, ["view"]])
def test_where_negatives_are_drawn_only_positives_and_events_are_kept(
    shop: Path, events: list[str] | None
) -> None:
    history: dict[str, Any] = {"from": "log"}
    history |= {"events": events, "kind": "k"} if events else {}
    chosen = spec(
        label={"positive_when": ">= 1"}, negatives={"per_positive": 2}, history=history, truth=None
    )
    reader = recorder(shop, chosen)
    chunk = reader.read(pl.DataFrame(LOG_ROWS), Part(shop / "log.parquet", None, COMMAS), 0, 0)
    remaining = [
        row
        for row in range(6)
        if LOG_ROWS["i"][row] in ITEM_KEYS
        and (LOG_ROWS["y"][row] or (events and LOG_ROWS["k"][row] in events))
    ]
    assert chunk.records["row"].tolist() == remaining
    assert chunk.left_out == 6 - len(remaining)
    loss = reader.tally.losses()["rows.no_positive"]
    assert (loss.count, loss.of) == (1 if events else 2, 6)
    if events:
        assert chunk.records["event"].tolist() == [
            int(LOG_ROWS["k"][row] == "view") for row in remaining
        ]
        assert words(reader.event_kinds.book, chunk.records["kind"]) == [
            LOG_ROWS["k"][k] for k in remaining
        ]


def test_an_unknown_item_is_refused_with_its_row_in_the_file(shop: Path) -> None:
    items = {"path": "items.parquet", "key": "i"}
    reader = recorder(shop, spec(items=items))
    with pytest.raises(
        DataContractError,
        match=(
            r"log\.parquet, column 'i', row 42: item 99 is not in items\.parquet; add it to items"
        ),
    ):
        reader.read(pl.DataFrame(LOG_ROWS), Part(shop / "log.parquet", None, COMMAS), 40, 100)


def test_users_that_are_whole_numbers_are_their_own_code() -> None:
    numbers = UserCodes("whole numbers")
    code, word = numbers.read(pl.Series("u", ["7", "-2"]), Path("log.csv"), 0)
    assert code.tolist() == [7, -2]
    assert word.tolist() == mix(np.array([7, 2**64 - 2], np.uint64)).tolist()
    big = pl.Series("u", [2**63 + 1, 5], dtype=pl.UInt64)
    code, word = numbers.read(big, Path("log.csv"), 0)
    assert code.tolist() == [1 - 2**63, 5]
    assert word.tolist() == mix(np.array([2**63 + 1, 5], np.uint64)).tolist()
    with pytest.raises(DataContractError, match=r"log\.csv, column 'u', row 31: no value"):
        numbers.read(pl.Series("u", [1, None]), Path("log.csv"), 30)
    with pytest.raises(DataContractError, match="column 'u': got Float64; store users as integers"):
        numbers.read(pl.Series("u", [0.5]), Path("log.csv"), 0)


def test_a_user_who_is_not_in_the_file_has_nothing(shop: Path) -> None:
    chosen = spec()
    assert chosen.users is not None
    kinds = decide(chosen, shop, [TableFile(shop / "log.parquet", COMMAS)], 100)
    slices = (chosen.slices[1],)
    table = read_users(shop, chosen.users, slices, kinds.table(USERS))
    assert table.codes.shape == (4, 1)
    assert words(table.encoder.books[0], table.codes[:, 0]) == [None, "x", None, "y"]
    np.testing.assert_array_equal(table.numbers[:, 0], [np.nan, 1.0, 2.0, 3.0])
    assert words(table.slice_books[0], table.slice_codes[:, 0]) == [None, "50", "20", None]
    assert table.slice_names == ("years",)
    bare = read_users(shop, chosen.users, (), kinds.table(USERS))
    assert bare.slice_codes.shape == (4, 0)
    assert bare.index.rows(pl.Series("u", ["c", "zoe"]), shop / "log.parquet", "u").tolist() == [
        3,
        0,
    ]


def test_every_column_is_looked_up_in_its_table(shop: Path) -> None:
    chosen = spec(
        slices=[
            {"name": "log", "column": "s"},
            {"name": "users", "column": "age"},
            {"name": "items", "column": "colour"},
            {"name": "both", "column": "u"},
            {"name": "cold", "when": "cold_item"},
        ],
        items={
            "path": "items.parquet",
            "key": "i",
            "fields": [{"column": "size", "type": "number"}],
        },
    )
    items = {"i": ITEM_KEYS, "colour": ["red", None, "blue"], "size": [1, 2, 3]}
    pl.DataFrame(items).write_parquet(shop / "items.parquet")
    kinds = decide(chosen, shop, [TableFile(shop / "log.parquet", COMMAS)], 100)
    assert kinds.slices == {"s": LOG, "age": USERS, "colour": ITEMS, "u": LOG}
    assert (kinds.users, kinds.items, kinds.times) == ("text", "whole numbers", "whole numbers")
    assert kinds.table(USERS) == {
        "u": "text",
        "city": "text",
        "w": "fractions",
        "age": "whole numbers",
    }
    assert kinds.table(ITEMS) == {"i": "whole numbers", "colour": "text", "size": "whole numbers"}
    log = kinds.table(LOG)
    assert {name: log[name] for name in ("g", "n", "d", "m", "s", "y", "p", "r")} == {
        "g": "text",
        "n": "fractions",
        "d": "text",
        "m": "fractions",
        "s": "text",
        "y": "whole numbers",
        "p": "fractions",
        "r": "text",
    }
    assert kinds.table("nowhere") == {}
    stray = spec(slices=[{"name": "stray", "column": "q"}])
    with pytest.raises(
        SpecError, match="slice 'stray': column 'q' is in none of the log, the users"
    ):
        decide(stray, shop, [TableFile(shop / "log.parquet", COMMAS)], 100)


@pytest.mark.parametrize("rows", [2, 100])
def test_kinds_of_a_csv_are_those_of_all_its_rows(shop: Path, rows: int) -> None:
    frame = pl.DataFrame(LOG_ROWS).with_columns(pl.Series("g", ["1", "2", None, "3", "4", "05"]))
    frame.drop("h").write_csv(shop / "log.csv")
    chosen = spec(interactions={"path": "log.csv"}, history={"from": "none"})
    kinds = decide(chosen, shop, [TableFile(shop / "log.csv", COMMAS)], rows)
    log = kinds.table(LOG)
    assert (log["g"], log["d"], log["n"], log["y"]) == (
        "text",
        "text",
        "fractions",
        "whole numbers",
    )
    assert (kinds.times, kinds.items) == ("whole numbers", "whole numbers")
    mixed = frame.drop("h").with_columns(pl.Series("d", ["1", "2", "true", "4", "5", "6"]))
    mixed.write_csv(shop / "log.csv")
    with pytest.raises(
        DataContractError, match=r"column 'd', row 2: values are booleans \('true'\)"
    ):
        decide(chosen, shop, [TableFile(shop / "log.csv", COMMAS)], rows)


# reading


def test_tables_are_read_in_chunks_with_the_columns_that_are_asked_for(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": range(10), "b": [f"w{k % 3}" for k in range(10)], "c": [0.5] * 10})
    frame.with_columns(pl.col("b").cast(pl.Categorical)).write_parquet(tmp_path / "t.PQ")
    path = tmp_path / "t.PQ"
    assert is_parquet(path)
    assert is_parquet(Path("x.parquet"))
    assert not is_parquet(Path("x.csv"))
    chunks = list(stream(path, ["b", "a", "b"], 4))
    assert [chunk.height for chunk in chunks] == [4, 4, 2]
    assert pl.concat(chunks).rows() == frame.select("b", "a").rows()
    assert chunks[0]["b"].dtype == pl.String
    assert read_table(path, ["c"]).rows() == frame.select("c").rows()
    assert count_rows(path) == 10
    assert list(columns_of(path)) == ["a", "b", "c"]
    frame.write_csv(tmp_path / "t.csv")
    assert pl.concat(list(stream(tmp_path / "t.csv", ["a"], 3)))["a"].to_list() == [
        *map(str, range(10))
    ]
    assert read_table(tmp_path / "t.csv", ["b"])["b"].to_list() == frame["b"].to_list()
    assert count_rows(tmp_path / "t.csv") == 10
    assert count_rows(tmp_path / "t.csv", TableText(names=("x", "y", "z"))) == 11
    with pytest.raises(DataContractError, match=r"column 'z' is missing; the file has a, b, c$"):
        require(path, ["a", "z"])
    with pytest.raises(DataContractError, match="names for a parquet file, which has its own"):
        columns_of(path, TableText(names=("a",)))
    (tmp_path / "none.csv").write_text("a,b\n")
    with pytest.raises(DataContractError, match="a header without rows; export it again"):
        read_table(tmp_path / "none.csv", ["a"])
    assert count_rows(tmp_path / "none.csv") == 1
    wide = tmp_path / "wide.parquet"
    pl.DataFrame({f"c{k:02}": [k] for k in range(35)}).write_parquet(wide)
    with pytest.raises(DataContractError, match=r"'z' is missing; the file has c00, .*, c29$"):
        require(wide, ["z"])


def test_a_column_without_a_value_is_of_no_kind_over_all_row_groups(tmp_path: Path) -> None:
    schema = pa.schema({"a": pa.int64(), "b": pa.string(), "c": pa.list_(pa.int64())})
    path = tmp_path / "t.parquet"
    with pq.ParquetWriter(path, schema) as file:
        for group in range(2):
            late = ["x" if group else None] * 2
            file.write_table(pa.table([[None, None], late, [[None], [None]]], schema=schema))
    kinds = typed_columns(path, ["a", "b", "c", "a"])
    assert kinds == {"a": "nothing", "b": "text", "c": "lists of whole numbers"}
