"""A random log with ties, lists and cold keys, and its counters by a plain loop over all rows."""

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.counter_spec import Counter
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import DatasetSpec, parse_spec
from fusefront.datasets.store import PreparedDataset

HOUR = 3600
UNITS = {"h": HOUR, "d": 24 * HOUR}
SPEC = {
    "name": "shop",
    "interactions": {"path": "log.parquet"},
    "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t", "time_unit": "s"},
    "history": {"from": "log", "max_length": 5},
    "request_fields": [{"column": "device"}],
    "candidate_fields": [{"column": "shelf"}],
    "items": {
        "path": "items.parquet",
        "key": "i",
        "fields": [{"column": "genres", "type": "categories"}, {"column": "brand"}],
    },
    "split": {"by": "time", "valid": 0.15, "test": 0.2},
}
Row = dict[str, object]


@dataclass
class World:
    """A log in Python values, its files, and the numbers that its counters must have."""

    folder: Path
    rows: list[Row]
    items: dict[int, Row]

    def spec(self, counters: list[object], **changes: object) -> DatasetSpec:
        return parse_spec(SPEC | {"counters": counters} | changes, "spec.yaml")

    def write(self, log: str = "log.parquet", rows: list[Row] | None = None) -> None:
        self.folder.mkdir(exist_ok=True)
        pl.DataFrame(self.rows if rows is None else rows).write_parquet(self.folder / log)
        table = [{"i": key} | row for key, row in self.items.items()]
        pl.DataFrame(table).write_parquet(self.folder / "items.parquet")

    def store(self, counters: list[object], **changes: object) -> PreparedDataset:
        self.write()
        return prepare(self.spec(counters, **changes), self.folder, self.folder.parent / "out")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """1,000 rows over 30 days, hours that many share, users and items that come late."""
    rng = np.random.default_rng(3)
    names = [f"g{k}" for k in range(5)]
    items = {
        100 + k: {
            "genres": sorted(rng.choice(names, int(rng.integers(0, 4)), replace=False).tolist()),
            "brand": f"b{k % 4}",
        }
        for k in range(40)
    }
    rows: list[Row] = []
    for k in range(1000):
        late = k > 700
        rows.append(
            {
                "u": int(rng.integers(0, 45 if late else 30)),
                "i": 100 + int(rng.integers(0, 40 if late else 30)),
                "t": 1_600_000_000 + HOUR * int(720 * k / 1000 + rng.integers(0, 3)),
                "device": ["phone", "tv", "web", None][int(rng.integers(0, 4))],
                "shelf": f"s{int(rng.integers(0, 3))}",
            }
        )
        taste = (rows[-1]["u"] % 5 + rows[-1]["i"] % 7) / 12  # type: ignore[operator]
        rows[-1]["y"] = int(rng.random() < 0.15 + 0.6 * taste)
    return World(tmp_path_factory.mktemp("world") / "data", rows, items)


class Loop:
    """Every number of every row by looking at every other row."""

    def __init__(self, world: World, split: dict[int, str]) -> None:
        self.rows, self.items, self.split = world.rows, world.items, split
        train = [row["y"] for k, row in enumerate(self.rows) if split[k] == "train"]
        self.rate = sum(train) / len(train)  # type: ignore[arg-type]
        self.moment = [row["t"] for row in self.rows]  # from which on a row knows nothing
        self.index: dict[tuple[str, ...], dict[tuple[object, ...], list[tuple[int, int]]]] = {}
        self.errors: dict[tuple[float, int, int], float] = {}

    def values(self, row: Row, part: str) -> list[object]:
        if part in ("user", "item"):
            return [row[part[0]]]
        side, name = part.split(".")
        value = self.items[row["i"]][name] if side == "item" else row[name]  # type: ignore[index]
        return value if isinstance(value, list) else [] if value is None else [value]

    def keys(self, row: Row, key: tuple[str, ...]) -> list[tuple[object, ...]]:
        return list(itertools.product(*(self.values(row, part) for part in key)))

    def having(self, key: tuple[str, ...]) -> dict[tuple[object, ...], list[tuple[int, int]]]:
        """(time, row) of every row that has each value of a key, oldest first."""
        if key not in self.index:
            self.index[key] = defaultdict(list)
            for k, row in sorted(enumerate(self.rows), key=lambda each: (each[1]["t"], each[0])):
                for value in self.keys(row, key):
                    self.index[key][value].append((row["t"], k))
        return self.index[key]

    def sums(self, number: int, counter: Counter, key: tuple[str, ...]) -> tuple[float, ...]:
        row = self.rows[number]
        at = self.moment[number] - _ticks(counter.lag)  # type: ignore[operator]
        total = [0.0, 0.0, 0.0]
        for value in self.keys(row, key):
            past = [(time, k) for time, k in self.having(key)[value] if time < at]
            if counter.last:
                past = past[-counter.last :]
            for time, k in past:
                if counter.frozen and self.split[k] != "train":
                    continue
                if counter.window and time < at - _ticks(counter.window):  # type: ignore[operator]
                    continue
                weight = 1.0
                if counter.decay:
                    weight = 0.5 ** ((at - time) / _ticks(counter.decay))  # type: ignore[operator]
                total[0] += weight
                total[1] += weight * self.rows[k]["y"]  # type: ignore[operator]
                if counter.residual is not None:
                    total[2] += weight * self.error(k, counter)
        return tuple(total)

    def error(self, number: int, counter: Counter) -> float:
        prior = counter.item_prior or 10.0
        memo = (prior, _ticks(counter.lag), number)
        if memo not in self.errors:
            n, p, _ = self.sums(number, Counter(of="item", lag=counter.lag), ("item",))
            row = self.rows[number]
            self.errors[memo] = row["y"] - (p + prior * self.rate) / (n + prior)  # type: ignore[operator]
        return self.errors[memo]

    def numbers(self, number: int, counter: Counter) -> list[float]:
        """log(1 + n) and the log-odds of the rate, or the residual."""
        n, p, e = self.sums(number, counter, counter.key)
        k = counter.prior
        if counter.residual is not None:
            return [e / (n + k)]
        q = self.rate
        whole = Counter(of=counter.of, lag=counter.lag, frozen=counter.frozen)
        coarser = []
        if len(counter.key) > 1:
            coarser.append(self.sums(number, whole, counter.key[:1]))
        if counter.last or counter.window or counter.decay:
            coarser.append(self.sums(number, whole, counter.key))
        for m, c, _ in coarser:
            q = (c + k * q) / (m + k)
        q = (p + k * q) / (n + k)
        return [math.log(1 + n), math.log(q / (1 - q))]


def _ticks(duration: str | None) -> int:
    return int(duration[:-1]) * UNITS[duration[-1]] if duration else 0


@pytest.fixture(scope="module")
def loop() -> type[Loop]:
    return Loop
