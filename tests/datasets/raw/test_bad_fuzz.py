"""Generated csv dialects, parquet types and mixtures of parts: right by a plain loop, or one
sentence."""

import contextlib
import csv
import io
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SEPARATORS = (",", ";", "\t", "|")
KEYS = st.one_of(
    st.integers(-5, 300).map(str),
    st.sampled_from(["007", "7", "7.0", "1e3", "u,1", 'u"1', " u", "用户", "A", "a", "nil"]),
)
WORDS = st.one_of(
    st.none(),
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=6),
)
NUMBERS = st.one_of(st.none(), st.floats(-1e6, 1e6, width=32), st.integers(-1000, 1000).map(float))
USERS = {
    "text": (pa.string(), str),
    "large": (pa.large_string(), str),
    "whole": (pa.int64(), int),
    "narrow": (pa.int16(), int),
    "unsigned": (pa.uint64(), int),
}
NULLS = {"", "NA", "NaN", "nan", "null", "NULL"}
FUZZ = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@st.composite
def dialects(draw: st.DrawFn) -> dict[str, object]:
    return {
        "delimiter": draw(st.sampled_from(SEPARATORS)),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "mark": draw(st.booleans()),
        "last": draw(st.booleans()),
    }


def text_of(rows: list[dict[str, object]], dialect: dict[str, object]) -> bytes:
    file = io.StringIO()
    ways = {name: dialect[name] for name in ("delimiter", "lineterminator", "quoting")}
    out = csv.DictWriter(file, list(rows[0]), **ways)
    out.writeheader()
    out.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    text = file.getvalue()
    text = text if dialect["last"] else text.rstrip("\r\n")
    return (b"\xef\xbb\xbf" if dialect["mark"] else b"") + text.encode()


@contextlib.contextmanager
def fuzzed(sample_class, rows: dict[str, list[object]]):
    """A fresh sample whose users, categories and numbers are the drawn ones."""
    with tempfile.TemporaryDirectory() as place:
        yield _filled(sample_class, Path(place) / "data", rows)


def _filled(sample_class, folder: Path, rows: dict[str, list[object]]):
    folder.mkdir()
    sample = sample_class(folder)
    for name, values in rows.items():
        for place, row in enumerate(sample.rows):
            row[name] = values[place % len(values)]
    return sample


def of_csv(sample_class, users, words, numbers, dialect) -> None:
    words = [None if word is not None and word.strip() in NULLS else word for word in words]
    with fuzzed(sample_class, {"u": users, "d": words, "n": numbers}) as sample:
        sample.write(text_of(sample.rows, dialect))
        known = {str(word).lower() for word in words if word is not None}
        for row in sample.rows if known <= {"true", "false"} else ():
            row["d"] = None if row["d"] is None else str(row["d"]).lower()  # booleans
        sign = "\\t" if dialect["delimiter"] == "\t" else dialect["delimiter"]
        sample.swap("path: log.csv}", f'path: log.csv, separator: "{sign}"}}')
        sentence = sample.sentence()  # compares with the rows where it is None
    assert sentence is None or "log.csv" in sentence


def of_parts(sample_class, kinds, cut, numbers) -> None:
    """A log in two parquet parts whose users have types of their own."""
    with fuzzed(sample_class, {"u": [str(k) for k in range(9)], "n": numbers}) as sample:
        sentence = _in_parts(sample, kinds, cut)
    alike = {kind in ("text", "large") for kind in kinds}
    assert (sentence is None) == (len(alike) == 1), sentence


def _in_parts(sample, kinds, cut) -> str | None:
    sample.write()
    parts = (sample.rows[:cut], sample.rows[cut:])
    for number, (rows, kind) in enumerate(zip(parts, kinds, strict=True)):
        dtype, change = USERS[kind]
        columns = {
            name: pa.array([row[name] for row in rows]) for name in rows[0] if name not in "un"
        }
        columns["u"] = pa.array([change(str(row["u"])) for row in rows], dtype)
        columns["n"] = pa.array([row["n"] for row in rows], pa.float64())
        pq.write_table(pa.table(columns), sample.folder / f"{number}.parquet")
    sample.swap("path: log.csv", "path: [0.parquet, 1.parquet]")
    if "text" not in kinds and "large" not in kinds:
        for row in sample.rows:
            row["u"] = int(str(row["u"]))
    return sample.sentence()


FEW = {
    "users": st.lists(KEYS, min_size=2, max_size=6),
    "words": st.lists(WORDS, min_size=2, max_size=5),
    "numbers": st.lists(NUMBERS, min_size=2, max_size=5).filter(lambda v: v[0] is not None),
    "dialect": dialects(),
}
PARTS = {
    "kinds": st.tuples(st.sampled_from(list(USERS)), st.sampled_from(list(USERS))),
    "cut": st.integers(1, 59),
    "numbers": FEW["numbers"],
}


@pytest.fixture(scope="module")
def sample_class(request: pytest.FixtureRequest):
    return request.getfixturevalue("sample_type")


QUOTED = {
    "delimiter": ",",
    "lineterminator": "\n",
    "quoting": csv.QUOTE_ALL,
    "mark": False,
    "last": False,
}


@pytest.mark.parametrize("words", [[None, "TRUE"], ["  ", "true", "FALSE"], [None, "7", " "]])
def test_blanks_in_quotes_do_not_make_a_column_text(sample_class, words) -> None:
    of_csv(sample_class, ["0", "1"], words, [0.0, None], QUOTED)


@given(**FEW)
@settings(max_examples=50, suppress_health_check=FUZZ)
def test_any_dialect_of_csv(sample_class, users, words, numbers, dialect) -> None:
    of_csv(sample_class, users, words, numbers, dialect)


@given(**PARTS)
@settings(max_examples=50, suppress_health_check=FUZZ)
def test_any_mixture_of_parquet_parts(sample_class, kinds, cut, numbers) -> None:
    of_parts(sample_class, kinds, cut, numbers)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(**FEW)
@settings(max_examples=5000, suppress_health_check=FUZZ)
def test_many_dialects_of_csv(sample_class, users, words, numbers, dialect) -> None:
    of_csv(sample_class, users, words, numbers, dialect)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(**PARTS)
@settings(max_examples=500, suppress_health_check=FUZZ)
def test_many_mixtures_of_parquet_parts(sample_class, kinds, cut, numbers) -> None:
    of_parts(sample_class, kinds, cut, numbers)
