"""Distinct events of a batch against a plain loop."""

import numpy as np
import pytest

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.data.events import distinct_events, kinds_of


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("items", "most"), [(6, 3), (2, 1), (40, 7)])
def test_events_are_pairs_of_item_and_kind_once_each(items: int, most: int, seed: int) -> None:
    """No place is padded, and yet padding is the first event."""
    rng = np.random.default_rng(seed)
    history, kinds = rng.integers(1, items, (4, 5)), rng.integers(1, most + 1, (4, 5))
    events = distinct_events(history, kinds, items, most)
    pairs = list(zip(events.item.tolist(), events.kind.tolist(), strict=True))
    met = {(int(i), int(k)) for i, k in zip(history.ravel(), kinds.ravel(), strict=True)}
    assert pairs == [(0, 0), *sorted(met)]
    for row in range(4):
        for at in range(5):
            place = int(events.place[row, at])
            assert pairs[place] == (history[row, at], kinds[row, at])


def test_a_log_of_one_kind_tells_none_apart(ragged: PreparedDataset) -> None:
    assert kinds_of(ragged) == 0
