"""Counters, fingerprint and costs."""

import os
import time

import pytest
import torch

from fusefront.harness.serving.latency.cost import multiplications, per_million
from fusefront.harness.serving.latency.fingerprint import fingerprint, identity, in_words
from fusefront.harness.serving.latency.kernel_counters import (
    Counters,
    State,
    others,
    read_counters,
    read_state,
)


def test_counters_only_grow():
    before = read_counters()
    time.sleep(0.001)
    assert all(value is None or value >= 0 for value in read_counters().since(before))
    assert Counters(None, 1, 1, 1).since(Counters(3, 0, 0, 0)).run_delay_ns is None


def test_others_names_what_ran_and_how_much():
    before = State(0, 0.0, 0.0, {7: ("cat", 1.0), 8: ("dog", 5.0)})
    after = State(0, 0.0, 0.0, {7: ("cat", 6.0), 8: ("dog", 5.01), 9: ("dog", 2.0)})
    assert others(before, after, 10.0) == ["cat 0.50 cores", "dog 0.20 cores"]


def test_state_does_not_name_this_process():
    assert os.getpid() not in read_state().busy


def test_fingerprint_is_stable_and_knows_the_threads():
    first = identity(1)
    assert fingerprint(first) == fingerprint(identity(1))
    assert fingerprint(first) != fingerprint(identity(2))
    assert "ONNX Runtime" in in_words(first)
    assert "one thread" in in_words(first)


def test_cost_is_price_times_time():
    seconds_per_prediction = 0.002 / 100
    expected = 0.05 * 1e6 * seconds_per_prediction / 3600 / 0.4
    assert per_million(0.05, 2.0, 100, 0.4) == pytest.approx(expected)
    with pytest.raises(ValueError, match="got load 0"):
        per_million(0.05, 2.0, 100, 0)


def test_multiplications_of_a_product_are_counted_exactly():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert multiplications(lambda: a @ b) == 3 * 5 * 7


def test_the_fused_attention_path_is_counted_too():
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    x = torch.ones(1, 6, 8)
    projections = 6 * 8 * 24 + 6 * 8 * 8 + 2 * 6 * 8 * 16
    attention = 2 * 2 * 6 * 6 * 4
    assert multiplications(lambda: layer(x)) == projections + attention
