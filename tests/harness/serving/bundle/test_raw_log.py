"""The raw log itself through export and predict: the probabilities that the run recorded."""

import datetime as dt
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.losses import Tally
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.cli.serve_check import serve_check
from fusefront.harness.errors import GateError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.serving.bundle.golden import FILE, RECORDED, SERVED, replay_rows
from fusefront.harness.serving.bundle.opened import replay, sha256
from fusefront.harness.serving.bundle.predict import predict_file, write_scores
from fusefront.harness.serving.bundle.write import export_run, load_run
from fusefront.harness.training.run import run

ROWS, ITEMS = 640, 12
NOON = dt.datetime(2021, 3, 4, 12, 0, 0)
CATEGORY: dict[str, pl.Series] = {
    "flag": pl.Series([True, False]),
    "f32": pl.Series([0.1, 0.7], dtype=pl.Float32),
    "f64": pl.Series([1e-7, 0.1]),
    "second": pl.Series([NOON, NOON + dt.timedelta(hours=1)], dtype=pl.Datetime("us")),
    "milli": pl.Series([NOON, NOON + dt.timedelta(milliseconds=5)], dtype=pl.Datetime("ms")),
    "zoned": pl.Series([NOON, NOON + dt.timedelta(hours=1)]).dt.replace_time_zone("Asia/Tokyo"),
    "day": pl.Series([dt.date(2021, 1, 1), dt.date(2021, 1, 2)]),
    "clock": pl.Series([dt.time(1, 2, 3), dt.time(4, 5, 6)]),
    "words": pl.Series(["it's", "b, c"]),
    "dictionary": pl.Series(["x", "y"]).cast(pl.Categorical),
    **{
        f"{kind}{bits}": pl.Series([1, 2 ** (bits - 2)], dtype=getattr(pl, f"{kind}{bits}"))
        for kind in ("Int", "UInt")
        for bits in (8, 16, 32, 64)
    },
    "beyond": pl.Series([1, 2**64 - 1], dtype=pl.UInt64),
}
CATEGORIES: dict[str, tuple[pl.Series, str | None]] = {
    "listed": (pl.Series([["a", "b"], ["c"]]), None),
    "of_floats": (pl.Series([[0.5, 1e-7], [2.0]]), None),
    "bars": (pl.Series(["a|b", "c"]), "|"),
    "python": (pl.Series(["['a', 'b, c']", "['d']"]), ","),
    "commas": (pl.Series(["Action, Drama", "War"]), ","),
}
NUMBERS: dict[str, pl.Series] = {
    "price": pl.Series([3.5, -1.0]),
    "count": pl.Series([3, 8]),
    "known": pl.Series([False, True]),
    "single": pl.Series([0.1, 0.3], dtype=pl.Float32),
    "written": pl.Series(["1e3", " 2.5"]),
}


def fields(side: str) -> list[dict[str, Any]]:
    """Every field type, under the name of its side."""
    results: list[dict[str, Any]] = [{"column": f"{side}_{name}"} for name in CATEGORY]
    for name, (_, separator) in CATEGORIES.items():
        results.append(
            {"column": f"{side}_{name}", "type": "categories", "separator": separator}
            if separator
            else {"column": f"{side}_{name}", "type": "categories"}
        )
    results += [{"column": f"{side}_{name}", "type": "number"} for name in NUMBERS]
    return results


def raw_log() -> pl.DataFrame:
    """Columns of all types that tell clicks from others, each absent now and then."""
    rng = np.random.default_rng(5)
    columns: dict[str, Any] = {
        "u": rng.integers(0, 30, ROWS),
        "i": [f"item {k}" for k in rng.integers(0, ITEMS, ROWS)],
        "t": np.arange(ROWS) + 1_600_000_000,
        "h": [[f"item {k}" for k in rng.integers(0, ITEMS, n % 4)] for n in range(ROWS)],
    }
    score = np.zeros(ROWS)
    for side in ("request", "candidate"):
        for name, values in {
            **CATEGORY,
            **{name: part for name, (part, _) in CATEGORIES.items()},
            **NUMBERS,
        }.items():
            which = rng.integers(0, 2, ROWS)
            score += rng.normal() * (which - 0.5)
            picked = values.gather(which)
            absent = pl.Series(rng.random(ROWS) < 0.05)
            empty = pl.Series([None], dtype=values.dtype)
            columns[f"{side}_{name}"] = picked.zip_with(~absent, empty.new_from_index(0, ROWS))
    label = score + rng.normal(0, 0.5, ROWS) > 0
    return pl.DataFrame(columns | {"y": label.astype(np.int8)})


SPEC: dict[str, Any] = {
    "name": "raw",
    "interactions": {"path": "log.parquet"},
    "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
    "history": {"from": "list", "column": "h", "max_length": 3},
    "request_fields": fields("request"),
    "candidate_fields": fields("candidate"),
    "items": {"path": "items.parquet", "key": "i"},
    "modalities": {"text": {"path": "text.npy"}},
    "split": {"by": "time", "valid": 0.2, "test": 0.3},
}
World = tuple[Path, PreparedDataset, Path, Path]


def trained(root: Path, data: Path, spec: dict[str, Any]) -> World:
    """Items and vectors beside a log, a trained run, and its bundle."""
    pl.DataFrame({"i": [f"item {k}" for k in range(ITEMS)]}).write_parquet(data / "items.parquet")
    np.save(data / "text.npy", np.random.default_rng(0).standard_normal((ITEMS, 4)))
    store = prepare(parse_spec(spec, "test"), data, root)
    recipe = {"epochs": 6, "batch_rows": 64}
    run_spec = RunSpec(store.name, store.fingerprint, "early_fusion", {}, recipe, 0)
    record = run(Cell("early", "strategy", run_spec), root, store, load_parts(()))
    bundle = export_run(load_run(record.path, root), root / "bundle", rows="float32")
    return data, store, record.path, bundle


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    data = tmp_path_factory.mktemp("data")
    raw_log().write_parquet(data / "log.parquet")
    return trained(tmp_path_factory.mktemp("out"), data, SPEC)


def recorded(store: PreparedDataset, run_path: Path) -> dict[int, float]:
    """Probability of every test row, by its place in the log."""
    frame = pl.read_parquet(run_path / "predictions" / "test.parquet")
    chance = 1 / (1 + np.exp(-frame["logit"].to_numpy().astype(np.float64)))
    return dict(zip(store.split("test").row_id.tolist(), chance.tolist(), strict=True))


def served(bundle: Path, source: Path) -> np.ndarray[Any, Any]:
    return np.concatenate(list(predict_file(bundle, source)))


def test_the_raw_log_is_scored_as_the_run_recorded_it(world: World) -> None:
    data, store, path, bundle = world
    scores, expected = served(bundle, data / "log.parquet"), recorded(store, path)
    assert len(scores) == ROWS
    assert len(expected) > 100
    assert np.std(list(expected.values())) > 0.05  # a score that the fields move
    for row, chance in expected.items():
        assert scores[row] == pytest.approx(chance, abs=1e-6)


def test_every_field_moves_the_score(world: World, tmp_path: Path) -> None:
    """No field could be read as absent without the test above seeing it."""
    log = raw_log()[:64]
    names = [field["column"] for part in ("request", "candidate") for field in fields(part)]
    absent = [log.with_columns(pl.lit(None, log.schema[name]).alias(name)) for name in names]
    pl.concat([log, *absent]).write_parquet(tmp_path / "gone.parquet")
    before, *without = np.split(served(world[3], tmp_path / "gone.parquet"), len(names) + 1)
    for name, scores in zip(names, without, strict=True):
        assert np.abs(scores - before).max() > 1e-5, name


CHANGES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "another zone": lambda t: t.with_columns(
        pl.col("candidate_zoned").dt.convert_time_zone("America/New_York")
    ),
    "another unit": lambda t: t.with_columns(pl.col("candidate_second").cast(pl.Datetime("ns"))),
    "wider fractions": lambda t: t.with_columns(
        pl.col("candidate_f32").cast(pl.String).cast(pl.Float64)
    ),
    "other integers": lambda t: t.with_columns(pl.col("candidate_Int8").cast(pl.Int64)),
    "numbers as text": lambda t: t.with_columns(pl.col("candidate_Int32").cast(pl.String)),
    "booleans as text": lambda t: t.with_columns(
        pl.col("candidate_flag").cast(pl.String).str.to_titlecase()
    ),
    "text as a dictionary": lambda t: t.with_columns(
        pl.col("candidate_words").cast(pl.Categorical)
    ),
    "names of the bundle": lambda t: t.rename({"i": "item", "h": "history"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_values_in_another_type_score_alike(
    world: World, tmp_path: Path, name: str
) -> None:
    data, _, _, bundle = world
    CHANGES[name](raw_log()).write_parquet(tmp_path / "log.parquet")
    expected = served(bundle, data / "log.parquet")
    np.testing.assert_array_equal(served(bundle, tmp_path / "log.parquet"), expected)


WRONG: dict[str, tuple[pl.Expr, str]] = {
    "fractions for whole numbers": (
        pl.col("candidate_Int32").cast(pl.Float64),
        "'candidate_Int32', row 0: holds fractions, expected whole numbers",
    ),
    "narrow for wide fractions": (
        pl.col("candidate_f64").cast(pl.Float32),
        "'candidate_f64', row 0: holds fractions of 32 bits, expected fractions",
    ),
    "naive for zoned": (
        pl.col("request_zoned").dt.replace_time_zone(None),
        "'request_zoned', row 0: holds dates, expected dates with a zone",
    ),
    "numbers for text": (
        pl.lit(7).alias("request_words"),
        "'request_words', row 0: holds whole numbers, expected text",
    ),
    "text that is no number": (
        pl.lit("07").alias("request_Int8"),
        "'request_Int8', row 0: got '07', expected whole numbers",
    ),
    "text for a number": (
        pl.lit("wide").alias("request_price"),
        "'request_price', row 0: got 'wide'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_values_of_another_kind_are_refused(world: World, tmp_path: Path, name: str) -> None:
    change, sentence = WRONG[name]
    raw_log().with_columns(change).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataContractError, match=sentence):
        served(world[3], tmp_path / "log.parquet")


def test_what_is_unknown_is_counted(world: World, tmp_path: Path) -> None:
    log = raw_log()[:50].with_columns(
        pl.when(pl.int_range(50) < 3).then(pl.lit("new")).otherwise("i").alias("i"),
        pl.lit("never seen").alias("candidate_words"),
        pl.Series("h", [["new", "item 1"]] * 50),
    )
    log.write_parquet(tmp_path / "log.parquet")
    tally = Tally()
    list(predict_file(world[3], tmp_path / "log.parquet", tally))
    counted = {key: (loss.count, loss.of) for key, loss in tally.losses().items()}
    assert counted == {
        "rows.unknown_item": (3, 50),
        "candidate.candidate_words.unseen": (50, 50),
        "history.unknown_item": (50, 100),
    }
    summary = write_scores(world[3], tmp_path / "log.parquet", tmp_path / "scores.parquet")
    assert {key: (part.count, part.of) for key, part in summary["losses"].items()} == counted


def test_a_raw_csv_is_scored_as_the_run_recorded_it(tmp_path: Path) -> None:
    """Keys with zeros ahead, dates, booleans and lists, all as text."""
    rng = np.random.default_rng(2)
    log = pl.DataFrame(
        {
            "u": rng.integers(0, 30, ROWS),
            "i": [f"item {k}" for k in rng.integers(0, ITEMS, ROWS)],
            "t": np.arange(ROWS) + 1_600_000_000,
            "h": [
                "|".join(f"item {k}" for k in rng.integers(0, ITEMS, n % 4)) for n in range(ROWS)
            ],
            "zip": rng.choice(["02139", "2139", "501", "00501"], ROWS),
            "truth": rng.choice(["True", "False"], ROWS),
            "tags": rng.choice(["['a', 'b, c']", "['d']", "[]"], ROWS),
            "price": rng.choice(["1e3", "2.5", ""], ROWS),
        }
    )
    label = (pl.col("zip") == "02139") ^ (pl.col("truth") == "True")
    data = tmp_path / "data"
    data.mkdir()
    log.with_columns(y=label.cast(pl.Int8)).write_csv(data / "log.csv")
    spec = SPEC | {
        "interactions": {"path": "log.csv"},
        "history": {"from": "list", "column": "h", "max_length": 3, "separator": "|"},
        "request_fields": [],
        "candidate_fields": [
            {"column": "zip"},
            {"column": "truth"},
            {"column": "tags", "type": "categories", "separator": ","},
            {"column": "price", "type": "number"},
        ],
    }
    _, store, path, bundle = trained(tmp_path / "out", data, spec)
    scores = served(bundle, data / "log.csv")
    expected = recorded(store, path)
    assert np.std(list(expected.values())) > 0.05
    for row, chance in expected.items():
        assert scores[row] == pytest.approx(chance, abs=1e-6)


def test_golden_rows_hold_raw_values_and_give_the_recorded_probabilities(world: World) -> None:
    _, _, path, bundle = world
    rows = pl.read_parquet(bundle / FILE)
    logits = pl.read_parquet(path / "predictions" / "valid.parquet")["logit"].to_numpy()
    expected = 1 / (1 + np.exp(-logits.astype(np.float64)))[: rows.height]
    assert rows.height == min(len(logits), 256)
    assert {"item", "history", "request_flag", "candidate_price"} <= set(rows.columns)
    assert set(rows["item"]) <= {f"item {k}" for k in range(ITEMS)}
    np.testing.assert_allclose(rows[RECORDED].to_numpy(), expected, atol=1e-9)
    np.testing.assert_allclose(rows[SERVED].to_numpy(), expected, atol=1e-5)
    replayed = replay_rows(bundle)
    assert replayed is not None
    assert replayed.rows == rows.height
    assert replayed.passed


@pytest.mark.parametrize("spoil", ["vocabulary", "keys", "scaling", "kind"])
def test_an_encoder_that_was_changed_and_sealed_again_is_seen(
    world: World, tmp_path: Path, spoil: str
) -> None:
    """Right checksums, another encoder: golden requests of codes still pass, raw rows do not."""
    bundle = tmp_path / "bundle"
    shutil.copytree(world[3], bundle)
    if spoil == "vocabulary":
        for name in ("request_request_flag", "candidate_candidate_words"):
            target = bundle / "vocabularies" / f"{name}.parquet"
            pl.read_parquet(target).head(0).write_parquet(target)
    elif spoil == "keys":
        target = bundle / "items.parquet"
        turned = pl.read_parquet(target).with_columns(pl.col("row").reverse())
        turned.write_parquet(target)
    else:
        target = bundle / "dataset.json"
        facts = json.loads(target.read_text())
        if spoil == "scaling":
            facts["numbers"]["candidate.candidate_price"]["mean"] += 5.0
        else:
            for part in facts["raw"]["candidate"]:
                if part["field"].get("separator"):
                    part["field"]["separator"] = ";"
                    part["field"]["type"] = "categories"
            facts["raw"]["item"] = "another"
            facts["raw"]["request"] = facts["raw"]["request"][::-1]
        target.write_text(json.dumps(facts))
    seal_again(bundle)
    assert replay(bundle)["passed"]
    with pytest.raises((GateError, DataContractError)) as refusal:
        serve_check(bundle)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "name",
    [
        "items.parquet",
        "dataset.json",
        "golden.npz",
        "golden.parquet",
        "vocabularies/request_request_flag.parquet",
    ],
)
@pytest.mark.parametrize(
    "junk", [b"", b"junk" * 50, b"{}", b"[1, 2]", b"PAR1" + bytes(40) + b"PAR1"]
)
def test_junk_with_a_right_checksum_is_one_sentence(
    world: World, tmp_path: Path, name: str, junk: bytes
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(world[3], bundle)
    (bundle / name).write_bytes(junk)
    seal_again(bundle)
    with pytest.raises((GateError, DataContractError)) as refusal:
        serve_check(bundle)
    assert "\n" not in str(refusal.value)
    assert str(bundle) in str(refusal.value)


def seal_again(bundle: Path) -> None:
    manifest = json.loads((bundle / "bundle.json").read_text())
    for name in manifest["files"]:
        path = bundle / name
        manifest["files"][name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
