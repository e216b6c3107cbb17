"""Parquet and npy files as people have them: right by a plain loop, or one sentence."""

import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

RIGHT = ""
Values = list[object]


def table(sample) -> pa.Table:
    return pa.table({name: [row[name] for row in sample.rows] for name in sample.rows[0]})


def with_column(sample, name: str, array: pa.Array) -> pa.Table:
    rows = table(sample)
    return rows.set_column(rows.column_names.index(name), name, array)


def typed(kind: pa.DataType, change: Callable[[object], object] = lambda v: v):
    return lambda values: pa.array([change(value) for value in values], kind)


def words(values: Values) -> pa.Array:
    return pa.array([str(value) for value in values])


def spelled(values: Values) -> pa.Array:
    return pa.array([str(value) for value in values]).dictionary_encode()


def one_type(value: object, kind: pa.DataType | None = None):
    """The fourth value is another."""
    return lambda values: pa.array([*values[:3], value, *values[4:]], kind)


def seconds(value: object) -> datetime:
    return datetime.fromtimestamp(int(str(value)), UTC).replace(tzinfo=None)


# column, its array made of the good values -> a pattern of the sentence, or RIGHT
COLUMNS: dict[str, tuple[str, Callable[[Values], pa.Array], str]] = {
    # users
    "users of large text": ("u", typed(pa.large_string()), RIGHT),
    "users of a dictionary": ("u", spelled, RIGHT),
    "users of a text view": ("u", typed(pa.string_view()), RIGHT),
    "users as bytes": ("u", typed(pa.binary(), lambda v: str(v).encode()), r"'u'.*[Bb]inary"),
    "a null user": ("u", one_type(None), "'u', row 3: no value"),
    "users all null": ("u", typed(pa.null(), lambda v: None), "'u'"),
    "users as lists": ("u", typed(pa.list_(pa.string()), lambda v: [v]), "'u'"),
    "users as fractions": ("u", typed(pa.float64(), lambda v: float(str(v)[1:]) + 0.5), "'u'"),
    "users as a NaN": ("u", typed(pa.float64(), lambda v: float("nan")), "'u'"),
    "users as booleans": ("u", typed(pa.bool_(), lambda v: True), "'u'"),
    "users as days": ("u", typed(pa.date32(), lambda v: date(2020, 1, 1)), "'u'"),
    "users as decimals": ("u", typed(pa.decimal128(9, 2), lambda v: Decimal(str(v)[1:])), "'u'"),
    "users as structs": ("u", typed(pa.struct({"a": pa.string()}), lambda v: {"a": v}), "'u'"),
    # items
    "items of int8": ("i", typed(pa.int8()), RIGHT),
    "items of uint64": ("i", typed(pa.uint64()), RIGHT),
    "items of a dictionary": ("i", spelled, RIGHT),
    "a null item": ("i", one_type(None), "'i', row 3"),
    "items as fractions": ("i", typed(pa.float64(), lambda v: float(str(v)) + 0.5), "'i'"),
    "items as lists": ("i", typed(pa.list_(pa.int64()), lambda v: [v]), "'i'"),
    "an item beyond 63 bits": (
        "i",
        lambda values: pa.array([*values[:3], 2**64 - 1, *values[4:]], pa.uint64()),
        "'i'",
    ),
    # labels
    "labels as booleans": ("y", typed(pa.bool_(), bool), RIGHT),
    "labels of uint64": ("y", typed(pa.uint64()), RIGHT),
    "labels of half floats": ("y", typed(pa.float16(), lambda v: np.float16(v)), RIGHT),
    "labels of floats": ("y", typed(pa.float32(), float), RIGHT),
    "labels as text": ("y", words, RIGHT),
    "a NaN label": ("y", one_type(float("nan"), pa.float64()), "'y', row 3"),
    "a null label": ("y", one_type(None), "'y', row 3: no label"),
    "labels all null": ("y", typed(pa.null(), lambda v: None), "'y'"),
    "labels as lists": ("y", typed(pa.list_(pa.int64()), lambda v: [v]), "'y'"),
    "labels as durations": ("y", typed(pa.duration("s"), lambda v: timedelta(1)), "'y'"),
    # times
    "times of int32": ("t", typed(pa.int32()), RIGHT),
    "times of uint64": ("t", typed(pa.uint64()), RIGHT),
    "a time beyond 63 bits": ("t", one_type(2**64 - 1, pa.uint64()), "'t'"),
    "a null time": ("t", one_type(None), "'t', row 3: no value"),
    "times as lists": ("t", typed(pa.list_(pa.int64()), lambda v: [v]), "'t'"),
    "times of the day": ("t", typed(pa.time64("us"), lambda v: seconds(v).time()), "'t'"),
    "times as durations": (
        "t",
        typed(pa.duration("s"), lambda v: timedelta(0, int(str(v)))),
        "'t'",
    ),
    "times as booleans": ("t", typed(pa.bool_(), lambda v: True), "'t'"),
    "times all null": ("t", typed(pa.null(), lambda v: None), "'t'"),
    "a NaN time": ("t", one_type(float("nan"), pa.float64()), "'t', row 3"),
    "an infinite time": ("t", one_type(float("inf"), pa.float64()), "'t', row 3"),
    # categories
    "categories of a dictionary": ("d", spelled, RIGHT),
    "categories of large text": ("d", typed(pa.large_string()), RIGHT),
    "categories as bytes": ("d", typed(pa.binary(), lambda v: b"\xff\xfe"), "'d'"),
    "categories as lists": ("d", typed(pa.list_(pa.string()), lambda v: [v]), "'d'"),
    "categories as maps": ("d", typed(pa.map_(pa.string(), pa.int8()), lambda v: [(v, 1)]), "'d'"),
    "categories as durations": ("d", typed(pa.duration("ns"), lambda v: timedelta(1)), "'d'"),
    # numbers
    "numbers of half floats": ("n", typed(pa.float16(), lambda v: np.float16(v)), RIGHT),
    "numbers of decimals": ("n", typed(pa.decimal128(9, 2), lambda v: Decimal(str(v))), RIGHT),
    "numbers as text": ("n", words, RIGHT),
    "an infinite number": ("n", one_type(float("-inf")), "'n', row 3.*inf"),
    "numbers as lists": ("n", typed(pa.list_(pa.float64()), lambda v: [v]), "'n'"),
    "numbers as days": ("n", typed(pa.date32(), lambda v: date(2020, 1, 1)), "'n'"),
    "numbers as bytes": ("n", typed(pa.binary(), lambda v: str(v).encode()), "'n'"),
}


WRITTEN_SINCE = {"users of a text view": 21}  # the pyarrow that can write such a file at all


def prepared(sample, rows: pa.Table, **options: object) -> str | None:
    sample.write()
    sample.swap("log.csv", "log.parquet")
    pq.write_table(rows, sample.folder / "log.parquet", **options)
    return sample.sentence()


def judged(sentence: str | None, pattern: str) -> None:
    assert (sentence is None) == (pattern == RIGHT), sentence
    if sentence is not None:
        assert re.search(pattern, sentence), sentence


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_is_read_right_or_refused(name: str, sample) -> None:
    column, make, pattern = COLUMNS[name]
    if int(pa.__version__.partition(".")[0]) < WRITTEN_SINCE.get(name, 0):
        pytest.skip(f"pyarrow {pa.__version__} writes no such file; {WRITTEN_SINCE[name]} does")
    array = make([row[column] for row in sample.rows])
    judged(prepared(sample, with_column(sample, column, array)), pattern)


ABSENT = {"a null category": "d", "a null number": "n"}


@pytest.mark.parametrize("name", ABSENT)
def test_a_null_is_absent(name: str, sample) -> None:
    sample.rows[3][ABSENT[name]] = None
    assert prepared(sample, table(sample)) is None


WRITERS = {
    "without compression": {"compression": "none"},
    "gzip": {"compression": "gzip"},
    "brotli": {"compression": "brotli"},
    "zstd": {"compression": "zstd"},
    "lz4": {"compression": "lz4"},
    "pages of version 2": {"data_page_version": "2.0"},
    "no dictionaries": {"use_dictionary": False},
    "no statistics": {"write_statistics": False},
    "a row a group": {"row_group_size": 1},
    "tiny pages": {"data_page_size": 16},
    "streams split by byte": {"use_byte_stream_split": ["n"], "use_dictionary": False},
    "checksums": {"write_page_checksum": True},
    "format 1.0": {"version": "1.0"},
    "no schema of Arrow": {"store_schema": False},
}


@pytest.mark.parametrize("name", WRITERS)
def test_the_way_a_parquet_is_written_makes_no_difference(name: str, sample) -> None:
    assert prepared(sample, table(sample), **WRITERS[name]) is None


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


BYTES: dict[str, Callable[[bytes], bytes]] = {
    "halved": half,
    "without its last byte": lambda data: data[:-1],
    "the magic alone": lambda data: b"PAR1",
    "the magic twice": lambda data: b"PAR1PAR1",
    "an endless footer": lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1",
    "a footer of zeros": lambda data: data[:-200] + b"\0" * 192 + data[-8:],
    "encrypted": lambda data: b"PARE" + data[4:-4] + b"PARE",
    "a csv": lambda data: b"u,i,y,t,d,n\nu1,100,1,5,a,0.5\n",
    "noise": lambda data: bytes(range(256)),
    "empty": lambda data: b"",
}


@pytest.mark.parametrize("name", BYTES)
def test_a_damaged_parquet_is_one_sentence(name: str, sample) -> None:
    sample.write()
    sample.swap("log.csv", "log.parquet")
    path = sample.folder / "log.parquet"
    pq.write_table(table(sample), path)
    path.write_bytes(BYTES[name](path.read_bytes()))
    sentence = sample.sentence()
    assert sentence is not None
    assert "log.parquet" in sentence


def test_a_feather_file_named_parquet_is_one_sentence(sample) -> None:
    sample.write()
    sample.swap("log.csv", "log.parquet")
    pyarrow.feather.write_feather(table(sample), str(sample.folder / "log.parquet"))
    assert "log.parquet" in (sample.sentence() or "")


# --- vectors

ARRAYS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "float16": (lambda a: a.astype("f2"), RIGHT),
    "float64": (lambda a: a.astype("f8"), RIGHT),
    "big-endian float32": (lambda a: a.astype(">f4"), RIGHT),
    "big-endian float64": (lambda a: a.astype(">f8"), RIGHT),
    "Fortran order": (np.asfortranarray, RIGHT),
    "int8": (lambda a: a.astype("i1"), RIGHT),
    "uint64": (lambda a: a.astype("u8"), RIGHT),
    "booleans": (lambda a: a.astype(bool), r"text\.npy.*type"),
    "complex": (lambda a: a.astype("c8"), r"text\.npy.*type"),
    "text": (lambda a: a.astype(str), r"text\.npy.*type"),
    "objects": (lambda a: a.astype(object), r"text\.npy.*npy"),
    "days": (lambda a: a.astype("M8[D]"), r"text\.npy.*type"),
    "a structured type": (lambda a: a.view([("x", "f4"), ("y", "f4"), ("z", "f4")]), r"text\.npy"),
    "one dimension": (lambda a: a[:, 0], r"text\.npy.*shape"),
    "three dimensions": (lambda a: a[:, :, None], r"text\.npy.*shape"),
    "no dimension": (lambda a: np.array(1.0), r"text\.npy.*shape"),
    "no width": (lambda a: a[:, :0], r"text\.npy.*shape"),
    "no rows": (lambda a: a[:0], r"text\.npy"),
    "a row too few": (lambda a: a[:-1], r"text\.npy.*5 rows.*6 items"),
    "a row too many": (lambda a: np.concatenate([a, a[:1]]), r"text\.npy.*7 rows.*6 items"),
    "a NaN": (lambda a: np.where(a == 5, np.nan, a), r"text\.npy.*row 1.*nan"),
    "an infinity": (lambda a: np.where(a == 5, -np.inf, a), r"text\.npy.*row 1.*inf"),
    "beyond float32": (lambda a: np.where(a == 5, 1e300, a.astype("f8")), r"text\.npy.*row 1"),
    "all zero": (lambda a: a * 0, "no item has a vector"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_vectors_of_any_type_are_read_right_or_refused(name: str, sample) -> None:
    make, pattern = ARRAYS[name]
    sample.write()
    np.save(sample.folder / "text.npy", make(sample.text))
    judged(sample.sentence(), pattern)


def header(text: bytes) -> Callable[[bytes], bytes]:
    return lambda data: b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


NPY: dict[str, Callable[[bytes], bytes]] = {
    "halved": half,
    "without its last byte": lambda data: data[:-1],
    "a zip's beginning": lambda data: b"PK\x03\x04" + data,
    "many brackets": header(b"(" * 200 + b"\n"),
    "a header that is no dict": header(b"[1, 2]\n"),
    "a header with a call": header(b"{'descr': print(), 'shape': (6, 3)}\n"),
    "a negative shape": header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-6, 3), }\n"),
    "a shape beyond the file": header(
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (6, 9999), }\n"
    ),
    "an unknown type": header(b"{'descr': '<q9', 'fortran_order': False, 'shape': (6, 3), }\n"),
    "a header that is cut": lambda data: data[:20],
    "the magic alone": lambda data: data[:6],
    "version 9": lambda data: data[:6] + b"\x09\x00" + data[8:],
    "a pickle": lambda data: b"\x80\x04K\x01.",
    "text": lambda data: b"1.0 2.0 3.0\n" * 6,
    "noise": lambda data: bytes(range(256)),
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("name", NPY)
def test_a_damaged_npy_is_one_sentence(name: str, sample) -> None:
    sample.write()
    path = sample.folder / "text.npy"
    path.write_bytes(NPY[name](path.read_bytes()))
    sentence = sample.sentence()
    assert sentence is not None
    assert "text.npy" in sentence


# --- what is no file


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


PLACES = {"a folder": folder, "a link to itself": loop, "a dangling link": dangling, "a pipe": pipe}


@pytest.mark.parametrize("file", ["log.csv", "items.csv", "text.npy"])
@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_file_is_one_sentence(name: str, file: str, sample) -> None:
    sample.write()
    PLACES[name](sample.folder / file)
    assert file in (sample.sentence() or "")


def test_a_link_inside_the_folder_is_followed(sample) -> None:
    sample.write()
    sample.log.rename(sample.folder / "real.csv")
    sample.log.symlink_to("real.csv")
    assert sample.sentence() is None
