"""Shared by the harness's tests: a small world of known truth, and decision inputs of planted
truth."""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml
from rich.console import Console

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world
from fusefront.datasets.yaml_file import Json
from fusefront.harness.decision.inputs import Candidate, Inputs, Latency, Measured, Pairs
from fusefront.harness.dossier.comparison import compare_study
from fusefront.harness.jobs import pipeline
from fusefront.harness.jobs.matrix import make_plan
from fusefront.harness.jobs.pipeline import StudyRequest
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import Cell
from fusefront.harness.runs.store import StudyFolder, find_study
from fusefront.harness.runs.study import Study
from fusefront.harness.training.run import run
from fusefront.harness.training.workers import Message, Workers

Build = Callable[..., Inputs]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """The tour world with 300 / 60 / 100 requests."""
    folder: Path = tmp_path_factory.mktemp("world")
    spec = write_world("tour", folder / "files", seed=1, train=300, valid=60, test=100)
    return prepare(load_spec(spec), spec.parent, folder / "out")


def _latency(ms: float, rounds: int, rng: np.random.Generator) -> Latency:
    wobble = rng.normal(0, 0.002, rounds)
    p50 = Measured(ms, ms * 0.995, ms * 1.005)
    p99 = Measured(1.4 * ms, 1.4 * ms * 0.95, 1.4 * ms * 1.05)
    log = tuple(float(np.log(ms) + w) for w in wobble - wobble.mean())
    return Latency(p50, p50, p99, log, tuple(v + float(np.log(1.4)) for v in log))


def _build(
    gains: Sequence[float],
    ms: Sequence[float],
    *,
    se: float = 0.0002,
    names: Sequence[str] = (),
    today: int | None = 0,
    clusters: int = 5000,
    seeds: int = 5,
    parameters: Sequence[int] = (),
    controls: Sequence[int] = (),
    devices: Sequence[int] = (),
    bench: bool = True,
    floor: float = 0.004,
    cost: Sequence[float] = (),
) -> Inputs:
    """Gains over strategy 0 in AUC; se of every pair; p50 in ms, p99 = 1.4 p50 +- 5 %."""
    rng = np.random.default_rng(7)
    size = len(gains)
    theta = 0.70 + np.asarray(gains, float)
    error = np.full((size, size), se)
    np.fill_diagonal(error, 0.0)
    candidates = tuple(
        Candidate(
            name=names[i] if names else f"s{i}",
            control=i in controls,
            measuring_device=i in devices,
            seeds=seeds,
            parameters=parameters[i] if parameters else 1000,
            latency=_latency(ms[i], 20, rng) if bench else None,
            cost=cost[i] if cost else ms[i] / 10,
        )
        for i in range(size)
    )
    return Inputs(
        candidates,
        tuple(Measured(t, t - 0.004, t + 0.004) for t in theta),
        Pairs(theta[:, None] - theta[None, :], error, np.full((size, size), 200.0), 3.0, 2.6),
        today,
        clusters,
        floor=floor,
        bench=bench,
    )


@pytest.fixture
def planted() -> Build:
    return _build


@pytest.fixture(scope="session")
def page_files() -> dict[str, str]:
    """The files of docs/extending.md by name, as a reader would save them."""
    page = Path(__file__).parents[2] / "docs" / "extending.md"
    blocks = re.findall(r"```python\n(# (\w+\.py)\n.*?)```", page.read_text("utf-8"), re.DOTALL)
    return {name: text for text, name in blocks}


@pytest.fixture(scope="session")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """A small log in which nothing is even: users other than requests, fields on every side.

    70 requests of 1 to 23 rows by 9 users, histories of 0 to 29 items of which 10 are read, 45
    items of which some lack a vector, a list field and numbers on each side.
    """
    folder: Path = tmp_path_factory.mktemp("ragged")
    rng = np.random.default_rng(11)
    sizes = rng.permutation(np.arange(70) % 23 + 1)
    request = np.repeat(np.arange(70), sizes)
    user = rng.integers(0, 9, 70)
    split = np.array(["train"] * 40 + ["valid"] * 13 + ["test"] * 17)
    history = [rng.integers(0, 45, n % 30).tolist() for n in rng.permutation(70)]
    rows = len(request)
    item = rng.integers(0, 45, rows)
    log = pl.DataFrame(
        {
            "request": request,
            "user": user[request] + 100,
            "item": item,
            "label": (rng.random(rows) < 0.2 + 0.5 * (item % 3 == 0)).astype(int),
            "split": split[request],
            "history": [history[r] for r in request],
            "device": [f"d{r % 4}" for r in request],
            "hours": [[int(h) for h in range(r % 4)] for r in request],
            "age": rng.normal(40, 10, 70)[request],
            "position": rng.integers(0, 6, rows),
            "price": rng.normal(3, 2, rows),
        }
    )
    log.write_parquet(folder / "log.parquet")
    pl.DataFrame(
        {
            "item": range(45),
            "shop": [f"s{k % 5}" for k in range(45)],
            "tags": [[f"t{k % 3}", f"t{k % 4 + 3}"][: k % 3] for k in range(45)],
            "weight": rng.normal(1, 3, 45),
        }
    ).write_parquet(folder / "items.parquet")
    for name, width in (("text", 7), ("image", 5)):
        vectors = rng.standard_normal((45, width)).astype(np.float32)
        vectors[rng.permutation(45)[: 2 * width]] = 0.0  # absent: 14 lack a text, 10 an image
        np.save(folder / f"{name}.npy", vectors)
    raw: dict[str, Json] = {
        "name": "ragged",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "user", "item": "item", "label": "label", "request": "request"},
        "history": {"from": "list", "column": "history", "max_length": 10},
        "request_fields": [
            {"column": "device"},
            {"column": "hours", "type": "categories"},
            {"column": "age", "type": "number"},
        ],
        "candidate_fields": [{"column": "position"}, {"column": "price", "type": "number"}],
        "items": {
            "path": "items.parquet",
            "key": "item",
            "fields": [
                {"column": "shop"},
                {"column": "tags", "type": "categories"},
                {"column": "weight", "type": "number"},
            ],
        },
        "modalities": {
            "text": {"path": "text.npy"},
            "image": {"path": "image.npy", "dtype": "float16"},
        },
        "split": {"by": "given", "column": "split"},
        "cluster": "user",
        "slices": [{"name": "phone", "column": "device"}],
    }
    (folder / "ragged.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return prepare(load_spec(folder / "ragged.yaml"), folder, folder / "out")


class InProcess(Workers):
    """Workers that train one cell after the other in this process."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.trained: list[Cell] = []
        self.closed = False

    def execute(
        self, source: Callable[[], Cell | str | None]
    ) -> Iterator[tuple[str, Cell, Message]]:
        store, parts = PreparedDataset.open(self.store_path), load_parts(self.include)
        while (cell := source()) is not None:
            assert isinstance(cell, Cell)  # nothing else runs that it could wait for
            assert not self.closed
            yield "start", cell, {}
            messages: list[Message] = []
            self.trained.append(cell)
            try:
                run(cell, self.root, store, parts, messages.append, self.include)
            except Exception as error:
                yield "failed", cell, {"reason": f"{type(error).__name__}: {error}", "detail": ""}
                continue
            yield from (("epoch", cell, message) for message in messages)
            yield "done", cell, {}

    def close(self) -> None:
        self.closed = True


@dataclass
class Jobs:
    """Study files on the ragged log, and the workers of the jobs that were begun."""

    folder: Path
    workers: list[InProcess]

    def request(self, out: str, *, name: str = "small", **changes: Any) -> StudyRequest:
        """A request for a study of two strategies at seeds 4 and 9; `changes` are keys of it."""
        study = {
            "name": name,
            "dataset": "ragged.yaml",
            "baseline": "late_fusion",
            "strategies": {"early_fusion": {}, "late_fusion": {}},
            "controls": False,
            "seeds": [4, 9],
            "training": {"epochs": 1, "batch_rows": 128},
            **changes,
        }
        path = self.folder / f"{out}-{name}.yaml"
        path.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
        return StudyRequest(path, self.folder / out, wandb=False)


@pytest.fixture
def jobs(ragged: PreparedDataset, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Jobs whose trainings run in this process."""
    begun: list[InProcess] = []

    def build(*arguments: Any) -> InProcess:
        begun.append(InProcess(*arguments))
        return begun[-1]

    monkeypatch.setattr(pipeline, "Workers", build)
    return Jobs(ragged.path.parents[3], begun)


@pytest.fixture
def console() -> Console:
    """A wide console that keeps what it is told, in `console.file`."""
    return Console(file=StringIO(), width=400, color_system=None)


@pytest.fixture(scope="session")
def trained(world: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An out folder with the study "shop" of two strategies and two seeds, trained for an epoch."""
    out = tmp_path_factory.mktemp("trained") / "out"
    shutil.copytree(world.path, out / "prepared" / world.name / world.fingerprint)
    store = PreparedDataset.open(out / "prepared" / world.name / world.fingerprint)
    study = Study.model_validate(
        {
            "name": "shop",
            "dataset": "world.yaml",
            "strategies": {"popularity": {}, "late_fusion": {"token_width": 8}},
            "baseline": "popularity",
            "seeds": [0, 1],
            "controls": False,
            "training": {"epochs": 1, "batch_rows": 512},
        }
    )
    parts = load_parts([])
    cells = make_plan(study, store, parts).final({})
    for cell in cells:
        run(cell, out, store, parts)
    folder = out / "studies" / "shop"
    folder.mkdir(parents=True)
    matrix = {
        "format": 1,
        "dataset": world.name,
        "fingerprint": world.fingerprint,
        "store": store.path.relative_to(out).as_posix(),
        "cells": [cell.to_json() for cell in cells],
    }
    (folder / "matrix.json").write_text(json.dumps(matrix))
    (folder / "study.yaml").write_text(json.dumps(study.model_dump(mode="json")))
    compare_study(find_study("shop", out))
    return out


@pytest.fixture
def trained_study(trained: Path, tmp_path: Path) -> StudyFolder:
    shutil.copytree(trained, tmp_path / "out")
    return find_study("shop", tmp_path / "out")
