"""A store read back by plain loops, in the source's own words, for comparison with the source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.manifest import StoredField
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset

SPLITS = ("train", "valid", "test")
Values = dict[str, object]


class StoredRow(NamedTuple):
    """One row of a split: what the store says of it, codes and standardised numbers undone."""

    split: str
    request: int
    user: int
    row: int
    item: object
    label: int
    time: int | None
    history: tuple[object, ...]
    of_request: Values
    of_candidate: Values
    slices: dict[str, str]


@dataclass(frozen=True)
class ReadBack:
    """Every row in order of the source log, and every item by its key."""

    rows: list[StoredRow]
    items: dict[object, Values]
    vectors: dict[str, dict[object, tuple[float, ...]]]  # modality -> items that have it

    def of(self, split: str) -> list[StoredRow]:
        return [row for row in self.rows if row.split == split]


def read_back(store: PreparedDataset) -> ReadBack:
    """The whole store as Python values."""
    words = Words(store)
    keys = dict(store.item_keys().iter_rows())
    rows = [row for split in SPLITS for row in _rows(store, split, keys, words)]
    table, schema = store.items, store.manifest.schema_
    items = {
        key: _decoded(words, "item", schema.item_fields, table.fields[row])
        | _numbers(store, "item", schema.item_numbers, table.numbers[row])
        for row, key in keys.items()
    }
    vectors = {}
    for place, name in enumerate(schema.modalities):
        matrix = store.vectors(name)
        vectors[name] = {
            key: tuple(matrix[row].tolist())
            for row, key in keys.items()
            if table.present[row, place]
        }
    return ReadBack(sorted(rows, key=lambda row: row.row), items, vectors)


class Words:
    """The vocabularies of a store, each read once."""

    def __init__(self, store: PreparedDataset) -> None:
        self.store = store
        self.read: dict[tuple[str, str], dict[int, object]] = {}

    def of(self, side: str, field: str) -> dict[int, object]:
        """Code -> value, None for code 0."""
        if (side, field) not in self.read:
            rows = self.store.vocabulary(side, field).iter_rows()
            self.read[side, field] = {0: None} | dict(rows)
        return self.read[side, field]


def _rows(
    store: PreparedDataset, name: str, keys: Mapping[int, object], words: Words
) -> list[StoredRow]:
    split, schema = store.split(name), store.manifest.schema_
    rows = []
    for request in range(len(split.group)):
        start, length = int(split.history_start[request]), int(split.history_length[request])
        history = tuple(keys[int(row)] for row in store.history_values[start : start + length])
        of_request = _decoded(
            words, "request", schema.request_fields, split.request_ids[request]
        ) | _numbers(store, "request", schema.request_numbers, split.request_numbers[request])
        for at in range(int(split.row_start[request]), int(split.row_start[request + 1])):
            of_candidate = _decoded(
                words, "candidate", schema.candidate_fields, split.candidate_ids[at]
            ) | _numbers(store, "candidate", schema.candidate_numbers, split.candidate_numbers[at])
            slices = {
                part: store.manifest.slices[part].values[int(codes[at])]
                for part, codes in split.slices.items()
            }
            time = None if split.timestamp is None else int(split.timestamp[at])
            place = (int(split.group[request]), int(split.row_id[at]))
            shown = (keys[int(split.item[at])], int(split.label[at]), time)
            messages = (history, of_request, of_candidate, slices)
            rows.append(StoredRow(name, request, *place, *shown, *messages))
    return rows


def _decoded(words: Words, side: str, fields: tuple[StoredField, ...], ids: np.ndarray) -> Values:
    """Value of every field, None for code 0; a tuple of the values of a field of several
    columns."""
    values: Values = {}
    start = 0
    for field in fields:
        names = words.of(side, field.name)
        codes = [int(code) for code in ids[start : start + field.columns]]
        start += field.columns
        messages = [names[code] for code in codes]
        values[field.name] = messages[0] if field.columns == 1 else tuple(t for t in messages if t)
    return values


def _numbers(
    store: PreparedDataset, side: str, names: tuple[str, ...], stored: np.ndarray
) -> Values:
    scalings = store.manifest.numbers
    return {
        name: float(value) * scalings[f"{side}.{name}"].deviation + scalings[f"{side}.{name}"].mean
        for name, value in zip(names, stored, strict=True)
    }


@pytest.fixture(scope="session")
def readback() -> Callable[[PreparedDataset], ReadBack]:
    return read_back


SPEC = """
name: shop
interactions: {path: log.csv}
columns: {user: u, item: i, label: y, timestamp: t}
history: {from: log, max_length: 5}
candidate_fields: [{column: d}, {column: n, type: number}]
items: {path: items.csv, key: i}
modalities: {text: {path: text.npy}}
split: {by: time, valid: 0.2, test: 0.2}
"""
ROWS, ITEMS = 60, 6


class Sample:
    """A small good data set in Python values; a test spoils it and says what must come of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spec = folder, SPEC
        self.rows: list[dict[str, object]] = [
            {"u": f"u{k % 7}", "i": 100 + k * 5 % ITEMS, "y": int(k % 3 == 0), "t": 1000 + k}
            | {"d": "ab"[k % 2], "n": k % 10 + 0.5}
            for k in range(ROWS)
        ]
        self.text = np.arange(1, 3 * ITEMS + 1, dtype=np.float32).reshape(ITEMS, 3)
        self.keys: list[object] = [100 + k for k in range(ITEMS)]

    @property
    def log(self) -> Path:
        return self.folder / "log.csv"

    def lines(self, separator: str = ",") -> list[str]:
        """The log as text, the header first; None is an empty cell."""
        names = list(self.rows[0])
        cells = [
            ["" if row[name] is None else str(row[name]) for name in names] for row in self.rows
        ]
        return [separator.join(line) for line in [names, *cells]]

    def write(self, log: bytes | None = None) -> None:
        """All three files, the log as given."""
        text = "\n".join(self.lines()) + "\n"
        self.log.write_bytes(text.encode() if log is None else log)
        (self.folder / "items.csv").write_text("\n".join(["i", *map(str, self.keys)]) + "\n")
        np.save(self.folder / "text.npy", self.text)

    def swap(self, old: str, new: str) -> None:
        assert old in self.spec
        self.spec = self.spec.replace(old, new)

    def sentence(self) -> str | None:
        """What prepare says against it, one sentence; None where the store equals the rows."""
        out = self.folder.parent / "out"
        path = self.folder.parent / "spec.yaml"
        path.write_text(self.spec, encoding="utf-8")
        try:
            store = prepare(load_spec(path), self.folder, out)
        except (DataContractError, SpecError) as error:
            sentence = str(error)
            assert "\n" not in sentence
            assert len(sentence) < 500, sentence
            assert not list(out.rglob("manifest.json"))
            return sentence
        self._compare(read_back(store), store)
        return None

    def _compare(self, back: ReadBack, store: PreparedDataset) -> None:
        rows = self.rows
        assert [row.row for row in back.rows] == list(range(len(rows)))
        order = sorted(int(str(row["t"])) for row in rows)
        low, high = order[int(len(rows) * 0.6)], order[int(len(rows) * 0.8)]
        known = {str(row["d"]) for row in rows if int(str(row["t"])) < low}
        users: dict[int, object] = {}
        for actual, row in zip(back.rows, rows, strict=True):
            time = int(str(row["t"]))
            assert actual.split == ("train" if time < low else "valid" if time < high else "test")
            assert (str(actual.item), actual.label, actual.time) == (str(row["i"]), row["y"], time)
            assert users.setdefault(actual.user, row["u"]) == row["u"]
            earlier = [
                str(other["i"])
                for other in rows
                if other["u"] == row["u"] and other["y"] and int(str(other["t"])) < time
            ]
            assert tuple(map(str, actual.history)) == tuple(earlier[-5:])
            value = row["d"] if str(row["d"]) in known else None
            assert actual.of_candidate["d"] == value
            scaling = store.manifest.numbers["candidate.n"]  # stored in float32
            expected = scaling.mean if row["n"] is None else float(str(row["n"]))
            reach = scaling.limit * scaling.deviation  # beyond it a number is cut, and counted
            expected = min(max(expected, scaling.mean - reach), scaling.mean + reach)
            near = pytest.approx(expected, rel=1e-5, abs=1e-6 * abs(scaling.deviation))
            assert actual.of_candidate["n"] == near
        assert len(users) == len({row["u"] for row in rows})
        for key, vector in zip(self.keys, self.text, strict=True):
            stored = {str(k): v for k, v in back.vectors["text"].items()}
            if np.any(vector):
                assert stored[str(key)] == pytest.approx(vector.astype(np.float64).tolist())


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    (tmp_path / "data").mkdir()
    return Sample(tmp_path / "data")


@pytest.fixture(scope="module")
def sample_type() -> type[Sample]:
    return Sample
