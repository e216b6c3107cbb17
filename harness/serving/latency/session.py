"""A measuring session: in each round every subject is visited in random order; raw samples are
kept."""

import gc
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter_ns, sleep
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fusefront.harness.serving.latency.kernel_counters import Counters, read_counters

DISCARD = 3  # first requests of a visit, recorded but not counted
TIMED = 100  # requests of a visit that count
CONTENDED = 0.02  # a visit that waits for a core for a larger share of its time is marked
Ints = NDArray[np.int64]

SAMPLES = {
    "session": pl.String,
    "fingerprint": pl.String,
    "subject": pl.String,
    "round": pl.Int32,
    "order": pl.Int32,
    "position": pl.Int32,  # 0 .. DISCARD - 1 are the discarded ones
    "start_ns": pl.Int64,
    "latency_ns": pl.Int64,
    "scheduled_ns": pl.Int64,  # null in a closed loop
    "request_id": pl.Int64,
}
VISITS = {
    "session": pl.String,
    "subject": pl.String,
    "round": pl.Int32,
    "order": pl.Int32,
    "span_ns": pl.Int64,
    "run_delay_ns": pl.Int64,
    "switches": pl.Int64,
    "minor_faults": pl.Int64,
    "major_faults": pl.Int64,
    "contended": pl.Boolean,
}


@dataclass(frozen=True)
class TimedSubject:
    """What is timed: a call, and requests made before the clock starts."""

    name: str
    call: Callable[[object], object]
    requests: Sequence[object]
    timed: int = TIMED
    pause_s: float = 0.0  # s of sleep before every request: 0 = hot, 0.01 = paced


class Visit(NamedTuple):
    """One visit of a subject: clock readings in ns, and the system's counters."""

    times: Ints  # [DISCARD + timed, 2]: start, end
    first: int  # index of the first request
    counters: Counters


@dataclass(frozen=True)
class Recording:
    """The frames of a session, with the columns `SAMPLES` and `VISITS`."""

    samples: pl.DataFrame
    visits: pl.DataFrame

    def counted(self) -> pl.DataFrame:
        """The samples without the discarded positions."""
        return self.samples.filter(pl.col("position") >= DISCARD)

    def by_round(self) -> dict[str, list[NDArray[np.float64]]]:
        """Subject -> counted latencies in ms, one array [requests] a round."""
        rounds: dict[str, list[NDArray[np.float64]]] = {}
        by = ("subject", "session", "round")
        for key, part in self.counted().group_by(*by, maintain_order=True):
            rounds.setdefault(str(key[0]), []).append(part["latency_ns"].to_numpy() / 1e6)
        return rounds

    def contended(self) -> dict[str, int]:
        """Subject -> number of visits that waited for a core."""
        count = self.visits.group_by("subject").agg(pl.col("contended").sum())
        return dict(count.iter_rows())

    def contended_rounds(self) -> dict[str, list[int]]:
        """Subject -> indices of the rounds that waited for a core, over all sessions."""
        marked: dict[str, list[int]] = {}
        places: dict[str, int] = {}
        for subject, contended in self.visits.select("subject", "contended").iter_rows():
            place = places[subject] = places.get(subject, -1) + 1
            if contended:
                marked.setdefault(subject, []).append(place)
        return marked

    def rounds_by_session(self) -> list[int]:
        """The number of rounds of each session, in order."""
        counts = self.visits.group_by("session", maintain_order=True).agg(
            pl.col("round").n_unique()
        )
        return [int(count) for count in counts["round"]]

    def add(self, later: "Recording") -> "Recording":
        """The sessions of this recording, then those of a later one."""
        return Recording(
            pl.concat([self.samples, later.samples]), pl.concat([self.visits, later.visits])
        )


def visit(subject: TimedSubject, offset: int, discard: int = DISCARD) -> Visit:
    """The discarded and the timed requests of one subject, one after the other."""
    call, requests, pause = subject.call, subject.requests, subject.pause_s
    total = discard + subject.timed
    times = np.empty((total, 2), np.int64)
    before = read_counters()
    for i in range(total):
        request = requests[(offset + i) % len(requests)]
        if pause:
            sleep(pause)
        start = perf_counter_ns()
        call(request)
        times[i] = start, perf_counter_ns()
    return Visit(times, offset, read_counters().since(before))


def is_contended(run_delay_ns: int | None, span_ns: int) -> bool:
    """Whether a visit waited for a core for more than 2 % of its time."""
    return run_delay_ns is not None and run_delay_ns > CONTENDED * span_ns


def measure(
    subjects: Sequence[TimedSubject],
    rounds: int,
    rng: np.random.Generator,
    *,
    fingerprint: str = "",
    progress: Callable[[int, int], None] | None = None,
    more: Callable[[Recording], int] | None = None,
) -> Recording:
    """Measure `rounds` rounds, each with a visit of every subject in new random order.

    Then measure as many more as `more` asks for, given the recording so far, until it asks for
    none.
    """
    session, recorder = secrets.token_hex(4), _Recorder(fingerprint)
    begin, end = 0, rounds
    while begin < end:
        with quiet_collector():
            for round_ in range(begin, end):
                for order, index in enumerate(rng.permutation(len(subjects))):
                    subject = subjects[index]
                    watched = visit(subject, offset=round_ * subject.timed)
                    recorder.add(session, subject, round_, order, watched)
                if progress is not None:
                    progress(round_ + 1, end)
        begin = end
        end += more(recorder.recording()) if more is not None else 0
    return recorder.recording()


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Collect garbage once, then exclude the existing objects from later collections."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def warm_up(subject: TimedSubject, requests: int = 200, longest_s: float = 0.25) -> Ints:
    """[calls] latencies in ns of the first calls: the warm-up of the session, reported separately.

    At most `requests` calls; with slow subjects as many as fit into `longest_s` seconds, at least
    20.
    """
    times: list[int] = []
    while len(times) < requests:
        request = subject.requests[len(times) % len(subject.requests)]
        start = perf_counter_ns()
        subject.call(request)
        times.append(perf_counter_ns() - start)
        if len(times) >= 20 and sum(times) > longest_s * 1e9:
            break
    return np.array(times, np.int64)


class _Recorder:
    """Collects visits as they come; frames are made after the clock has stopped."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.entries: list[tuple[str, TimedSubject, int, int, Visit]] = []

    def add(
        self, session: str, subject: TimedSubject, round_: int, order: int, watched: Visit
    ) -> None:
        self.entries.append((session, subject, round_, order, watched))

    def recording(self) -> Recording:
        if not self.entries:
            return Recording(pl.DataFrame(schema=SAMPLES), pl.DataFrame(schema=VISITS))
        visits = pl.DataFrame([_line(*entry) for entry in self.entries], schema=VISITS)
        lengths = [len(entry[-1].times) for entry in self.entries]
        times = np.concatenate([entry[-1].times for entry in self.entries])
        position = np.concatenate([np.arange(length) for length in lengths])
        wraps = np.repeat([len(entry[1].requests) for entry in self.entries], lengths)
        constant = visits.select("session", "subject", "round", "order")
        samples = constant[np.repeat(np.arange(len(visits)), lengths)].with_columns(
            pl.lit(self.fingerprint).alias("fingerprint"),
            pl.Series("position", position),
            pl.Series("start_ns", times[:, 0]),
            pl.Series("latency_ns", times[:, 1] - times[:, 0]),
            pl.lit(None, pl.Int64).alias("scheduled_ns"),
            pl.Series(
                "request_id",
                (np.repeat([entry[-1].first for entry in self.entries], lengths) + position)
                % wraps,
            ),
        )
        return Recording(
            samples.select(pl.col(n).cast(kind) for n, kind in SAMPLES.items()), visits
        )


def _line(
    session: str, subject: TimedSubject, round_: int, order: int, watched: Visit
) -> Mapping[str, object]:
    """The row of a visit."""
    span = int(watched.times[-1, 1] - watched.times[0, 0])
    return {
        "session": session,
        "subject": subject.name,
        "round": round_,
        "order": order,
        "span_ns": span,
        "contended": is_contended(watched.counters.run_delay_ns, span),
        **watched.counters._asdict(),
    }
