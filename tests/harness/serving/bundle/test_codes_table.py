"""A table of a bundle whose codes are no whole numbers is a sentence that names the file."""

from pathlib import Path

import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.serving.bundle.predict import _table


@pytest.mark.parametrize("codes", [[float("nan")], [[1, 2]], ["x"], [-1], [2**40]])
def test_codes_that_are_none_are_named(tmp_path: Path, codes: list[object]) -> None:
    path = tmp_path / "field.parquet"
    pl.DataFrame({"value": ["a"], "code": codes}).write_parquet(path)
    with pytest.raises(DataContractError, match=r"field\.parquet: unreadable .*; export again"):
        _table(path, "value", "code")


@pytest.mark.parametrize("words", [[float("inf")], [["a"]], [{"a": 1}], [None], [True]])
def test_words_that_are_none_are_named(tmp_path: Path, words: list[object]) -> None:
    path = tmp_path / "field.parquet"
    pl.DataFrame({"value": words, "code": [1]}).write_parquet(path)
    with pytest.raises(DataContractError, match=r"field\.parquet: unreadable .*; export again"):
        _table(path, "value", "code")


def test_whole_codes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "field.parquet"
    table = pl.DataFrame({"value": ["a", "b"], "code": [1, 2]})
    table.write_parquet(path)
    assert _table(path, "value", "code").equals(table)
