"""Rows of a log file in order of time, block by block, against a sort of all at once."""

import numpy as np
import pytest

from fusefront.datasets.counting.log_rows import LogRows
from fusefront.datasets.counting.rows import CountedRows


def rows_of(count: int, times: int, seed: int = 0) -> CountedRows:
    rng = np.random.default_rng(seed)
    time = rng.integers(0, times, count)
    return CountedRows(
        False,
        rng.integers(0, 9, count),
        rng.integers(0, 5, count).astype(np.int32),  # 0 is not known
        rng.integers(0, 2, count).astype(np.uint8),
        time,
        time,
        np.arange(count),
        {"item.tags": rng.integers(0, 4, (count, 3)).astype(np.int32)},
    )


@pytest.mark.parametrize("block", [17, 1000])
@pytest.mark.parametrize("times", [1, 40, 10**6])
@pytest.mark.parametrize("requests", [0, 30, 500])
def test_slices_are_the_known_rows_in_order_of_time(tmp_path, block, times, requests) -> None:
    whole = rows_of(500, times)
    words = np.random.default_rng(1).integers(0, requests or 1, 500).astype(np.uint64)
    words = words * np.uint64(0x9E3779B97F4A7C15)
    log = LogRows(tmp_path / "work", 500, block)
    for begin in range(0, 500, 23):
        part = slice(begin, begin + 23)
        log.add(whole.take(part), words[part] if requests else None)
    moment = whole.time.copy()
    if requests:
        for word in np.unique(words):
            moment[words == word] = whole.time[words == word].min()
    order = [k for k in np.lexsort((whole.source, whole.time)) if whole.item[k]]
    expected = whole._replace(moment=moment).take(np.array(order))
    slices = list(log.slices())
    assert log.known == expected.size == sum(some.size for some, _ in slices)
    assert max(some.size for some, _ in slices) <= block
    first = 0
    for some, later in slices:
        part = expected.take(slice(first, first + some.size))
        first += some.size
        for name in CountedRows._fields[1:-1]:
            np.testing.assert_array_equal(getattr(some, name), getattr(part, name))
        np.testing.assert_array_equal(some.codes["item.tags"], part.codes["item.tags"])
        following = expected.moment[first:]
        assert later == (int(following.min()) if requests and len(following) else None)


def test_a_file_of_unknown_items_has_no_slice(tmp_path) -> None:
    rows = rows_of(20, 9)
    log = LogRows(tmp_path / "work", 20, 7)
    log.add(rows._replace(item=np.zeros(20, np.int32)), None)
    assert list(log.slices()) == []
    assert log.known == 0
