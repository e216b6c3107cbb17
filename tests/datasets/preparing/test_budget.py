"""The plan of memory: every size worked out by hand, at and beside each bound."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusefront.datasets.errors import SpecError
from fusefront.datasets.manifest import SplitCounts
from fusefront.datasets.preparing import pipeline
from fusefront.datasets.preparing.budget import Budget, RowBytes, parse_size, plan, size
from fusefront.datasets.preparing.counters import disk_of, facts_of_counters
from fusefront.datasets.preparing.history_widths import Entries
from fusefront.datasets.preparing.spill import _bucket
from fusefront.datasets.preparing.splits import Cuts
from fusefront.datasets.spec import DatasetSpec, parse_spec

MIB = 1 << 20
BASE = 260 * MIB  # before any row or item


def test_small_rows_fill_a_fifth_of_what_is_free_with_a_chunk() -> None:
    fixed = BASE + 96 * 1000
    free = (1 << 30) - fixed  # 801,016,064
    assert free // 5 // (58 * 6) == 460_354
    peak = fixed + 100 * 58 * 6 + 100 * 54 * 9
    budget = plan(100, RowBytes(50, 8, 4), 1000, 1 << 30)
    assert budget == Budget(1 << 30, 460_354, 0, peak, 100 * 54)


def test_without_a_limit_four_gibibytes_are_allowed_and_chunks_end_at_half_a_million() -> None:
    peak = BASE + (1 << 19) * 18 * 6 + (1 << 20) * 18 * 9
    assert plan(1 << 20, RowBytes(14), 0, None) == Budget(4 << 30, 1 << 19, 0, peak, 18 << 20)


@pytest.mark.parametrize(
    ("wide", "chunk"),
    [
        (682, 4096),  # 16 MiB hold 4,100 such rows
        (683, 4094),  # and just fewer of these
        (10_000, 279),
        (10_923, 256),
        (20_000, 256),  # 139 would do
    ],
)
def test_however_little_is_allowed_a_chunk_has_some_rows(wide: int, chunk: int) -> None:
    budget = plan(10, RowBytes(wide - 4), 0, BASE + 20 * wide * 9)
    assert budget.chunk_rows == chunk
    assert budget.peak == BASE + 10 * wide * (6 + 9)  # no more rows than there are


def test_rows_are_halved_into_buckets_until_one_takes_six_tenths_of_what_is_free() -> None:
    limit, row = BASE + 90 * MIB, RowBytes(92)
    assert plan(65_536, row, 0, limit).bits == 0  # 65,536 rows of 96 bytes nine times over: 54 MiB
    over = plan(65_537, row, 0, limit)
    assert over.bits == 1
    chunk = 18 * MIB // (96 * 6)
    assert over == Budget(limit, chunk, 1, BASE + chunk * 576 + 32_768 * 864, 65_537 * 96)
    assert plan(65_536 * 5, row, 0, limit).bits == 3


def test_there_are_16384_buckets_at_most() -> None:
    row, rows = RowBytes(8, 8, 8), 1 << 30
    least = (16_384 * 8 + 65_536 * 8) * 9
    budget = plan(rows, row, 0, BASE + least)
    assert budget.bits == 14
    assert (rows >> 14) * 16 * 9 > 0.6 * least  # more would be halved again
    with pytest.raises(SpecError, match="is too little"):
        plan(rows, row, 0, BASE + least - 1)


def test_a_bucket_of_few_rows_must_fit_and_the_sentence_says_what_would() -> None:
    row = RowBytes(1 << 10, 4, 1 << 12)
    least = (16_384 * 1024 + 1_024 * 4096) * 9  # 180 MiB
    assert plan(50_000, row, 0, BASE + least).limit == BASE + least
    with pytest.raises(
        SpecError,
        match=r"^--max-memory 440\.0 MiB is too little: 7 items and one bucket need 440\.0 MiB; "
        "allow that much$",
    ):
        plan(50_000, row, 7, BASE + least + 7 * 96 - 1)
    few = (300 * 1024 + 300 * 4096) * 9  # no more rows than there are
    assert plan(300, row, 0, BASE + few).bits == 1
    with pytest.raises(SpecError, match="is too little"):
        plan(300, row, 0, BASE + few - 1)


def test_what_is_planned_is_said() -> None:
    sentence = Budget(3 << 30, 12_345, 2, 5 << 19, 5 << 10).sentence(1_000_000)
    assert sentence == (
        "1,000,000 rows; memory at most 3.0 GiB, expected 2.5 MiB: chunks of 12,345 rows, 4 "
        "buckets of about 250,000 rows; at most 5 KiB of temporary files"
    )


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("7", 7),
        ("7b", 7),
        ("2k", 2048),
        ("2 KiB", 2048),
        ("0.5m", 1 << 19),
        (" 1.5GB ", 3 << 29),
        ("4GiB", 4 << 30),
        ("1t", 1 << 40),
    ],
)
def test_sizes_are_read_with_every_unit(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "0", "0.0g", "four", "4e", "-1g", "1.5.2g", "1gg"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="expected a number and a unit such as 4GiB or 512M"):
        parse_size(text)


@pytest.mark.parametrize(
    ("count", "sentence"),
    [
        (1023, "1023 B"),
        (1024, "1 KiB"),
        ((1 << 20) - 1024, "1023 KiB"),
        (1 << 20, "1.0 MiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 40, "1.0 TiB"),
        (3 << 39, "1.5 TiB"),
    ],
)
def test_sizes_are_said_in_the_largest_unit_that_they_fill(count: int, sentence: str) -> None:
    assert size(count) == sentence


def counted(*counters: object, **more: object) -> DatasetSpec:
    raw = {
        "name": "shop",
        "interactions": {"path": "log.parquet"},
        "columns": {"user": "u", "item": "i", "label": "y", "timestamp": "t"},
        "split": {"by": "time", "valid": 0.1, "test": 0.2},
        "history": {"from": "log", "max_length": 5},
        "items": {"keys": "log"},
        "counters": list(counters),
        **more,
    }
    return parse_spec(raw, "spec")


def test_counters_need_files_and_none_need_none() -> None:
    """A record of 25 bytes twice, a result of 24, two sums of 8, and the row's time of 8."""
    assert disk_of(counted(), "s", 1000) == 0
    assert disk_of(counted({"of": "user"}), "s", 1000) == 1000 * (2 * 25 + 24 + 2 * 8 + 8)


def test_many_counters_need_their_sums_and_numbers_at_the_end() -> None:
    """Twelve fields: two sums of 8 each, two numbers of 8 each (shown, rate), the row's time."""
    fields = [f"f{number}" for number in range(12)]
    spec = counted(
        *({"of": f"request.{field}"} for field in fields),
        request_fields=[{"column": field, "type": "category"} for field in fields],
    )
    assert disk_of(spec, "s", 1000) == 1000 * (12 * 16 + 12 * 2 * 8 + 8)


def test_drawn_rows_and_what_a_history_reads_are_planned_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three negatives beside each positive; a history column of 20 entries, the newest 7 kept."""
    planned: list[tuple[object, ...]] = []

    def plan(*words: object) -> Budget:
        planned.append(words)
        return Budget(0, 0, 0, 0, 64)

    monkeypatch.setattr(pipeline, "plan", plan)
    drawn: dict[str, Any] = {
        "negatives": {"per_positive": 3},
        "columns": {"user": "u", "item": "i", "timestamp": "t"},
    }
    spec = counted({"of": "user"}, **drawn)
    recorder: Any = SimpleNamespace(
        dtype=np.dtype("V10"), clock=SimpleNamespace(unit="s"), kinds=None
    )
    budget = pipeline._budget(spec, recorder, 1000, 50, Entries(20, 7), 9)
    assert planned == [(1000, RowBytes(40, 4, 28), 50, 9)]
    assert budget.disk == disk_of(spec, "s", 4000)
    column = counted(history={"from": "list", "column": "h", "max_length": 7}, **drawn)
    assert pipeline._budget(column, recorder, 1000, 50, Entries(20, 7), 9).disk == 64
    assert planned[-1] == (1000, RowBytes(40, 160, 28), 50, 9)


def test_rates_shrink_to_the_share_of_positives_in_train() -> None:
    spec = counted({"of": "user"})
    train = SplitCounts(requests=2, rows=8, positives=2, groups=1)
    facts = facts_of_counters(spec, train, "s", Cuts(spec.split, 7, 9))
    assert facts is not None
    assert (facts.rate, facts.train_until) == (0.25, 7)


def test_buckets_are_users_by_their_first_bits() -> None:
    words = np.random.default_rng(1).integers(0, 1 << 64, 200, dtype=np.uint64)
    for bits in (0, 1, 5):
        buckets = [int(word) * 2**bits // 2**64 for word in words.tolist()]
        assert _bucket(words, bits).tolist() == buckets
