"""The loop's bookkeeping: order, discards, columns, flags. Figures are not looked at."""

from time import sleep

import numpy as np
import polars as pl

from fusefront.harness.serving.latency.session import (
    DISCARD,
    SAMPLES,
    VISITS,
    TimedSubject,
    is_contended,
    measure,
    warm_up,
)


def _subjects(log: list[tuple[str, object]], timed: int = 5) -> list[TimedSubject]:
    return [
        TimedSubject(
            name, lambda request, name=name: log.append((name, request)), range(1000), timed
        )
        for name in ("a", "b", "c")
    ]


def test_every_round_visits_every_subject_in_fresh_order():
    recording = measure(_subjects([]), 12, np.random.default_rng(0))
    orders = recording.visits.sort("round", "order").group_by("round", maintain_order=True)
    observed = [tuple(part["subject"]) for _, part in orders]
    assert all(sorted(order) == ["a", "b", "c"] for order in observed)
    assert len(set(observed)) > 3


def test_samples_and_visits_have_the_documented_columns():
    recording = measure(_subjects([]), 2, np.random.default_rng(0), fingerprint="f00")
    assert dict(recording.samples.schema) == SAMPLES
    assert dict(recording.visits.schema) == VISITS
    assert len(recording.samples) == 2 * 3 * (DISCARD + 5)
    assert recording.samples["fingerprint"].unique().to_list() == ["f00"]
    assert recording.samples["scheduled_ns"].null_count() == len(recording.samples)
    assert (recording.samples["latency_ns"] >= 0).all()


def test_discarded_requests_stay_in_the_file_and_out_of_the_numbers():
    recording = measure(_subjects([]), 3, np.random.default_rng(0))
    assert recording.samples["position"].min() == 0
    assert recording.counted()["position"].min() == DISCARD
    assert {len(r) for rounds in recording.by_round().values() for r in rounds} == {5}


def test_requests_walk_on_from_round_to_round():
    log: list[tuple[str, object]] = []
    recording = measure(_subjects(log), 2, np.random.default_rng(0))
    served = [request for name, request in log if name == "a"]
    assert served == [*range(DISCARD + 5), *range(5, 10 + DISCARD)]
    remaining = recording.samples.filter(pl.col("subject") == "a").sort("start_ns")
    assert remaining["request_id"].to_list() == served


def test_the_order_is_a_function_of_the_seed():
    first, again = (measure(_subjects([]), 4, np.random.default_rng(9)).visits for _ in range(2))
    assert first["subject"].to_list() == again["subject"].to_list()


def test_contended_visits_are_flagged_and_never_dropped():
    assert is_contended(3, 100)
    assert not is_contended(2, 100)
    assert not is_contended(None, 100)
    recording = measure(_subjects([]), 3, np.random.default_rng(0))
    assert set(recording.contended()) == {"a", "b", "c"}
    assert len(recording.visits) == 9


def test_warm_up_serves_as_many_requests_as_asked():
    log: list[tuple[str, object]] = []
    assert len(warm_up(_subjects(log)[0], 200)) == 200
    assert len(log) == 200


def test_warm_up_of_a_slow_subject_ends_early_and_never_before_20():
    slow = TimedSubject("slow", lambda _: sleep(0.03), [0])
    assert len(warm_up(slow, 200, longest_s=0.1)) == 20
