"""At which sizes an export is learned and compared, and what its comparison refuses."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from planted import trained
from scipy.special import expit
from small_graphs import graph_of, node

from fusefront.harness.serving.export import online
from fusefront.harness.serving.export.online import (
    PROBES,
    Probe,
    eager_request,
    export_core,
    random_feeds,
)
from fusefront.harness.serving.export.request import Feed
from fusefront.harness.serving.export.trace import Example

PAGE = Path(__file__).parents[4] / "docs" / "latency.md"


def test_an_export_is_compared_at_the_sizes_that_the_documentation_names() -> None:
    (line,) = re.findall(r"requests × candidates × places: ([^)]*)\)", PAGE.read_text("utf-8"))
    sizes = [tuple(map(int, size.split(" × "))) for size in line.split(", ")]
    assert list(PROBES) == sizes
    *learned, single = sizes
    assert all(len(set(size)) == 3 for size in learned)  # no axis is taken for another
    assert all(len(set(axis)) == 3 for axis in zip(*learned, strict=True))  # nor for a constant
    assert single == (1, 1, 1)


def size_of(feed: Feed) -> tuple[int, ...]:
    values = feed.get("history_values", feed.get("history"))
    ids = feed.get("candidate_values", feed.get("candidates"))
    assert values is not None
    assert ids is not None
    return (*ids.shape[:2], values.shape[1])


def test_a_graph_is_traced_at_the_first_size_and_learned_at_all_but_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: dict[str, list[tuple[int, ...]]] = {}
    for name, at in (("trace", 2), ("lighten", 1), ("observe", 1), ("_worst", 1)):

        def spy(*arguments: Any, name: str = name, at: int = at, call: Any = None) -> Any:
            probes = arguments[at] if isinstance(arguments[at], list) else [arguments[at]]
            feeds = [each.inputs if isinstance(each, Probe) else each for each in probes]
            sizes[name] = [size_of(feed) for feed in feeds]
            return call(*arguments)

        call = getattr(online, name)
        monkeypatch.setattr(
            online, name, lambda *arguments, spy=spy, call=call: spy(*arguments, call=call)
        )
    assert export_core(*trained("early_fusion")).light is not None
    whole = [tuple(size) for size in PROBES]
    assert sizes == {
        "trace": whole[:1],
        "lighten": whole[:3],
        "observe": whole[:3],
        "_worst": whole,
    }


def test_feeds_are_drawn_with_seed_0_unless_another_is_given() -> None:
    *_, schema = trained("popularity")
    (plain,) = random_feeds(schema, (Example(5, 7, 9),))
    (zero,) = random_feeds(schema, (Example(5, 7, 9),), seed=0)
    assert all(np.array_equal(plain[name], zero[name]) for name in zero)


def probe(x: NDArray[Any], expected: NDArray[Any]) -> Probe:
    return Probe({"x": x.astype(np.float32)}, expected.astype(np.float32))


LOGITS = np.array([[0.0, 1.0, -2.0], [0.5, 0.25, 3.0]])
OFF = LOGITS + np.array([[0.0, 0.0, 0.1], [0.0, -0.3, 0.0]])
NONE = np.where(LOGITS == 1.0, np.nan, LOGITS)
WORST = (expit(OFF) - expit(LOGITS)).__abs__().max()


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ([probe(LOGITS, LOGITS)], 0.0),
        ([probe(LOGITS, LOGITS), probe(OFF, LOGITS)], WORST),
        ([probe(LOGITS, OFF), probe(LOGITS, LOGITS)], WORST),
        ([probe(NONE, LOGITS)], np.inf),
        ([probe(LOGITS, NONE)], np.inf),
        ([probe(LOGITS, LOGITS[:1])], np.inf),  # would be compared with each request
        ([probe(LOGITS[:, :0], LOGITS[:, :0])], 0.0),
    ],
)
def test_a_graph_is_as_far_off_as_its_worst_probability(
    probes: list[Probe], expected: float
) -> None:
    graph = graph_of([node("Identity", "x", "logits")], {"x": LOGITS.astype(np.float32)})
    graph.graph.output[0].name = "logits"
    assert online._worst(graph, probes) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_events_of_a_request_are_rows_of_its_own_codes() -> None:
    """Codes that were made for a feed are read by place, whatever ids the feed has."""
    _, codes, schema = trained("early_fusion", kinds=3)
    (feed,) = random_feeds(schema, (Example(2, 3, 5),))
    request = eager_request(codes, feed)
    rows = feed["history"] * 4 + feed["history_kinds"]
    np.testing.assert_array_equal(request.history.values, codes.history.values[rows])
    np.testing.assert_array_equal(request.history.present, codes.history.present[rows])


def test_a_model_in_training_is_exported_as_it_scores() -> None:
    """Norms of a batch and drawn units are those of scoring, in the graph and in the comparison."""
    model, codes, schema = trained("din", {"embedding": 4, "attention": (8,), "hidden": (11, 9)})
    core = export_core(model.train(), codes, schema)
    assert not model.training
    again = export_core(model.eval(), codes, schema)
    assert core.graph.SerializeToString() == again.graph.SerializeToString()
