"""The loops of a bench against a clock that only moves when it is told to; none is read."""

import contextlib
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fusefront.harness.serving.latency import server, session, study
from fusefront.harness.serving.latency.bench import BenchEntry, SubjectKey, warm
from fusefront.harness.serving.latency.kernel_counters import Counters
from fusefront.harness.serving.latency.server import OpenLoop, open_loop
from fusefront.harness.serving.latency.session import (
    DISCARD,
    SAMPLES,
    VISITS,
    TimedSubject,
    measure,
    quiet_collector,
    visit,
    warm_up,
)

MS = 1_000_000
TICK = 1000  # ns that a reading takes where the loop spins


class Clock:
    """Nanoseconds that sleeping and serving add to."""

    def __init__(self, tick: int = 0) -> None:
        self.now, self.tick = 77 * MS, tick
        self.slept: list[float] = []

    def read(self) -> int:
        self.now += self.tick
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += round(seconds * 1e9)

    def call(self, ms: float) -> Callable[[object], object]:
        """A call that takes that long."""

        def serve(_: object) -> None:
            self.now += round(ms * MS)

        return serve


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    planted = Clock()
    monkeypatch.setattr(session, "perf_counter_ns", planted.read)
    monkeypatch.setattr(session, "sleep", planted.sleep)
    return planted


def test_a_visit_times_each_call_and_sleeps_before_it(clock: Clock) -> None:
    served: list[object] = []

    def call(request: object) -> None:
        served.append(request)
        clock.now += 2 * MS

    paced = visit(TimedSubject("a", call, "abcde", timed=4, pause_s=0.01), offset=3)
    assert served == list("deabcde")  # the discarded ones first
    assert clock.slept == [0.01] * (DISCARD + 4)
    begin = 77 * MS + 10 * MS
    assert paced.times.tolist() == [
        [begin + 12 * MS * i, begin + 12 * MS * i + 2 * MS] for i in range(DISCARD + 4)
    ]
    assert paced.first == 3
    hot = visit(TimedSubject("a", call, "abcde", timed=2), offset=0, discard=1)
    assert len(hot.times) == 3
    assert len(clock.slept) == DISCARD + 4


def test_a_row_says_how_long_a_visit_was_and_what_was_counted(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Visits of 8 x 5 ms; the delay of the second is just above 2 % of it."""
    delays = iter([0, 800_000, 0, 800_001, 0, None])
    counts = iter(range(0, 60, 10))

    def read() -> Counters:
        count = next(counts)
        return Counters(next(delays), count * 2, count * 3, count * 5)

    monkeypatch.setattr(session, "read_counters", read)
    reports: list[tuple[int, int]] = []
    subject = TimedSubject("a", clock.call(5), range(4), timed=5)
    recording = measure(
        [subject],
        3,
        np.random.default_rng(0),
        fingerprint="f",
        progress=lambda i, n: reports.append((i, n)),
    )
    assert reports == [(1, 3), (2, 3), (3, 3)]
    visits = recording.visits
    assert visits["span_ns"].to_list() == [8 * 5 * MS] * 3
    assert visits["run_delay_ns"].to_list() == [800_000, 800_001, None]
    assert visits["contended"].to_list() == [False, True, False]
    assert visits["switches"].to_list() == [20] * 3
    assert visits["minor_faults"].to_list() == [30] * 3
    assert visits["major_faults"].to_list() == [50] * 3
    assert recording.contended() == {"a": 1}
    samples = recording.samples
    assert samples["latency_ns"].unique().to_list() == [5 * MS]
    assert samples["start_ns"].to_list() == [77 * MS + 5 * MS * i for i in range(24)]
    assert samples["position"].to_list() == [*range(8)] * 3
    assert samples["round"].to_list() == [0] * 8 + [1] * 8 + [2] * 8
    assert samples["request_id"].to_list() == [
        (5 * round_ + i) % 4 for round_ in range(3) for i in range(8)
    ]
    assert recording.by_round()["a"][2].tolist() == [5.0] * 5


def test_every_visit_has_its_place_in_the_round(clock: Clock) -> None:
    subjects = [TimedSubject(name, clock.call(1), [0], timed=2) for name in "abc"]
    recording = measure(subjects, 4, np.random.default_rng(5))
    rng = np.random.default_rng(5)
    expected = [
        (round_, order, "abc"[index])
        for round_ in range(4)
        for order, index in enumerate(rng.permutation(3))
    ]
    rows = recording.visits.select("round", "order", "subject").rows()
    assert rows == expected
    assert recording.visits["session"].n_unique() == 1
    assert len(recording.visits["session"][0]) == 8  # four random bytes
    first = recording.samples.unique(["round", "order"], keep="first", maintain_order=True)
    assert first.select("round", "order", "subject").rows() == expected
    assert first["session"].to_list() == recording.visits["session"].to_list()


def test_a_session_of_nothing_has_the_columns() -> None:
    recording = measure([], 3, np.random.default_rng(0))
    assert (dict(recording.samples.schema), dict(recording.visits.schema)) == (SAMPLES, VISITS)
    assert len(recording.samples) == len(recording.visits) == 0


@pytest.mark.parametrize(
    ("ms", "calls"),
    [(1.0, 200), (5.0, 51), (12.5, 21), (13.0, 20), (400.0, 20)],  # 20 x 12.5 is not more
)
def test_a_warm_up_ends_after_a_quarter_of_a_second_and_20_calls(
    clock: Clock, ms: float, calls: int
) -> None:
    times = warm_up(TimedSubject("a", clock.call(ms), range(3)))
    assert times.tolist() == [round(ms * MS)] * calls


def test_a_warm_up_takes_the_requests_in_turn(clock: Clock) -> None:
    served: list[object] = []
    warm_up(TimedSubject("a", served.append, "abc"), 7)
    assert served == list("abcabca")


def test_what_exists_is_collected_once_and_then_left_alone() -> None:
    whole: list[int] = []

    def note(phase: str, facts: dict[str, int]) -> None:
        if phase == "start":
            whole.append(facts["generation"])

    before = gc.get_freeze_count()
    gc.callbacks.append(note)
    try:
        with quiet_collector():
            assert gc.get_freeze_count() > before + 1000
            assert whole[-1:] == [2]
    finally:
        gc.callbacks.remove(note)
    assert gc.get_freeze_count() == 0
    with contextlib.suppress(KeyError), quiet_collector():
        raise KeyError
    assert gc.get_freeze_count() == 0  # also where a call fails


def entry(name: str, clock: Clock, ms: float, session_: str, pause: float = 0.0) -> BenchEntry:
    key = SubjectKey(name, "onnx", "model_only", 1)
    return BenchEntry(key, TimedSubject(name, clock.call(ms), [0], pause_s=pause), session_)


def test_subjects_of_a_session_share_its_warm_up(clock: Clock) -> None:
    calls: dict[str, int] = {}

    def counted(name: str, ms: float, session_: str, pause: float = 0.0) -> BenchEntry:
        planted = entry(name, clock, ms, session_, pause)
        whole = planted.subject.call

        def call(request: object) -> None:
            first = name not in calls
            calls[name] = calls.get(name, 0) + 1
            whole(request)
            clock.now += 90 * MS if first else 0  # the first call loads

        return planted._replace(
            subject=TimedSubject(name, call, planted.subject.requests, pause_s=pause)
        )

    entries = [
        counted("a", 0.5, "one"),
        counted("b", 3.0, "two"),
        counted("c", 0.25, "one"),
        counted("d", 0.25, "one"),
        counted("e", 0.25, "two", pause=0.01),
    ]
    visits, first = warm(entries, 10, budget_s=1000.0)
    assert first == {"one": 90.5, "two": 93.0}
    # 200 calls a session; of 3 ms a quarter of a second holds as many as make it, the first of 93
    assert calls == {"a": 67, "b": 54, "c": 67, "d": 67, "e": 5}
    assert [each.key for each in visits] == [each.key for each in entries]
    assert [each.subject.timed for each in visits] == [100, 66, 100, 100, 100]
    poor, _ = warm(entries, 10, budget_s=0.0)  # the median is what counts, not the first call
    assert [each.subject.timed for each in poor] == [50] * 5


def test_many_subjects_of_a_session_have_20_calls_each(clock: Clock) -> None:
    counts: dict[int, int] = {}

    def call(number: int) -> Callable[[object], object]:
        return lambda _: counts.update({number: counts.get(number, 0) + 1})

    entries = [
        BenchEntry(
            SubjectKey(str(i), "onnx", "model_only", 1), TimedSubject(str(i), call(i), [0]), "s"
        )
        for i in range(30)
    ]
    warm(entries, 1, budget_s=1000.0)
    assert set(counts.values()) == {20}


@pytest.fixture
def arrivals(monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, Callable[..., OpenLoop]]:
    clock = Clock(TICK)
    monkeypatch.setattr(server, "perf_counter_ns", clock.read)
    monkeypatch.setattr(server, "sleep", clock.sleep)

    def serve(ms: float, schedule: list[float], requests: Any = (0,)) -> OpenLoop:
        due = np.array([part * MS for part in schedule], np.int64)
        return open_loop(clock.call(ms), requests, due)

    return clock, serve


def test_an_open_loop_starts_on_time_and_late_requests_at_once(arrivals: Any) -> None:
    """Three ms of service: the third waits behind the second, the fifth is due as one ends."""
    clock, serve = arrivals
    loop = serve(3.0, [0, 8, 9, 30, 33.5])
    assert (loop.scheduled - loop.scheduled[0]).tolist() == [0, 8 * MS, 9 * MS, 30 * MS, 33_500_000]
    assert loop.scheduled[0] == 77 * MS + TICK + 200_000  # a fifth of a ms after it was asked for
    late = (loop.start - loop.scheduled).tolist()
    for at in (0, 1, 3, 4):
        assert 0 <= late[at] <= 2 * TICK
    assert 2 * MS <= late[2] <= 2 * MS + 10 * TICK
    assert ((loop.end - loop.start) == 3 * MS + TICK).all()
    # asleep until a fifth of a ms before the time; then it spins
    assert clock.slept == pytest.approx([0.0048, 0.0158, 0.0003], abs=3e-5)


@pytest.mark.usefixtures("arrivals")
def test_an_open_loop_takes_the_requests_in_turn() -> None:
    served: list[object] = []
    open_loop(served.append, "abc", np.arange(7) * MS)
    assert served == list("abcabca")


def test_the_estimate_counts_pauses_and_what_is_discarded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(study.time, "perf_counter", lambda: clock.read() / 1e9)
    entries = [
        BenchEntry(
            SubjectKey("a", "onnx", "model_only", 1),
            TimedSubject("a", clock.call(20), [0], 97),
            "s",
        ),
        BenchEntry(
            SubjectKey("b", "onnx", "paced", 1),
            TimedSubject("b", clock.call(40), [0], 7, 0.06),
            "s",
        ),
    ]
    # (100 x 20 ms + 10 x 100 ms) x 20 rounds
    assert study._estimate(entries, 20) == "bench: 2 subjects, 20 rounds, about 60 s"
