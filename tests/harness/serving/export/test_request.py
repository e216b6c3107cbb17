"""Feeds of single requests as one feed."""

import numpy as np

from fusefront.harness.serving.export.request import FeedShape, joined

SHAPE = FeedShape(2, 1, 2, 1, 5, history_kinds=3)


def test_requests_of_unequal_histories_become_one_feed_padded_on_the_left() -> None:
    rng = np.random.default_rng(0)
    lengths = (3, 1, 5, 4)
    feeds = []
    for length in lengths:
        feed = SHAPE.arrays(1, 7, length)
        for array in feed.values():
            array[:] = 1 if array.dtype == bool else rng.integers(1, 4, array.shape)
        feeds.append(feed)
    together = joined(feeds)
    assert {name: array.shape for name, array in together.items()} == {
        name: array.shape for name, array in SHAPE.arrays(4, 7, 5).items()
    }
    for row, (length, feed) in enumerate(zip(lengths, feeds, strict=True)):
        for name, array in feed.items():
            own = together[name][row : row + 1]
            if name.startswith("history"):
                assert not own[:, : 5 - length].any()
                own = own[:, 5 - length :]
            assert own.dtype == array.dtype
            np.testing.assert_array_equal(own, array)
