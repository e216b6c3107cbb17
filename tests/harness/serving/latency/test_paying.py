"""int8 is timed only where it pays: by a clock that only serving moves."""

import contextlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fusefront.harness.serving.export.parity import Parity
from fusefront.harness.serving.latency import session
from fusefront.harness.serving.latency.parity_gate import Gated
from fusefront.harness.serving.latency.paying import paying, time_ratio
from fusefront.harness.serving.latency.session import DISCARD


@pytest.fixture(autouse=True)
def _no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection of all that the tests have loaded takes longer than they do."""
    monkeypatch.setattr(session, "quiet_collector", contextlib.nullcontext)


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def gated(self, name: str, way: str, ms: float) -> Gated:
        def call(_: object) -> None:
            self.now += round(ms * 1e6)

        backend = SimpleNamespace(select=lambda call, feed: feed)
        return Gated(
            cast(Any, SimpleNamespace(name=name)), way, cast(Any, backend), call,
            Parity(True, 0.0, 0.0, ""),
        )  # fmt: skip


PLAN = cast(Any, SimpleNamespace(feeds=lambda gated, k: [{}] * k, decide_at=7))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    planted = Clock()
    monkeypatch.setattr(session, "perf_counter_ns", lambda: planted.now)
    return planted


def test_int8_is_left_out_where_it_takes_more_than_four_fifths(clock: Clock) -> None:
    gated = [
        clock.gated("narrow", "onnx", 1.0),
        clock.gated("wide", "onnx", 2.0),
        clock.gated("narrow", "onnx-int8", 0.81),
        clock.gated("wide", "onnx-int8", 1.6),
        clock.gated("narrow", "eager", 9.0),
    ]
    lines: list[str] = []
    remaining = paying(gated, PLAN, lines.append)
    assert [(g.trained.name, g.way) for g in remaining] == [
        ("narrow", "onnx"),
        ("wide", "onnx"),
        ("wide", "onnx-int8"),
        ("narrow", "eager"),
    ]
    assert lines == [
        "narrow on onnx-int8: takes 0.81 of float32 here (at most 0.8); it does not pay and is "
        "left out"
    ]
    assert time_ratio(gated[3], gated[1], PLAN) == pytest.approx(0.8)


def test_int8_alone_has_nothing_to_be_compared_with(clock: Clock) -> None:
    alone = [clock.gated("a", "onnx-int8", 5.0)]
    assert paying(alone, PLAN, pytest.fail) == alone


def test_what_was_timed_before_is_timed_again_whatever_it_takes(clock: Clock) -> None:
    gated = [
        clock.gated("a", "onnx", 1.0),
        clock.gated("b", "onnx", 1.0),
        clock.gated("a", "onnx-int8", 5.0),
        clock.gated("b", "onnx-int8", 0.1),
    ]
    before = {("a", "onnx"), ("b", "onnx"), ("a", "onnx-int8")}
    assert paying(gated, PLAN, pytest.fail, before) == gated[:3]


def test_each_is_warmed_by_50_requests_and_timed_in_15_rounds_of_20(clock: Clock) -> None:
    calls: list[int] = []
    pair = [clock.gated("a", way, ms) for way, ms in (("onnx-int8", 0.5), ("onnx", 1.0))]

    def counted(number: int, gated: Gated) -> Gated:
        def call(feed: Any) -> object:
            calls.append(number)
            return gated.call(feed)

        return Gated(gated.trained, gated.way, gated.backend, call, gated.parity)

    ratio = time_ratio(counted(0, pair[0]), counted(1, pair[1]), PLAN)
    assert ratio == pytest.approx(0.5)
    assert calls[:100] == [0] * 50 + [1] * 50
    assert sorted(calls[100:]) == [0] * 15 * (20 + DISCARD) + [1] * 15 * (20 + DISCARD)
