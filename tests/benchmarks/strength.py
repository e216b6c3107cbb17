"""Are the strategies as strong as the data allow? Families and controls beside a plain regression.

    python tests/benchmarks/strength.py [--spec FILE --data FOLDER] [--seeds 3] [--only NAME ...]

One call, one split: the families, id_only, `counts` and `boosted` by their default recipes, and a
logistic regression of scikit-learn on four numbers that a loop in this file computes from the log
(the user's and the item's rate and count strictly before the row's time, validation and test
included as they come). Test AUC and log loss with 95 % intervals over the data's clusters and the
seeds. Without --spec: MovieLens beside the checkout, else the tour world, which has no times and
so no loop.
"""

import argparse
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.jobs.matrix import StudyPlan, make_plan
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.study import check_study
from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.options import Options
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource
from fusefront.harness.training.run import run

ROOT = Path(__file__).parents[2]
MOVIELENS = ROOT.parent / "shared" / "data" / "movielens_multimodal"
STRATEGIES = ("early_fusion", "late_fusion", "gated_fusion", "compressed_fusion")
CONTROLS = ("id_only", "popularity", "counts", "boosted")
SPLITS = ("train", "valid", "test")
PRIOR_USER, PRIOR_ITEM = 5.0, 20.0

Floats = NDArray[np.float64]


def prepared(spec: Path | None, data: Path | None, out: Path) -> PreparedDataset:
    """The store of the spec, of MovieLens, or of the tour world."""
    if spec is None and MOVIELENS.is_dir():
        spec, data = ROOT / "studies" / "datasets" / "movielens.yaml", MOVIELENS
    if spec is None:
        spec = write_world("tour", out / "files", seed=0, train=8_000, valid=2_000, test=8_000)
    return prepare(load_spec(spec), data or spec.parent, out / "out")


def events(store: PreparedDataset) -> Iterator[tuple[int, str, int, int, int, int]]:
    """(time, split, row of the split, user, item, label) of every row, in the order of time."""
    rows = []
    for name in SPLITS:
        split = store.split(name)
        assert split.timestamp is not None
        request = np.repeat(np.arange(len(split.group)), np.diff(split.row_start))
        times = np.asarray(split.timestamp)
        times = times if len(times) == len(split.item) else times[request]
        for row, (time, user, item, label) in enumerate(
            zip(times, split.group[request], split.item, split.label, strict=True)
        ):
            rows.append((int(time), name, row, int(user), int(item), int(label)))
    yield from sorted(rows, key=lambda event: event[0])


def looped(store: PreparedDataset) -> dict[str, Floats]:
    """Four numbers a row and split; rows of one moment do not see each other."""
    numbers = {name: np.zeros((len(store.split(name).item), 4)) for name in SPLITS}
    rate = float(np.mean(store.split("train").label))
    shown: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    waiting: list[tuple[int, int, int]] = []
    now = None
    for time, split, row, user, item, label in events(store):
        if time != now:
            for past_user, past_item, past_label in waiting:
                for key in (("user", past_user), ("item", past_item)):
                    shown[key][0] += 1
                    shown[key][1] += past_label
            waiting, now = [], time
        own, other = shown["user", user], shown["item", item]
        numbers[split][row] = (
            log_odds(own, PRIOR_USER, rate),
            math.log1p(own[0]),
            log_odds(other, PRIOR_ITEM, rate),
            math.log1p(other[0]),
        )
        waiting.append((user, item, label))
    return numbers


def log_odds(counts: list[int], prior: float, rate: float) -> float:
    """Log odds of the smoothed rate."""
    times, clicked = counts
    p = (clicked + prior * rate) / (times + prior)
    return math.log(p / (1 - p))


def plain_regression(store: PreparedDataset) -> NDArray[np.float32]:
    """Test logits of scikit-learn's logistic regression on the looped numbers."""
    numbers = looped(store)
    mean, deviation = numbers["train"].mean(0), numbers["train"].std(0)
    scaled = {name: (x - mean) / deviation for name, x in numbers.items()}
    model = LogisticRegression(C=1e6, max_iter=1000)
    model.fit(scaled["train"], np.asarray(store.split("train").label))
    return model.decision_function(scaled["test"]).astype(np.float32)


def planned(store: PreparedDataset, names: list[str], seeds: int) -> StudyPlan:
    """A study of the strategies with all its controls."""
    raw = {
        "name": "strength",
        "dataset": "spec.yaml",
        "baseline": names[0],
        "strategies": {name: {} for name in names},
        "seeds": list(range(seeds)),
        "training": {"max_candidates": 16},
    }
    return make_plan(check_study(raw, "strength"), store, load_parts([]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--spec", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(STRATEGIES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        store = prepared(options.spec, options.data, root)
        scores: dict[str, dict[int, NDArray[np.float32]]] = {}
        if store.split("test").timestamp is not None:
            scores["scikit-learn, 4 looped numbers"] = dict.fromkeys(
                range(options.seeds), plain_regression(store)
            )
        plan = planned(store, options.only, options.seeds)
        for cell in plan.final({}):
            if cell.strategy in (*options.only, *CONTROLS):
                path = run(cell, root / "runs", store, load_parts([])).path
                test = pl.read_parquet(path / "predictions" / "test.parquet")
                scores.setdefault(cell.strategy, {})[cell.seed] = test["logit"].to_numpy()
                print(f"{cell.strategy} seed {cell.seed}", flush=True)
        for sentence in plan.without.values():
            print(sentence)
        table(store, scores, options.only[0], test)


def table(
    store: PreparedDataset,
    scores: dict[str, dict[int, NDArray[np.float32]]],
    baseline: str,
    test: pl.DataFrame,
) -> None:
    """Print AUC and log loss with their intervals, the highest AUC first."""
    rows = RowTable(*(test[c].to_numpy() for c in ("label", "group", "request", "item", "row_id")))
    judged = Options(baseline, cluster=str(store.manifest.cluster), metrics=("auc", "logloss"))
    strategies = compare(MemorySource(rows, scores), judged).strategies
    print("| strategy | seeds | test AUC | log loss |\n|---|---|---|---|")
    for row in sorted(strategies, key=lambda row: -row.metrics["auc"].value):
        cells = [
            f"{value.value:.4f} [{value.low:.4f}, {value.high:.4f}]"
            for value in (row.metrics["auc"], row.metrics["logloss"])
        ]
        print(f"| {row.name} | {row.seeds} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
