"""Tables of keys and words in a bundle: each word once, with a whole number."""

from pathlib import Path

import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.serving.bundle.predict import _table


@pytest.mark.parametrize(
    ("values", "codes", "words"),
    [
        (["a", "b", "a"], [1, 2, 3], "value holds 'a' twice; export again"),
        ([7, 7], [1, 2], "value holds 7 twice"),
        (["a", None], [1, 2], "value holds String, some of it absent"),
        ([0.5, 1.5], [1, 2], "value holds Float64"),
        (["a", "b"], [1, -2], "unreadable"),
    ],
)
def test_a_table_with_other_words_is_refused_by_a_sentence(
    values: list[object], codes: list[int], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "request_g.parquet"
    pl.DataFrame({"value": values, "code": codes}).write_parquet(path)
    with pytest.raises(DataContractError, match=r"request_g\.parquet: ") as error:
        _table(path, "value", "code")
    assert words.replace("; export again", "") in str(error.value)


def test_words_that_stand_once_are_read(tmp_path: Path) -> None:
    path = tmp_path / "request_g.parquet"
    pl.DataFrame({"value": ["a", "b"], "code": [2, 1]}).write_parquet(path)
    assert _table(path, "value", "code").rows() == [("a", 2), ("b", 1)]
