"""A bench: subjects measured in one session and summarised with intervals and a floor."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple, cast

import numpy as np

from fusefront.harness.serving.latency.bench_record import (
    P99_SAMPLES,
    QUANTILE_NAMES,
    BenchFacts,
    BenchRow,
    Quantile,
    logs_of,
)
from fusefront.harness.serving.latency.intervals import (
    Difference,
    log_quantiles,
    smallest_difference,
)
from fusefront.harness.serving.latency.pooling import pooled_difference, pooled_quantile, split
from fusefront.harness.serving.latency.session import (
    DISCARD,
    TIMED,
    Recording,
    TimedSubject,
    measure,
    warm_up,
)

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
TWIN = "twin"  # the baseline measured a second time, in a session of its own
LONG_MS = 2.0  # slower requests get shorter visits, never fewer rounds
LEAST_TIMED = 50  # times 20 rounds: the 1,000 samples that a p99 needs


class SubjectKey(NamedTuple):
    """The key of a subject: strategy x backend x scope x K."""

    strategy: str
    backend: str
    scope: str  # model_only | end_to_end | as_trained | paced | twin-... | floor
    candidates: int

    def __str__(self) -> str:
        return f"{self.strategy}|{self.backend}|{self.scope}|{self.candidates}"


class BenchEntry(NamedTuple):
    """A subject with its key; subjects of one `session` share a warm-up."""

    key: SubjectKey
    subject: TimedSubject
    session: str


@dataclass(frozen=True)
class BenchResult:
    """The session's frames, one summary row a subject, and facts about the session."""

    recording: Recording
    rows: list[BenchRow]
    facts: BenchFacts = field(default_factory=BenchFacts)

    def row(self, key: SubjectKey) -> BenchRow:
        """The summary row of a subject."""
        return next(row for row in self.rows if row["subject"] == str(key))


def warm(
    entries: Sequence[BenchEntry], rounds: int, budget_s: float, requests: int = 200
) -> tuple[list[BenchEntry], dict[str, float]]:
    """Warm every session up; returns the entries with their numbers of requests, and each session's
    first call in ms.

    If all rounds would take longer than the budget, slow subjects get shorter visits, down to the
    fewest requests that a p99 needs; the number of rounds stays.
    """
    sessions: dict[str, list[BenchEntry]] = {}
    for entry in entries:
        sessions.setdefault(entry.session, []).append(entry)
    first: dict[str, float] = {}
    speed: dict[SubjectKey, float] = {}
    for session, members in sessions.items():
        each = max(20, ceil(requests / len(members)))
        for entry in members:
            times = warm_up(entry.subject, 5 if entry.subject.pause_s > 0 else each) / 1e6
            first.setdefault(session, float(times[0]))
            speed[entry.key] = float(np.median(times))
    return sized(entries, speed, rounds, budget_s), first


def sized(
    entries: Sequence[BenchEntry], speed: Mapping[SubjectKey, float], rounds: int, budget_s: float
) -> list[BenchEntry]:
    """The entries with visits as long as their speed (ms a request) and the budget (s) allow."""
    for limit in (LONG_MS, 1.0, 0.5, 0.25, 0.0):
        visits = [_sized(entry, visit_length(speed[entry.key], limit)) for entry in entries]
        took = sum(
            (entry.subject.timed + DISCARD) * (speed[entry.key] / 1000 + entry.subject.pause_s)
            for entry in visits
        )
        if took * rounds <= budget_s:
            break
    return visits


def _sized(entry: BenchEntry, timed: int) -> BenchEntry:
    own = entry.subject
    subject = TimedSubject(
        str(entry.key), own.call, own.requests, min(own.timed, timed), own.pause_s
    )
    return entry._replace(subject=subject)


def visit_length(request_ms: float, limit_ms: float = LONG_MS) -> int:
    """The number of timed requests in a visit: 100; for requests slower than the limit as many as
    fit, at least 50.

    >>> visit_length(0.3), visit_length(3.0), visit_length(40.0)
    (100, 66, 50)
    """
    if request_ms <= limit_ms:
        return TIMED
    return max(LEAST_TIMED, int(TIMED * limit_ms / request_ms))


def run_bench(
    entries: Sequence[BenchEntry],
    *,
    rounds: int,
    rng: np.random.Generator,
    fingerprint: str = "",
    decide_at: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    more: Callable[[Recording], int] | None = None,
    earlier: Recording | None = None,
) -> BenchResult:
    """Measure warmed entries and summarise: intervals for every subject, a floor for the session.

    With `earlier` sessions, all of them are pooled.
    """
    recording = measure(
        [entry.subject for entry in entries],
        rounds,
        rng,
        fingerprint=fingerprint,
        progress=progress,
        more=more,
    )
    whole = recording if earlier is None else earlier.add(recording)
    rows = summarise(whole, [entry.key for entry in entries])
    return BenchResult(whole, rows, session_facts(rows, decide_at))


def summarise(recording: Recording, keys: Iterable[SubjectKey]) -> list[BenchRow]:
    """One row a subject: quantiles in ms with intervals, logarithms by round, contention.

    Several sessions are pooled by random effects. A p99 needs 1,000 samples in every session; the
    row states the smallest count.
    """
    by_round, marked = recording.by_round(), recording.contended_rounds()
    sessions = recording.rounds_by_session()
    rows = []
    for key in keys:
        rounds = by_round[str(key)]
        row: dict[str, object] = {"subject": str(key), **key._asdict()}
        samples = [sum(map(len, part)) for part in split(rounds, sessions)]
        for name, p in QUANTILES.items():
            if name == "p99" and min(samples) < P99_SAMPLES:
                row |= dict.fromkeys((f"{name}_ms", f"{name}_low", f"{name}_high", f"log_{name}"))
                row[f"{name}_at_least"] = False
                continue
            interval, between = pooled_quantile(rounds, p, sessions)
            row |= {
                f"{name}_ms": interval.value,
                f"{name}_low": interval.low,
                f"{name}_high": interval.high,
                f"between_{name}": between,
            }
            row[f"{name}_at_least"] = interval.at_least
            row[f"log_{name}"] = log_quantiles(rounds, p).tolist()
        row["mean_ms"] = float(np.mean(np.concatenate(rounds)))
        row["rounds"] = len(rounds)
        row["samples"] = min(samples) if min(samples) < P99_SAMPLES else sum(samples)
        row["contended_rounds"] = marked.get(str(key), [])
        row["contended_visits"] = len(marked.get(str(key), []))
        row["rounds_by_session"] = sessions
        rows.append(cast(BenchRow, row))
    return rows


def paired(
    rows: Sequence[BenchRow], a: SubjectKey, b: SubjectKey, quantile: Quantile = "p50"
) -> Difference:
    """log(a / b) of two subjects measured in the same sessions, paired by round."""
    by_subject = {row["subject"]: row for row in rows}
    first, second = by_subject[str(a)], by_subject[str(b)]
    sessions = first.get("rounds_by_session", [])
    return pooled_difference(logs_of(first, quantile), logs_of(second, quantile), sessions)


def session_facts(rows: Sequence[BenchRow], decide_at: int | None = None) -> BenchFacts:
    """Floors by scope and K from the twins, and the smallest differences that could have been
    detected.

    The headline floor is the larger one of the two scopes, at the K that decides.
    """
    floors: list[dict[str, object]] = []
    by_subject = {row["subject"]: row for row in rows}
    for row in rows:
        if not row["scope"].startswith(TWIN):
            continue
        scope = row["scope"].removeprefix(f"{TWIN}-")
        original = by_subject[
            str(SubjectKey(row["strategy"], row["backend"], scope, row["candidates"]))
        ]
        line: dict[str, object] = {"scope": scope, "candidates": row["candidates"]}
        for name in QUANTILE_NAMES:
            pair = logs_of(original, name), logs_of(row, name)
            if not all(pair):
                line |= {f"floor_{name}": None, f"smallest_{name}": None}
                continue
            twins = pooled_difference(*pair, row.get("rounds_by_session", []))
            line[f"floor_{name}"] = twins.floor
            errors = _errors(rows, original, name)
            line[f"smallest_{name}"] = smallest_difference(errors or [0.0], row["rounds"], twins)
        floors.append(line)
    chosen = [line for line in floors if line["candidates"] == decide_at] or floors
    facts: dict[str, object] = {"floors": floors}
    for name in QUANTILE_NAMES:
        for kind in ("floor", "smallest"):
            values = [cast(float | None, line[f"{kind}_{name}"]) for line in chosen]
            facts[f"{kind}_{name}"] = max((v for v in values if v is not None), default=None)
    facts["visits"] = sum(row["rounds"] for row in rows)
    facts["contended_visits"] = sum(row.get("contended_visits", 0) for row in rows)
    return cast(BenchFacts, facts)


def _errors(rows: Sequence[BenchRow], original: BenchRow, name: Quantile) -> list[float]:
    """Standard errors of every strategy's difference to the baseline with the same scope, backend
    and K."""
    same = [
        row
        for row in rows
        if row["strategy"] != original["strategy"]
        and (row["backend"], row["scope"], row["candidates"])
        == (original["backend"], original["scope"], original["candidates"])
    ]
    own = logs_of(original, name)
    sessions = original.get("rounds_by_session", [])
    others = [logs for row in same if (logs := logs_of(row, name))]
    return [pooled_difference(logs, own, sessions).error for logs in others]
