"""What stands beside the quantiles, from planted clocks, files and readings; no clock is read."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import torch

from fusefront.harness.runs.study import Study
from fusefront.harness.serving.export.parity import Parity
from fusefront.harness.serving.latency import facts
from fusefront.harness.serving.latency.bench import BenchResult, SubjectKey
from fusefront.harness.serving.latency.cost import ColdStart
from fusefront.harness.serving.latency.facts import (
    attach_costs,
    describe_session,
    pitches_ms,
    session_text,
    strategy_facts,
)
from fusefront.harness.serving.latency.fingerprint import fingerprint
from fusefront.harness.serving.latency.kernel_counters import State
from fusefront.harness.serving.latency.parity_gate import Gated
from fusefront.harness.serving.latency.plan import BenchPlan
from fusefront.harness.serving.latency.server import predicted_ceiling
from fusefront.harness.serving.latency.session import DISCARD, SAMPLES, VISITS, Recording

K = 7
COLD = ColdStart(import_s=0.5, load_s=0.25, first_s=0.0625, total_s=0.8125, peak_bytes=54_321)


class Model:
    """Products of known size: 5 x 3 x 2 a request of K candidates, n x 3 x 4 for n items."""

    def score(self, request: object) -> torch.Tensor:
        assert request == ("codes", "feed of the first")
        return torch.ones(5, 3) @ torch.ones(3, 2)

    def encode_items(self, items: torch.Tensor) -> torch.Tensor:
        self.items = items.tolist()
        return torch.ones(len(items), 3) @ torch.ones(3, 4)


def gated(folder: Path, name: str = "a", way: str = "onnx", *, items: int = 9) -> Gated:
    trained = SimpleNamespace(
        name=name,
        codes="codes",
        schema=SimpleNamespace(items=items),
        model=Model(),
        folder=folder / name,
        rows="float16",
    )
    backend = SimpleNamespace(select=lambda call, feed: {"x": np.array([len(feed), 2.5])})
    return Gated(
        cast(Any, trained), way, cast(Any, backend), lambda _: None, Parity(True, 3e-6, 2e-5, "")
    )


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> BenchPlan:
    """The feed of a request is text that names it; only the first of K is read."""
    monkeypatch.setattr(facts, "eager_request", lambda codes, feed: (codes, feed))
    lookup = SimpleNamespace(feed=lambda request: f"feed of {request}")
    requests = {1: ["another"], K: ["the first", "the second"]}
    return BenchPlan(cast(Any, requests), cast(Any, lookup), K, "today", ("a",), 12.5)


def files(folder: Path) -> None:
    """A bundle with two tables and a graph: 30 + 14 bytes of tables, 144 in all."""
    folder.mkdir(parents=True)
    for name, size in {"user.bin": 30, "item.bin": 14, "scorer.onnx": 100}.items():
        (folder / name).write_bytes(b"x" * size)


def test_the_costs_of_a_strategy_are_its_products_and_its_files(
    plan: BenchPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds: list[dict[str, np.ndarray]] = []

    def cold_start(graph: Path, feed: Path) -> ColdStart:
        assert graph == tmp_path / "a" / "onnx-float16" / "scorer.onnx"
        with np.load(feed) as file:
            feeds.append(dict(file))
        return COLD

    monkeypatch.setattr(facts, "cold_start", cold_start)
    scorer = gated(tmp_path)
    costs = strategy_facts(plan, scorer, cold=True)  # nothing was written yet
    assert costs == {
        "parity_max_difference": 3e-6,
        "auc_change": 2e-5,
        "macs_per_candidate": pytest.approx(5 * 3 * 2 / K),
        "macs_per_item_offline": 3 * 4,
    }
    assert cast(Any, scorer.trained.model).items == [1, 2]
    files(tmp_path / "a" / "onnx-float16")
    warm = strategy_facts(plan, scorer, cold=False)
    assert warm["bundle_bytes"] == 144
    assert warm["bytes_per_item"] == pytest.approx(44 / 10)  # the row of nothing counts
    assert "cold_start_ms" not in warm
    assert feeds == []
    started = strategy_facts(plan, scorer, cold=True)
    times = {name: started[name] for name in ("cold_start_ms", "cold_load_ms", "cold_first_ms")}  # type: ignore[literal-required]
    assert times == {"cold_start_ms": 812.5, "cold_load_ms": 250.0, "cold_first_ms": 62.5}
    assert started["peak_rss_bytes"] == 54_321
    assert [feed["x"].tolist() for feed in feeds] == [[len("feed of the first"), 2.5]]
    (tmp_path / "a" / "onnx-float16" / "scorer.onnx").unlink()
    assert "cold_start_ms" not in strategy_facts(plan, scorer, cold=True)


def test_two_items_are_encoded_where_there_are_two(plan: BenchPlan, tmp_path: Path) -> None:
    for items, encoded in ((1, [1, 1]), (2, [1, 2]), (3, [1, 2])):
        scorer = gated(tmp_path, items=items)
        assert strategy_facts(plan, scorer, cold=False)["macs_per_item_offline"] == 12
        assert cast(Any, scorer.trained.model).items == encoded


SUBJECTS = ("a|onnx|model_only|7", "b|onnx|model_only|7")


def starts(round_: int, subject: int) -> list[int]:
    """Start times in ns of a visit: pitches grow within it and differ by round and subject."""
    first = 10_000_000_000 * (2 * round_ + subject)
    steps = [1_000_000 * (1 + subject) * (1 + round_) * (1 + i) for i in range(DISCARD + 5)]
    return [first, *(first + int(part) for part in np.cumsum(steps))]


def recording() -> Recording:
    """Three rounds of two subjects; the rows lie in the file in no order."""
    rows = [
        ("s", "f", name, round_, subject, position, start, 7, None, position)
        for subject, name in enumerate(SUBJECTS)
        for round_ in range(3)
        for position, start in enumerate(starts(round_, subject))
    ]
    samples = pl.DataFrame(rows, schema=SAMPLES, orient="row").sample(
        fraction=1.0, shuffle=True, seed=4
    )
    return Recording(samples, pl.DataFrame(schema=VISITS))


def pitches_by_hand(subject: int) -> list[float]:
    return [
        (b - a) / 1e6
        for round_ in range(3)
        for a, b in zip(
            starts(round_, subject)[DISCARD:-1], starts(round_, subject)[DISCARD + 1 :], strict=True
        )
    ]


@pytest.mark.parametrize("subject", [0, 1])
def test_a_pitch_is_from_start_to_start_within_a_visit(subject: int) -> None:
    result = BenchResult(recording(), [])
    expected = pitches_by_hand(subject)
    assert len(expected) == 3 * 5
    assert pitches_ms(result, SUBJECTS[subject]).tolist() == pytest.approx(expected)


def row(strategy: str, backend: str, scope: str, k: int, p50: float) -> Any:
    key = SubjectKey(strategy, backend, scope, k)
    return {"subject": str(key), **key._asdict(), "p50_ms": p50, "p99_ms": 2.2 * p50}


def rows() -> list[Any]:
    return [
        row("a", "onnx", "model_only", K, 1.0),
        row("a", "onnx", "twin-model_only", K, 1.1),
        row("a", "onnx", "paced", K, 1.2),
        row("a", "onnx", "end_to_end", K, 1.3),
        row("a", "onnx", "model_only", 1, 0.7),
        row("a", "eager", "as_trained", K, 5.5),
        row("a", "eager", "model_only", K, 2.5),
        row("b", "onnx", "model_only", K, 1.4),
        row("b", "eager", "as_trained", K, 6.5),
        row("c", "onnx", "model_only", K, 1.5),
    ]


def study(limit: float) -> Study:
    return cast(
        Any,
        SimpleNamespace(slo_ms=limit, money=SimpleNamespace(price_per_core_hour=0.72)),
    )


@pytest.fixture
def attached(plan: BenchPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def attach(limit: float) -> list[Any]:
        scorers = [gated(tmp_path, "a"), gated(tmp_path, "a", "eager"), gated(tmp_path, "b")]
        everything = recording().samples
        same = everything.filter(pl.col("subject") == SUBJECTS[0])
        copies = [same.with_columns(pl.lit(r["subject"]).alias("subject")) for r in rows()]
        result = BenchResult(Recording(pl.concat(copies), pl.DataFrame(schema=VISITS)), rows())
        first = {"a|onnx": 31.0, "a|eager": 32.0, "b|onnx": 33.0}
        attach_costs(result, plan, scorers, first, study(limit), cold=False)
        return result.rows

    return attach


def test_costs_come_to_their_own_rows_and_to_no_twin(attached: Any) -> None:
    by = {r["subject"]: r for r in attached(40.0)}
    assert by["a|onnx|model_only|7"]["first_call_ms"] == 31.0
    assert by["a|onnx|paced|7"]["first_call_ms"] == 31.0
    assert by["a|eager|model_only|7"]["first_call_ms"] == 32.0
    assert by["a|eager|as_trained|7"]["first_call_ms"] == 32.0
    assert by["b|onnx|model_only|7"]["first_call_ms"] == 33.0
    assert by["b|onnx|model_only|7"]["macs_per_item_offline"] == 12
    for bare in ("a|onnx|twin-model_only|7", "b|eager|as_trained|7", "c|onnx|model_only|7"):
        assert "first_call_ms" not in by[bare]
        assert "macs_per_item_offline" not in by[bare]
        assert "core_ms" not in by[bare]


def test_what_it_costs_as_trained_stands_beside_the_cached_one(attached: Any) -> None:
    by = {r["subject"]: r for r in attached(40.0)}
    shown = {name: r["as_trained_p50_ms"] for name, r in by.items() if "as_trained_p50_ms" in r}
    assert shown == {"a|onnx|model_only|7": 5.5, "b|onnx|model_only|7": 6.5}


def test_money_is_the_pitch_at_the_price_of_a_core(attached: Any) -> None:
    """0.72 an hour are 0.0002 a second; the ceiling is the server's own, drawn in row order."""
    pitches = np.array(pitches_by_hand(0))
    mean, rng = pitches.mean(), np.random.default_rng(0)
    priced = []
    for content in attached(40.0):
        if "core_ms" not in content:
            continue
        priced.append((content["scope"], content["backend"], content["candidates"]))
        ceiling = predicted_ceiling(pitches, 40.0, rng, block=100)
        assert 0.05 < ceiling.load < 0.95
        assert content["predicted_load"] == ceiling.load
        assert content["predicted_per_second"] == ceiling.per_second
        assert content["predicted_limit_ms"] == 40.0
        assert content["core_ms"] == pytest.approx(mean)
        price = 0.0002 * mean / 1000 * 1e6 / content["candidates"]
        assert content["cost_per_million_offline"] == pytest.approx(price)
        assert content["cost_per_million_served"] == pytest.approx(price / ceiling.load)
    assert priced == [
        ("model_only", "onnx", 7),
        ("end_to_end", "onnx", 7),
        ("model_only", "onnx", 1),
        ("model_only", "eager", 7),
        ("model_only", "onnx", 7),
    ]


def test_where_no_load_holds_the_limit_serving_has_no_price(attached: Any) -> None:
    for content in attached(0.5):
        if "core_ms" in content:
            assert content["predicted_load"] == 0.0
            assert content["cost_per_million_served"] is None
            assert content["cost_per_million_offline"] > 0


MACHINE: Any = {
    "model": "Some Core",
    "cores": 2,
    "hypervisor": True,
    "threads": 1,
    "machine": "x86_64",
    "packages": {"onnxruntime": "1.2.3"},
}


def described(before: State, after: State, **facts: Any) -> Any:
    rows_ = [*rows(), row("null graph", "onnx", "floor", K, 0.0123)]
    rows_[0]["predicted_load"], rows_[4]["predicted_load"] = 0.4, 0.6
    rows_[7]["predicted_load"] = 0.8
    known: Any = {"visits": 40, "contended_visits": 3, "floor_p50": None, **facts}
    result = BenchResult(recording(), rows_, known)
    plan = BenchPlan({}, cast(Any, None), K, "b", (), 12.5)
    describe_session(result, MACHINE, before, after, 20.0, ["cat 0.50 cores"], plan)
    return result.facts


def test_a_session_is_described_by_what_was_read_before_and_after() -> None:
    before, after = State(1_000_000, 2.5, 0.1, {}), State(6_000_000, 4.0, 0.7, {})
    facts = described(before, after)
    last = max(starts(round_, subject)[-1] for round_ in range(3) for subject in range(2))
    assert facts["session_seconds"] == pytest.approx(last / 1e9)
    assert facts["stalled_share"] == pytest.approx(5 / 20)  # five seconds of twenty
    assert facts["steal_s"] == 1.5
    assert facts["load_average"] == 0.7
    assert facts["call_floor_ms"] == 0.0123
    assert facts["load"] == 0.8  # of today's strategy, at the K that decides
    assert facts["fingerprint"] == fingerprint(MACHINE)
    assert facts["identity"] == MACHINE
    assert facts["in_words"] == "Some Core (2 cores, virtual), ONNX Runtime 1.2.3, one thread"
    assert facts["hardware"] == "Some Core (2 cores, virtual)"
    assert facts["runtime"] == "ONNX Runtime 1.2.3, one thread"
    assert (facts["seconds"], facts["others"]) == (20.0, ["cat 0.50 cores"])
    assert (facts["decide_at"], facts["baseline"], facts["mean_history"]) == (K, "b", 12.5)
    assert facts["session_text"].startswith(f"this machine during one session of {last / 1e9:.0f}")


@pytest.mark.parametrize("unknown", [(None, 5), (5, None), (None, None)])
def test_what_a_machine_does_not_say_is_nothing(unknown: tuple[Any, Any]) -> None:
    before, after = (State(value, value, None, {}) for value in unknown)
    facts = described(before, after)
    assert facts["stalled_share"] is None
    assert facts["steal_s"] is None
    assert facts["load_average"] is None


def test_a_session_without_samples_lasted_no_time() -> None:
    empty = Recording(pl.DataFrame(schema=SAMPLES), pl.DataFrame(schema=VISITS))
    result = BenchResult(empty, [], cast(Any, {"visits": 0, "contended_visits": 0}))
    result.facts["floor_p50"] = None
    state = State(0, 0.0, 0.0, {})
    describe_session(
        result, MACHINE, state, state, 4.0, [], BenchPlan({}, cast(Any, None), K, "b", (), 0.0)
    )
    assert result.facts["session_seconds"] == 0.0
    assert result.facts["call_floor_ms"] is None
    assert result.facts["load"] is None


def test_the_session_is_one_sentence() -> None:
    facts: Any = {
        "session_seconds": 93.6,
        "contended_visits": 3,
        "visits": 40,
        "floor_p50": None,
        "others": [],
    }
    text = (
        "this machine during one session of 94 s; 3 of 40 visits waited for a core"
        "; nothing else ran"
    )
    assert session_text(facts) == text
    facts |= {"floor_p50": 0.011, "floor_p99": 0.052, "smallest_p50": 0.023, "smallest_p99": 0.074}
    facts["others"] = [f"p{i} 0.10 cores" for i in range(7)]
    assert session_text(facts) == (
        "this machine during one session of 94 s; 3 of 40 visits waited for a core"
        "; equal sessions differ by up to 1.1% at p50 and 5.2% at p99,"
        " the smallest differences it could have found are 2.3% and 7.4%"
        "; beside it ran " + ", ".join(f"p{i} 0.10 cores" for i in range(5))
    )
