"""Who is timed, how and beside what: subjects, loads and throughput with planted calls."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from fusefront.harness.errors import UsageError
from fusefront.harness.serving.contract import Backend
from fusefront.harness.serving.export import parity as parity_module
from fusefront.harness.serving.export.parity import Parity
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.serving.latency import parity_gate as gate_module
from fusefront.harness.serving.latency import plan as plan_module
from fusefront.harness.serving.latency import scenarios
from fusefront.harness.serving.latency.bench import BenchEntry, BenchResult, SubjectKey
from fusefront.harness.serving.latency.kernel_counters import Counters
from fusefront.harness.serving.latency.parity_gate import Gated, compare, gate
from fusefront.harness.serving.latency.plan import BenchPlan, end_to_end, entries_of, null_graph
from fusefront.harness.serving.latency.requests import Arrived
from fusefront.harness.serving.latency.scenarios import offline, serve_loads
from fusefront.harness.serving.latency.server import OpenLoop, poisson_schedule
from fusefront.harness.serving.latency.session import Recording, TimedSubject, Visit
from fusefront.harness.serving.latency.study import BenchOptions

COUNTS = (1, 4, 9)
DECIDE_AT = 4


class Planted(Backend):
    """A call that gives the sum of what it is fed; each load is another call."""

    exact = True

    def __init__(self) -> None:
        self.loads = 0

    def load(self, trained: Any) -> Any:
        self.loads += 1
        number = self.loads

        def call(feed: dict[str, NDArray[Any]]) -> Any:
            return [feed["candidates"] * 0.5 + number]

        return call

    def select(self, loaded: Any, feed: Any) -> Any:
        return {name: feed[name] for name in ("history", "candidates")}


def scorer(folder: Path, name: str, way: str = "onnx") -> Gated:
    backend = Planted()
    trained = SimpleNamespace(name=name, folder=folder / name, rows="float32")
    call = backend.load(trained)
    return Gated(cast(Any, trained), way, backend, call, Parity(True, 0.0, None, ""))


def request(k: int, number: int) -> Arrived:
    none = (np.zeros(0, np.int64), np.zeros(0, np.float32))
    return Arrived(number, np.arange(k) + number, none, none)


@pytest.fixture
def plan() -> BenchPlan:
    """Twenty requests of each K, today's `t`, and `a` before `b` on validation."""
    lookup = SimpleNamespace(
        feed=lambda arrived: {
            "history": np.full((1, 3 + arrived.who), arrived.who, np.int64),
            "history_mask": np.ones((1, 3 + arrived.who), bool),
            "candidates": arrived.keys[None].astype(np.int64),
        }
    )
    requests = {k: [request(k, number) for number in range(20)] for k in COUNTS}
    return BenchPlan(requests, cast(Any, lookup), DECIDE_AT, "t", ("a", "b"), 3.0)


@pytest.fixture
def scorers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Gated]:
    monkeypatch.setattr(plan_module, "as_trained", lambda trained: f"as trained {trained.name}")
    names = [("a", "onnx"), ("c", "onnx"), ("t", "onnx"), ("t", "eager"), ("b", "eager")]
    return [scorer(tmp_path, name, way) for name, way in names]


def lines(entries: list[BenchEntry]) -> list[tuple[str, str]]:
    return [(str(entry.key), entry.session) for entry in entries]


def test_every_subject_of_a_whole_bench(plan: BenchPlan, scorers: list[Gated]) -> None:
    expected: list[tuple[str, str]] = []
    for name in ("a", "c", "t"):
        for prefix in ("", "twin-") if name == "t" else ("",):
            expected += [
                (f"{name}|onnx|{prefix}{scope}|{k}", f"{prefix}{name}|onnx")
                for k in COUNTS
                for scope in ("model_only", "end_to_end")
            ]
        if name != "c":  # neither today's nor a leader
            expected.append((f"{name}|onnx|paced|4", f"{name}|onnx"))
        expected.append((f"{name}|eager|as_trained|4", f"{name}|trained"))
    expected += [("t|eager|model_only|4", "t|eager"), ("b|eager|model_only|4", "b|eager")]
    expected.append(("null graph|onnx|floor|4", "null graph"))
    entries = entries_of(plan, scorers, BenchOptions())
    assert lines(entries) == expected
    assert [entry.subject.name for entry in entries] == [key for key, _ in expected]


def test_each_subject_has_its_call_its_requests_and_its_length(
    plan: BenchPlan, scorers: list[Gated]
) -> None:
    entries = {str(entry.key): entry.subject for entry in entries_of(plan, scorers, BenchOptions())}
    for name, subject in entries.items():
        scope, k = name.split("|")[2], int(name.split("|")[3])
        timed, pause = {"paced": (12, 0.01), "as_trained": (8, 0.0)}.get(scope, (100, 0.0))
        assert (subject.timed, subject.pause_s) == (timed, pause)
        assert len(subject.requests) == 20
        if scope.endswith("end_to_end"):
            assert list(subject.requests) == plan.requests[k]
            continue
        names = ["history", "candidates"] + ["history_mask"] * (scope == "as_trained")
        for number, feed in enumerate(cast(Any, subject.requests)):
            assert sorted(feed) == sorted(names)
            assert feed["candidates"].tolist() == [[number + i for i in range(k)]]
    feed = {"candidates": np.array([[2.0, 4.0]])}
    own, twin = (
        entries[f"t|onnx|{scope}|1"].call(feed) for scope in ("model_only", "twin-model_only")
    )
    assert cast(Any, own)[0].tolist() == [[2.0, 3.0]]
    assert cast(Any, twin)[0].tolist() == [[3.0, 4.0]]  # a session of its own
    assert cast(Any, entries["a|eager|as_trained|4"].call) == "as trained a"


def test_a_short_bench_has_the_end_to_end_of_the_k_that_decides(
    plan: BenchPlan, scorers: list[Gated]
) -> None:
    options = BenchOptions(end_to_end=False, paced=False, as_trained=False)
    expected = []
    for name, prefix in (("a", ""), ("c", ""), ("t", ""), ("t", "twin-")):
        for k in COUNTS:
            expected.append(f"{name}|onnx|{prefix}model_only|{k}")
            if k == DECIDE_AT:
                expected.append(f"{name}|onnx|{prefix}end_to_end|{k}")
    expected += ["t|eager|model_only|4", "b|eager|model_only|4", "null graph|onnx|floor|4"]
    assert [key for key, _ in lines(entries_of(plan, scorers, options))] == expected
    without = [each for each in scorers if (each.trained.name, each.way) != ("t", "onnx")]
    shown = [key for key, _ in lines(entries_of(plan, without, options))]
    assert not any("twin" in key or "floor" in key for key in shown)


def test_a_handler_looks_up_scores_and_gives_probabilities(plan: BenchPlan, tmp_path: Path) -> None:
    gated = scorer(tmp_path, "a")
    expected = 1 / (1 + np.exp(-(np.array([[3, 4, 5, 6]]) * 0.5 + 1)))
    np.testing.assert_allclose(
        cast(Any, end_to_end(gated, plan.lookup)(request(4, 3))), expected, rtol=1e-12
    )
    bare = Gated(
        gated.trained, "eager", gated.backend, lambda feed: gated.call(feed)[0], gated.parity
    )  # type: ignore[index]
    np.testing.assert_allclose(
        cast(Any, end_to_end(bare, plan.lookup)(request(4, 3))), expected, rtol=1e-12
    )


def test_the_null_graph_takes_the_same_inputs_and_gives_one_back(tmp_path: Path) -> None:
    gated = scorer(tmp_path, "t")
    feed = {
        "history": np.array([[5, 6, 7]]),
        "history_mask": np.array([[True, False, True]]),
        "candidates": np.array([[1, 2], [3, 4]]),
        "request_numbers": np.array([[0.5]], np.float32),
    }
    path = null_graph(feed, gated)
    assert path == tmp_path / "t" / "null.onnx"
    run = Scorer(path)
    assert run.inputs == list(feed)
    assert run.run(feed)[0].tolist() == [[1, 2], [3, 4]]
    graph = onnx.load(path)
    onnx.checker.check_model(graph)
    assert (graph.ir_version, [each.version for each in graph.opset_import]) == (9, [17])
    null_graph(feed, gated)  # once more, where the folder is


def result_of(*means: tuple[str, str, float]) -> BenchResult:
    rows = []
    for name, scope, ms in means:
        key = SubjectKey(name, "onnx", scope, DECIDE_AT)
        rows.append({"subject": str(key), **key._asdict(), "mean_ms": ms})
    return BenchResult(Recording.__new__(Recording), cast(Any, rows))


def test_loads_are_shares_of_the_capacity_end_to_end(
    plan: BenchPlan, scorers: list[Gated], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Means of 2 ms, 0.1 ms and 40 ms: 500, 10,000 and 25 a second at full load."""
    loops: list[tuple[Any, list[int]]] = []

    def open_loop(call: Any, requests: Any, schedule: NDArray[np.int64]) -> OpenLoop:
        assert requests == plan.requests[DECIDE_AT]
        loops.append((call(request(4, 3)).shape, schedule.tolist()))
        late = np.where(np.arange(len(schedule)) % 10 == 0, 30_000_000, 5_000_000)
        late = late * (1 + len(loops) % 2)
        return OpenLoop(schedule, schedule + late // 2, schedule + late)

    monkeypatch.setattr(scenarios, "open_loop", open_loop)
    messages: list[str] = []
    result = result_of(
        *(("a", "model_only", 1.0), ("a", "end_to_end", 2.0)),
        *(("t", "end_to_end", 40.0), ("b", "end_to_end", 0.1), ("c", "end_to_end", 1.0)),
    )
    some = [scorers[0], scorers[1], scorers[2], scorers[3], scorer(Path(), "b")]
    served = serve_loads(plan, some, result, 20.0, messages.append)
    assert messages == [f"server: {name} at loads 0.3, 0.5, 0.7" for name in ("a", "t", "b")]
    rng = np.random.default_rng(1)
    expected = []
    for name, mean in (("a", 2.0), ("t", 40.0), ("b", 0.1)):
        for load in (0.3, 0.5, 0.7):
            rate = round(load / (mean / 1000), 6)
            count = min(max(int(rate / 2), 200), 2000)
            expected.append((name, load, pytest.approx(rate), count, 5))
            for _ in range(5):
                shape, schedule = loops.pop(0)
                assert shape == (1, 4)
                np.testing.assert_allclose(schedule, poisson_schedule(rate, count, rng), rtol=1e-9)
    lines_ = [
        (line["strategy"], line["load"], line["per_second"], line["requests"], line["runs"])
        for line in served
    ]
    assert lines_ == expected
    assert loops == []
    assert {line["requests"] for line in served} == {200, 1500, 2000}
    for line in served:  # of 200 requests every tenth is late, in every run
        assert line["late_share"] == pytest.approx(0.1)
        assert line["p99_runs_ms"][0] in (pytest.approx(30.0), pytest.approx(60.0))


def test_throughput_is_the_median_over_rounds_of_requests_at_once(
    plan: BenchPlan, scorers: list[Gated], monkeypatch: pytest.MonkeyPatch
) -> None:
    durations = iter([9_000_000, 1, 4_000_000, 90_000_000, 3_000_000, 2_000_000, 8_000_000] * 3)

    def visit(subject: TimedSubject, offset: int, discard: int) -> Visit:
        assert (subject.timed, offset, discard) == (1, 0, 1)
        (feed,) = cast(Any, subject.requests)
        assert sorted(feed) == ["candidates", "history"]
        assert feed["candidates"].tolist() == [[n + i for i in range(4)] for n in range(16)]
        assert feed["history"].shape == (16, 18)
        times = np.array([[0, 777], [1000, 1000 + next(durations)]])
        return Visit(times, 0, Counters(0, 0, 0, 0))

    monkeypatch.setattr(scenarios, "visit", visit)
    lines_ = offline(plan, scorers)
    assert [line["strategy"] for line in lines_] == ["a", "c", "t"]
    for line in lines_:  # 64 predictions in 4 ms
        assert line["predictions_per_second"] == pytest.approx(16_000.0)
        assert (line["backend"], line["candidates"], line["requests_at_once"]) == ("onnx", 4, 16)


class Spoilt(Planted):
    def load(self, trained: Any) -> Any:
        raise ValueError("no\n  such  thing." if trained.name == "b" else "x" * 300)


def test_what_scores_otherwise_is_kept_out_in_the_order_of_the_backends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def compared(trained: Any, way: str, backend: Any, call: Any, store: Any) -> Parity:
        threads.append(torch.get_num_threads())
        assert store == "store at here"
        passed = (trained.name, way) != ("b", "slow")
        return Parity(passed, 0.0, None, "" if passed else "it differs")

    monkeypatch.setattr(gate_module, "compare", compared)
    monkeypatch.setattr(
        gate_module, "PreparedDataset", SimpleNamespace(open=lambda path: f"store at {path}")
    )
    workers: list[int] = []

    def pool(count: int, **setup: Any) -> ThreadPoolExecutor:
        workers.append(count)
        return ThreadPoolExecutor(count, **setup)

    monkeypatch.setattr(gate_module, "ThreadPoolExecutor", pool)
    trained = [cast(Any, SimpleNamespace(name=name)) for name in ("a", "b", "c")]
    folder = cast(Any, SimpleNamespace(store_path="here"))
    messages: list[str] = []
    passed = gate(trained, {"slow": Planted(), "onnx": Planted()}, folder, messages.append)
    assert [(each.way, each.trained.name) for each in passed] == [
        ("slow", "a"),
        ("slow", "c"),
        ("onnx", "a"),
        ("onnx", "b"),
        ("onnx", "c"),
    ]
    assert messages == ["b on slow: it differs; its latency does not count"]
    assert set(threads) == {1}
    assert len(threads) == 6
    assert workers == [2]  # each holds a model and a session


@pytest.mark.parametrize(("name", "reason"), [("b", "no such thing"), ("a", "x" * 200)])
def test_what_an_own_backend_raises_is_cut_to_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    monkeypatch.setattr(gate_module, "PreparedDataset", SimpleNamespace(open=lambda path: None))
    trained = [cast(Any, SimpleNamespace(name=name))]
    folder = cast(Any, SimpleNamespace(store_path="here"))
    monkeypatch.setattr(gate_module, "source_of", lambda backend: None)
    with pytest.raises(ValueError, match=r"no|xxx"):  # of what ships: as it was raised
        gate(trained, {"own": Spoilt()}, folder, print)
    monkeypatch.setattr(gate_module, "source_of", lambda backend: "own.py")
    with pytest.raises(UsageError) as error:
        gate(trained, {"own": Spoilt()}, folder, print)
    assert str(error.value) == (
        f"latency backend 'own' raised ValueError ({reason}) on strategy {name!r}; "
        "mend it, `fusefront check` says what it breaks"
    )


def test_int8_is_timed_only_where_it_moves_the_auc_by_at_most_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neighbours of two classes that change places move the AUC by 1 / 150² each."""
    exact = np.arange(300, dtype=np.float32)[None]
    label = (np.arange(300) % 2).astype(np.uint8)

    def changed(pairs: int) -> NDArray[np.float32]:
        scores = exact.copy()
        scores[0, : 2 * pairs] = exact[0, : 2 * pairs].reshape(-1, 2)[:, ::-1].ravel()
        return scores

    class Integers(Planted):
        exact = False

        def load(self, trained: Any) -> Any:
            return lambda feed: [changed(trained.pairs)]

    feed = {"history": exact, "candidates": exact}
    monkeypatch.setattr(parity_module, "ROWS", 300)
    monkeypatch.setattr(
        parity_module, "score_split", lambda logits, store, split, rows: logits(feed).ravel()
    )
    monkeypatch.setattr(parity_module, "eager_logits", lambda model, codes, feed: exact)
    monkeypatch.setattr(parity_module, "random_feeds", lambda schema, sizes: [feed])
    store = SimpleNamespace(split=lambda name: SimpleNamespace(label=label))
    monkeypatch.setattr(gate_module, "PreparedDataset", SimpleNamespace(open=lambda path: store))
    trained = [
        cast(
            Any,
            SimpleNamespace(name=name, pairs=pairs, rows="float16", model=0, codes=0, schema=0),
        )
        for name, pairs in (("near", 2), ("far", 3))
    ]
    lines: list[str] = []
    folder = cast(Any, SimpleNamespace(store_path="here"))
    passed = gate(trained, {"onnx-int8": Integers()}, folder, lines.append)
    assert [each.trained.name for each in passed] == ["near"]
    assert passed[0].parity.auc_change == pytest.approx(-2 / 150**2, abs=1e-9)
    assert lines == [
        "far on onnx-int8: AUC changes by -1.3e-04 (at most 1e-04); its latency does not count"
    ]


@pytest.mark.parametrize(
    ("way", "exact", "rows", "strict"),
    [
        ("onnx", False, "float32", True),
        ("onnx", False, "float16", False),
        ("other", False, "float32", False),
        ("other", True, "float16", True),
    ],
)
def test_float32_is_compared_strictly_and_reduced_rows_by_their_auc(
    monkeypatch: pytest.MonkeyPatch, way: str, exact: bool, rows: str, strict: bool
) -> None:
    monkeypatch.setattr(gate_module, "check_exact", lambda logits, *rest: ("exact", logits, rest))
    monkeypatch.setattr(
        gate_module, "check_reduced", lambda logits, *rest: ("reduced", logits, rest)
    )
    trained = cast(Any, SimpleNamespace(name="a", rows=rows, model="m", codes="c", schema="s"))
    backend = Planted()
    backend.exact = exact
    call = backend.load(trained)
    kind, logits, rest = cast(Any, compare(trained, way, backend, call, cast(Any, "store")))
    assert (kind, rest) == (
        ("exact", ("m", "c", "s")) if strict else ("reduced", ("m", "c", "s", "store"))
    )
    feed = {"history": np.zeros((2, 3)), "candidates": np.array([[2.0, 4.0], [6.0, 8.0]])}
    assert logits(feed).tolist() == [[2.0, 3.0], [4.0, 5.0]]
    _, bare, _ = cast(
        Any, compare(trained, way, backend, lambda feed: feed["candidates"][:, :1], cast(Any, 0))
    )
    with pytest.raises(UsageError, match=r"gives scores of shape \(2, 1\) for candidates of shape"):
        bare(feed)
