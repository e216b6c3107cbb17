"""bench.json: the results of a latency session, one row a subject, and facts about the session.

Times are in ms, shares from 0 to 1, money in the study's currency. `log_<quantile>` are natural
logarithms of ms, one a round.
"""

from pathlib import Path
from typing import Literal, NotRequired, cast

from typing_extensions import TypedDict

from fusefront.harness.runs.records import Record, read_record
from fusefront.harness.serving.latency.fingerprint import Machine

Quantile = Literal["p50", "p95", "p99"]
QUANTILE_NAMES: tuple[Quantile, ...] = ("p50", "p95", "p99")
P99_SAMPLES = 1000  # with fewer, a p99 rests on ten requests or fewer: none is given
VERSION = 2  # 1: one session, no marks of contended rounds, a p99 of any number of samples


class Costs(TypedDict, total=False):
    """The cost of one more item or candidate to a strategy; the same at every K."""

    parity_max_difference: float
    auc_change: float | None
    macs_per_candidate: float
    macs_per_item_offline: float
    bundle_bytes: int
    bytes_per_item: float
    cold_start_ms: float
    cold_load_ms: float
    cold_first_ms: float
    peak_rss_bytes: int
    first_call_ms: float | None
    predicted_load: float
    predicted_per_second: float
    predicted_limit_ms: float
    core_ms: float
    cost_per_million: float | None
    cost_per_million_offline: float | None
    cost_per_million_served: float | None
    as_trained_p50_ms: float


class BenchRow(Costs):
    """The results of one subject: strategy x backend x scope x K."""

    subject: str
    strategy: str
    backend: str
    scope: str
    candidates: int
    rounds: int
    mean_ms: float
    samples: NotRequired[int]
    contended_visits: NotRequired[int]
    contended_rounds: NotRequired[list[int]]  # rounds that waited for a core; they are kept
    rounds_by_session: NotRequired[list[int]]  # [rounds] of one session
    between_p50: NotRequired[float | None]  # sd of the log between sessions; None = one session
    between_p95: NotRequired[float | None]
    between_p99: NotRequired[float | None]
    fingerprint: NotRequired[str]
    p50_ms: float
    p50_low: float
    p50_high: float
    p50_at_least: NotRequired[bool]
    log_p50: NotRequired[list[float] | None]
    p95_ms: float
    p95_low: float
    p95_high: float
    p95_at_least: NotRequired[bool]
    log_p95: NotRequired[list[float] | None]
    p99_ms: float | None  # None: fewer than 1,000 samples
    p99_low: float | None
    p99_high: float | None
    p99_at_least: NotRequired[bool]
    log_p99: NotRequired[list[float] | None]


class Floor(TypedDict, total=False):
    """The log ratios within which two equal sessions differ, and the smallest detectable ones."""

    scope: str
    candidates: int
    floor_p50: float
    floor_p95: float
    floor_p99: float | None
    smallest_p50: float
    smallest_p95: float
    smallest_p99: float | None


Ended = Literal["precise", "time", "rounds"]  # why no more rounds were added


class SessionLine(TypedDict):
    """One session of a bench: when, how long, how disturbed, and why it ended."""

    session: str
    started: str
    seconds: float
    rounds: int
    visits: int
    contended_visits: int
    others: list[str]
    ended: Ended


class Quality(TypedDict):
    """How reliable the sessions are, for the subjects that decide; ratios are logarithms."""

    sessions: int
    rounds: int
    samples: int | None  # fewest of any subject; None: not recorded
    visits: int
    contended_visits: int
    contended_share: float
    floor_p50: float | None  # how far equal sessions differ; None = no twins
    floor_p99: float | None
    half_p50: float | None  # widest half width of an interval
    half_p99: float | None
    between_p50: float | None  # largest sd between sessions; None = one session
    between_p99: float | None
    disturbed: list[str]  # why nothing can be decided on it; [] = it can be


class ServedLoad(TypedDict):
    """Several runs of a server behind a queue."""

    late_share: float  # later than the study's limit
    late_low: float
    late_high: float
    runs: int
    overloaded_runs: int
    p99_ms: float | None
    p99_runs_ms: list[float]


class ServerLine(ServedLoad):
    """A strategy on a server at a share of its closed-loop capacity."""

    strategy: str
    load: float
    per_second: float
    requests: int


class OfflineLine(TypedDict):
    """Scoring many requests in one call."""

    strategy: str
    backend: str
    requests_at_once: int
    candidates: int
    predictions_per_second: float


class BenchFacts(TypedDict, total=False):
    """Facts about the session: machine, duration, other processes, detectable differences."""

    fingerprint: str
    identity: Machine
    in_words: str
    hardware: str
    runtime: str
    seconds: float
    session_seconds: float
    session_text: str
    started: str
    decide_at: int
    baseline: str
    mean_history: float
    call_floor_ms: float | None
    others: list[str]
    stalled_share: float | None
    steal_s: float | None
    load_average: float | None
    load: float | None
    visits: int
    contended_visits: int
    floors: list[Floor]
    floor_p50: float | None
    floor_p95: float | None
    floor_p99: float | None
    smallest_p50: float | None
    smallest_p95: float | None
    smallest_p99: float | None
    server: list[ServerLine]
    offline: list[OfflineLine]
    runs: dict[str, str]  # strategy -> id of the run whose graph was timed
    sessions: list[SessionLine]
    quality: Quality
    left_out: list[str]  # a sentence for each scorer that was not timed: parity, AUC, no gain


class Bench(Record):
    """bench.json."""

    fingerprint: NotRequired[str]
    facts: BenchFacts
    rows: list[BenchRow]


class QuantileOfRow(TypedDict):
    """One quantile of a row with the ends of its 95 % interval, in ms."""

    ms: float
    low: float
    high: float
    at_least: bool  # the upper end is open
    log: list[float]  # a round each


def read_bench_file(path: Path) -> Bench:
    """The bench in `path`; raises DataContractError if the file is not one."""
    return read_record(path, Bench)


def quantile_of(row: BenchRow, name: Quantile) -> QuantileOfRow | None:
    """A quantile of a row by name; None for a p99 of fewer than 1,000 samples."""
    flat = cast(dict[str, float], row)
    few = row.get("samples", P99_SAMPLES) < P99_SAMPLES
    if flat[f"{name}_ms"] is None or (name == "p99" and few):
        return None
    rounds = cast(dict[str, list[float] | None], row).get(f"log_{name}")
    return QuantileOfRow(
        ms=flat[f"{name}_ms"],
        low=flat[f"{name}_low"],
        high=flat[f"{name}_high"],
        at_least=bool(flat.get(f"{name}_at_least", False)),
        log=list(rounds or ()),
    )


def logs_of(row: BenchRow, name: Quantile) -> list[float]:
    """The logarithms of a quantile, one a round; [] if the quantile is not given."""
    quantile = quantile_of(row, name)
    return quantile["log"] if quantile else []


def floor_of_line(line: Floor, name: Quantile) -> float | None:
    """The floor at a quantile; None if unknown."""
    return cast(dict[str, float | None], line).get(f"floor_{name}")
