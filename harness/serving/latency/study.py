"""`fusefront bench`: measures every strategy of a study in one session on this machine."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from fusefront.datasets.durable import replacing_folder, scratch_folder
from fusefront.datasets.errors import DataContractError
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import NothingToDoError
from fusefront.harness.parts.included import included
from fusefront.harness.parts.kinds import BACKEND
from fusefront.harness.parts.outside_parts import load_zoo
from fusefront.harness.parts.plugins import parts_of_runs
from fusefront.harness.runs.hashes import MARK, WEIGHTS, damage
from fusefront.harness.runs.records import write_record
from fusefront.harness.runs.store import RunEntry, StudyFolder
from fusefront.harness.serving.contract import Backend, Trained
from fusefront.harness.serving.export.online import export_core
from fusefront.harness.serving.export.parity import calibration_feeds
from fusefront.harness.serving.latency.backends import find_backends
from fusefront.harness.serving.latency.bench import BenchEntry, BenchResult, run_bench, warm
from fusefront.harness.serving.latency.bench_record import VERSION, Bench
from fusefront.harness.serving.latency.facts import attach_costs, describe_session, session_text
from fusefront.harness.serving.latency.fingerprint import fingerprint, identity
from fusefront.harness.serving.latency.kernel_counters import others, read_state
from fusefront.harness.serving.latency.lock import measuring_lock
from fusefront.harness.serving.latency.parity_gate import gate
from fusefront.harness.serving.latency.paying import INT8, paying
from fusefront.harness.serving.latency.plan import BenchPlan, entries_of
from fusefront.harness.serving.latency.quality import quality_of
from fusefront.harness.serving.latency.scenarios import (
    LOADS,
    OFFLINE_REQUESTS,
    offline,
    serve_loads,
)
from fusefront.harness.serving.latency.sessions import (
    UntilPrecise,
    read_earlier,
    session_line,
    timed_before,
)
from fusefront.harness.training.build import load_model
from fusefront.harness.training.module import encode_table

Tell = Callable[[str], None]
QUICK_ROUNDS, FINAL_ROUNDS = 20, 40


@dataclass(frozen=True)
class BenchOptions:
    """How much to measure."""

    rounds: int = QUICK_ROUNDS
    candidates: tuple[int, ...] = (1, 50, 200, 500)
    decide_at: int = 100
    backends: tuple[str, ...] = ("onnx",)
    rows: str = "float16"
    end_to_end: bool = True  # at every K; otherwise at `decide_at` alone
    paced: bool = True
    server: bool = True
    as_trained: bool = True
    cold: bool = True
    budget_s: float = 100.0  # s of the first rounds; slow subjects get shorter visits to keep it
    precision: float | None = None  # add rounds until deciding intervals are this narrow, a share
    most_s: float = math.inf  # of rounds, where it goes on
    add: bool = False  # add a session and pool it with the recorded ones
    at_once: tuple[int, ...] = (OFFLINE_REQUESTS,)  # requests in one call, offline
    qps: tuple[float, ...] = ()  # arrivals a second at the server, beside the shares of capacity
    include: tuple[Path, ...] = ()
    seed: int = 0
    strategies: tuple[str, ...] = ()  # only these, also from ablations; () = all except ablations
    place: str = "bench"  # folder of the session, within the study's


def bench_study(
    folder: StudyFolder,
    *,
    quick: bool = True,
    tell: Tell | None = None,
    options: BenchOptions | None = None,
    include: tuple[Path, ...] = (),
    progress: Callable[[int, int], None] | None = None,
) -> BenchResult:
    """Measure all completed strategies; writes bench/{samples,visits}.parquet and bench.json.

    Without `options`: the study's own candidate counts and rounds, the least that a report needs,
    and the plug-ins under `include`.
    """
    if options is None:
        latency = folder.spec.latency
        options = BenchOptions(
            rounds=latency.rounds if quick else max(FINAL_ROUNDS, latency.rounds),
            candidates=latency.candidates,
            decide_at=latency.decide_at,
            backends=shipped_and(latency.backends),
            end_to_end=not quick,
            server=not quick,
            budget_s=60.0 if quick else 400.0,
            at_once=latency.at_once,
            qps=latency.qps,
            include=include,
        )
    chosen = options.strategies
    return bench_runs(
        folder, lambda say: chosen_runs(folder, say, chosen), options, tell=tell, progress=progress
    )


def bench_runs(
    folder: StudyFolder,
    runs: Callable[[Tell], Sequence[RunEntry]],
    options: BenchOptions,
    *,
    tell: Tell | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> BenchResult:
    """Measure the runs that `runs` returns, which is called once no training is left on the
    machine; writes the same files under `options.place`."""
    say = tell or (lambda _: None)
    with scratch_folder(folder.path / options.place) as work, measuring_lock(say):
        result = _measure(folder, runs(say), options, work, say, progress)
    write(folder, result, options.place)
    return result


def _measure(
    folder: StudyFolder,
    runs: Sequence[RunEntry],
    options: BenchOptions,
    work: Path,
    say: Tell,
    progress: Callable[[int, int], None] | None,
) -> BenchResult:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    left_out: list[str] = []

    def leave_out(sentence: str) -> None:
        left_out.append(sentence)
        say(sentence)

    begin, before = time.monotonic(), read_state()
    try:
        backends = _able(_backends(folder, options), say)
        trained = load_all(folder, runs, work, options, say)
        gated = gate(trained, backends, folder, leave_out)
        plan = BenchPlan.make(folder, runs, options.candidates, options.decide_at, options.seed)
        before_it = timed_before(folder.path / options.place) if options.add else None
        gated = paying(gated, plan, leave_out, before_it)
        run_ids = {run.strategy: run.run_id for run in runs}
        entries, first = warm(entries_of(plan, gated, options), options.rounds, options.budget_s)
        say(_estimate(entries, options.rounds))
        facts = identity()
        keys = [entry.key for entry in entries]
        earlier = None
        if options.add:
            names = [str(key) for key in keys]
            earlier = read_earlier(folder.path / options.place, fingerprint(facts), run_ids, names)
        until = UntilPrecise(keys, options.decide_at, options.precision, options.most_s)
        result = run_bench(
            entries,
            rounds=options.rounds,
            rng=np.random.default_rng([options.seed, len(earlier.lines) if earlier else 0]),
            fingerprint=fingerprint(facts),
            decide_at=options.decide_at,
            progress=progress,
            more=until,
            earlier=earlier.recording if earlier else None,
        )
        attach_costs(result, plan, gated, first, folder.spec, cold=options.cold)
        result.facts["offline"] = offline(plan, gated, options.at_once)
        result.facts["server"] = []
        if options.server or options.qps:
            loads = LOADS if options.server else ()
            served = serve_loads(plan, gated, result, folder.spec.slo_ms, say, loads, options.qps)
            result.facts["server"] = served
    finally:
        torch.set_num_threads(threads)
    seconds = time.monotonic() - begin
    after = read_state()
    busy = others(before, after, seconds)
    describe_session(result, facts, before, after, seconds, busy, plan)
    result.facts["runs"] = run_ids
    result.facts["left_out"] = left_out
    lines = earlier.lines if earlier else []
    result.facts["sessions"] = [*lines, session_line(result, until.ended)]
    result.facts["session_text"] = session_text(result.facts)
    result.facts["quality"] = quality_of(result.rows, result.facts, options.decide_at)
    return result


def chosen_runs(folder: StudyFolder, say: Tell, strategies: tuple[str, ...] = ()) -> list[RunEntry]:
    """The first intact run of each strategy: all seeds have one architecture and so one latency.

    With `strategies` only those, which may be of ablations.

    Raises:
        DataContractError: every run is damaged.
        NothingToDoError: no run is complete.
    """
    first: dict[str, RunEntry] = {}
    damaged = []
    roles = ("strategy", "control", "ablation") if strategies else ("strategy", "control")
    for entry in folder.entries(roles=roles):
        if strategies and entry.strategy not in strategies:
            continue
        if entry.state == "completed" and entry.strategy not in first:
            if sentence := damage(entry.path, WEIGHTS, entry.summary):
                damaged.append(sentence)
            elif (entry.path / WEIGHTS).exists():
                first[entry.strategy] = entry
        elif entry.damage:
            damaged.append(entry.damage)
    for sentence in damaged:
        say(f"left out: {sentence}")
    if damaged and not first:
        raise DataContractError(damaged[0])
    if not first:
        raise NothingToDoError(
            f"study {folder.name!r} has no completed run to measure; run it first"
        )
    return list(first.values())


def load_all(
    folder: StudyFolder, runs: Sequence[RunEntry], work: Path, options: BenchOptions, say: Tell
) -> list[Trained]:
    """Models, item codes and checked graphs of the runs."""
    from fusefront.datasets.store import PreparedDataset

    store = PreparedDataset.open(folder.store_path)
    parts, schema = parts_of_runs((run.path for run in runs), options.include), schema_of(store)
    feeds = calibration_feeds(store) if INT8 in options.backends else ()
    models = []
    for number, run in enumerate(runs, 1):
        say(f"export {number} of {len(runs)}: {run.strategy}")
        model = load_model(run.path, store, parts)
        codes = encode_table(model, schema.items)
        core = export_core(model, codes, schema)
        rows = options.rows
        folder_of_it = work / run.strategy
        models.append(
            Trained(run.strategy, model, codes, schema, core, folder_of_it, rows, feeds)  # type: ignore[arg-type]
        )
    return models


def shipped_and(more: Sequence[str]) -> tuple[str, ...]:
    """The shipped backend, then those that a study times beside it."""
    return tuple(dict.fromkeys(("onnx", *more)))


def _backends(folder: StudyFolder, options: BenchOptions) -> dict[str, Backend]:
    """The named backends; plug-ins come from the given files and the recorded ones."""
    names = set(options.backends)
    files = included(
        folder.path, options.include, lambda part: part.kind == BACKEND.word and part.name in names
    )
    known = cast("dict[str, type[Backend]]", load_zoo(BACKEND, files))
    return find_backends(options.backends, known)


def _able(backends: dict[str, Backend], say: Tell) -> dict[str, Backend]:
    able = {}
    for name, backend in backends.items():
        if reason := backend.missing():
            say(f"{reason}; left out")
        else:
            able[name] = backend
    if not able:
        raise NothingToDoError("none of the backends can run here")
    return able


def _estimate(entries: Sequence[BenchEntry], rounds: int) -> str:
    total = 0.0
    for entry in entries:
        begin = time.perf_counter()
        entry.subject.call(entry.subject.requests[0])
        each = time.perf_counter() - begin + entry.subject.pause_s
        total += each * (entry.subject.timed + 3) * rounds
    return f"bench: {len(entries)} subjects, {rounds} rounds, about {total:.0f} s"


def write(folder: StudyFolder, result: BenchResult, place: str = "bench") -> None:
    """Write bench/samples.parquet, visits.parquet and bench.json; all files of a session in one
    step."""
    record: Bench = {
        "fingerprint": result.facts["fingerprint"],
        "facts": result.facts,
        "rows": result.rows,
    }
    with replacing_folder(folder.path / place) as written:
        result.recording.samples.write_parquet(written / "samples.parquet", metadata=dict(MARK))
        result.recording.visits.write_parquet(written / "visits.parquet", metadata=dict(MARK))
        write_record(written / "bench.json", record, version=VERSION)
