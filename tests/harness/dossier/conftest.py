"""Studies on disk of planted truth, without a training: matrix, runs, predictions of known
quality."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml
from scipy import special

from fusefront.harness.runs.store import StudyFolder, find_study

from ..planted_inputs import planted

__all__ = ["planted"]

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


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    """Seven strategies with three seeds each; predictions of known quality on the same rows."""
    rng = np.random.default_rng(0)
    cells, ablated = [], []
    splits = {split: _small_rows(rng) for split in ("valid", "test")}
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
    _small_store(tmp_path / "prepared" / "shop" / "f", splits["test"][0])
    return find_study("demo", tmp_path)


def _small_rows(rng: np.random.Generator) -> tuple[pl.DataFrame, np.ndarray]:
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


def _small_store(path: Path, rows: pl.DataFrame) -> None:
    folder = path / "test" / "row"
    folder.mkdir(parents=True)
    np.save(folder / "slice_cold_item.npy", (rows["item"].to_numpy() < 20).astype(np.int16))
    slices = {"cold_item": {"values": ["warm", "cold"], "sensitive": False}}
    manifest = {"format": 1, "cluster": "request", "slices": slices}
    (path / "manifest.json").write_text(json.dumps(manifest))


@dataclass(frozen=True)
class Planted:
    """One strategy: its score is the signal plus `noise`; p50 in ms."""

    noise: float
    ms: float
    family: str = "compressed"
    role: str = "strategy"
    failed_seeds: tuple[int, ...] = ()
    parameters: int = 1000


def _make_study(
    root: Path,
    strategies: Mapping[str, Planted],
    *,
    baseline: str,
    name: str = "planted",
    seeds: Sequence[int] = (0, 1, 2),
    requests: int = 1500,
    candidates: int = 6,
    seed_noise: float = 0.02,
    fingerprint: str = "f" * 12,
    world: int = 0,
    salt: str = "",
    slo_ms: float = 10.0,
    margin: float = 0.005,
    bench: bool = True,
) -> Path:
    """Write out/ under `root`; returns the study's folder."""
    folder = root / "studies" / name
    store = root / "prepared" / "shop" / fingerprint
    rng = np.random.default_rng(world)
    frame, signal = _rows(rng, requests, candidates)
    _store(store, fingerprint, frame)
    cells = []
    for s, (strategy, truth) in enumerate(strategies.items()):
        own = np.random.default_rng([world, 1000 + s]).normal(0, 1, len(frame))
        for seed in seeds:
            run_id = hashlib.sha256(repr((name, strategy, seed, salt)).encode()).hexdigest()[:12]
            cells.append(
                {
                    "strategy": strategy,
                    "role": truth.role,
                    "seed": seed,
                    "run_id": run_id,
                    "baseline": "compressed_fusion",
                    "settings": {},
                }
            )
            path = root / "runs" / "shop" / strategy / run_id
            noise = np.random.default_rng([world, s, seed, len(salt)]).normal(0, 1, len(frame))
            logit = signal + truth.noise * own + seed_noise * noise
            _run(path, frame, logit, strategy, truth, seed, run_id)
    matrix = {
        "format": 1,
        "dataset": "shop",
        "fingerprint": fingerprint,
        "store": store.relative_to(root).as_posix(),
        "cells": cells,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "matrix.json").write_text(json.dumps(matrix))
    study = {
        "name": name,
        "dataset": "shop.yaml",
        "baseline": baseline,
        "seeds": list(seeds),
        "strategies": {
            key: {"baseline": "compressed_fusion", "role": value.role}
            for key, value in strategies.items()
        },
        "slo_ms": slo_ms,
        "margin": margin,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, allow_unicode=True))
    if bench:
        write_bench(folder, {key: value.ms for key, value in strategies.items()})
    return folder


def write_bench(folder: Path, p50: Mapping[str, float], fingerprint: str = "machine") -> None:
    """bench.json as the latency lab writes it: p99 = 1.4 p50, rounds that wobble by 0.2 %."""
    rng = np.random.default_rng(5)
    rows: list[dict[str, object]] = []
    for strategy, ms in p50.items():
        for scope, k in (("model_only", 1), ("model_only", 100), ("end_to_end", 100)):
            row: dict[str, object] = {
                "subject": f"{strategy}|onnx|{scope}|{k}",
                "strategy": strategy,
                "backend": "onnx",
                "scope": scope,
                "candidates": k,
                "rounds": 20,
            }
            for name, factor, half in (("p50", 1.0, 0.005), ("p95", 1.2, 0.02), ("p99", 1.4, 0.05)):
                value = ms * factor * (0.9 if scope == "model_only" else 1.0)
                row |= {
                    f"{name}_ms": value,
                    f"{name}_low": value * (1 - half),
                    f"{name}_high": value * (1 + half),
                    f"log_{name}": (np.log(value) + rng.normal(0, 0.002, 20)).tolist(),
                }
            row |= {
                "mean_ms": ms,
                "core_ms": ms,
                "cost_per_million_served": 0.05 / 3600 * 1e6 * ms / 1000 / k / 0.4,
                "macs_per_candidate": 12345.6,
                "bundle_bytes": 2_000_000,
                "bytes_per_item": 128.4,
                "cold_start_ms": 400.0,
            }
            rows.append(row)
    facts = {
        "hardware": "planted processor (2 cores)",
        "runtime": "ONNX Runtime 1.32, one thread",
        "session_text": "this machine during one session of 30 s",
        "load": 0.4,
        "floors": [{"scope": "end_to_end", "candidates": 100, "floor_p50": 0.004}],
        "floor_p50": 0.02,
    }
    (folder / "bench").mkdir(exist_ok=True)
    record = {"format": 1, "fingerprint": fingerprint, "facts": facts, "rows": rows}
    (folder / "bench" / "bench.json").write_text(json.dumps(record))


def _rows(
    rng: np.random.Generator, requests: int, candidates: int
) -> tuple[pl.DataFrame, np.ndarray]:
    rows = requests * candidates
    request = np.repeat(np.arange(requests), candidates)
    signal = rng.normal(0, 1, rows)
    label = rng.random(rows) < 1 / (1 + np.exp(1.5 - 1.5 * signal))
    frame = pl.DataFrame(
        {
            "row_id": np.arange(rows, dtype=np.int64),
            "request": request.astype(np.int64),
            "group": (request // 2).astype(np.int64),
            "item": rng.integers(1, 300, rows).astype(np.int32),
            "label": label.astype(np.uint8),
        }
    )
    return frame, signal


def _store(store: Path, fingerprint: str, frame: pl.DataFrame) -> None:
    store.mkdir(parents=True, exist_ok=True)
    test = {
        "requests": frame["request"].n_unique(),
        "rows": len(frame),
        "positives": int(frame["label"].sum()),
        "groups": frame["group"].n_unique(),
    }
    manifest = {
        "format": 1,
        "name": "shop",
        "fingerprint": fingerprint,
        "history_values": 0,
        "files": {},
        "schema": {"items": 300, "modalities": {"text": 16, "image": 32}, "max_history": 20},
        "counts": {"train": {**test, "rows": 10 * len(frame)}, "valid": test, "test": test},
        "cluster": "user",
    }
    (store / "manifest.json").write_text(json.dumps(manifest))


def _run(
    path: Path,
    frame: pl.DataFrame,
    logit: np.ndarray,
    strategy: str,
    truth: Planted,
    seed: int,
    run_id: str,
) -> None:
    (path / "predictions").mkdir(parents=True)
    if seed in truth.failed_seeds:
        status = {"format": 1, "state": "failed", "reason": "ValueError: planted"}
        (path / "status.json").write_text(json.dumps(status))
        return
    (path / "status.json").write_text(json.dumps({"format": 1, "state": "completed"}))
    scored = frame.with_columns(pl.Series("logit", logit.astype(np.float32)))
    for split in ("valid", "test"):
        scored.write_parquet(path / "predictions" / f"{split}.parquet")
    summary = {
        "format": 1,
        "run_id": run_id,
        "dataset": "shop",
        "strategy": strategy,
        "seed": seed,
        "family": truth.family,
        "role": truth.role,
        "valid_auc": 0.7,
        "valid_logloss": 0.5,
        "parameters_dense": truth.parameters,
        "parameters_id_embedding": 5000,
        "parameters_fusion": 10,
        "parameters_field_embedding": 0,
        "baseline": "compressed_fusion",
    }
    (path / "summary.json").write_text(json.dumps(summary))
    lines = [{"epoch": e, "valid_auc": 0.7 - 0.05 / e, "train_loss": 0.5 / e} for e in (1, 2, 3)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    environment = {"python": "3.11.9", "packages": {"numpy": "2.3"}, "threads": 1, "git": None}
    (path / "environment.json").write_text(json.dumps(environment))


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Path]:
    return _make_study


@pytest.fixture
def make_bench() -> Callable[..., None]:
    return write_bench


@pytest.fixture(scope="session")
def strategy() -> type[Planted]:
    return Planted
