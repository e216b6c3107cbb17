"""Malformed inputs: each gets one sentence that names the file, and leaves no half-written
store."""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec

SPEC = """
name: shop
interactions: {path: log.parquet}
columns: {user: u, item: i, label: y, timestamp: t}
history: {from: log, max_length: 5}
candidate_fields: [{column: d, type: category}, {column: n, type: number}]
items: {path: items.parquet, key: i, fields: [{column: c, type: category}]}
modalities:
  text: {path: text.npy, keyed_by: row}
split: {by: time, valid: 0.2, test: 0.2}
"""
ROWS, ITEMS = 200, 12


@dataclass
class Shop:
    """A good data set, before somebody spoils it."""

    folder: Path
    spec: str = SPEC
    log: dict[str, list[Any]] = field(default_factory=dict)
    items: dict[str, list[Any]] = field(default_factory=dict)
    text: np.ndarray[Any, Any] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.log = {
            "u": rng.integers(0, 20, ROWS).tolist(),
            "i": (rng.integers(0, ITEMS, ROWS) + 100).tolist(),
            "y": rng.integers(0, 2, ROWS).tolist(),
            "t": list(range(1000, 1000 + ROWS)),
            "d": rng.choice(["a", "b"], ROWS).tolist(),
            "n": rng.random(ROWS).tolist(),
        }
        self.items = {"i": [100 + k for k in range(ITEMS)], "c": ["x", "y"] * (ITEMS // 2)}
        self.text = rng.random((ITEMS, 4)).astype(np.float32)

    def write(self) -> None:
        pl.DataFrame(self.log, strict=False).write_parquet(self.folder / "log.parquet")
        pl.DataFrame(self.items, strict=False).write_parquet(self.folder / "items.parquet")
        np.save(self.folder / "text.npy", self.text)

    def swap(self, old: str, new: str) -> None:
        assert old in self.spec
        self.spec = self.spec.replace(old, new)

    @property
    def log_file(self) -> Path:
        return self.folder / "log.parquet"


Spoil = Callable[[Shop], None]


def column(name: str, row: int, value: Any) -> Spoil:
    """One cell of the log."""

    def spoil(shop: Shop) -> None:
        shop.log[name][row] = value
        shop.write()

    return spoil


def spec(old: str, new: str) -> Spoil:
    def spoil(shop: Shop) -> None:
        shop.swap(old, new)
        shop.write()

    return spoil


def written(change: Callable[[Shop], None]) -> Spoil:
    """Change what is written."""

    def spoil(shop: Shop) -> None:
        change(shop)
        shop.write()

    return spoil


def after(change: Callable[[Shop], None]) -> Spoil:
    """Change the files themselves."""

    def spoil(shop: Shop) -> None:
        shop.write()
        change(shop)

    return spoil


def csv(text: str | bytes) -> Spoil:
    def spoil(shop: Shop) -> None:
        shop.write()
        shop.swap("log.parquet", "log.csv")
        data = text.encode() if isinstance(text, str) else text
        (shop.folder / "log.csv").write_bytes(data)

    return spoil


def drop(name: str, table: str = "log") -> Spoil:
    return written(lambda shop: getattr(shop, table).pop(name) and None)


def cell(row: int, place: int, value: float) -> Spoil:
    def spoil(shop: Shop) -> None:
        shop.text[row, place] = value
        shop.write()

    return spoil


def vectors(make: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Spoil:
    return written(lambda shop: setattr(shop, "text", make(shop.text)))


def loop(shop: Shop) -> None:
    shop.log_file.unlink()
    shop.log_file.symlink_to(shop.folder / "other.parquet")
    (shop.folder / "other.parquet").symlink_to(shop.log_file)


def dangling(shop: Shop) -> None:
    shop.log_file.unlink()
    shop.log_file.symlink_to(shop.folder / "nowhere.parquet")


def folder_for_file(shop: Shop) -> None:
    shop.log_file.unlink()
    shop.log_file.mkdir()


def truncated(shop: Shop) -> None:
    data = shop.log_file.read_bytes()
    shop.log_file.write_bytes(data[: len(data) // 2])


BROKEN_HEADER = b"\x93NUMPY\x01\x00\x10\x00((((            \n"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
HEAD = "u,i,y,t,d,n\n"
KEYS = "items: {keys: log}"
SPACED = "history: {from: list, column: h, max_length: 5, separator: ' '}"
LISTED = "history: {from: list, column: h, max_length: 5}"
LOG_HISTORY = "history: {from: log, max_length: 5}"


def listed(value: Any, kind: str = LISTED) -> Spoil:
    """A history column whose fourth entry is spoilt."""

    def spoil(shop: Shop) -> None:
        histories: list[Any] = [[100, 101]] * ROWS
        histories[3] = value
        shop.log["h"] = histories
        shop.swap(LOG_HISTORY, kind)
        shop.write()

    return spoil


SHOP_ITEMS = "items: {path: items.parquet, key: i, fields: [{column: c, type: category}]}"
NO_TEXT = b"\xff\xfe"
BEYOND = np.arange(ROWS, dtype=np.uint64) + np.uint64(2**63)


def whole(name: str, values: Any, *swaps: tuple[str, str]) -> Spoil:
    """A whole column of the log, and changes of the spec."""

    def spoil(shop: Shop) -> None:
        shop.log[name] = values
        for old, new in swaps:
            shop.swap(old, new)
        shop.write()

    return spoil


def of_items(name: str, values: list[Any], old: str, new: str) -> Spoil:
    def spoil(shop: Shop) -> None:
        shop.items[name] = values
        shop.swap(old, new)
        shop.write()

    return spoil


def with_ids(name: str, make: Callable[[Path], object]) -> Spoil:
    """Keys of the vectors in a file of their own."""

    def spoil(shop: Shop) -> None:
        shop.swap("keyed_by: row", f"ids: {name}")
        make(shop.folder / name)
        shop.write()

    return spoil


def second_log(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Spoil:
    def spoil(shop: Shop) -> None:
        shop.swap("path: log.parquet", "path: [log.parquet, more.parquet]")
        shop.write()
        change(pl.read_parquet(shop.log_file)).write_parquet(shop.folder / "more.parquet")

    return spoil


def vectors_of_nobody(shop: Shop) -> None:
    shop.swap("{path: text.npy, keyed_by: row}", "{path: v.parquet, key: i, column: v}")
    schema = {"i": pl.Int64, "v": pl.List(pl.Float32)}
    pl.DataFrame({"i": [], "v": []}, schema).write_parquet(shop.folder / "v.parquet")


def twice(shop: Shop) -> None:
    table = pq.read_table(shop.log_file)
    pq.write_table(table.append_column("u", table["u"]), shop.log_file)


def npz(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), keys=np.arange(ITEMS))
    path.with_suffix(".npz").rename(path)


def two_thousand_slices(shop: Shop) -> None:
    keys = list(range(2000))
    shop.items.update(i=keys, c=["x"] * 2000, r=[f"v{k}" for k in keys])
    shop.text = np.ones((2000, 2), np.float32)
    shop.swap(*SLICED)


def blanks_in_a_list(shop: Shop) -> None:
    shop.log["i"] = ["a", "b"] * (ROWS // 2)
    shop.log["h"] = [["a"]] * 5 + [["b", " a"]] * (ROWS - 5)
    shop.swap(SHOP_ITEMS, KEYS)
    shop.swap(LOG_HISTORY, LISTED)
    shop.write()


def nothing_names_the_items(shop: Shop) -> None:
    shop.log.update({name: [] for name in shop.log})
    shop.swap(SHOP_ITEMS, KEYS)


WITH_NAMES = ("timestamp: t}", "timestamp: t, request: r}")
WITH_SPLITS = ("{by: time, valid: 0.2, test: 0.2}", "{by: given, column: r}")
SLICED = ("split:", "slices: [{name: s, column: r}]\nsplit:")

CASES: dict[str, tuple[Spoil, type[Exception], str]] = {
    # columns
    "a missing label column": (drop("y"), DataContractError, r"log\.parquet.*'y' is missing"),
    "a missing item key": (
        drop("i", "items"),
        DataContractError,
        r"items\.parquet.*'i' is missing",
    ),
    "a missing item field": (
        drop("c", "items"),
        DataContractError,
        r"items\.parquet.*'c' is missing",
    ),
    "a missing context field": (drop("n"), DataContractError, r"log\.parquet.*'n' is missing"),
    # labels
    "a label of 2": (column("y", 7, 2), DataContractError, r"log\.parquet.*row 7.*expected 0 or 1"),
    "a label of 0.5": (
        written(lambda s: s.log.update(y=[0.5] * ROWS)),
        DataContractError,
        "expected 0 or 1",
    ),
    "a null label": (
        column("y", 5, None),
        DataContractError,
        r"log\.parquet.*'y', row 5: no label",
    ),
    "a label in words": (
        written(lambda s: s.log.update(y=["yes"] * ROWS)),
        DataContractError,
        r"log\.parquet.*'y'",
    ),
    "a bad condition": (
        spec("split:", "label: {positive_when: 'about 4'}\nsplit:"),
        SpecError,
        "operator and a number",
    ),
    # users, items, times
    "an item without features": (
        column("i", 9, 999),
        DataContractError,
        r"log\.parquet.*row 9.*999",
    ),
    "a null item": (column("i", 4, None), DataContractError, r"log\.parquet.*'i', row 4"),
    "a null user": (column("u", 2, None), DataContractError, r"log\.parquet.*'u', row 2"),
    "users as fractions": (
        written(lambda s: s.log.update(u=[0.5] * ROWS)),
        DataContractError,
        r"'u'.*integers or text",
    ),
    "a null time": (column("t", 3, None), DataContractError, r"log\.parquet.*'t', row 3"),
    "a time in words": (
        written(lambda s: s.log.update(t=["soon"] * ROWS)),
        DataContractError,
        "expected a time",
    ),
    "an infinite time": (
        written(lambda s: s.log.update(t=[float("inf")] * ROWS)),
        DataContractError,
        r"'t'.*inf",
    ),
    "one time for all": (
        written(lambda s: s.log.update(t=[5] * ROWS)),
        DataContractError,
        "same timestamp",
    ),
    "a duplicate item key": (
        written(lambda s: s.items.update(i=[100] * ITEMS)),
        DataContractError,
        r"items\.parquet.*100",
    ),
    "a null item key": (
        written(lambda s: s.items.update(i=[None, *range(101, 100 + ITEMS)])),
        DataContractError,
        r"items\.parquet.*row 0",
    ),
    "a number field in words": (
        written(lambda s: s.log.update(n=["wide"] * ROWS)),
        DataContractError,
        r"'n'",
    ),
    "an infinite number field": (column("n", 6, float("inf")), DataContractError, r"'n', row 6"),
    # vectors
    "a NaN vector": (cell(3, 1, np.nan), DataContractError, r"text\.npy.*row 3"),
    "an infinite vector": (cell(2, 0, np.inf), DataContractError, r"text\.npy.*row 2"),
    "too few vectors": (
        vectors(lambda a: a[:-2]),
        DataContractError,
        r"text\.npy.*10 rows.*12 items",
    ),
    "a flat vector file": (vectors(lambda a: a[:, 0]), DataContractError, r"text\.npy.*shape"),
    "vectors of text": (vectors(lambda a: a.astype(str)), DataContractError, r"text\.npy.*type"),
    "huge widths": (
        vectors(lambda a: np.zeros((ITEMS, 70_000), np.float16)),
        DataContractError,
        r"text\.npy.*columns",
    ),
    "complex vectors": (
        vectors(lambda a: a.astype(np.complex64)),
        DataContractError,
        r"text\.npy.*type",
    ),
    "a pickled vector file": (
        after(lambda s: np.save(s.folder / "text.npy", np.array([{}], object))),
        DataContractError,
        r"text\.npy",
    ),
    "a text file named npy": (
        after(lambda s: (s.folder / "text.npy").write_text("hello") and None),
        DataContractError,
        r"text\.npy.*npy",
    ),
    "a zip named npy": (
        after(lambda s: (s.folder / "text.npy").write_bytes(b"PK\x03\x04hello") and None),
        DataContractError,
        r"text\.npy.*npz archive",
    ),
    "an npy with a broken header": (
        after(lambda s: (s.folder / "text.npy").write_bytes(BROKEN_HEADER) and None),
        DataContractError,
        r"text\.npy.*not a readable npy",
    ),
    "keys of vectors in a zip": (
        with_ids("ids.npy", lambda p: p.write_bytes(b"PK\x03\x04hello")),
        DataContractError,
        r"ids\.npy.*npz archive",
    ),
    "vectors that are not there": (
        after(lambda s: (s.folder / "text.npy").unlink()),
        DataContractError,
        r"text\.npy.*no such file",
    ),
    # histories
    "a history of unknown items": (listed([100, 777]), DataContractError, r"777"),
    "a history of numbers": (
        listed(None, "history: {from: list, column: n, max_length: 5}"),
        DataContractError,
        r"'n'.*list",
    ),
    "ragged padding": (
        listed([100], "history: {from: padded, column: h, max_length: 5}"),
        DataContractError,
        "one width",
    ),
    "a negative length": (spec("max_length: 5", "max_length: -5"), SpecError, r"max_length"),
    # files
    "a truncated parquet": (after(truncated), DataContractError, r"log\.parquet"),
    "an empty file": (
        after(lambda s: s.log_file.write_bytes(b"") and None),
        DataContractError,
        r"log\.parquet.*empty",
    ),
    "a parquet without rows": (
        written(lambda s: s.log.update({k: [] for k in s.log})),
        DataContractError,
        r"log\.parquet|no rows",
    ),
    "a missing log": (
        after(lambda s: s.log_file.unlink()),
        DataContractError,
        r"log\.parquet.*no such file.*items\.parquet",
    ),
    "a symlink loop": (after(loop), DataContractError, r"log\.parquet.*loop|symbolic"),
    "a dangling link": (after(dangling), DataContractError, r"log\.parquet.*dangling"),
    "a folder for a file": (after(folder_for_file), DataContractError, r"log\.parquet.*folder"),
    "a csv with a bad quote": (
        csv(HEAD + '1,100,1,5,a,0.5\n2,101,0,6,"b,0.5\n'),
        DataContractError,
        r"log\.csv",
    ),
    "a csv with a short row": (
        csv(HEAD + "1,100,1,5,a,0.5\n2,101\n"),
        DataContractError,
        r"log\.csv",
    ),
    "a csv in latin-1": (
        csv((HEAD + "1,100,1,5,é,0.5\n" * 30).encode("latin-1")),
        DataContractError,
        r"log\.csv",
    ),
    "a csv with a header alone": (csv(HEAD), DataContractError, r"log\.csv|no rows"),
    "a csv with two columns of a name": (
        csv("u,i,y,t,d,n,u\n" + "1,100,1,5,a,0.5,2\n"),
        DataContractError,
        r"log\.csv.*'u' appears twice",
    ),
    # spec
    "an unknown key": (
        spec("split:", "spilt: 1\nsplit:"),
        SpecError,
        "unknown key 'spilt'; did you mean 'split'",
    ),
    "a duplicate key": (spec("split:", "name: again\nsplit:"), SpecError, "'name' appears twice"),
    "a YAML bomb": (spec(SPEC, BOMB), SpecError, "alias"),
    "broken YAML": (spec("name: shop", "name: [shop"), SpecError, "not valid YAML"),
    "a list for a spec": (spec(SPEC, "- a\n"), SpecError, "expected a mapping"),
    "fractions beyond one": (spec("valid: 0.2", "valid: 1.5"), SpecError, "valid"),
    "a path outside": (
        spec("path: log.parquet", "path: ../log.parquet"),
        SpecError,
        r"'\.\./log\.parquet', which leads outside the data folder",
    ),
    "a slice of nothing": (
        spec("split:", "slices: [{name: s, when: no_sound}]\nsplit:"),
        SpecError,
        "no_sound",
    ),
    # types that are no text, numbers beyond their range
    "requests as lists": (
        whole("r", [[1]] * ROWS, WITH_NAMES),
        DataContractError,
        "'r'.*one value",
    ),
    "requests as bytes": (
        whole("r", [NO_TEXT] * ROWS, WITH_NAMES),
        DataContractError,
        "'r'.*no text",
    ),
    "splits as lists": (
        whole("r", [["train"]] * ROWS, WITH_SPLITS),
        DataContractError,
        "'r'.*one value",
    ),
    "slices as lists": (whole("r", [[1]] * ROWS, SLICED), DataContractError, "'r'.*one value"),
    "a category as bytes": (whole("d", [NO_TEXT] * ROWS), DataContractError, "'d'.*no text"),
    "a category as durations": (
        whole("d", [timedelta(1)] * ROWS),
        DataContractError,
        "'d'.*Duration.*no text",
    ),
    "times beyond 63 bits": (whole("t", BEYOND), DataContractError, "'t', row 0.*2\\^63"),
    "nested categories": (
        of_items("c", [[["x"]]] * ITEMS, "type: category}]}", "type: categories}]}"),
        DataContractError,
        "'c'.*List",
    ),
    "presence as lists": (
        of_items("has", [[True]] * ITEMS, "keyed_by: row", "keyed_by: row, present: has"),
        DataContractError,
        "'has'.*one value",
    ),
    "a slice of two thousand values": (
        written(two_thousand_slices),
        DataContractError,
        "'r'.*more than 1,000 values",
    ),
    "a seed beyond 63 bits": (
        spec("test: 0.2}", f"test: 0.2, seed: {10**20}}}"),
        SpecError,
        "seed",
    ),
    # keys
    "a log without rows names the items": (
        written(nothing_names_the_items),
        DataContractError,
        r"log\.parquet: no rows",
    ),
    "items as numbers, histories as words": (
        whole("h", [["a"]] * ROWS, (SHOP_ITEMS, KEYS), (LOG_HISTORY, LISTED)),
        DataContractError,
        "'h'.*item keys are text, column 'i' of log.parquet holds whole numbers",
    ),
    "a written history with a word": (
        whole("h", ["100 101"] * 3 + ["100 b"] * (ROWS - 3), (LOG_HISTORY, SPACED)),
        DataContractError,
        "'h', row 3.*'b'",
    ),
    "a listed key with blanks around it": (
        blanks_in_a_list,
        DataContractError,
        r"'h', row 5: the history holds ' a', a key with blanks",
    ),
    "keys of vectors in latin-1": (
        with_ids("ids.csv", lambda p: p.write_bytes("é\n".encode("latin-1") * ITEMS)),
        DataContractError,
        r"ids\.csv.*not UTF-8",
    ),
    "keys of vectors in an npz": (with_ids("ids.npy", npz), DataContractError, r"ids\.npy.*npz"),
    "keys of vectors that no item has": (
        with_ids("ids.npy", lambda p: np.save(p, np.arange(ITEMS))),
        DataContractError,
        "'text': no item has a vector",
    ),
    "vectors of nobody": (written(vectors_of_nobody), DataContractError, "'text': no item has"),
    "vectors that are all zero": (vectors(lambda a: a * 0), DataContractError, "'text': no item"),
    # tables
    "two logs, users as numbers and as text": (
        second_log(lambda t: t.with_columns(pl.col("u").cast(pl.String))),
        DataContractError,
        r"more\.parquet.*'u'.*users are text",
    ),
    "two logs, times as numbers and as dates": (
        second_log(lambda t: t.with_columns(pl.from_epoch("t"))),
        DataContractError,
        r"more\.parquet.*'t'.*times are dates",
    ),
    "a parquet with two columns of a name": (
        after(twice),
        DataContractError,
        r"log\.parquet.*'u' appears twice",
    ),
    "a separator that is no character": (
        spec("path: log.parquet", "path: log.parquet, separator: '→'"),
        SpecError,
        "separator.*ASCII",
    ),
    "a csv with a huge first cell": (
        csv("u" * 140_000 + "," + HEAD),
        DataContractError,
        r"log\.csv: the first line is no list of names",
    ),
    "a csv without line ends": (csv("u," * 600_000), DataContractError, r"log\.csv.*over 1 MiB"),
    "a csv that is compressed": (csv(gzip.compress(HEAD.encode())), DataContractError, "gzip"),
    "a name with a NUL": (
        spec("path: log.parquet", 'path: "log\\0.parquet"'),
        DataContractError,
        "null",
    ),
    "an empty split": (spec("valid: 0.2", "valid: 0.000001"), DataContractError, "valid"),
}


@pytest.mark.parametrize("name", CASES)
def test_each_gets_one_sentence_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    spoil, kind, pattern = CASES[name]
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    shop = Shop(data)
    spoil(shop)
    path = tmp_path / "spec.yaml"
    path.write_text(shop.spec, encoding="utf-8")
    with pytest.raises(kind) as refusal:
        prepare(load_spec(path), data, out)
    sentence = str(refusal.value)
    assert re.search(pattern, sentence), sentence
    assert "\n" not in sentence
    assert len(sentence) < 400
    assert not list(out.rglob("manifest.json"))
    assert not [p for p in out.rglob("*") if p.is_file() and p.suffix == ".npy"]


def test_the_data_set_that_is_spoilt_is_good(tmp_path: Path) -> None:
    Shop(tmp_path).write()
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    store = prepare(load_spec(tmp_path / "spec.yaml"), tmp_path, tmp_path / "out")
    assert sum(part.rows for part in store.manifest.counts.values()) == ROWS
    assert len(CASES) >= 40
