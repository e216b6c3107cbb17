"""A file of rows explained in blocks from planted contributions: no bundle, no model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import UsageError
from fusefront.harness.robustness import explained_file as module
from fusefront.harness.robustness.explained_file import explain_file
from fusefront.harness.robustness.request import Contributions
from fusefront.harness.runs.hashes import WEIGHTS

GROUPS = ("text", "ids", "history")
BLOCKS = (3, 2)
ROWS = sum(BLOCKS)
SHARES = np.random.default_rng(6).normal(size=(ROWS, 3)) * [1.0, 0.1, -4.0]
BASE = np.arange(ROWS) / 8


class PlantedEncoder:
    """Hands the first row of each block on, and counts one value that is not known."""

    tally: Any = None
    counting: Any = None

    def columns(self, names: list[str], source: Path) -> Any:
        assert names == ["item", "when"]
        return SimpleNamespace(all=("item",))

    def encode(self, frame: pl.DataFrame, columns: Any, source: Path, first: int) -> Any:
        assert frame["item"].to_list() == list(range(first, first + frame.height))
        self.tally.add("candidate.c", 1, frame.height, "values are not known")
        return slice(first, first + frame.height)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    world = SimpleNamespace(
        bundle=tmp_path / "bundle",
        run=tmp_path / "out" / "runs" / "r",
        out=tmp_path / "out",
        target=tmp_path / "parts.parquet",
        blocks=BLOCKS,
        encoder=PlantedEncoder(),
        calls=[],
        opened=[],
        own=None,  # the model that the bundle itself gives
    )
    for path in (world.bundle / "weights.safetensors", world.run / WEIGHTS):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"weights")

    def stream(source: Path, names: Any, most: int) -> Any:
        assert names == ("item",)
        first = 0
        for count in world.blocks:
            yield pl.DataFrame({"item": range(first, first + count)})
            first += count

    def contributions(model: str, schema: str, feed: slice) -> Contributions:
        assert (model, schema) == ("model", "schema")
        base = BASE[feed]
        return Contributions(GROUPS, base, SHARES[feed], base + SHARES[feed].sum(1))

    def find_run(out: Path, run_id: str) -> Path | None:
        assert run_id == "r5"
        return world.run if out == world.out else None

    def load_model(folder: Path, store: Path, parts: Any) -> str:
        world.calls.append((folder, store, parts))
        return "model"

    def open_model(bundle: Path, shape: int, include: Any) -> Any:
        assert (bundle, shape) == (world.bundle, 3)
        world.opened.append(include)
        return {"model": world.own, "reason": "it is old"}, "schema" if world.own else "by name"

    @contextmanager
    def replacing(target: Path) -> Iterator[Path]:
        yield target
        assert pl.read_parquet(target).height == ROWS  # whole before it has its name

    summary = {"dataset": "shop", "fingerprint": "f0"}
    for name, value in {
        "read_manifest": lambda folder: {"run_id": "r5", "shape": {"history": 3}},
        "find_run": find_run,
        "read_summary": lambda folder: summary,
        "PreparedDataset": SimpleNamespace(open=lambda path: path),
        "included": lambda folder, include: (folder, *include),
        "load_parts": lambda files: ("parts", *files),
        "load_model": load_model,
        "open_model": open_model,
        "schema_of": lambda store: "schema",
        "FeedShape": SimpleNamespace(from_json=lambda shape: shape["history"]),
        "open_encoder": lambda folder: world.encoder,
        "columns_of": lambda source: ("item", "when"),
        "stream": stream,
        "feed_of": lambda rows, shape: rows if shape == 3 else None,
        "contributions": contributions,
        "replacing": replacing,
    }.items():
        monkeypatch.setattr(module, name, value)
    return world


def explained(world: Any, out: Path | None = None) -> Any:
    source = world.bundle / "rows.csv"
    return explain_file(world.bundle, source, world.target, out or world.out)


def test_every_row_has_its_parts_and_groups_their_mean_size(planted: Any) -> None:
    result = explained(planted)
    frame = pl.read_parquet(planted.target)
    assert frame.columns == ["row", "logit", "base", *GROUPS]
    assert frame["row"].to_list() == list(range(ROWS))
    np.testing.assert_allclose(frame["base"], BASE, atol=1e-12)
    np.testing.assert_allclose(frame["logit"], BASE + SHARES.sum(1), atol=1e-12)
    np.testing.assert_allclose(frame.select(GROUPS).to_numpy(), SHARES, atol=1e-12)
    sizes = dict(zip(GROUPS, np.abs(SHARES).mean(0).tolist(), strict=True))
    ranked = sorted(sizes, key=lambda group: sizes[group], reverse=True)
    assert list(result["mean_size"]) == ranked == ["history", "text", "ids"]
    assert result["mean_size"] == pytest.approx(sizes)
    assert (result["rows"], result["contributions"]) == (ROWS, str(planted.target))
    (loss,) = result["losses"].values()
    assert (loss.count, loss.of) == (len(BLOCKS), ROWS)


def test_the_run_is_loaded_with_its_own_store_and_files(planted: Any) -> None:
    counting: Any = object()
    source = planted.bundle / "rows.csv"
    own = (Path("own.py"),)
    explain_file(planted.bundle, source, planted.target, planted.out, own, counting)
    store = planted.out / "prepared" / "shop" / "f0"
    assert planted.calls == [(planted.run, store, ("parts", planted.run, *own))]
    assert planted.encoder.counting is counting


def test_a_bundle_that_holds_its_model_needs_no_run(planted: Any) -> None:
    planted.own = "model"
    own = (Path("own.py"),)
    explain_file(planted.bundle, planted.bundle / "rows.csv", planted.target, planted.bundle, own)
    assert pl.read_parquet(planted.target).height == ROWS
    assert not planted.calls  # no run was looked for
    assert planted.opened == [own]


def test_a_run_elsewhere_or_with_other_weights_is_refused(planted: Any) -> None:
    with pytest.raises(UsageError, match=r"\(it is old\), and its run r5 is not under .*bundle;"):
        explained(planted, out=planted.bundle)
    (planted.run / WEIGHTS).write_bytes(b"others")
    with pytest.raises(DataContractError, match=r"not the weights of .*; export the run again"):
        explained(planted)
    assert not planted.calls


def test_a_file_without_rows_is_refused_and_leaves_nothing(planted: Any) -> None:
    planted.blocks = ()
    with pytest.raises(DataContractError, match=r"rows\.csv: has no row to explain"):
        explained(planted)
    assert not planted.target.exists()
