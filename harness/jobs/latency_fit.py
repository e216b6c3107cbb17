"""Fits a latency model to the strategies of a study that were timed, to predict the latency of
trials."""

from pathlib import Path
from typing import TYPE_CHECKING

from fusefront.datasets.errors import DataContractError
from fusefront.harness.runs.records import SearchIdentity, read_record
from fusefront.harness.runs.store import run_index
from fusefront.harness.serving.latency.bench_record import quantile_of, read_bench_file
from fusefront.harness.training.build import read_spec
from fusefront.harness.tuning.latency_model import LatencyModel, Timed, fitted, model_of

if TYPE_CHECKING:
    from fusefront.harness.jobs.matrix import StudyPlan


def latency_of(plan: "StudyPlan", folder: Path) -> LatencyModel:
    """The latency model that the study's searches began with, else one fitted to the strategies of
    its bench.

    Strategies that are solved in closed form or boosted (counts, trees) are left out: other code
    serves them, so their times say nothing about those that a search trains.

    Raises:
        UsageError: fewer strategies were timed than a fit needs, or their times cannot be
            predicted.
    """
    for path in sorted(folder.glob("tuning/*/search.json")):
        try:
            fit = read_record(path, SearchIdentity).get("latency")
        except DataContractError:  # reported where the searches are checked
            continue
        if fit is not None:
            return model_of(fit)
    return fitted(_timed(plan, folder))


def _timed(plan: "StudyPlan", folder: Path) -> list[Timed]:
    """The end-to-end times of each strategy as shipped, at the number of candidates that
    decides."""
    path = folder / "bench" / "bench.json"
    if not path.exists():
        return []
    bench = read_bench_file(path)
    runs = bench["facts"].get("runs", {})
    where = run_index(folder.parents[1], plan.store.name)
    points = []
    for row in bench["rows"]:
        place = row["backend"], row["scope"], row["candidates"]
        run = where.get(runs.get(row["strategy"], ""))
        if place != ("onnx", "end_to_end", plan.study.latency.decide_at) or run is None:
            continue
        spec = read_spec(run)
        kind = plan.parts.baselines.get(spec.baseline)
        p99 = quantile_of(row, "p99")
        if kind is None or kind.solved or p99 is None:
            continue
        counted = plan.counted_of(spec.baseline, spec.settings)
        points.append(Timed(counted, row["p50_ms"], p99["ms"]))
    return points
