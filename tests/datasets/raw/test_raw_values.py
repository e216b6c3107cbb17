"""Values of every type as prepare reads them: stores against a plain loop over the source."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec

from .field_log import FIELDS, ITEMS, PARTS, ROWS, in_two, log, prepared, stored_values

HALF = ROWS // 2


def test_dictionary_columns_are_their_text(tmp_path: Path) -> None:
    words = ["a", "b", "c"]
    values = [words[k % 3] for k in range(ROWS)]
    table = log(c=values).with_columns(
        pl.col("c").cast(pl.Categorical),
        pl.col("y").cast(pl.String).cast(pl.Categorical),
        pl.format("user {}", "u").cast(pl.Categorical).alias("u"),
        pl.format("item {}", "i").cast(pl.Enum([f"item {k}" for k in range(ITEMS)])).alias("i"),
    )
    table.write_parquet(tmp_path / "log.parquet")
    plain = log()
    store = prepared(tmp_path, **FIELDS)
    assert stored_values(store) == values
    users = np.concatenate([store.split(name).group for name in PARTS])
    assert len(set(users.tolist())) == plain["u"].n_unique()
    positives = sum(part.positives for part in store.manifest.counts.values())
    assert positives == plain["y"].sum()


def test_dates_of_any_unit_and_zone_are_one_category(tmp_path: Path) -> None:
    days = [dt.datetime(2020, 1, 1 + k % 3, 12, 0, 0) for k in range(ROWS)]
    utc = pl.Series("c", days).dt.replace_time_zone("UTC")
    first = log()[:HALF].with_columns(utc[:HALF].cast(pl.Datetime("ns", "UTC")))
    other = log()[HALF:].with_columns(
        utc[HALF:].dt.convert_time_zone("Asia/Tokyo").cast(pl.Datetime("ms", "Asia/Tokyo"))
    )
    store = prepared(tmp_path, **in_two(tmp_path, first, other), **FIELDS)
    assert stored_values(store) == [f"{day:%Y-%m-%d %H:%M:%S}+00:00" for day in days]


def test_nan_is_an_absent_category_and_zero_has_no_sign(tmp_path: Path) -> None:
    values = [[float("nan"), 0.0, -0.0, 1e-7][k % 4] for k in range(ROWS)]
    log(c=values).write_parquet(tmp_path / "log.parquet")
    store = prepared(tmp_path, **FIELDS)
    assert stored_values(store) == [[None, "0.0", "0.0", "1e-7"][k % 4] for k in range(ROWS)]
    assert store.manifest.losses["candidate.c.absent"].count == ROWS // 4


SEPARATED = {
    "lists as text": ("['a', 'b, c']", ["a", "b, c"]),
    "blanks after commas": ("Action, Drama (TV)", ["Action", "Drama (TV)"]),
    "a tuple": ("(1, 2)", ["1", "2"]),
    "a tuple of one": ("(1,)", ["1"]),
    "nothing between": ("a,,b", ["a", "b"]),
    "brackets of values": ("(a),(b)", ["(a)", "(b)"]),
    "a value in brackets": ("(no genres listed)", ["(no genres listed)"]),
    "quotes of a value": ("it's,b", ["it's", "b"]),
    "nothing": ("  ", []),
}


def test_separated_categories_are_cleaned_as_histories_are(tmp_path: Path) -> None:
    written = [text for text, _ in SEPARATED.values()]
    expected = [values for _, values in SEPARATED.values()]
    count = len(written)
    log(c=[written[k % count] for k in range(ROWS)]).write_parquet(tmp_path / "log.parquet")
    field = {"column": "c", "type": "categories", "separator": ","}
    store = prepared(tmp_path, candidate_fields=[field])
    words = dict(store.vocabulary("candidate", "c").iter_rows())
    for name in PARTS:
        split = store.split(name)
        for row, codes in zip(split.row_id.tolist(), split.candidate_ids.tolist(), strict=True):
            assert [words[code] for code in codes if code] == expected[row % count]


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_line_ends_of_any_kind(tmp_path: Path, end: str) -> None:
    text = log().write_csv().replace("\n", end)
    (tmp_path / "log.csv").write_bytes(text.encode())
    lines: list[str] = []
    raw = {
        "name": "ends",
        "interactions": {"path": "log.csv"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log"},
        "items": {"keys": "log"},
        "split": {"by": "time"},
    }
    store = prepare(parse_spec(raw, "t"), tmp_path, tmp_path / "out", progress=lines.append)
    assert sum(part.rows for part in store.manifest.counts.values()) == ROWS
    assert f"about {ROWS} rows" in lines[0]
