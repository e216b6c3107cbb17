"""The subjects of a bench: strategies x backends x scopes x K, and the baseline twice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.scorer import Scorer, probability
from fusefront.harness.serving.latency.backends import as_trained
from fusefront.harness.serving.latency.bench import TWIN, BenchEntry, SubjectKey
from fusefront.harness.serving.latency.parity_gate import Gated
from fusefront.harness.serving.latency.requests import Arrived, Lookup, draw
from fusefront.harness.serving.latency.session import TimedSubject

PACE_S = 0.01  # idle gap of the paced scenario
PACED_TIMED = 12
SLOW_TIMED = 8  # requests a visit of subjects that are shown but not ranked


class Scope(Protocol):
    """Which subjects a bench measures (see `study.BenchOptions`)."""

    @property
    def end_to_end(self) -> bool: ...
    @property
    def paced(self) -> bool: ...
    @property
    def as_trained(self) -> bool: ...


@dataclass(frozen=True)
class BenchPlan:
    """The requests by K, the lookup, and the leading strategies."""

    requests: dict[int, list[Arrived]]
    lookup: Lookup
    decide_at: int
    baseline: str
    leaders: tuple[str, ...]  # best on validation: candidates for the operating point
    mean_history: float

    @classmethod
    def make(
        cls,
        folder: StudyFolder,
        runs: Sequence[RunEntry],
        candidates: Sequence[int],
        decide_at: int,
        seed: int,
    ) -> "BenchPlan":
        """Draw the requests; the leaders are those with the best validation AUC, test is not
        read."""
        store = PreparedDataset.open(folder.store_path)
        split = store.split("test")
        rng = np.random.default_rng(seed)
        counts = sorted({*candidates, decide_at})
        requests = {k: draw(store, split, k, rng) for k in counts}
        lookup = Lookup.of(store, split)
        who = [request.who for request in requests[decide_at]]
        length = np.minimum(lookup.length[who], lookup.max_history)
        ranked = sorted(
            (run for run in runs if run.role == "strategy"),
            key=lambda run: -float(run.summary.get("valid_auc", 0.0)),
        )
        leaders = tuple(run.strategy for run in ranked if run.strategy != folder.spec.baseline)[:2]
        baseline = folder.spec.baseline
        names = {run.strategy for run in runs}
        baseline = baseline if baseline in names else runs[0].strategy
        return cls(requests, lookup, decide_at, baseline, leaders, float(length.mean()))

    def feeds(self, gated: Gated, candidates: int) -> list[Feed]:
        """The selected feeds, made before the clock starts."""
        return [gated.select(self.lookup.feed(request)) for request in self.requests[candidates]]


def end_to_end(gated: Gated, lookup: Lookup) -> Callable[[object], object]:
    """The work of a request handler: key lookup, history, feed, score, probabilities."""

    def call(request: object) -> object:
        assert isinstance(request, Arrived)
        result = gated.call(gated.select(lookup.feed(request)))
        return probability(result[0] if isinstance(result, list) else result)  # type: ignore[arg-type]

    return call


def entries_of(plan: BenchPlan, gated: Sequence[Gated], options: Scope) -> list[BenchEntry]:
    """All subjects of the session."""
    return [
        entry
        for scorer in gated
        for entry in (
            *_of(plan, scorer, options, ""),
            *(_of(plan, scorer.again(), options, f"{TWIN}-") if _is_baseline(plan, scorer) else ()),
            *_beside(plan, scorer, options),
        )
    ] + list(_floor(plan, gated))


def _is_baseline(plan: BenchPlan, scorer: Gated) -> bool:
    return scorer.trained.name == plan.baseline and scorer.way == "onnx"


def _of(plan: BenchPlan, scorer: Gated, options: Scope, prefix: str) -> Iterator[BenchEntry]:
    """Model alone at every K (at one K for other backends), and end to end likewise."""
    main = scorer.way == "onnx"
    session = f"{prefix}{scorer.trained.name}|{scorer.way}"
    for k in plan.requests if main else (plan.decide_at,):
        key = SubjectKey(scorer.trained.name, scorer.way, f"{prefix}model_only", k)
        yield BenchEntry(key, TimedSubject(str(key), _call(scorer), plan.feeds(scorer, k)), session)
        if main and (options.end_to_end or k == plan.decide_at):
            key = key._replace(scope=f"{prefix}end_to_end")
            call = end_to_end(scorer, plan.lookup)
            yield BenchEntry(key, TimedSubject(str(key), call, plan.requests[k]), session)


def _call(scorer: Gated) -> Callable[[object], object]:
    return scorer.call  # type: ignore[return-value]


def _beside(plan: BenchPlan, scorer: Gated, options: Scope) -> Iterator[BenchEntry]:
    """Paced requests for the baseline and the leaders; no item cache for every strategy."""
    k = plan.decide_at
    if scorer.way != "onnx":
        return
    if options.paced and scorer.trained.name in (plan.baseline, *plan.leaders):
        key = SubjectKey(scorer.trained.name, scorer.way, "paced", k)
        subject = TimedSubject(str(key), _call(scorer), plan.feeds(scorer, k), PACED_TIMED, PACE_S)
        yield BenchEntry(key, subject, f"{scorer.trained.name}|{scorer.way}")
    if options.as_trained:
        feeds = [plan.lookup.feed(request) for request in plan.requests[k]]
        key = SubjectKey(scorer.trained.name, "eager", "as_trained", k)
        call: Callable[[object], object] = as_trained(scorer.trained)  # type: ignore[assignment]
        yield BenchEntry(
            key, TimedSubject(str(key), call, feeds, SLOW_TIMED), f"{scorer.trained.name}|trained"
        )


def _floor(plan: BenchPlan, gated: Sequence[Gated]) -> Iterator[BenchEntry]:
    """A graph with the same inputs that does nothing; its time is printed and not subtracted."""
    scorer = next((g for g in gated if _is_baseline(plan, g)), None)
    if scorer is None:
        return
    path = null_graph(scorer.select(plan.lookup.feed(plan.requests[plan.decide_at][0])), scorer)
    call: Callable[[object], object] = Scorer(path).run  # type: ignore[assignment]
    key = SubjectKey("null graph", "onnx", "floor", plan.decide_at)
    subject = TimedSubject(str(key), call, plan.feeds(scorer, plan.decide_at))
    yield BenchEntry(key, subject, "null graph")


def null_graph(feed: Feed, scorer: Gated) -> Path:
    """Write a graph with the feed's inputs, whose output is one of these inputs."""
    kinds = {"int64": TensorProto.INT64, "bool": TensorProto.BOOL, "float32": TensorProto.FLOAT}
    inputs = [
        helper.make_tensor_value_info(
            name, kinds[str(value.dtype)], [f"{name}_{axis}" for axis in range(value.ndim)]
        )
        for name, value in feed.items()
    ]
    output = helper.make_tensor_value_info("same", TensorProto.INT64, ["r", "k"])
    node = helper.make_node("Identity", ["candidates"], ["same"])
    graph = helper.make_graph([node], "null", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = scorer.trained.folder / "null.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
