"""A small log in which nothing is even."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.yaml_file import Json


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
