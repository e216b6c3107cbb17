"""Events of several kinds from the log to the bundle: raw requests score as the run recorded
them."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Tally
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.cli.serve_check import serve_check
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.serving.bundle.golden import FILE
from fusefront.harness.serving.bundle.predict import predict_file
from fusefront.harness.serving.bundle.write import export_run, load_run
from fusefront.harness.training.run import run

ROWS, USERS, ITEMS, LONGEST = 900, 40, 25, 4


class World(NamedTuple):
    log: pl.DataFrame
    store: PreparedDataset
    run: Path
    bundle: Path


def spec(history: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "rated",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "history": {"from": "log", "max_length": LONGEST} | history,
        "items": {"path": "items.parquet", "key": "i"},
        "modalities": {"text": {"path": "text.npy"}},
        "split": {"by": "time", "valid": 0.2, "test": 0.3},
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Ratings as kinds; a user who gave a low one clicks less."""
    data, root = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("out")
    rng = np.random.default_rng(1)
    user, stars = rng.integers(0, USERS, ROWS), rng.choice([0.5, 3.0, 5.0], ROWS)
    last: dict[int, float] = {}
    label = np.zeros(ROWS, np.int8)
    for n in range(ROWS):
        label[n] = rng.random() < {0.5: 0.1, 3.0: 0.5, 5.0: 0.9}[last.get(user[n], 3.0)]
        last[user[n]] = stars[n]
    log = pl.DataFrame(
        {
            "u": user,
            "i": [f"item {k}" for k in rng.integers(0, ITEMS, ROWS)],
            "y": label,
            "t": np.arange(ROWS) // 2,
            "stars": stars,
        }
    ).with_columns(pl.when(pl.col("t") % 17 == 0).then(None).otherwise("stars").alias("stars"))
    log.write_parquet(data / "log.parquet")
    pl.DataFrame({"i": [f"item {k}" for k in range(ITEMS)]}).write_parquet(data / "items.parquet")
    np.save(data / "text.npy", rng.standard_normal((ITEMS, 4)))
    kinds = {"events": "all", "kind": "stars"}
    store = prepare(parse_spec(spec(kinds), "test"), data, root)
    recipe = {"epochs": 6, "batch_rows": 32}
    cell = RunSpec(store.name, store.fingerprint, "early_fusion", {}, recipe, 0)
    record = run(Cell("early", "strategy", cell), root, store, load_parts(()))
    bundle = export_run(load_run(record.path, root), root / "bundle", rows="float32")
    return World(log, store, record.path, bundle)


def requests(log: pl.DataFrame) -> pl.DataFrame:
    """Every row of the log as a client would send it, by a plain loop."""
    past: dict[int, list[tuple[int, str, float | None]]] = defaultdict(list)
    histories, kinds = [], []
    for row in log.iter_rows(named=True):
        earlier = [event for event in past[row["u"]] if event[0] < row["t"]][-LONGEST:]
        histories.append([item for _, item, _ in earlier])
        kinds.append([stars for _, _, stars in earlier])
        past[row["u"]].append((row["t"], row["i"], row["stars"]))
    return pl.DataFrame({"item": log["i"], "history": histories, "history_kind": kinds})


def served(bundle: Path, frame: pl.DataFrame, folder: Path) -> np.ndarray[Any, Any]:
    frame.write_parquet(folder / "rows.parquet")
    return np.concatenate(list(predict_file(bundle, folder / "rows.parquet")))


def test_requests_with_kinds_score_as_recorded(world: World, tmp_path: Path) -> None:
    scores = served(world.bundle, requests(world.log), tmp_path)
    frame = pl.read_parquet(world.run / "predictions" / "test.parquet")
    recorded = 1 / (1 + np.exp(-frame["logit"].to_numpy().astype(np.float64)))
    rows = world.store.split("test").row_id
    assert len(rows) > 200
    np.testing.assert_allclose(scores[rows], recorded, rtol=0.0, atol=1e-6)
    constant = requests(world.log).with_columns(
        pl.col("history").list.eval(pl.lit(5.0)).alias("history_kind")
    )
    assert np.abs(served(world.bundle, constant, tmp_path)[rows] - recorded).max() > 0.05


def test_golden_rows_hold_the_kinds(world: World) -> None:
    golden = pl.read_parquet(world.bundle / FILE)
    assert golden.schema["history_kind"] == pl.List(pl.Float64)
    assert golden["history_kind"].list.len().to_list() == golden["history"].list.len().to_list()
    assert {0.5, 3.0, 5.0} <= set(golden["history_kind"].explode().to_list())
    serve_check(world.bundle)


def test_text_and_integer_kinds_that_print_alike_are_read(world: World, tmp_path: Path) -> None:
    frame = requests(world.log)[:300]
    before = served(world.bundle, frame, tmp_path)
    text = frame.with_columns(pl.col("history_kind").cast(pl.List(pl.String)))
    np.testing.assert_array_equal(served(world.bundle, text, tmp_path), before)


REFUSED: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "no kinds": (lambda t: t.drop("history_kind"), "'history_kind' is missing.*beside 'history'"),
    "one kind short": (
        lambda t: t.with_columns(pl.col("history_kind").list.slice(1)),
        "different lengths.*one kind for each item",
    ),
    "no lists": (lambda t: t.with_columns(history_kind=pl.lit(1.5)), "expected a list"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_kinds_that_do_not_fit_are_refused(name: str, world: World, tmp_path: Path) -> None:
    change, sentence = REFUSED[name]
    with pytest.raises(DataContractError, match=sentence):
        served(world.bundle, change(requests(world.log)), tmp_path)


def test_entries_without_a_known_item_take_their_kind_with_them(
    world: World, tmp_path: Path
) -> None:
    frame = requests(world.log)[400:420]
    before = served(world.bundle, frame, tmp_path)
    more = pl.DataFrame(
        {
            "item": frame["item"],
            "history": [["nobody", *(h or []), None] for h in frame["history"].to_list()],
            "history_kind": [[0.5, *(k or []), 5.0] for k in frame["history_kind"].to_list()],
        }
    )
    np.testing.assert_array_equal(served(world.bundle, more, tmp_path), before)


def test_a_kind_that_train_had_not_is_counted(world: World, tmp_path: Path) -> None:
    frame = requests(world.log)[400:420]
    entries = int(frame["history"].list.len().sum())
    odd = frame.with_columns(pl.col("history").list.eval(pl.lit(9.5)).alias("history_kind"))
    odd.write_parquet(tmp_path / "rows.parquet")
    tally = Tally()
    list(predict_file(world.bundle, tmp_path / "rows.parquet", tally))
    assert entries > 40
    assert tally.losses()["history.kind_unseen"].count == entries
