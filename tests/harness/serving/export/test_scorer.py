"""How a loaded graph runs, and what it is fed with."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from small_graphs import graph_of, node

from fusefront.harness.serving.export.request import Feed, FeedShape, joined
from fusefront.harness.serving.export.scorer import Scorer, probability, session_options
from fusefront.harness.serving.export.searched import PLACES, SearchAhead, SearchedScorer


@pytest.fixture
def scorer(tmp_path: Path) -> Scorer:
    """Doubles x."""
    graph = graph_of([node("Add", "x x", "y")], {"x": np.zeros((1, 1), np.float32)})
    (tmp_path / "scorer.onnx").write_bytes(graph.SerializeToString())
    return Scorer(tmp_path / "scorer.onnx")


def test_a_session_has_one_thread_that_never_spins_and_prints_no_warning(scorer: Scorer) -> None:
    for options in (session_options(), scorer.session.get_session_options()):
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
        assert options.log_severity_level == 3  # errors
    more = session_options(4)
    assert (more.intra_op_num_threads, more.inter_op_num_threads) == (4, 1)
    again = Scorer(scorer.path, 2).session.get_session_options()
    assert again.intra_op_num_threads == 2


def test_a_scorer_reads_what_its_graph_has(scorer: Scorer) -> None:
    feed = {"x": np.array([[1.5, -2.0]], np.float32), "z": np.zeros(3)}
    assert scorer.inputs == ["x"]
    assert scorer.select(feed).keys() == {"x"}
    assert scorer.logits(feed).tolist() == [[3.0, -4.0]]
    assert [each.tolist() for each in scorer.run(scorer.select(feed))] == [[[3.0, -4.0]]]


def test_probabilities_have_no_limit_of_logits() -> None:
    logits = np.array([-1e4, -700.0, -30.0, -1.0, 0.0, 0.5, 40.0, 800.0, np.inf], np.float32)
    actual = probability(logits)
    assert actual.dtype == np.float64
    np.testing.assert_allclose(actual, expit(logits.astype(np.float64)), rtol=1e-13, atol=0)


NAMES = (
    *("request_ids", "request_numbers", "candidate_ids", "candidate_numbers"),
    *("max_history", "history_kinds"),
)


def test_a_shape_has_no_columns_but_those_that_are_given() -> None:
    assert FeedShape()._asdict() == dict.fromkeys(NAMES, 0)
    for at, name in enumerate(NAMES):
        shape = FeedShape.from_json({name: 2, "of another version": 3})
        assert shape == tuple(2 * (place == at) for place in range(6))
        assert FeedShape.from_json(shape._asdict()) == shape
    assert FeedShape().arrays(2, 3, 5).keys() == {"history", "history_mask", "candidates"}
    kinds = FeedShape(history_kinds=1).arrays(2, 3, 5)["history_kinds"]
    assert (kinds.shape, kinds.dtype, kinds.any()) == ((2, 5), np.int64, False)
    for name, shape, dtype in (
        ("request_ids", (2, 4), np.int64),
        ("request_numbers", (2, 4), np.float32),
        ("candidate_ids", (2, 3, 4), np.int64),
        ("candidate_numbers", (2, 3, 4), np.float32),
    ):
        array = FeedShape(**{name: 4}).arrays(2, 3, 5)[name]
        assert (array.shape, array.dtype, array.any()) == (shape, dtype, False)


def test_a_feed_alone_is_joined_as_it_is() -> None:
    feed = FeedShape(1, 2, 3, 4, 5, 6).arrays(2, 3, 5)
    together = joined([feed])
    assert together.keys() == feed.keys()
    for name, array in feed.items():
        np.testing.assert_array_equal(together[name], array)


class Counting:
    """Scores a candidate by the sum of its history, and keeps what it was fed with."""

    inputs = ("history", "candidates")

    def __init__(self) -> None:
        self.fed: list[Feed] = []

    def select(self, feed: Feed) -> Feed:
        return {name: feed[name] for name in self.inputs}

    def run(self, feed: Feed) -> list[NDArray[Any]]:
        self.fed.append(feed)
        total = feed["history"].sum(1, keepdims=True) + 0 * feed["candidates"]
        return [total.astype(np.float32)]


def test_what_was_searched_ahead_is_paid_by_the_items_that_are_left() -> None:
    search = SearchAhead(np.eye(6, dtype=np.float32), np.array([False] + [True] * 5), 2)
    feed: Feed = {
        "history": np.array([[3, 1, 2, 4], [0, 0, 5, 5]]),
        "history_mask": np.array([[True] * 4, [False, False, True, True]]),
        "candidates": np.array([[3, 1, 5], [5, 2, 5]]),
        "request_ids": np.zeros((2, 1), np.int64),
        "unread": np.zeros(2),
    }
    counting = Counting()
    scorer = SearchedScorer(cast(Any, counting), search)
    selected = scorer.select(feed)
    assert selected.keys() == {*feed, PLACES} - {"unread"}
    # the item itself and the newest other one; of equals the two newest
    right = [[3 + 4, 1 + 4, 2 + 4], [10, 10, 10]]
    assert scorer.run(selected)[0].tolist() == scorer.logits(feed).tolist() == right
    assert [each["history"].shape for each in counting.fed] == [(6, 2)] * 2
    short = {name: rows[:, 2:] if "history" in name else rows for name, rows in feed.items()}
    assert scorer.logits(short).tolist() == [[6, 6, 6], [10, 10, 10]]
    assert counting.fed[-1]["history"].shape == (2, 2)


def test_without_a_search_the_graph_searches() -> None:
    counting = Counting()
    scorer = SearchedScorer(cast(Any, counting), None)
    feed: Feed = {
        "history": np.array([[1, 2, 3]]),
        "candidates": np.array([[4, 5]]),
        "more": np.ones(1),
    }
    assert scorer.select(feed).keys() == {"history", "candidates"}
    assert scorer.logits(feed).tolist() == [[6, 6]]
    assert counting.fed[-1]["history"].shape == (1, 3)


def test_an_item_one_place_newer_is_ahead_by_less_than_any_likeness() -> None:
    """By 1e-7 a place: 100 places do not outweigh cosines that are 1e-4 apart."""
    ways = np.array([[0, 0], [1, 0], [0.9999, 0], [1, 0]], np.float32)
    search = SearchAhead(ways, np.array([False, True, True, True]), 1)
    history = np.full((1, 100), 2)
    history[0, 0] = 1
    feed: Feed = {
        "history": history,
        "history_mask": np.ones((1, 100), bool),
        "candidates": np.array([[1]]),
    }
    assert search.ahead(feed)[PLACES].tolist() == [[[0]]]
    history[0, 60] = 3
    assert search.ahead(feed)[PLACES].tolist() == [[[60]]]
