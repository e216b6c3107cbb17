"""Later looks at test: intervals, critical values and verdicts by what is left to spend."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fusefront.harness.statistics.compare import compare
from fusefront.harness.statistics.comparison import Comparison
from fusefront.harness.statistics.options import Options, spent
from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource

OPTIONS = Options("today", metrics=("auc", "logloss"), workers=1)


@pytest.fixture(scope="module")
def source() -> MemorySource:
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(150), 12)
    known = rng.standard_normal(len(user))
    label = (rng.random(len(user)) < 1 / (1 + np.exp(1 - known))).astype(np.uint8)
    rows = RowTable(label, user, user, rng.integers(0, 900, len(user)), np.arange(len(user)))
    scores = {
        name: {
            seed: (known + noise * rng.standard_normal(len(user))).astype(np.float32)
            for seed in range(4)
        }
        for name, noise in (("today", 1.0), ("rival", 0.9), ("third", 1.2))
    }
    return MemorySource(rows, scores)


def test_all_later_looks_together_spend_as_much_as_the_first() -> None:
    assert [spent(look) for look in (0, 1)] == [0.05, 0.05]
    later = sum(spent(look) for look in range(2, 4000))
    assert later == pytest.approx(0.05, rel=1e-3)


def test_the_second_look_is_at_97_5_percent(source: MemorySource) -> None:
    first, second = (compare(source, replace(OPTIONS, look=look)) for look in (1, 2))
    assert (first.look, first.model.level, first.alpha) == (1, 0.95, 0.05)
    assert (second.look, second.model.level, second.alpha) == (2, 0.975, 0.025)
    pair, a, b = second.pair("rival", "today"), 1, 0
    half = max(stats.t.ppf(0.9875, pair.df), second.c_base) * pair.se
    assert pair.high - pair.difference == pytest.approx(half)
    assert second.model.pair(a, b).high - pair.difference == pytest.approx(
        stats.t.ppf(0.9875, pair.df) * pair.se
    )
    assert second.row("rival").differences["auc"].high == pytest.approx(pair.high)
    assert second.c_base > first.c_base + 0.1
    assert second.c_all > first.c_all + 0.1
    for name in ("auc", "logloss"):
        early, late = (c.row("third").metrics[name] for c in (first, second))
        assert late.high - late.low > early.high - early.low
    assert "look 2" in " ".join(second.notes)
    assert second.notes[0].startswith("Intervals are 97.5 %")
    again = Comparison.from_dict(second.to_dict())
    assert (again.look, again.model.level) == (2, 0.975)


def test_older_files_are_first_looks(source: MemorySource) -> None:
    record = compare(source, OPTIONS).to_dict()
    del record["look"], record["model"]["level"]
    older = Comparison.from_dict(record)
    assert (older.look, older.model.level) == (1, 0.95)
