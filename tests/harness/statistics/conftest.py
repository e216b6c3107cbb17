"""A study on disk with planted qualities, and the simulation of the coverage script."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import yaml
from scipy import special

from fusefront.harness.runs.store import StudyFolder, find_study

ROWS = 4000
QUALITY = {
    "early_fusion": ("strategy", 0.5),
    "good": ("strategy", 1.0),
    "early_fusion-no-text": ("ablation", 0.2),
    "id_only": ("control", 0.3),
    "popularity": ("control", 0.1),
    "unimodal_text": ("control", 0.3),
    "shuffled": ("control", 0.3),
}


@pytest.fixture(scope="session")
def simulation() -> ModuleType:
    """tests/benchmarks/coverage.py as a module."""
    return _script("coverage")


@pytest.fixture(scope="session")
def rates() -> ModuleType:
    """tests/benchmarks/error_rates.py as a module."""
    return _script("error_rates")


def _script(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"simulated_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """Seven strategies with three seeds each; predictions of known quality on the same rows."""
    rng = np.random.default_rng(0)
    cells, ablated = [], []
    splits = {split: _rows(rng) for split in ("valid", "test")}
    for name, (role, quality) in QUALITY.items():
        for seed in range(3):
            run_id = f"{len(cells) + len(ablated):012x}"
            cell = {"strategy": name, "role": role, "seed": seed, "run_id": run_id}
            (ablated if role == "ablation" else cells).append(cell)
            run = tmp_path / "runs" / "shop" / name / run_id
            (run / "predictions").mkdir(parents=True)
            for split, (frame, known) in splits.items():
                noise = rng.normal(size=ROWS) * (0.5 + 0.02 * rng.normal())
                logit = pl.Series("logit", quality * known + noise - 1, pl.Float32)
                frame.with_columns(logit).write_parquet(run / "predictions" / f"{split}.parquet")
            summary = {
                "run_id": run_id,
                "family": "early",
                "train_loss": 0.50,
                "valid_logloss": 0.53,
            }
            (run / "summary.json").write_text(json.dumps(summary))
    folder = tmp_path / "studies" / "demo"
    folder.mkdir(parents=True)
    strategies = {name: {} for name, (role, _) in QUALITY.items() if role == "strategy"}
    content = {"name": "demo", "dataset": "shop.yaml", "strategies": strategies}
    content |= {"baseline": "early_fusion", "margin": 0.005}
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    matrix = {"format": 1, "dataset": "shop", "fingerprint": "f" * 12, "store": "prepared/shop/f"}
    (folder / "matrix.json").write_text(json.dumps({**matrix, "cells": cells}))
    (folder / "ablation-early_fusion.json").write_text(json.dumps({"format": 1, "cells": ablated}))
    _store(tmp_path / "prepared" / "shop" / "f", splits["test"][0])
    return find_study("demo", tmp_path)


def _rows(rng: np.random.Generator) -> tuple[pl.DataFrame, np.ndarray]:
    known = rng.normal(size=ROWS)
    request = np.arange(ROWS) // 4
    frame = pl.DataFrame(
        {
            "row_id": np.arange(ROWS),
            "request": request,
            "group": request // 2,
            "item": rng.integers(1, 200, ROWS).astype(np.int32),
            "label": (rng.random(ROWS) < special.expit(known - 1)).astype(np.uint8),
        }
    )
    return frame, known


def _store(path: Path, rows: pl.DataFrame) -> None:
    folder = path / "test" / "row"
    folder.mkdir(parents=True)
    np.save(folder / "slice_cold_item.npy", (rows["item"].to_numpy() < 20).astype(np.int16))
    slices = {"cold_item": {"values": ["warm", "cold"], "sensitive": False}}
    manifest = {"format": 1, "cluster": "request", "slices": slices}
    (path / "manifest.json").write_text(json.dumps(manifest))
