"""Content search made ahead of the request: the same scores, at the cost of K items."""

import numpy as np
import pytest
import torch
from planted import trained

from fusefront.baselines.poolers.search_index import HistoryIndex
from fusefront.harness.serving.contract import Trained
from fusefront.harness.serving.export.online import (
    TOLERANCE,
    difference,
    eager_logits,
    export_core,
    random_feeds,
)
from fusefront.harness.serving.export.search_of import search_of
from fusefront.harness.serving.export.searched import PLACES, SearchAhead, searched
from fusefront.harness.serving.export.trace import Example
from fusefront.harness.serving.latency.backends import OnnxRuntime, OnnxSearched

NEAREST = 4
SETTINGS = {
    "exact": {"name": "content_search", "nearest": NEAREST},
    "hashed": {"name": "content_search", "nearest": NEAREST, "bits": 24},
}


@pytest.fixture(scope="module", params=SETTINGS)
def parts(request):
    return trained("composed", {"operator": "concat", "pooler": SETTINGS[request.param]})


def test_scores_are_those_of_the_search_within_the_request(parts, tmp_path):
    model, codes, schema = parts
    ready = Trained("m", model, codes, schema, export_core(model, codes, schema), tmp_path)
    backend = OnnxSearched("float32")
    call = backend.load(ready)
    sizes = (Example(3, 5, 30), Example(2, 1, 5), Example(2, 6, 4), Example(2, 6, 3))
    for feed in random_feeds(schema, sizes, 4):
        selected = backend.select(call, feed)
        assert (PLACES in selected) == (feed["history"].shape[1] > NEAREST)
        assert difference(call(selected)[0], eager_logits(model, codes, feed)) <= TOLERANCE


def test_the_graph_reads_as_many_items_as_the_search_leaves(parts):
    model, codes, schema = parts
    search = search_of(model, codes)
    (feed,) = random_feeds(schema, (Example(2, 3, 1_000),), 5)
    fed = searched(search.ahead(feed))
    assert fed["history"].shape == fed["history_mask"].shape == (6, NEAREST)
    assert fed["candidates"].shape == (6, 1)
    assert fed["history"].sum(-1)[:3].tolist() == [0, 0, 0]  # the first request has no history


def test_places_are_those_of_the_index(parts):
    """Where all items may be shown, by the table over the whole catalogue."""
    model, codes, schema = parts
    search = search_of(model, codes)._replace(present=np.ones(schema.items + 1, bool))
    (feed,) = random_feeds(schema, (Example(4, 7, 2_000),), 6)
    places = search.ahead(feed)[PLACES]
    ways = torch.from_numpy(search.ways)
    index = HistoryIndex.exact(ways, NEAREST)
    for r, mask in enumerate(feed["history_mask"]):
        if not mask.any():
            assert (places[r] == -1).all()
            continue
        table = index.table(ways[feed["history"][r][mask]])
        first = int(np.argmax(mask))
        expected = table[feed["candidates"][r]].numpy()
        expected = np.sort(np.where(expected < 0, -1, expected + first), -1)
        np.testing.assert_array_equal(places[r], expected)


def test_items_without_content_are_not_looked_for():
    ways = np.eye(4, dtype=np.float32)
    search = SearchAhead(ways, np.array([False, True, True, False]), 1)
    feed = {
        "history": np.array([[0, 2, 1, 3]]),
        "history_mask": np.array([[False, True, True, True]]),
        "candidates": np.array([[3, 2, 1]]),
    }
    places = search.ahead(feed)[PLACES]
    assert places.tolist() == [[[2], [1], [2]]]  # 3 shows nothing: the newest of equals
    nobody = feed | {"history_mask": np.zeros((1, 4), bool)}
    assert (search.ahead(nobody)[PLACES] == -1).all()


def test_contexts_follow_their_candidates():
    feed = {
        "history": np.array([[7, 8], [0, 9]]),
        "history_mask": np.array([[True, True], [False, True]]),
        "candidates": np.array([[1, 2], [3, 4]]),
        "request_ids": np.array([[5, 6], [7, 8]]),
        "candidate_numbers": np.arange(4, dtype=np.float32).reshape(2, 2, 1),
        PLACES: np.array([[[0], [1]], [[1], [-1]]]),
    }
    fed = searched(feed)
    assert fed["history"].tolist() == [[7], [8], [9], [0]]
    assert fed["history_mask"].tolist() == [[True], [True], [True], [False]]
    assert fed["candidates"].tolist() == [[1], [2], [3], [4]]
    assert fed["request_ids"].tolist() == [[5, 6], [5, 6], [7, 8], [7, 8]]
    assert fed["candidate_numbers"].tolist() == [[[0.0]], [[1.0]], [[2.0]], [[3.0]]]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("composed", {"operator": "concat"}),
        ("composed", {"operator": "concat", "placement": "pooled", "pooler": SETTINGS["exact"]}),
        ("composed", {"operator": "film", "conditioning": "target_aware"}),
        (
            "composed",
            {"operator": "film", "conditioning": "target_aware", "pooler": SETTINGS["exact"]},
        ),
        ("muse", {"embedding": 4, "content": 6, "nearest": 3, "hidden": (8,)}),
        ("id_only", {"pooler": None}),
    ],
)
def test_models_that_read_more_than_one_search_have_none(name, settings, tmp_path):
    model, codes, schema = trained(name, settings)
    assert search_of(model, codes) is None
    ready = Trained("m", model, codes, schema, export_core(model, codes, schema), tmp_path)
    (feed,) = random_feeds(schema, (Example(2, 3, 12),), 1)
    plain, ahead = OnnxRuntime("float32"), OnnxSearched("float32")
    logits = []
    for backend in (plain, ahead):
        call = backend.load(ready)
        logits.append(call(backend.select(call, feed))[0])
    np.testing.assert_array_equal(*logits)


@pytest.mark.parametrize("kinds", [1, 2])
def test_kinds_of_events_are_searched_within_the_request(kinds):
    settings = {"operator": "concat", "pooler": SETTINGS["exact"]}
    model, codes, _ = trained("composed", settings, kinds=kinds)
    assert search_of(model, codes) is None


def test_items_are_searched_by_their_directions_or_by_their_signatures(parts):
    model, codes, _ = parts
    pooler = next(iter(model.placement.streams.poolers))
    search = search_of(model, codes)
    assert search.ways.shape == (len(codes.history.values), pooler.bits or pooler.content)
    norms = np.linalg.norm(search.ways, axis=1)
    np.testing.assert_allclose(norms[search.present], 1, rtol=1e-5)
    if pooler.bits:
        steps = np.abs(search.ways[search.present]) * np.sqrt(pooler.bits)
        np.testing.assert_allclose(steps, 1, rtol=1e-5)
    np.testing.assert_array_equal(search.present, codes.history.present[:, 0])
    assert search.nearest == NEAREST


def test_what_is_searched_by_is_read_as_it_was_written(parts, tmp_path):
    model, codes, _ = parts
    search = search_of(model, codes)
    search.write(tmp_path / "search.npz")
    again = SearchAhead.read(tmp_path / "search.npz")
    np.testing.assert_array_equal(again.ways, search.ways)
    np.testing.assert_array_equal(again.present, search.present)
    assert again.nearest == search.nearest == NEAREST
