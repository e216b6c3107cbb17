"""Which rows are positives: labels as numbers, booleans and text against a plain loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROWS = 200
WORDS = ["click", "buy", "view", "it's"]


def prepared(folder: Path, label: pl.Series, when: str | None, name: str = "log.parquet") -> Any:
    rng = np.random.default_rng(0)
    log = pl.DataFrame(
        {
            "u": rng.integers(0, 20, ROWS),
            "i": rng.integers(0, 9, ROWS),
            "t": np.arange(ROWS),
            "y": label,
        }
    )
    write = log.write_csv if name.endswith("csv") else log.write_parquet
    write(folder / name)
    raw: dict[str, Any] = {
        "name": "labels",
        "interactions": {"path": name},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log"},
        "items": {"keys": "log"},
        "split": {"by": "time", "valid": 0.2, "test": 0.2},
    }
    if when is not None:
        raw["label"] = {"positive_when": when}
    return prepare(parse_spec(raw, "test"), folder, folder / "out")


def stored(store: PreparedDataset) -> list[bool]:
    of = {}
    for name in ("train", "valid", "test"):
        split = store.split(name)
        of |= dict(zip(split.row_id.tolist(), split.label.tolist(), strict=True))
    return [bool(of[row]) for row in sorted(of)]


TEXT: dict[str, Callable[[str], bool]] = {
    "== 'click'": lambda word: word == "click",
    '!= "click"': lambda word: word != "click",
    "in ['click', 'buy']": lambda word: word in ("click", "buy"),
    'in ["it\'s"]': lambda word: word == "it's",
}


@pytest.mark.parametrize("when", TEXT)
@pytest.mark.parametrize("kind", ["text", "dictionary", "csv"])
def test_text_says_what_is_positive(tmp_path: Path, when: str, kind: str) -> None:
    words = [WORDS[k % 4] for k in range(ROWS)]
    column = pl.Series("y", words)
    if kind == "dictionary":
        column = column.cast(pl.Categorical)
    store = prepared(tmp_path, column, when, "log.csv" if kind == "csv" else "log.parquet")
    assert stored(store) == [TEXT[when](word) for word in words]


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Boolean, pl.Float32])
def test_zeros_and_ones_of_any_type(tmp_path: Path, kind: Any) -> None:
    truth = [k % 3 == 0 for k in range(ROWS)]
    column = pl.Series("y", [int(value) for value in truth])
    column = column.cast(pl.String).cast(kind) if kind == pl.Categorical else column.cast(kind)
    assert stored(prepared(tmp_path, column, None)) == truth


@pytest.mark.parametrize(
    ("when", "keep"),
    [("in [4, 5]", (4, 5)), ("== 2", (2,)), ("!= 3", (1, 2, 4, 5)), ("== '4'", (4,))],
)
def test_numbers_say_what_is_positive(tmp_path: Path, when: str, keep: tuple[int, ...]) -> None:
    values = [k % 5 + 1 for k in range(ROWS)]
    store = prepared(tmp_path, pl.Series("y", values), when)
    assert stored(store) == [value in keep for value in values]


def test_words_without_a_condition_name_one(tmp_path: Path) -> None:
    words = pl.Series("y", ["click", "view"] * (ROWS // 2))
    with pytest.raises(DataContractError, match=r"got 'click', expected a number.*== 'click'"):
        prepared(tmp_path, words, None)
    with pytest.raises(DataContractError, match="'y', row 0: got 'click', expected a number"):
        prepared(tmp_path, words, ">= 1")


@pytest.mark.parametrize(
    "when", ["about 4", "> 'a'", "in []", "in ['a', 1]", "== [1]", "== click", "in 3", "== True"]
)
def test_a_condition_that_cannot_be_read_is_refused(tmp_path: Path, when: str) -> None:
    with pytest.raises(SpecError, match="expected an operator and a number such as"):
        prepared(tmp_path, pl.Series("y", [0, 1] * (ROWS // 2)), when)
