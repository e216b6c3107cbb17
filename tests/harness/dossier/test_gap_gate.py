"""`gate --max-gap` from predictions on disk to its exit: a planted gap fails, a null one passes."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from fusefront.harness.cli.gate import gate
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.runs.store import find_study

Make = Callable[..., Path]
app = typer.Typer()
app.command("gate")(gate)
FEWEST = 200  # requests: enough for both classes of either group


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, make_study: Make, strategy: type) -> Path:
    """`fair` knows both makers alike, `unfair` ranks what the small one makes at random."""
    root = tmp_path_factory.mktemp("gaps")
    strategies = {"fair": strategy(0.3, 2.0), "unfair": strategy(0.3, 3.0)}
    folder = make_study(
        root, strategies, baseline="fair", name="shop", seeds=(0, 1), requests=FEWEST
    )
    study = find_study("shop", root)
    rng, code = np.random.default_rng(2), None
    for entry in study.entries():
        path = entry.path / "predictions" / "test.parquet"
        frame = pl.read_parquet(path)
        code = (frame["item"].to_numpy() % 2).astype(np.int16)
        if entry.strategy == "unfair":
            noise = (4.0 * code * rng.normal(size=len(frame))).astype(np.float32)
            frame.with_columns(pl.col("logit") + noise).write_parquet(path)
    assert code is not None
    store = study.store_path
    slices = store / "test" / "row" / "slice_maker.npy"
    slices.parent.mkdir(parents=True)
    np.save(slices, code)
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["slices"] = {"maker": {"values": ["large", "small"], "sensitive": True}}
    (store / "manifest.json").write_text(json.dumps(manifest))
    compare_study(find_study("shop", root))
    assert (folder / "gaps.json").exists()
    return root


def run(out: Path, *words: str) -> tuple[str, BaseException | None]:
    line = ["shop", "--against", "shop", "--out", os.fspath(out), *words]
    result = CliRunner().invoke(app, line)
    return result.stdout, result.exception


def test_a_planted_gap_fails_the_gate_and_a_null_one_does_not(out: Path) -> None:
    _, error = run(out, "--max-gap", "auc=0.05", "--max-gap", "exposure=0.2")
    assert isinstance(error, GateError)
    sentence = str(error)
    assert sentence.startswith("unfair: auc of maker large differs from small by +0.")
    assert sentence.endswith("allowed is 0.05")
    assert "fair: auc" not in sentence.removeprefix("unfair: auc")
    assert run(out, "--max-gap", "auc=0.5")[1] is None
    assert run(out)[1] is None  # nothing is allowed or forbidden of gaps


def test_the_gate_as_json_names_the_gap(out: Path) -> None:
    text, error = run(out, "--max-gap", "auc=0.05", "--json")
    assert isinstance(error, GateError)
    content = json.loads(text)
    assert content["state"] == "gap"
    assert [sentence.split(":")[0] for sentence in content["gaps"]] == ["unfair"]


def test_what_cannot_be_held_is_refused(out: Path) -> None:
    _, error = run(out, "--max-gap", "f1=0.2")
    assert isinstance(error, UsageError)
    assert "expected MEASURE=SIZE" in str(error)
    gaps = out / "studies" / "shop" / "gaps.json"
    aside = gaps.rename(gaps.with_suffix(".aside"))
    _, error = run(out, "--max-gap", "auc=0.2")
    aside.rename(gaps)
    assert isinstance(error, GateError)
    assert "has no recorded gaps" in str(error)
