"""Columns, twins and blocks of vectors against all pairs and all rows, kept as floats or int8."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fusefront.datasets.audit import vectors as module
from fusefront.datasets.audit.finding import Finding, percent
from fusefront.datasets.audit.shifted import (
    ShiftEvidence,
    _finding,
    _least,
    _likeness_within,
    _times_held,
    of_fields,
)
from fusefront.datasets.audit.vectors import (
    check_columns,
    check_twins,
    floats_of,
    moments,
    read_vectors,
    twin_rows,
)


def store_of(
    table: np.ndarray, present: np.ndarray | None = None, scale: np.ndarray | None = None
) -> Any:
    """A store of the vectors of items 1 and on; row 0 is no item."""
    there = np.ones(len(table), bool) if present is None else present
    items = SimpleNamespace(
        vectors={"text": np.concatenate([table[:1] * 0, table])},
        scales={} if scale is None else {"text": np.append(0.0, scale)},
        present=np.append(False, there)[:, None],
    )
    schema = SimpleNamespace(modalities={"text": table.shape[1]})
    return SimpleNamespace(items=items, manifest=SimpleNamespace(schema_=schema))


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(1).normal(0.0, 1.0, (60, 6))


def test_vectors_are_read_in_blocks_and_int8_in_their_scale(
    noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    scale = np.linspace(0.5, 2.0, 60)
    codes = np.rint(40 * noise).astype(np.int8)
    store, rows = store_of(codes, scale=scale), np.array([3, 1, 60, 7, 12, 13, 14, 2])
    truth = np.array([[scale[r - 1] * int(v) for v in codes[r - 1]] for r in rows])
    np.testing.assert_allclose(floats_of(store, "text", rows), truth)
    plain = store_of(codes)
    assert floats_of(plain, "text", rows).tolist() == codes[rows - 1].tolist()
    monkeypatch.setattr(module, "BLOCK", 3)
    parts = list(read_vectors(store, "text", rows))
    assert [(part.start, part.stop) for part, _ in parts] == [(0, 3), (3, 6), (6, 8)]
    np.testing.assert_allclose(np.concatenate([block for _, block in parts]), truth)
    mean, deviation, broken = moments(store, "text", rows)
    np.testing.assert_allclose(mean, truth.mean(0))
    np.testing.assert_allclose(deviation, truth.std(0))
    assert broken == 0


def test_values_that_are_no_numbers_are_counted_and_read_as_0(noise: np.ndarray) -> None:
    noise[3, 2], noise[3, 4], noise[10, 2] = np.nan, np.inf, -np.inf
    store, rows = store_of(noise), np.arange(1, 61)
    mean, deviation, broken = moments(store, "text", rows)
    finite = np.where(np.isfinite(noise), noise, 0.0)
    np.testing.assert_allclose(mean, finite.mean(0))
    np.testing.assert_allclose(deviation, finite.std(0))
    assert broken == 3
    (finding,) = check_columns(store, None)  # type: ignore[arg-type]
    assert (finding.name, finding.severity) == ("not_finite.text", "severe")
    assert finding.numbers == {"values": 3}
    assert module._finite(store, "text", rows).tolist() == [
        r for r in range(1, 61) if r not in (4, 11)
    ]


@pytest.mark.parametrize(
    ("mean", "deviation", "constant"),
    [
        (1000.0, 0.0009, True),
        (1000.0, 0.0011, False),
        (-1000.0, 0.0009, True),
        (-1000.0, 0.0011, False),
        (0.0, 0.0, True),
        (0.0, 1e-10, False),
        (0.5, 1e-9, True),
    ],
)
def test_a_column_that_moves_by_a_millionth_of_itself_is_constant(
    noise: np.ndarray, mean: float, deviation: float, constant: bool
) -> None:
    noise[:, 4] = mean + deviation * np.where(np.arange(60) % 2, 1.0, -1.0)
    findings = by_name(check_columns(store_of(noise), None))  # type: ignore[arg-type]
    assert ("constant_columns.text" in findings) == constant
    if constant:
        assert findings["constant_columns.text"].numbers == {"columns": 1, "width": 6, "first": 4}
        assert findings["constant_columns.text"].title == (
            "1 of the 6 columns of 'text' are constant."
        )


def test_a_typical_column_is_the_middle_of_those_that_are_not_all_0() -> None:
    """Sizes 1, 2, 3, 0 and 0: the middle is 2, and 200 is not over 100 times that."""
    signs = np.where(np.arange(40) % 2, 1.0, -1.0)[:, None]
    for last, flagged in ((200.0, False), (300.5, True), (249.0, False)):
        table = signs * np.array([1.0, 2.0, 3.0, 0.0, 0.0, last])
        findings = by_name(check_columns(store_of(table), None))  # type: ignore[arg-type]
        assert ("exploding_columns.text" in findings) == flagged
        if flagged:
            finding = findings["exploding_columns.text"]
            assert finding.numbers == pytest.approx(
                {"columns": 1, "worst": 5, "size": 300.5, "typical": 2.5, "ratio": 120.2}
            )
            assert finding.title == (
                "1 of the 6 columns of 'text' are over 100 times larger than a typical one (column "
                "5: 300 against 2.5)."
            )
    table = signs * np.array([1.0, 1.0, 1.0, 100.0, 100.0 + 2**-40])
    (finding,) = check_columns(store_of(table), None)  # type: ignore[arg-type]
    assert finding.numbers["columns"] == 1  # 100 times as large is not over 100 times
    shifted = np.array([3.0, 1.0, 1.0, 1.0]) + np.concatenate([4 * signs, signs, signs, signs], 1)
    shifted[:, 0] *= 21
    (finding,) = check_columns(store_of(shifted - [0, 1, 1, 1]), None)  # type: ignore[arg-type]
    assert finding.numbers["size"] == pytest.approx(105.0)  # 21 times the root of 9 + 16


def test_one_vector_alone_has_no_columns_and_no_twin(noise: np.ndarray) -> None:
    for count in (0, 1):
        store = store_of(noise * 0 + 5.0, np.arange(60) < count)
        assert check_columns(store, None) == check_twins(store, None) == []  # type: ignore[arg-type]
    pair = store_of(noise * 0 + 5.0, np.arange(60) < 2)
    (finding,) = check_columns(pair, None)  # type: ignore[arg-type]
    assert finding.severity == "severe"


def twins_of(table: np.ndarray) -> list[int]:
    """All pairs: rows with another whose centred cosine is above .9998."""
    centred = table - table.mean(0)
    unit = centred / np.linalg.norm(centred, axis=1)[:, None]
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -1.0)
    return (1 + np.flatnonzero(cosine.max(1) > 0.9998)).tolist()


@pytest.mark.parametrize("block", [7, 16_384])
def test_twins_are_those_of_all_pairs(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty pairs whose cosines lie around the bound, three of one vector; all with opposites."""
    monkeypatch.setattr(module, "BLOCK", block)
    rng = np.random.default_rng(4)
    table = rng.standard_normal((150, 24))
    for k in range(40):
        angle = 0.016 + 0.0002 * k  # the bound is at .0200
        other = rng.standard_normal(24)
        other -= (other @ table[k]) / (table[k] @ table[k]) * table[k]
        other *= np.linalg.norm(table[k]) / np.linalg.norm(other)
        table[100 + k] = 1.5 * (np.cos(angle) * table[k] + np.sin(angle) * other)
    table[140] = table[141] = table[142]
    table = np.concatenate([table, -table]) + 3.0  # the mean is 3
    rows = np.arange(1, 301)
    expected = twins_of(table)
    assert 60 < len(expected) < 110
    twins = twin_rows(store_of(table), "text", rows).tolist()
    assert set(twins) <= set(expected)
    assert len(twins) >= 0.9 * len(expected)  # buckets may part a pair in all four tables
    assert {141, 142, 143, 291, 292, 293} <= set(twins)
    (finding,) = check_twins(store_of(table), None)  # type: ignore[arg-type]
    assert finding.numbers == {"items": len(twins), "share": len(twins) / 300}
    assert finding.title == (
        f"{percent(len(twins) / 300)} of the items with 'text' ({len(twins)}) have nearly the "
        "vector of another item."
    )


def test_a_vector_that_is_no_number_is_nobodys_twin(noise: np.ndarray) -> None:
    noise[5] = noise[4]
    noise[7] = noise[8]
    noise[8, 0] = np.nan
    (finding,) = check_twins(store_of(noise), None)  # type: ignore[arg-type]
    assert finding.numbers == {"items": 2, "share": 2 / 59}
    few = np.concatenate([noise] * 4)[:210]
    few = np.random.default_rng(0).normal(0, 1, few.shape)
    few[5] = few[4]
    assert check_twins(store_of(few), None) == []  # type: ignore[arg-type]  # 2 of 210: under 1 %


# shifts


def test_how_often_a_rows_item_is_in_its_history_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(7)
    pasts = [rng.integers(1, 4, n).tolist() for n in (0, 3, 9, 1, 0, 6)]
    owner = np.repeat(np.arange(6), [2, 3, 1, 4, 2, 3])
    item = rng.integers(1, 6, 15)
    entries = np.array([i for past in pasts for i in past])
    request = np.repeat(np.arange(6), [len(past) for past in pasts])
    expected = [pasts[o].count(i) for o, i in zip(owner.tolist(), item.tolist(), strict=True)]
    assert max(expected) > 1
    assert _times_held(entries, request, owner, item).tolist() == expected
    nothing = np.zeros(0, np.int64)
    assert _times_held(nothing, nothing, owner, item).tolist() == [0] * 15


def test_the_evidence_is_the_smaller_in_size_of_the_ways_that_terms_hang_together() -> None:
    terms = np.array([1.0, 2.0, -4.0, 3.0, 0.5])
    alone, pairs = np.arange(5), np.array([0, 0, 1, 1, 2])
    z_alone = terms.sum() / np.sqrt((terms**2).sum())
    z_pairs = 2.5 / np.sqrt(9 + 1 + 0.25)
    assert abs(z_alone) < abs(z_pairs)
    assert _least(terms, (alone, pairs)) == pytest.approx(z_alone)
    assert _least(terms, (pairs, alone)) == pytest.approx(z_alone)
    assert _least(-terms, (pairs,)) == pytest.approx(-z_pairs)
    assert _least(-terms, (pairs, alone)) == pytest.approx(-z_alone)
    assert _least(terms * 0, (alone,)) == 0.0


def test_every_field_has_its_own_columns_and_is_named() -> None:
    rng = np.random.default_rng(9)
    codes = rng.integers(0, 4, (30, 3))  # the first field has two columns
    fields = (SimpleNamespace(name="a", columns=2), SimpleNamespace(name="b", columns=1))
    store: Any = SimpleNamespace(
        items=SimpleNamespace(fields=codes),
        manifest=SimpleNamespace(schema_=SimpleNamespace(item_fields=fields)),
    )
    tables = [rng.standard_normal((30, 5)).astype(np.float32) for _ in range(3)]
    evidence = list(of_fields(store, tables))
    assert [(z.kind, z.shift) for z in evidence] == [
        ("the field 'a'", 1),
        ("the field 'a'", -1),
        ("the field 'b'", 1),
        ("the field 'b'", -1),
    ]

    def score(terms: np.ndarray) -> float:
        return float(terms.sum() / np.sqrt((terms**2).sum()) / np.sqrt(2))

    for z, column, other in zip(evidence, (0, 0, 2, 2), (1, 2, 1, 2), strict=True):
        own = _likeness_within(codes[:, column], tables[0])
        moved = _likeness_within(codes[:, column], tables[other])
        expected = (score(own), score(moved), score(moved - own))
        assert (z.own, z.shifted, z.better) == pytest.approx(expected)


@pytest.mark.parametrize(("shift", "where"), [(1, "after"), (-1, "before")])
def test_a_shift_is_said_with_its_evidence(shift: int, where: str) -> None:
    finding = _finding("text", ShiftEvidence("clicks", shift, 1.25, 9.06, 7.5))
    assert finding.title == (
        "The vectors of 'text' lie one row off: by clicks an item fits the vector of the row "
        f"{where} it (z = 9.1) far better than its own (z = 1.2)."
    )
    assert finding.numbers == {"shift": shift, "z_own": 1.25, "z_shifted": 9.06, "z_better": 7.5}
