"""Gaps on record: what is written, shown, and held by the gate."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from fusefront.harness.dossier.group_gaps import (
    FILE,
    allowed_gaps,
    beyond,
    read_gaps,
    shown_gaps,
    write_gaps,
)
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import SliceCodes


def source_of(*, sensitive: bool) -> Any:
    rng, n = np.random.default_rng(1), 800
    group = np.arange(n) % 2
    label = (rng.random(n) < 0.5).astype(np.uint8)
    request = np.repeat(np.arange(n // 4), 4)
    rows = RowTable(label, request // 2, request, np.zeros(n, np.int32), np.arange(n))
    logits = {s: (label * (1 - group) * 2 + rng.normal(size=n)).astype(np.float32) for s in (1, 2)}
    slices = (SliceCodes("maker", ("large", "small"), group, sensitive=sensitive),)
    return SimpleNamespace(
        rows=lambda split: rows,
        slices=lambda split: slices,
        cluster="user",
        strategies=("mine", "popularity"),
        role=lambda name: "strategy" if name == "mine" else "control",
        seeds=lambda name: (1, 2),
        logits=lambda name, seed, split: logits[seed],
    )


def study(path: Path) -> Any:
    return cast(
        Any, SimpleNamespace(path=path, spec=SimpleNamespace(money=SimpleNamespace(top_k=2)))
    )


def test_gaps_of_strategies_are_written_where_a_slice_is_sensitive(tmp_path: Path) -> None:
    write_gaps(study(tmp_path), source_of(sensitive=False), 0.95)
    assert not (tmp_path / FILE).exists()
    assert read_gaps(study(tmp_path)) == []
    write_gaps(study(tmp_path), source_of(sensitive=True), 0.95)
    rows = read_gaps(study(tmp_path))
    assert [(row["strategy"], row["measure"]) for row in rows] == [
        ("mine", measure) for measure in ("auc", "pcoc", "exposure")
    ]
    auc = rows[0]["gap"]
    assert auc["low"] is not None
    assert 0.2 < auc["low"] < auc["value"] < 0.6
    shown = shown_gaps(study(tmp_path), ["mine", None])
    assert [(gap.slice, gap.group, gap.other) for gap in shown] == [("maker", "large", "small")] * 3
    assert shown[0].gap.value == auc["value"]
    assert shown_gaps(study(tmp_path), ["other"]) == ()


def row(value: float, low: float | None, high: float | None, measure: str = "auc") -> Any:
    gap = {"value": value, "low": low, "high": high}
    groups = {"slice": "s", "group": "a", "other": "b"}
    return {"strategy": "x", "measure": measure, **groups, "gap": gap}


def test_a_gap_fails_where_it_is_shown_to_be_larger() -> None:
    rows = [
        row(0.05, 0.03, 0.07),
        row(0.05, 0.02, 0.08),  # its interval reaches what is allowed
        row(-0.05, -0.07, -0.021),
        row(0.5, None, None),
        row(0.5, 0.4, 0.6, "exposure"),  # nothing is said of that
    ]
    sentences = beyond(rows, {"auc": 0.02})
    assert sentences == [
        "x: auc of s a differs from b by +0.0500 [+0.0300, +0.0700], allowed is 0.02",
        "x: auc of s a differs from b by -0.0500 [-0.0700, -0.0210], allowed is 0.02",
    ]
    assert beyond(rows, {}) == []


def test_what_is_allowed_is_a_measure_and_a_size() -> None:
    assert allowed_gaps(["auc=0.02", "exposure=0"]) == {"auc": 0.02, "exposure": 0.0}
    for text in ("auc", "auc=", "auc=x", "f1=0.2", "auc=-1", "auc=nan"):
        with pytest.raises(ValueError, match=f"--max-gap '{text}': expected MEASURE=SIZE with"):
            allowed_gaps([text])
