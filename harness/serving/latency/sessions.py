"""When a session is precise enough, and the sessions that were recorded before it."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from fusefront.datasets.errors import DataContractError
from fusefront.harness.errors import UsageError
from fusefront.harness.serving.latency.bench import BenchResult, SubjectKey, summarise
from fusefront.harness.serving.latency.bench_record import (
    Ended,
    SessionLine,
    read_bench_file,
)
from fusefront.harness.serving.latency.quality import deciding, half_width
from fusefront.harness.serving.latency.session import SAMPLES, VISITS, Recording

STEP = 5  # rounds that are added at a time


@dataclass
class UntilPrecise:
    """Asks for more rounds until the deciding subjects are precise enough or the time is up.

    Precise enough: their widest interval of p50 and of p99 reaches at most `precision` (a share) to
    either side. Repeated checks make the last interval slightly too narrow; they do not affect the
    floor.
    """

    keys: Sequence[SubjectKey]
    decide_at: int
    precision: float | None  # None: no rounds beyond the first ones
    most_s: float = math.inf  # of rounds
    clock: Callable[[], float] = time.monotonic
    ended: Ended = "rounds"
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def __call__(self, recording: Recording) -> int:
        """How many more rounds to measure."""
        spent = self.clock() - self._begun
        if self.precision is None:
            return 0
        if self._precise(recording):
            self.ended = "precise"
            return 0
        (rounds,) = recording.rounds_by_session()
        if spent + STEP * spent / rounds > self.most_s:
            self.ended = "time"
            return 0
        return STEP

    def _precise(self, recording: Recording) -> bool:
        assert self.precision is not None
        rows = [key for key in self.keys if key.candidates == self.decide_at]
        timed = list(deciding(summarise(recording, rows), self.decide_at).values())
        widths = (half_width(timed, "p50"), half_width(timed, "p99"))
        most = math.log1p(self.precision)
        return all(width is None or width <= most for width in widths)


@dataclass(frozen=True)
class Earlier:
    """The recorded sessions: their frames and their descriptions."""

    recording: Recording
    lines: list[SessionLine]


def timed_before(folder: Path) -> set[tuple[str, str]]:
    """(strategy, backend) of the subjects in the sessions under `folder`; empty without
    sessions."""
    path = folder / "bench.json"
    rows = read_bench_file(path)["rows"] if path.exists() else []
    return {(row["strategy"], row["backend"]) for row in rows}


def read_earlier(
    folder: Path, fingerprint: str, runs: Mapping[str, str], subjects: Sequence[str]
) -> Earlier:
    """The sessions under `folder`, to be pooled with another one of the same subjects.

    Raises:
        UsageError: there is no session, or it is of another machine, other runs or other subjects.
        DataContractError: its tables are damaged.
    """
    if not (folder / "bench.json").exists():
        raise UsageError(
            f"{folder}: got no latency session to add to, expected one; measure without --add first"
        )
    facts = read_bench_file(folder / "bench.json")["facts"]
    if facts.get("fingerprint") != fingerprint:
        raise UsageError(
            f"{folder}: got a session of machine {facts.get('fingerprint')}, expected this one, "
            f"{fingerprint}: latencies of two machines are not compared; measure anew without --add"
        )
    if (before := facts.get("runs", {})) != dict(runs):
        odd = sorted(dict(before.items() ^ runs.items()))[0]
        raise UsageError(
            f"{folder}: got sessions of other runs ({odd!r} is another one), expected the same: "
            "their graphs differ; measure anew without --add"
        )
    try:
        recording = Recording(
            pl.read_parquet(folder / "samples.parquet").select(list(SAMPLES)),
            pl.read_parquet(folder / "visits.parquet").select(list(VISITS)),
        )
    except (OSError, PolarsError) as error:
        reason = " ".join(str(error).split())[:160]
        raise DataContractError(f"{folder}: unreadable tables ({reason}); measure anew") from None
    timed = set(recording.visits["subject"].unique())
    if timed != set(subjects):
        odd = sorted(timed ^ set(subjects))[0]
        raise UsageError(
            f"{folder}: got sessions of other subjects ({odd!r} is in one of them only), expected "
            "the same strategies, backends and candidates; measure anew without --add"
        )
    return Earlier(recording, facts["sessions"])


def session_line(result: BenchResult, ended: Ended) -> SessionLine:
    """The description of the session that was just measured."""
    facts, visits = result.facts, result.recording.visits
    last = visits["session"][-1]
    own = visits.filter(pl.col("session") == last)
    return {
        "session": str(last),
        "started": facts["started"],
        "seconds": facts["session_seconds"],
        "rounds": int(own["round"].n_unique()),
        "visits": len(own),
        "contended_visits": int(own["contended"].sum()),
        "others": facts["others"],
        "ended": ended,
    }
