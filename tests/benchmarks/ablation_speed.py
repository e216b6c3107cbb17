"""What an ablation costs beside its trainings: planning and deciding from a store that has them.

    python tests/benchmarks/ablation_speed.py            # 8, 16 and 32 cells of two seeds
    python tests/benchmarks/ablation_speed.py --train 2000 --factors 5

Crossed parts of a lean strategy on a synthetic world, trained once; then the dry run and the
whole command with everything on record, timed. The ratio is to a plain loop over the same runs in
the same process: read each file of test predictions, scikit-learn's roc_auc_score, no interval.
"""

import argparse
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from rich.console import Console
from sklearn.metrics import roc_auc_score

from fusefront.harness.ablation.planned import plan_ablation
from fusefront.harness.ablation.run import AblationOptions, ablate_study
from fusefront.harness.jobs.pipeline import StudyRequest, begin, end, train

FACTORS: dict[str, list[Any]] = {
    "head": ["mlp"],
    "pooler": ["target_attention"],
    "use_id": [True],
    "token_width": [8],
    "training.learning_rate": [0.003],
}


def main() -> None:
    """Trains what lacks, then times; a line a plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=300, help="requests")
    parser.add_argument("--factors", type=int, default=5, help="3 to this many are crossed")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        request = StudyRequest(study(folder, options.train), folder / "out", wandb=False)
        plan, workspace = begin(request, quiet())
        train(plan, workspace)
        end(workspace)
        for count in range(3, options.factors + 1):
            rows.append(measured(folder, request, count))
            print(" ".join(f"{key} {value:.4g}" for key, value in rows[-1].items()), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows))


def study(folder: Path, requests: int) -> Path:
    """Two strategies at two seeds."""
    lean = {"compressor": "none", "products": False, "pooler": "mean", "head": "linear"}
    content = {
        "name": "speed",
        "dataset": {
            "synthetic": "tour", "seed": 3, "train": requests, "valid": requests // 3,
            "test": requests,
        },
        "baseline": "late_fusion",
        "strategies": {"lean": {"baseline": "early_fusion", "use_id": False, **lean},
                       "late_fusion": {}},
        "controls": False,
        "seeds": [0, 1],
        "training": {"epochs": 1, "batch_rows": 512},
    }  # fmt: skip
    path = folder / "speed.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def measured(folder: Path, request: StudyRequest, count: int) -> dict[str, float]:
    """One crossed plan: seconds of its parts and their ratios."""
    crossed = dict(list(FACTORS.items())[:count])
    plan = folder / f"crossed-{count}.yaml"
    plan.write_text(yaml.safe_dump({"design": "factorial", "factors": crossed}), encoding="utf-8")
    options = AblationOptions(str(plan))
    record, _ = timed(lambda: ablate_study(request, "lean", quiet(), options))
    planned, planning = timed(lambda: plan_ablation(request, "lean", quiet(), str(plan)))
    _, forecast = timed(lambda: (planned.matrix(), planned.forecast("lean")))
    again, whole = timed(lambda: ablate_study(request, "lean", quiet(), options))
    assert again["rows"] == record["rows"]
    runs = [cell["run_id"] for cell in record["cells"]]
    paths = [next((folder / "out" / "runs").glob(f"*/*/{run}")) for run in runs]
    seconds = [json.loads((path / "summary.json").read_text())["seconds"] for path in paths]
    _, plain = timed(lambda: [auc(path) for path in paths])
    return {
        "runs": len(runs),
        "trained_s": sum(seconds),
        "planning_s": planning,
        "dry_run_s": planning + forecast,
        "command_s": whole,
        "deciding_s": whole - planning,
        "plain_loop_s": plain,
        "deciding_over_plain": (whole - planning) / plain,
        "command_over_trainings": whole / sum(seconds),
    }


def auc(run: Path) -> float:
    """Of one run, without an interval."""
    frame = pl.read_parquet(run / "predictions" / "test.parquet")
    return float(roc_auc_score(frame["label"], frame["logit"]))


def quiet() -> Console:
    """A console that nobody reads."""
    return Console(file=io.StringIO())


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and its seconds."""
    before = time.perf_counter()
    value = work()
    return value, time.perf_counter() - before


if __name__ == "__main__":
    main()
