"""init: what is proposed can be read, says its guesses, and prepares."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.propose import propose
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "movielens_multimodal"


def shop(folder: Path, *, csv: bool = False, label: bool = True, time: bool = True) -> None:
    """A small shop as a team might have it."""
    rng = np.random.default_rng(0)
    n, items = 4000, 60
    log = pl.DataFrame(
        {
            "user_id": rng.integers(0, 80, n) + 1000,
            "item_id": [f"sku{i}" for i in rng.integers(0, items, n)],
            "ts": np.sort(rng.integers(0, 10**6, n)),
            "clicked": rng.integers(0, 2, n),
            "device": rng.choice(["phone", "desktop"], n),
        }
    )
    log = log.drop([*([] if label else ["clicked"]), *([] if time else ["ts"])])
    log.write_csv(folder / "log.csv") if csv else log.write_parquet(folder / "log.parquet")
    pl.DataFrame(
        {
            "item_id": [f"sku{i}" for i in range(items)],
            "category": rng.choice(["a", "b", "c"], items),
            "tags": ["x|y" if i % 2 else "z" for i in range(items)],
            "price": rng.random(items),
            "title": [f"thing number {i}" for i in range(items)],
            "image": rng.random((items, 12)).astype(np.float32).tolist(),
        }
    ).write_parquet(folder / "items.parquet")
    np.save(folder / "text_emb.npy", rng.random((items, 16)).astype(np.float32))
    np.save(folder / "other.npy", rng.random((7, 3)))


def prepared(folder: Path, text: str, out: Path) -> PreparedDataset:
    spec = out / "spec.yaml"
    spec.write_text(text, encoding="utf-8")
    return prepare(load_spec(spec), folder, out)


@pytest.mark.parametrize("csv", [False, True])
def test_a_proposal_prepares_as_it_is(tmp_path: Path, csv: bool) -> None:
    data, out = tmp_path / "shop", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    shop(data, csv=csv)
    store = prepared(data, propose([data]), out)
    schema = store.manifest.schema_
    assert dict(schema.modalities) == {"text": 16, "image": 12}
    assert [field.name for field in schema.candidate_fields] == ["device"]
    assert [field.name for field in schema.item_fields] == ["category", "tags"]
    assert schema.item_numbers == ("price",)
    assert schema.max_history == 50
    assert store.manifest.split_by == "time"


def test_every_line_that_was_guessed_says_so(tmp_path: Path) -> None:
    shop(tmp_path)
    for line in propose([tmp_path]).splitlines():
        ending = (":", "path:", "key:")
        assert (
            "guess" in line
            or line.startswith("#")
            or line.rstrip().endswith(ending)
            or (line.strip().split(":")[0] in ("path", "key") or line.strip().startswith("#"))
        ), line


def test_without_labels_every_row_is_a_positive_and_without_time_users_are_apart(
    tmp_path: Path,
) -> None:
    data, out = tmp_path / "shop", tmp_path / "out"
    data.mkdir()
    out.mkdir()
    shop(data, label=False, time=False)
    text = propose([data])
    assert "negatives:" in text
    assert "by: user" in text
    store = prepared(data, text, out)
    assert store.manifest.counts["train"].rows > store.manifest.counts["train"].positives


def test_a_folder_without_a_log_is_refused_with_what_was_seen(tmp_path: Path) -> None:
    pl.DataFrame({"a": [1], "b": [2]}).write_parquet(tmp_path / "x.parquet")
    with pytest.raises(
        DataContractError, match=r"no table has a user and an item.*x\.parquet: a, b"
    ):
        propose([tmp_path])
    with pytest.raises(DataContractError, match="not there"):
        propose([tmp_path / "gone"])


@pytest.mark.skipif(not REAL.is_dir(), reason="the MovieLens data is not beside this checkout")
def test_the_real_films_are_understood(tmp_path: Path) -> None:
    text = propose([REAL])
    assert 'positive_when: ">= 4"' in text
    assert "visual_avf107.npy: holds infinite" in text
    store = prepared(REAL, text, tmp_path)
    assert {"text", "image", "audio"} <= set(store.manifest.schema_.modalities)
