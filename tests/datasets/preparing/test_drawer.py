"""The draw of negatives alone: who may be drawn, in which shares, and on which rows it lands."""

from pathlib import Path

import numpy as np
import pytest

from fusefront.datasets.preparing import negatives
from fusefront.datasets.preparing.negatives import PAIR, Drawer, PositiveEvents, sort_events
from fusefront.datasets.spec import Negatives

ROW = [("user", "<u8"), ("row", "<i8"), ("time", "<i8"), ("request", "<u8"), ("item", "<i4")]
ROW += [("label", "u1"), ("own", "u1"), ("note", "<i4")]
LATER = np.iinfo(np.int64).max


def rows(*values: tuple[int, int, int, int], events: bool = False) -> np.ndarray:
    """(user, row, time, item) of positives; with `events`, the column of other events too."""
    result = np.zeros(len(values), [*ROW, ("event", "u1")] if events else ROW)
    for place, (user, row, time, item) in enumerate(values):
        result[place]["user"], result[place]["row"] = user, row
        result[place]["time"], result[place]["item"] = time, item
        result[place]["note"] = 100 + row
    result["label"] = result["own"] = 1
    return result


def drawer(n: int = 2, items: int = 5, **changes: object) -> Drawer:
    spec = Negatives.model_validate({"per_positive": n, "seed": changes.pop("seed", 0)})
    plain: dict[str, object] = {"first_seen": None, "events": None, "counts": None} | changes
    return Drawer(spec, items, 1000, **plain)  # type: ignore[arg-type]


def test_drawn_rows_follow_with_their_positives_context_and_rows_of_their_own() -> None:
    values = rows((7, 3, 0, 1), (8, 0, 0, 2), events=True)
    values["event"] = 1
    result = drawer().extend(values)
    assert result[:2].tolist() == values.tolist()
    drawn = result[2:]
    assert drawn["row"].tolist() == [1000 + 3 * 2, 1000 + 3 * 2 + 1, 1000, 1001]
    assert drawn["note"].tolist() == [103, 103, 100, 100]
    assert drawn["user"].tolist() == [7, 7, 8, 8]
    for name in ("label", "own", "event"):
        assert not drawn[name].any()
    for first in (0, 2):
        pair = drawn["item"][first : first + 2].tolist()
        assert len(set(pair)) == 2
        assert set(pair) <= {1, 2, 3, 4, 5} - {1 + first // 2}


def test_only_positives_draw_and_alone_each_names_a_request_of_its_own() -> None:
    values = rows((7, 3, 0, 1), (7, 4, 0, 2), (7, 5, 0, 3))
    values["label"][1] = 0
    result = drawer(alone=True).extend(values)
    assert result["request"][:3].tolist() == [4, 5, 6]
    assert result["row"][3:].tolist() == [1006, 1007, 1010, 1011]
    assert result["request"][3:].tolist() == [4, 4, 6, 6]
    with_requests = rows((7, 3, 0, 1))
    with_requests["request"] = 77
    assert drawer().extend(with_requests)["request"].tolist() == [77] * 3
    assert len(drawer().extend(rows())) == 0


def test_what_no_item_is_left_for_is_counted() -> None:
    draws = drawer(n=4, items=4)
    result = draws.extend(rows((1, 0, 0, 1), (1, 1, 0, 3), (2, 2, 0, 2)))
    assert draws.missing == 2 + 2 + 1
    assert sorted(result["item"][3:].tolist()) == [1, 2, 2, 3, 4, 4, 4]


@pytest.mark.parametrize("seed", [0, 9])
def test_without_times_every_item_is_as_likely(seed: int) -> None:
    values = rows(*((user, user, 0, 1) for user in range(3000)))
    result = drawer(n=1, items=4, seed=seed).extend(values)
    count = np.bincount(result["item"][3000:], minlength=5)
    assert count[:2].tolist() == [0, 0]
    assert np.abs(count[2:] - 1000).max() < 5 * (3000 * 2 / 9) ** 0.5
    other = drawer(n=1, items=4, seed=seed + 1).extend(values)
    assert (result["item"] != other["item"]).mean() > 0.2


def test_popular_items_are_drawn_by_their_counts_and_the_unseen_once() -> None:
    counts = np.array([99, 0, 5, 2, 7])  # the first place is of no item, the last is clicked
    values = rows(*((user, user, 0, 4) for user in range(5000)))
    result = drawer(n=1, items=4, counts=counts).extend(values)
    count = np.bincount(result["item"][5000:], minlength=5)
    assert count[[0, 4]].tolist() == [0, 0]
    for item, weight in ((1, 1), (2, 6), (3, 3)):
        share = weight / 10
        assert abs(count[item] - 5000 * share) < 5 * (5000 * share * (1 - share)) ** 0.5


def test_items_are_drawn_once_they_were_seen_strictly_before() -> None:
    first_seen = np.array([0, 50, 10, 30, LATER, 10])
    draws = drawer(n=1, items=5, first_seen=first_seen)
    times = np.array([10, 11, 30, 31, 50, 51, 10**9])
    lowest = draws._pick(np.zeros(7), times).tolist()
    highest = draws._pick(np.full(7, 1 - 2**-53), times).tolist()
    assert lowest == [0, 2, 2, 2, 2, 2, 2]
    assert highest == [0, 5, 5, 3, 3, 1, 1]
    middle = draws._pick(np.full(7, 0.5), times).tolist()
    assert middle == [0, 5, 5, 5, 5, 3, 3]
    alone = drawer(n=1, items=2, first_seen=np.array([0, 40, 10]))
    assert alone._pick(np.full(3, 0.5), np.array([10, 11, 41])).tolist() == [0, 2, 1]


def test_popular_items_are_drawn_among_the_events_before() -> None:
    events = PositiveEvents(np.array([10, 10, 20, 30, 30]), np.array([4, 2, 4, 1, 3], np.int32))
    draws = drawer(n=1, items=5, events=events)
    times = np.array([10, 11, 21, 31])
    places = {0.0: [0, 4, 4, 4], 0.5: [0, 2, 2, 4], 0.7: [0, 2, 4, 1], 1 - 2**-53: [0, 2, 4, 3]}
    for draw, expected in places.items():
        assert draws._pick(np.full(4, draw), times).tolist() == expected
    alone = PositiveEvents(np.array([10]), np.array([4], np.int32))
    one_before = drawer(n=1, items=5, events=alone)._pick(np.zeros(2), np.array([10, 11]))
    assert one_before.tolist() == [0, 4]


@pytest.mark.parametrize(("part", "block"), [(7, 3), (1 << 23, 1 << 20), (40, 7)])
def test_events_are_sorted_on_disk_by_time_whatever_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int, block: int
) -> None:
    monkeypatch.setattr(negatives, "_PART_ROWS", part)
    monkeypatch.setattr(negatives, "_BLOCK", block)
    rng = np.random.default_rng(0)
    pairs = np.zeros(40, PAIR)
    pairs["time"], pairs["item"] = rng.integers(-9, 9, 40), rng.integers(1, 99, 40)
    (tmp_path / "pairs").write_bytes(pairs.tobytes())
    (tmp_path / "times").write_bytes(np.ascontiguousarray(pairs["time"]).tobytes())
    events = sort_events(tmp_path / "pairs", tmp_path / "times", tmp_path)
    assert list(zip(events.times.tolist(), events.items.tolist(), strict=True)) == sorted(
        pairs.tolist()
    )
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["event_items", "event_times", "times"]
