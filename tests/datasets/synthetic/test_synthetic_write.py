"""A written world: its files, their agreement with the generator, and the spec that opens them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing import finish
from fusefront.datasets.spec import load_spec
from fusefront.datasets.synthetic.generator import make_chunks
from fusefront.datasets.synthetic.latents import vectors
from fusefront.datasets.synthetic.truth import build_source
from fusefront.datasets.synthetic.worlds import WORLDS, find_world
from fusefront.datasets.synthetic.write import FIRST_KEY, START, write_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tour")
    write_world("tour", out, seed=5, train=4_200, valid=50, test=60, warm=300, cold=80)
    return out


def test_rows_are_those_of_the_generator(folder: Path) -> None:
    log = pl.read_parquet(folder / "interactions.parquet")
    source = build_source(find_world("tour"), 5, warm=300, cold=80)
    assert log["row_id"].to_list() == list(range((4_200 + 50 + 60) * 8))
    for split, requests in (("train", 4_200), ("valid", 50), ("test", 60)):
        rows = log.filter(pl.col("split") == split)
        chunks = list(make_chunks(source, split, requests))
        p = np.concatenate([chunk.p.ravel() for chunk in chunks])
        np.testing.assert_array_equal(rows["p"].to_numpy(), p)
        label = np.concatenate([chunk.label.ravel() for chunk in chunks])
        np.testing.assert_array_equal(rows["label"].to_numpy(), label)
        item = np.concatenate([chunk.candidates.ravel() for chunk in chunks]) + FIRST_KEY - 1
        np.testing.assert_array_equal(rows["item"].to_numpy(), item)
        for row in (0, 7, 8, 8 * requests - 1):
            chunk, place = chunks[row // 8 // 4_096], row // 8 % 4_096
            shown = [i + FIRST_KEY - 1 for i in chunk.history[place].tolist() if i]
            assert rows["history"][row].to_list() == shown
            assert rows["g"][row] == chunk.group[place]
        assert rows["request"].n_unique() == requests


def test_items_and_vectors_are_in_row_order_under_keys_of_their_own(folder: Path) -> None:
    items = pl.read_parquet(folder / "items.parquet")
    source = build_source(find_world("tour"), 5, warm=300, cold=80)
    assert items["item"].to_list() == [FIRST_KEY + i for i in range(380)]
    assert items["cold"].to_list() == [False] * 300 + [True] * 80
    for m, name in enumerate(("text", "image", "audio")):
        stored = np.load(folder / f"{name}.npy")
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored, vectors(source.world, source.latents, 5, m)[1:])
        present = items[f"has_{name}"].to_numpy()
        np.testing.assert_array_equal(present, source.latents.present[1:, m])
        np.testing.assert_array_equal(present, np.abs(stored).sum(axis=1) > 0)


def test_the_same_call_writes_the_same_rows(folder: Path, tmp_path: Path) -> None:
    write_world("tour", tmp_path, seed=5, train=4_200, valid=50, test=60, warm=300, cold=80)
    for name in ("interactions.parquet", "items.parquet"):
        assert pl.read_parquet(tmp_path / name).equals(pl.read_parquet(folder / name))
    assert (tmp_path / "dataset.yaml").read_bytes() == (folder / "dataset.yaml").read_bytes()


@pytest.mark.parametrize("name", list(WORLDS))
def test_each_world_writes_a_spec_that_loads(name: str, tmp_path: Path) -> None:
    spec = load_spec(write_world(name, tmp_path, train=20, valid=10, test=10, warm=60, cold=20))
    assert spec.name == f"{name}_0"
    assert list(spec.modalities) == list(find_world(name).modalities)
    assert spec.truth is not None
    assert spec.slices[0].when == "cold_item"


def test_timestamps_grow_along_the_log_and_splits_follow_each_other(tmp_path: Path) -> None:
    spec = write_world(
        "tour",
        tmp_path,
        train=5_000,
        valid=30,
        test=30,
        warm=60,
        cold=20,
        returning=0.3,
        timestamps=True,
    )
    log = pl.read_parquet(tmp_path / "interactions.parquet")
    time = log["timestamp"].to_numpy()
    assert time[0] >= START
    assert np.all(np.diff(time[::8]) > 0)
    assert log.group_by("request").agg(pl.col("timestamp").n_unique())["timestamp"].max() == 1
    loaded = load_spec(spec)
    assert loaded.columns.timestamp == "timestamp"
    assert loaded.cluster == "user"
    visits = log.group_by("user").agg(pl.col("request").n_unique())["request"]
    assert visits.max() > 3
    assert visits.sum() - len(visits) == pytest.approx(0.3 * 5_060, abs=150)


def test_vectors_can_be_768_wide(tmp_path: Path) -> None:
    write_world("noise", tmp_path, train=5, valid=5, test=5, warm=50, cold=10, dims=(768, 768))
    assert np.load(tmp_path / "image.npy").shape == (60, 768)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"train": 0}, "got train = 0, expected at least 1"),
        ({"warm": 5}, "got warm = 5, expected at least 16"),
        ({"seed": -1}, "got seed = -1, expected 0 or more"),
    ],
)
def test_impossible_sizes_are_refused(
    options: dict[str, int], sentence: str, tmp_path: Path
) -> None:
    sizes = {"train": 5, "valid": 5, "test": 5, "warm": 50, "cold": 10, "seed": 0} | options
    with pytest.raises(SpecError, match=sentence):
        write_world("tour", tmp_path, **sizes)
    with pytest.raises(SpecError, match="expected a share from 0 to below 1"):
        write_world("tour", tmp_path, returning=1.0)


def test_the_bayes_auc_of_a_long_store_is_streamed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec(folder / "dataset.yaml")
    exact = prepare(spec, folder, tmp_path / "exact").manifest.bayes_auc
    monkeypatch.setattr(finish, "_EXACT_ROWS", 1)
    streamed = prepare(spec, folder, tmp_path / "streamed").manifest.bayes_auc
    assert streamed == pytest.approx(exact, abs=1e-5)
    assert streamed != exact
