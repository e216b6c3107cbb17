"""A counter store kept up to date from logs gives raw requests the numbers that `prepare`
stored."""

import itertools
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.counting.counter_store import CounterStore
from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.cli.counters import counters
from fusefront.harness.serving.bundle import counters as bundle_counters
from fusefront.harness.serving.bundle import opened
from fusefront.harness.serving.bundle.counters import ITEM_FIELDS, count_logs, look_up
from fusefront.harness.serving.bundle.predict import open_encoder
from fusefront.harness.serving.bundle.write import dataset_facts

ROWS = 400
COUNTERS = [
    {"of": "user"},
    {"of": "item", "frozen": "train"},
    {"of": ["user", "item.genres"], "prior": 5},
    {"of": ["item", "request.device"], "window": "2d", "lag": "1h"},
    {"of": "user", "last": 4},
    {"of": "item", "decay": "1d"},
    {"residual": "user", "lag": "2h"},
    {"residual": ["user", "item.genres"]},
]
SPEC = {
    "name": "shop",
    "interactions": {"path": "log.parquet"},
    "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
    "history": {"from": "log", "max_length": 5},
    "request_fields": [{"column": "device"}],
    "candidate_fields": [{"column": "price", "type": "number"}],
    "items": {
        "path": "items.parquet",
        "key": "i",
        "fields": [{"column": "genres", "type": "categories"}],
        "unknown": "drop",
    },
    "split": {"by": "time", "valid": 0.2, "test": 0.2},
    "counters": COUNTERS,
}


def log_of(rows: int = ROWS) -> pl.DataFrame:
    """Rows of four weeks out of order, some of one hour, some of items that are not known."""
    rng = np.random.default_rng(5)
    hours = np.sort(rng.integers(0, 24 * 28, rows))
    frame = pl.DataFrame(
        {
            "u": [f"user {k}" for k in rng.integers(0, 25, rows)],
            "i": rng.integers(0, 23, rows),
            "y": rng.integers(0, 2, rows),
            "t": 1_600_000_000 + 3600 * hours,
            "device": rng.choice(["tv", "web"], rows).tolist(),
            "price": rng.normal(size=rows),
        }
    )
    return frame.sample(fraction=1.0, shuffle=True, seed=1)


def write(folder: Path, log: pl.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    genres = [[f"g{k % 3}", f"g{k % 5}"][: k % 3] for k in range(20)]
    log.write_parquet(folder / "log.parquet")
    pl.DataFrame({"i": range(20), "genres": genres}).write_parquet(folder / "items.parquet")


def bundle_of(store: PreparedDataset, folder: Path) -> Path:
    """The half of a bundle that encodes."""
    folder.mkdir()
    (folder / "dataset.json").write_text(json.dumps(dataset_facts(store)), encoding="utf-8")
    store.item_keys().write_parquet(folder / "items.parquet")
    shutil.copytree(store.path / "vocabularies", folder / "vocabularies")
    shutil.copyfile(store.path / "items" / "fields.npy", folder / ITEM_FIELDS)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedDataset, Path, pl.DataFrame]:
    folder, log = tmp_path_factory.mktemp("shop"), log_of()
    write(folder, log)
    store = prepare(parse_spec(SPEC, "spec.yaml"), folder, folder / "out")
    return store, bundle_of(store, folder / "bundle"), log


def cut(log: pl.DataFrame, folder: Path, *edges: int) -> list[Path]:
    """A file for every stretch of time, oldest first, rows of one out of order; csv every
    second."""
    files = []
    times = [0, *edges, 1 << 40]
    for number, (low, high) in enumerate(itertools.pairwise(times)):
        part = log.filter(pl.col("t").is_between(low, high, closed="left"))
        path = folder / f"log{number}.{'csv' if number % 2 else 'parquet'}"
        if number % 2:
            part.write_csv(path)
        else:
            part.write_parquet(path)
        files.append(path)
    return files


def test_requests_get_the_numbers_that_prepare_stored(shop, tmp_path: Path) -> None:
    store, bundle, log = shop
    moments = log["t"].unique().sort()
    at = int(moments[-40])
    files = cut(log, tmp_path, int(moments[50]), int(moments[120]), at)
    count_logs(bundle, files[:1], tmp_path / "counters")
    count_logs(bundle, files[1:3], tmp_path / "counters")
    stored = {}
    for split in ("train", "valid", "test"):
        part = store.split(split)
        owner = np.repeat(np.arange(len(part.group)), np.diff(part.row_start))
        for row, request, candidate in zip(
            part.row_id, part.request_numbers[owner], part.candidate_numbers, strict=True
        ):
            stored[int(row)] = (request, candidate)
    rows = log.with_row_index("row").filter((pl.col("t") == at) & pl.col("i").is_in(range(20)))
    assert rows.height > 0
    encoder, path = open_encoder(bundle), tmp_path / "requests.parquet"
    encoder.counting = look_up(bundle, tmp_path / "counters")
    for frame in (rows.drop("y"), rows.drop("y", "t")):  # without a time: after what was counted
        untimed = "t" not in frame.columns
        encoded = encoder.encode(frame, encoder.columns(frame.columns, path), path, 0)
        for place, row in enumerate(rows["row"]):
            for side, expected in zip(("request", "candidate"), stored[row], strict=True):
                schema = store.manifest.schema_
                names = schema.request_numbers if side == "request" else schema.candidate_numbers
                exact = [k for k, name in enumerate(names) if not untimed or _steady(name)]
                numbers = encoded.numbers[side][place]
                np.testing.assert_allclose(numbers[exact], expected[exact], rtol=0, atol=2e-6)


def _steady(name: str) -> bool:
    """Numbers of no window, decay or lag, which move without new rows."""
    return not any(word in name for word in ("_2d_", "decay", "user_residual"))


@pytest.mark.parametrize("block", [None, 41])
def test_file_by_file_is_all_at_once(shop, tmp_path: Path, monkeypatch, block) -> None:
    """And so are small blocks: files are out of order, keys and times cross them."""
    _, bundle, log = shop
    edges = [int(t) for t in log["t"].unique().sort()[[3, 4, 90, 150]]]
    files = cut(log, tmp_path, *edges)
    whole = count_logs(bundle, files, tmp_path / "whole")
    if block:
        monkeypatch.setattr(bundle_counters, "AT_ONCE", block)
        monkeypatch.setattr(bundle_counters, "CHUNK", 29)
    for file in files:
        count_logs(bundle, [file], tmp_path / "pieces")
    assert whole.all_rows == log.filter(pl.col("i") < 20).height
    pieces, at_once = CounterStore.open(tmp_path / "pieces"), CounterStore.open(tmp_path / "whole")
    assert pieces.logs == at_once.logs
    assert pieces.state.until == at_once.state.until == log.filter(pl.col("i") < 20)["t"].max()
    for first, other in zip(pieces.state.ledgers, at_once.state.ledgers, strict=True):
        np.testing.assert_array_equal(first.key, other.key)
        np.testing.assert_array_equal(first.time, other.time)
        if first.ledger.halving:
            np.testing.assert_allclose(first.values, other.values, rtol=1e-12)
        else:
            np.testing.assert_array_equal(first.values, other.values)


KILLED = """
import os, signal, sys
from pathlib import Path
from fusefront.harness.serving.bundle import counters
state, step = sys.argv[4], 0
def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if state == "reading":
    counters.LogRows.slices = killed
elif state == "counting":
    counters.CounterStore.write = killed
else:
    from fusefront.datasets import durable
    durable.place = killed
counters.count_logs(Path(sys.argv[1]), [Path(sys.argv[2])], Path(sys.argv[3]))
"""


@pytest.mark.parametrize("state", ["reading", "counting", "written"])
def test_a_kill_leaves_the_former_store_and_the_next_call_cleans_up(
    shop, tmp_path: Path, state: str
) -> None:
    _, bundle, log = shop
    early, late = cut(log, tmp_path, int(log["t"].unique().sort()[100]))
    home = tmp_path / "home"
    count_logs(bundle, [early], home / "counters")
    former = {path.name: path.read_bytes() for path in (home / "counters").iterdir()}
    command = [sys.executable, "-c", KILLED, str(bundle), str(late), str(home / "counters"), state]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert {path.name: path.read_bytes() for path in (home / "counters").iterdir()} == former
    assert len(list(home.iterdir())) > 1  # what the kill left
    count_logs(bundle, [late], home / "counters")
    assert [path.name for path in home.iterdir()] == ["counters"]
    count_logs(bundle, [early, late], tmp_path / "whole")
    pieces, whole = CounterStore.open(home / "counters"), CounterStore.open(tmp_path / "whole")
    assert pieces.logs == whole.logs
    assert pieces.state.keys() == whole.state.keys()


def test_a_user_and_an_item_are_enough_for_a_number(shop, tmp_path: Path) -> None:
    """By hand: the user's rows and positives among all that was counted."""
    store, bundle, log = shop
    count_logs(bundle, cut(log, tmp_path), tmp_path / "counters")
    frame = pl.DataFrame({"user": ["user 3", "nobody"], "item": [4, 4], "device": ["tv"] * 2})
    frame = frame.with_columns(price=0.0)
    encoder = open_encoder(bundle)
    encoder.counting = look_up(bundle, tmp_path / "counters")
    path = tmp_path / "requests.csv"
    encoded = encoder.encode(frame, encoder.columns(frame.columns, path), path, 0)
    past = log.filter((pl.col("u") == "user 3") & (pl.col("i") < 20))
    scaling = store.manifest.numbers["request.user_n"]
    place = store.manifest.schema_.request_numbers.index("user_n")
    numbers = encoded.numbers["request"][:, place] * scaling.deviation + scaling.mean
    np.testing.assert_allclose(numbers, [np.log1p(past.height), 0], atol=1e-5)


def test_rows_older_than_the_counters_are_counted_as_such(shop, tmp_path: Path) -> None:
    _, bundle, log = shop
    count_logs(bundle, cut(log, tmp_path), tmp_path / "counters")
    encoder, path = open_encoder(bundle), tmp_path / "requests.parquet"
    encoder.counting = look_up(bundle, tmp_path / "counters")
    newest = log.filter(pl.col("i") < 20)["t"].max()
    encoder.encode(log, encoder.columns(log.columns, path), path, 0)
    loss = encoder.tally.losses()["counters.older"]
    assert loss.count == log.filter(pl.col("t") < newest).height


def test_the_same_command_again_counts_nothing_twice(shop, tmp_path: Path) -> None:
    """As a nightly job does that was killed after its write, or is given a day twice."""
    _, bundle, log = shop
    early, late = cut(log, tmp_path, int(log["t"].unique().sort()[100]))
    first = count_logs(bundle, [early], tmp_path / "counters")
    again = shutil.copy(early, tmp_path / "renamed.parquet")
    both = count_logs(bundle, [Path(again), late, late], tmp_path / "counters")
    assert both.before == (str(again), str(late))
    assert both.rows == both.all_rows - first.all_rows > 0
    once = count_logs(bundle, [early, late], tmp_path / "once")
    assert (once.before, once[1:4]) == ((), both[1:4])
    files = sorted(path.name for path in (tmp_path / "once").glob("*.parquet"))
    for name in files:
        pair = [pl.read_parquet(tmp_path / folder / name) for folder in ("once", "counters")]
        assert pair[0].equals(pair[1])
    written = {path: path.read_bytes() for path in (tmp_path / "counters").iterdir()}
    nothing = count_logs(bundle, [late, early], tmp_path / "counters")
    assert (nothing.rows, nothing.before) == (0, (str(late), str(early)))
    assert {path: path.read_bytes() for path in (tmp_path / "counters").iterdir()} == written


def test_what_cannot_be_counted_or_looked_up_is_refused(shop, tmp_path: Path) -> None:
    _, bundle, log = shop
    middle = int(log["t"].unique().sort()[100])
    early, late = cut(log, tmp_path, middle)
    count_logs(bundle, [late], tmp_path / "counters")
    before = (tmp_path / "counters" / "counters.json").read_bytes()
    with pytest.raises(DataContractError, match=r"older than .*, the newest counted"):
        count_logs(bundle, [early], tmp_path / "counters")
    assert (tmp_path / "counters" / "counters.json").read_bytes() == before
    with pytest.raises(DataContractError, match="no counter store; `fusefront counters"):
        look_up(bundle, tmp_path / "nowhere")
    lookup, encoder = look_up(bundle, tmp_path / "counters"), open_encoder(bundle)
    encoder.counting = lookup
    with pytest.raises(DataContractError, match="no column of the user"):
        encoder.columns(["item", "device", "price"], tmp_path / "x.csv")
    table = next((tmp_path / "counters").glob("ledger_0.parquet"))
    pl.read_parquet(table).with_columns(rows=pl.lit(7)).write_parquet(table)
    with pytest.raises(DataContractError, match="missing or changed"):
        look_up(bundle, tmp_path / "counters")


def test_a_bundle_of_other_data_or_without_counters_is_refused(shop, tmp_path: Path) -> None:
    _, bundle, log = shop
    count_logs(bundle, cut(log, tmp_path), tmp_path / "counters")
    for name, entries, sentence in (
        ("other", COUNTERS[:2], "counters of the data"),
        ("none", [], "has no counters"),
    ):
        folder = tmp_path / name
        write(folder, log)
        spec = parse_spec(SPEC | {"counters": entries}, "spec.yaml")
        other = bundle_of(prepare(spec, folder, folder / "out"), folder / "bundle")
        with pytest.raises(DataContractError, match=sentence):
            look_up(other, tmp_path / "counters")


def test_the_verb_refuses_a_bundle_that_was_changed_and_counts_with_a_whole_one(
    shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, half, log = shop
    bundle = Path(shutil.copytree(half, tmp_path / "bundle"))
    for name in ("scorer.onnx", "golden.npz"):
        (bundle / name).write_bytes(b"not read by this verb")
    files = {
        path.relative_to(bundle).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": opened.sha256(path),
        }
        for path in bundle.rglob("*")
        if path.is_file()
    }
    manifest = {"format": 1, "kind": opened.KIND, "strategy": "s", "run_id": "r", "files": files}
    manifest |= {"serving": {}, "shape": {}}
    (bundle / opened.MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    counters(bundle, cut(log, tmp_path), tmp_path / "store", as_json=True)
    summary = json.loads(capsys.readouterr().out)
    assert summary["rows"] == summary["all_rows"] == log.filter(pl.col("i") < 20).height
    content = (bundle / ITEM_FIELDS).read_bytes()
    (bundle / ITEM_FIELDS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataContractError, match="changed since the export"):
        counters(bundle, cut(log, tmp_path), tmp_path / "other")
