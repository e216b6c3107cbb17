"""Served histories of several kinds of events: scores are the model's, whichever form is stored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from planted import trained

from fusefront.baselines.contract import history_rows
from fusefront.harness.serving.export.event_tables import alike_for_kinds, slot_patterns, split_rows
from fusefront.harness.serving.export.online import (
    TOLERANCE,
    difference,
    eager_logits,
    export_core,
    export_online,
    random_feeds,
    write_scorer,
)
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.serving.export.tables import KINDS_TABLE
from fusefront.harness.serving.export.trace import Example
from fusefront.harness.serving.latency.backends import Trained, as_trained

KINDS = 3
SIZES = (Example(1, 1, 64), Example(1, 7, 3), Example(4, 40, 20))
GATED: dict[str, object] = {"operator": {"name": "gmu"}}
LINEAR = {
    "early_fusion": True,
    "compressed_fusion": True,
    "gated_fusion": True,  # its gate reads logits
    "deepfm": True,
    "naml": False,
    "composed": False,
}


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.bin"))


@pytest.mark.parametrize(("name", "linear"), LINEAR.items())
def test_served_scores_of_kinds_are_the_models(name: str, linear: bool, tmp_path: Path) -> None:
    model, codes, schema = trained(name, GATED if name == "composed" else None, kinds=KINDS)
    scorer = Scorer(export_online(model, codes, schema, tmp_path / "scorer.onnx"))
    assert {"history", "history_kinds"} <= set(scorer.inputs)
    assert (tmp_path / f"{KINDS_TABLE}.bin").exists() == linear
    moved = 0.0
    for feed in random_feeds(schema, SIZES, seed=7):
        expected = eager_logits(model, codes, feed)
        assert difference(scorer.logits(feed), expected) <= TOLERANCE
        other = feed | {"history_kinds": np.zeros_like(feed["history_kinds"])}
        moved = max(moved, difference(scorer.logits(other), expected))
    assert moved > 100 * TOLERANCE


def test_a_vector_of_each_kind_takes_fewer_bytes_than_a_row_of_each_item_and_kind(
    tmp_path: Path,
) -> None:
    model, codes, schema = trained("early_fusion", kinds=KINDS)
    export_online(model, codes, schema, tmp_path / "sums" / "scorer.onnx")
    wide = codes.history.values.numel() * 4  # a row of each event
    assert bytes_of(tmp_path / "sums") < wide
    plain = trained("early_fusion")
    export_online(*plain, tmp_path / "plain" / "scorer.onnx")
    more = bytes_of(tmp_path / "sums") - bytes_of(tmp_path / "plain")
    assert 0 < more < 0.25 * wide


@pytest.mark.parametrize(("rows", "limit"), [("float16", 5e-3), ("int8", 0.1)])
def test_smaller_rows_of_events_score_nearly_the_same(
    rows: str, limit: float, tmp_path: Path
) -> None:
    for name in ("early_fusion", "composed"):
        model, codes, schema = trained(name, GATED if name == "composed" else None, kinds=KINDS)
        path = tmp_path / name / "scorer.onnx"
        small = Scorer(write_scorer(export_core(model, codes, schema), codes, path, rows=rows))  # type: ignore[arg-type]
        (feed,) = random_feeds(schema, (Example(4, 50, 20),), seed=1)
        assert 0 < difference(small.logits(feed), eager_logits(model, codes, feed)) <= limit


def test_sums_are_the_codes_of_a_plain_loop() -> None:
    _, codes, schema = trained("early_fusion", kinds=KINDS)
    times = KINDS + 1
    values = codes.history.values.numpy()
    sums = split_rows(values, slot_patterns(codes), times, 4 * values.shape[1])
    assert sums is not None
    for item in range(schema.items + 1):
        for kind in range(times):
            right = values[item * times + kind]
            actual = sums.items[item] + sums.kinds[sums.slots[item] * times + kind]
            np.testing.assert_allclose(actual, right, atol=1e-5)
    bent = values.copy()
    bent[17 * times + 2, 3] += 1e-3
    assert split_rows(bent, slot_patterns(codes), times, 4 * values.shape[1]) is None


def test_rows_of_a_whole_table_are_item_by_item() -> None:
    _, codes, _ = trained("early_fusion", kinds=KINDS)
    items, kinds = torch.tensor([[0, 5, 9]]), torch.tensor([[0, 3, 1]])
    assert history_rows(codes, items, kinds).tolist() == [[0, 23, 37]]
    assert history_rows(codes, items, None).tolist() == [[0, 20, 36]]
    _, plain, _ = trained("early_fusion")
    assert history_rows(plain, items, kinds).tolist() == [[0, 5, 9]]


def test_encoding_within_a_request_knows_the_kinds(tmp_path: Path) -> None:
    model, codes, schema = trained("composed", GATED, kinds=KINDS)
    core = export_core(model, codes, schema)
    call = as_trained(Trained("gated", model, codes, schema, core, tmp_path))
    for feed in random_feeds(schema, SIZES, seed=2):
        actual = call(feed)
        assert isinstance(actual, np.ndarray)
        assert difference(actual, eager_logits(model, codes, feed)) <= TOLERANCE


def test_popularity_reads_no_kinds(tmp_path: Path) -> None:
    model, codes, schema = trained("popularity", kinds=KINDS)
    scorer = Scorer(export_online(model, codes, schema, tmp_path / "scorer.onnx"))
    assert scorer.inputs == ["candidates"]


def test_sums_are_stored_only_where_they_take_fewer_bytes() -> None:
    """10 items of one pattern, 2 kinds: 10 (b + 8) + 3 C 4 bytes against 30 b."""
    added = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 5.0]], np.float32)
    items = np.arange(20, dtype=np.float32).reshape(10, 1, 2)
    values = (items + added).reshape(30, 2)
    slots = np.zeros(10, np.int32)
    assert split_rows(values, slots, 3, 5) is None  # 154 against 150
    assert split_rows(values, slots, 3, 6) is not None  # 164 against 180
    six = np.arange(6, dtype=np.float32).repeat(3)[:, None]
    assert split_rows(six, np.zeros(6, np.int32), 3, 5) is None  # 6 (5 + 8) + 12 = 90 = 18 * 5
    assert split_rows(six, np.zeros(6, np.int32), 3, 6) is not None


def test_presence_is_an_items_own_unless_a_kind_changes_it() -> None:
    table = np.array([[True, False]] * 3 + [[False, False]] * 3)
    alike = alike_for_kinds(table, 3)
    assert alike is not None
    assert alike.tolist() == [[True, False], [False, False]]
    table[4, 1] = True
    assert alike_for_kinds(table, 3) is None


def test_a_sum_may_be_off_by_the_error_of_float32_and_no_more() -> None:
    """The second item's code of kind 1 is 0 or 3 where the sum is a little above it."""
    slots = np.zeros(40, np.int32)
    for code, least in ((0.0, 1.0), (3.0, 0.95)):  # 3 + 8e-6 has no exact float32
        limit = np.float32(2e-6) * np.float32(1 + code)
        for share, exact in ((least, True), (1.3, False)):
            off = np.float32(share) * limit
            values = np.zeros((40, 2, 1), np.float32)
            values[1] = [[np.float32(code) + off], [code]]
            apart = values[1, 0, 0] - np.float32(code)
            assert (apart <= limit) == exact
            sums = split_rows(values.reshape(80, 1), slots, 2, 100)
            assert (sums is not None) == exact


def test_items_with_the_same_slots_share_a_pattern() -> None:
    _, codes, schema = trained("early_fusion", kinds=KINDS)
    slots = slot_patterns(codes)
    times = KINDS + 1
    own = [
        (*codes.history.present[item * times].tolist(), *codes.candidate.present[item].tolist())
        for item in range(schema.items + 1)
    ]
    assert slots.tolist() == [sorted(set(own)).index(pattern) for pattern in own]
    assert len(set(own)) > 2


def test_one_kind_of_event_is_told_from_none(tmp_path: Path) -> None:
    """Two rows an item: of the kind, and of no kind."""
    model, codes, schema = trained("early_fusion", None, kinds=1)
    scorer = Scorer(export_online(model, codes, schema, tmp_path / "scorer.onnx"))
    assert {"history", "history_kinds"} <= set(scorer.inputs)
    (feed,) = random_feeds(schema, SIZES[1:2], seed=7)
    assert difference(scorer.logits(feed), eager_logits(model, codes, feed)) <= TOLERANCE
