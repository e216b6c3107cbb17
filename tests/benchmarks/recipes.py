"""The default recipe on the tour world beside the one it replaced: the table of docs/training.md.

    python tests/benchmarks/recipes.py [--seeds 3] [--only early_fusion ...] [--out FILE]

Exits with 1 where a strategy, by the default recipe at the former one's batch and length (1,024
rows, 4 epochs) or at a quarter of the batch (what it chooses itself, with its own 3 epochs), loses
more than .004 test AUC, mean over seeds, against the former recipe. Beside them: the default at
1,024 rows and its own length, and the former at a quarter of its batch. 8,000 /
2,000 / 8,000 requests of eight candidates: 64,000 rows of train. Every line is written as it is
known, and lines that `--out` holds already are not trained again.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.training.run import run

STRATEGIES = ("early_fusion", "late_fusion", "gated_fusion", "compressed_fusion", "id_only")
REQUESTS = {"train": 8_000, "valid": 2_000, "test": 8_000}
LEAST = 0.004  # test AUC
FORMER = {"epochs": 4, "weight_decay": 1.0, "id_weight_decay": 10.0}
RECIPES: Mapping[str, Mapping[str, object]] = {
    "former, 1024 rows": {**FORMER, "batch_rows": 1024},
    "default, 1024 rows, 4 epochs": {"batch_rows": 1024, "epochs": 4},
    "default, 256 rows": {},
    "default, 1024 rows": {"batch_rows": 1024},
    "former, 256 rows": {**FORMER, "batch_rows": 256},
}


def auc(store: PreparedDataset, name: str, recipe: Mapping[str, object], seed: int) -> float:
    """Test AUC of one run."""
    training = Training.model_validate(recipe).resolved(len(store.split("train").item))
    dumped = training.model_dump(mode="json")
    spec = RunSpec(store.name, store.fingerprint, name, {}, dumped, seed)
    with tempfile.TemporaryDirectory() as folder:
        record = run(Cell(name, "strategy", spec), Path(folder), store, load_parts([]))
        test = pl.read_parquet(record.path / "predictions" / "test.parquet")
    return float(roc_auc_score(test["label"], test["logit"]))


def lines(store: PreparedDataset, names: list[str], seeds: int, out: Path) -> Iterator[dict]:
    """Every strategy by every recipe at every seed, those on record first."""
    known = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    known_cells = {(record["strategy"], record["recipe"], record["seed"]) for record in known}
    yield from known
    for seed in range(seeds):
        for recipe, training in RECIPES.items():
            for name in names:
                if (name, recipe, seed) in known_cells:
                    continue
                value = auc(store, name, training, seed)
                record = {"strategy": name, "recipe": recipe, "seed": seed, "auc": round(value, 5)}
                with out.open("a") as file:
                    file.write(json.dumps(record) + "\n")
                print(record, flush=True)
                yield record


def table(records: list[dict]) -> bool:
    """Print the means; whether every strategy holds."""
    mean: dict[str, dict[str, float]] = defaultdict(dict)
    for name in dict.fromkeys(record["strategy"] for record in records):
        for recipe in RECIPES:
            values = [o["auc"] for o in records if (o["strategy"], o["recipe"]) == (name, recipe)]
            mean[name][recipe] = float(np.mean(values)) if values else float("nan")
    names = list(RECIPES)
    print("| strategy | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    holds = True
    for name, row in mean.items():
        print(f"| {name} | " + " | ".join(f"{row[recipe]:.4f}" for recipe in names) + " |")
        former, *default = (row[recipe] for recipe in names[:3])
        if name != "id_only":  # a control, shown beside the families
            holds &= all(value >= former - LEAST for value in default)
    return holds


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        spec = load_spec(write_world("tour", root / "data", seed=0, **REQUESTS))
        store = prepare(spec, root / "data", root / "out")
        records = list(
            lines(store, options.only, options.seeds, options.out or root / "lines.jsonl")
        )
    return 0 if table(records) else 1


if __name__ == "__main__":
    sys.exit(main())
