"""What a bench measures unless it is told otherwise, and of which runs; nothing is timed."""

from types import SimpleNamespace

import pytest

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import NothingToDoError
from fusefront.harness.runs.store import RunEntry
from fusefront.harness.serving.latency import study as study_module
from fusefront.harness.serving.latency.study import BenchOptions, bench_study, chosen_runs


def test_the_first_whole_run_of_each_strategy_is_measured(tmp_path, monkeypatch):
    def entry(strategy, seed, state, damage=""):
        path = tmp_path / f"{strategy}-{seed}"
        (path / "model").mkdir(parents=True)
        (path / "model" / "weights.safetensors").write_bytes(b"")
        return RunEntry(path.name, strategy, strategy, "strategy", seed, state, path, {}, damage)

    broken = ["b-0", "a-2", "d-0"]
    monkeypatch.setattr(
        study_module, "damage", lambda path, *_: f"{path.name} is broken" * (path.name in broken)
    )
    entries = [
        entry("a", 0, "failed"),
        entry("a", 1, "completed"),
        entry("a", 2, "completed"),  # one is enough: nobody looks at it
        entry("b", 0, "completed"),
        entry("b", 1, "completed"),
        entry("c", 0, "damaged", "c-0 has no record"),
        entry("d", 0, "running"),
    ]
    messages = []
    folder = SimpleNamespace(name="shop", entries=lambda **_: entries)
    runs = chosen_runs(folder, messages.append)
    assert [run.run_id for run in runs] == ["a-1", "b-1"]
    assert messages == ["left out: b-0 is broken", "left out: c-0 has no record"]


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("rounds", [7, 50])
def test_without_options_it_is_the_studys_own_latency(monkeypatch, tmp_path, quick, rounds):
    """At least forty rounds, requests end to end and a server where it is not quick."""
    latency = SimpleNamespace(
        rounds=rounds, candidates=(3, 9), decide_at=9, backends=("own",), at_once=(2,), qps=(5.0,)
    )
    folder = SimpleNamespace(spec=SimpleNamespace(latency=latency))
    monkeypatch.setattr(study_module, "bench_runs", lambda *about, **more: (*about, more))
    file = tmp_path / "own.py"
    at, _, options, more = bench_study(folder, quick=quick, include=(file,), tell=print)
    assert (at, more) == (folder, {"tell": print, "progress": None})
    assert options == BenchOptions(
        rounds=rounds if quick else max(40, rounds),
        candidates=(3, 9),
        decide_at=9,
        backends=("onnx", "own"),
        end_to_end=not quick,
        server=not quick,
        budget_s=60.0 if quick else 400.0,
        at_once=(2,),
        qps=(5.0,),
        include=(file,),
    )


def test_a_bench_measures_this_unless_it_is_told_otherwise():
    assert BenchOptions() == BenchOptions(
        rounds=20, candidates=(1, 50, 200, 500), decide_at=100, backends=("onnx",),
        rows="float16", end_to_end=True, paced=True, server=True, as_trained=True, cold=True,
        budget_s=100.0, precision=None, most_s=float("inf"), add=False, at_once=(16,), qps=(),
        include=(), seed=0, strategies=(), place="bench",
    )  # fmt: skip


def test_an_ablations_runs_are_measured_where_they_are_named(tmp_path, monkeypatch):
    """And a study without a whole run says why: what is damaged, or that there is none."""
    path = tmp_path / "run"
    (path / "model").mkdir(parents=True)
    monkeypatch.setattr(study_module, "damage", lambda path, *_: "")

    def entry(strategy, state="completed", damage=""):
        return RunEntry(f"{strategy}-0", strategy, strategy, "x", 0, state, path, {}, damage)

    requested = []

    def folder(*entries):
        def listed(*, roles):
            requested.append(roles)
            return list(entries)

        return SimpleNamespace(name="shop", entries=listed)

    with pytest.raises(NothingToDoError, match="study 'shop' has no completed run to measure"):
        chosen_runs(folder(entry("a")), print)  # its weights are not there
    (path / "model" / "weights.safetensors").write_bytes(b"")
    runs = chosen_runs(folder(entry("a"), entry("a without text")), print, ("a without text",))
    assert [run.strategy for run in runs] == ["a without text"]
    assert requested == [("strategy", "control"), ("strategy", "control", "ablation")]
    with pytest.raises(DataContractError, match="a-0 is broken"):
        chosen_runs(folder(entry("a", "damaged", "a-0 is broken")), print)
    messages = []
    chosen_runs(folder(entry("a", "damaged", "a-0 is broken"), entry("b")), messages.append)
    assert messages == ["left out: a-0 is broken"]
