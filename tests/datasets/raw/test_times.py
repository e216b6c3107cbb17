"""Times: their unit, and the order of day and month, by the whole column or refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.raw.times import Clock
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.yaml_file import Json

ROWS = 240
START = datetime(2021, 3, 1)
MOMENTS = [START + timedelta(minutes=97 * k) for k in range(ROWS)]  # 16 days: numbers above 12


def raw_spec(name: str = "log.csv", **columns: str) -> dict[str, Json]:
    return {
        "name": "times",
        "interactions": {"path": name},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t", **columns},
        "history": {"from": "log"},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }


def stored(folder: Path, raw: dict[str, Json]) -> tuple[PreparedDataset, list[int]]:
    """The store, and its timestamps in the order of the source's rows."""
    store = prepare(parse_spec(raw, "test"), folder, folder / "out")
    times = {}
    for name in ("train", "valid", "test"):
        split = store.split(name)
        assert split.timestamp is not None
        times |= dict(zip(split.row_id.tolist(), split.timestamp.tolist(), strict=True))
    return store, [times[row] for row in range(len(times))]


def frame(times: list[str] | list[int] | list[float] | list[datetime]) -> pl.DataFrame:
    draw = np.random.default_rng(0)
    n = len(times)
    return pl.DataFrame(
        {
            "u": draw.integers(0, 9, n),
            "i": draw.integers(0, 7, n),
            "y": draw.integers(0, 2, n),
            "t": times,
        }
    )


def milliseconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    "form",
    [
        "%d/%m/%Y %H:%M",
        "%m/%d/%Y %H:%M",
        "%d.%m.%Y %H:%M:%S",
        "%m-%d-%Y %I:%M:%S %p",
        "%Y/%m/%d %H:%M",
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S.%f",
        "%Y%m%d %H:%M:%S",
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_text_dates_are_read_as_they_were_written(tmp_path: Path, form: str, late: bool) -> None:
    """`late`: the rows that tell day from month come last, after other chunks were read."""
    moments = sorted(MOMENTS, key=lambda m: m.day > 12) if late else MOMENTS
    frame([m.strftime(form) for m in moments]).write_csv(tmp_path / "log.csv")
    store, times = stored(tmp_path, raw_spec())
    assert times == [milliseconds(m) for m in moments]
    assert store.manifest.time_unit == "ms"


def test_iso_times_may_differ_in_precision_and_carry_a_zone(tmp_path: Path) -> None:
    text = [f"{m:%Y-%m-%dT%H:%M}" + (":00", "", ":00.000")[k % 3] for k, m in enumerate(MOMENTS)]
    zones = ["+09:00", "Z", "-0230"]
    shift = [9.0, 0.0, -2.5]
    for zoned in (False, True):
        folder = tmp_path / str(zoned)
        folder.mkdir()
        here = [t + zones[k % 3] for k, t in enumerate(text)] if zoned else text
        frame(here).write_csv(folder / "log.csv")
        hours = [shift[k % 3] if zoned else 0.0 for k in range(ROWS)]
        want = [milliseconds(m) - int(h * 3_600_000) for m, h in zip(MOMENTS, hours, strict=True)]
        assert stored(folder, raw_spec())[1] == want


def test_a_date_that_has_two_readings_is_refused_until_it_is_said(tmp_path: Path) -> None:
    moments = [START + timedelta(days=31 * (k % 4), minutes=k) for k in range(ROWS)]
    assert all(m.day <= 12 for m in moments)
    frame([m.strftime("%d/%m/%Y %H:%M") for m in moments]).write_csv(tmp_path / "log.csv")
    with pytest.raises(
        DataContractError,
        match=r"column 't', row 0: got '01/03/2021 00:00'.*day or the month.*time_fo",
    ) as refusal:
        stored(tmp_path, raw_spec())
    assert "\n" not in str(refusal.value)
    _, times = stored(tmp_path, raw_spec(time_format="%d/%m/%Y %H:%M"))
    assert times == [milliseconds(m) for m in moments]
    other = [m.strftime("%d/%m/%Y %H:%M") for m in moments]
    _, times = stored(tmp_path, raw_spec(time_format="%m/%d/%Y %H:%M"))
    assert times == [milliseconds(datetime.strptime(t, "%m/%d/%Y %H:%M")) for t in other]


@pytest.mark.parametrize(
    ("times", "sentence"),
    [
        (["13/01/2021", "01/13/2021"], r"row 1: got '01/13/2021', and '13/01/2021' in row 0"),
        (["2021-01-13", "13/01/2021"], r"row 1: got '13/01/2021', expected times in ISO 8601"),
        (["13/01/2021", "2021-01-13"], r"row 1: got '2021-01-13', expected times in the day first"),
        (
            ["2021-01-13 00:00", "2021-01-13 00:00Z"],
            r"row 1: times are dates with a zone .*row 0.* are dates;",
        ),
        (["03/04/21", "13/04/21"], r"row 0: got '03/04/21', expected a time.*time_format"),
        (["soon", "later"], r"row 0: got 'soon', expected a time"),
        (["2021-02-30", "2021-01-01"], r"row 0: got '2021-02-30', expected times in ISO 8601"),
        (["1600000000", "2021-01-01"], r"row 1: times are dates .*row 0, '1600000000'. are whole"),
    ],
)
def test_times_in_two_ways_are_refused(tmp_path: Path, times: list[str], sentence: str) -> None:
    frame(times).write_csv(tmp_path / "log.csv")
    with pytest.raises(DataContractError, match=sentence):
        stored(tmp_path, raw_spec())


def test_a_way_is_kept_over_the_parts_of_a_log(tmp_path: Path) -> None:
    early = [m.strftime("%d/%m/%Y %H:%M") for m in MOMENTS if m.day <= 12]
    late = [m.strftime("%d/%m/%Y %H:%M") for m in MOMENTS if m.day > 12]
    for name, part in (("a.csv", early), ("b.csv", late)):
        frame(part).write_csv(tmp_path / name)
    raw = raw_spec()
    raw["interactions"] = {"path": ["a.csv", "b.csv"]}
    assert stored(tmp_path, raw)[1] == [milliseconds(m) for m in MOMENTS]


def test_a_declared_format_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    frame([m.strftime("%d/%m/%y %H:%M") for m in MOMENTS]).write_csv(tmp_path / "log.csv")
    with pytest.raises(DataContractError, match=r"row 0: got '01/03/21 00:00', expected times in"):
        stored(tmp_path, raw_spec(time_format="%d/%m/%Y %H:%M"))  # the year 21
    _, times = stored(tmp_path, raw_spec(time_format="%d/%m/%y %H:%M"))
    assert times == [milliseconds(m) for m in MOMENTS]
    frame(MOMENTS).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataContractError, match="time_format is for text; remove"):
        stored(tmp_path, raw_spec("log.parquet", time_format="%d/%m/%y"))
    with pytest.raises(DataContractError, match="time_unit is for numbers; remove"):
        stored(tmp_path, raw_spec("log.parquet", time_unit="s"))


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"time_format": "%Y", "time_unit": "s"}, "give one"),
        ({"time_format": "day"}, "expected '%d/%m/%Y'"),
        ({"time_unit": "h"}, "'s', 'ms', 'us' or 'ns'"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(
    columns: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SpecError, match=sentence):
        parse_spec(raw_spec(**columns), "test")
    raw = raw_spec(**columns)
    raw["columns"] = {"user": "u", "item": "i", "label": "y", **columns}
    with pytest.raises(SpecError):
        parse_spec(raw, "test")


UNIX = [int(m.replace(tzinfo=UTC).timestamp()) for m in MOMENTS]


@pytest.mark.parametrize("factor", [10**3, 10**6, 10**9])
@pytest.mark.parametrize("kind", ["parts", "half of the users", "a row", "fractions"])
@pytest.mark.parametrize("csv", [False, True])
def test_seconds_beside_another_unit_are_refused(
    tmp_path: Path, factor: int, kind: str, csv: bool
) -> None:
    table = frame(UNIX)
    finer = {
        "parts": pl.int_range(pl.len()) >= ROWS // 2,
        "half of the users": pl.col("u") % 2 == 0,
        "a row": pl.int_range(pl.len()) == 17,
        "fractions": pl.col("u") % 2 == 0,
    }[kind]
    table = table.with_columns(t=pl.when(finer).then(pl.col("t") * factor).otherwise("t"))
    if kind == "fractions":
        table = table.with_columns(pl.col("t") + 0.5)
    suffix = "csv" if csv else "parquet"
    names = [f"a.{suffix}", f"b.{suffix}"]
    for name, part in zip(names, (table[: ROWS // 2], table[ROWS // 2 :]), strict=True):
        part.write_csv(tmp_path / name) if csv else part.write_parquet(tmp_path / name)
    raw = raw_spec()
    raw["interactions"] = {"path": [*names]}
    beyond = kind == "fractions" and factor == 10**9  # fractions may be 9e15
    sentence = "fix the time" if beyond else r"seconds.*write all times in one unit"
    with pytest.raises(DataContractError, match=sentence) as refusal:
        stored(tmp_path, raw)
    if beyond:
        return
    for word in ("a time in ", " one in ", "row "):
        assert word in str(refusal.value)
    if kind == "a row":
        assert f"row 17: got {table['t'][17]}, a time in" in str(refusal.value)
        assert f"as in 1 of {ROWS} rows" in str(refusal.value)


@pytest.mark.parametrize(
    ("factor", "unit"), [(1, "s"), (10**3, "ms"), (10**6, "us"), (10**9, "ns")]
)
def test_the_unit_is_recorded_where_it_is_known(tmp_path: Path, factor: int, unit: str) -> None:
    frame([t * factor for t in UNIX]).write_parquet(tmp_path / "log.parquet")
    store, times = stored(tmp_path, raw_spec("log.parquet"))
    assert (store.manifest.time_unit, times) == (unit, [t * factor for t in UNIX])
    store, times = stored(tmp_path, raw_spec("log.parquet", time_unit=unit))
    assert (store.manifest.time_unit, times) == (unit, [t * factor for t in UNIX])
    other = "ms" if unit == "s" else "s"
    with pytest.raises(DataContractError, match=r"row 0: got .* where columns\.time_unit says"):
        stored(tmp_path, raw_spec("log.parquet", time_unit=other))


def test_fractions_of_seconds_are_stored_as_milliseconds(tmp_path: Path) -> None:
    frame([t + 0.25 for t in UNIX]).write_parquet(tmp_path / "log.parquet")
    store, times = stored(tmp_path, raw_spec("log.parquet"))
    assert (store.manifest.time_unit, times) == ("ms", [1000 * t + 250 for t in UNIX])


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 10**6), (0, 10**13), (10**9, 10**12), (-5, 300), (20_210_101, 20_211_231)],
)
def test_steps_of_any_length_have_no_unit(tmp_path: Path, low: int, high: int) -> None:
    steps = np.linspace(low, high, ROWS).astype(np.int64).tolist()
    frame(steps).write_parquet(tmp_path / "log.parquet")
    store, times = stored(tmp_path, raw_spec("log.parquet"))
    assert (store.manifest.time_unit, times) == ("", steps)
    if low != 20_210_101:  # days as numbers are no milliseconds
        store, _ = stored(tmp_path, raw_spec("log.parquet", time_unit="ms"))
        assert store.manifest.time_unit == "ms"


def test_days_as_numbers_beside_seconds_are_refused(tmp_path: Path) -> None:
    days = [int(m.strftime("%Y%m%d")) if k % 2 else UNIX[k] for k, m in enumerate(MOMENTS)]
    frame(days).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataContractError, match=r"(a time|one) in yyyymmdd"):
        stored(tmp_path, raw_spec("log.parquet"))


def test_chunks_of_any_size_give_the_same_times() -> None:
    column = pl.Series("t", [m.strftime("%d/%m/%Y %H:%M") for m in MOMENTS])
    whole = Clock(day_first=True).read(column, Path("log.csv"), 0)
    by_chunk = Clock(day_first=True)
    parts = [by_chunk.read(column[k : k + 7], Path("log.csv"), k) for k in range(0, ROWS, 7)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
