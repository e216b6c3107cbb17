"""The parts of all placements: streams of poolers, what a head sees, and rows and their grid."""

import pytest
import torch

from fusefront.baselines.contract import Context, Request, Rows
from fusefront.baselines.packed import Packed
from fusefront.baselines.placements.item import mean_token
from fusefront.baselines.placements.stream import (
    Streams,
    any_history,
    features,
    features_width,
    fuse,
    masks_by_stream,
    select,
    spread,
    tokens_out,
)
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.poolers.mean import MeanPooler
from fusefront.baselines.poolers.target_attention import TargetAttention


def test_features_hold_a_product_where_the_widths_agree():
    target, pooled = torch.tensor([[2.0, 3.0]]), torch.tensor([[5.0, 7.0]])
    assert [x.tolist() for x in features(target, pooled, True)] == [[[5, 7]], [[2, 3]], [[10, 21]]]
    assert [x.tolist() for x in features(target, pooled, False)] == [[[5, 7]], [[2, 3]]]
    assert [x.tolist() for x in features(target, None, True)] == [[[2, 3]]]
    wide = torch.ones(1, 3)
    assert len(features(target, wide, True)) == 2
    for products in (True, False):
        for other in (None, pooled, wide):
            width = sum(x.shape[-1] for x in features(target, other, products))
            assert (
                features_width([1, 1], [] if other is None else [other.shape[-1]], products)
                == width
            )


def test_rows_are_selected_and_spread_back():
    x = torch.arange(12.0).view(2, 3, 2)
    rows = torch.tensor([0, 4, 5])
    assert select(x, rows).tolist() == [[0, 1], [8, 9], [10, 11]]
    assert select(x, None).tolist() == x.flatten(0, 1).tolist()
    assert spread(torch.tensor([7.0, 8.0, 9.0]), rows, x).tolist() == [[7, 0, 0], [0, 8, 9]]
    assert spread(torch.arange(6.0), None, x).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_masks_are_those_of_streams_and_tell_who_has_a_history():
    mask = torch.tensor([[True, True, False], [False, False, False]])
    present = torch.tensor([[[1, 0], [1, 0], [1, 1]], [[1, 1], [1, 1], [1, 1]]]).bool()
    nothing = Context(torch.zeros(2, 0).long(), torch.zeros(2, 0))
    candidates = Rows(torch.zeros(2, 1, 1), torch.ones(2, 1, 1).bool())
    history = Rows(torch.zeros(2, 3, 1), present)
    request = Request(history, mask, candidates, nothing, nothing)
    masks = masks_by_stream(request)
    assert masks.int().tolist() == [[[1, 0], [1, 0], [0, 0]], [[0, 0], [0, 0], [0, 0]]]
    assert any_history(masks, request).tolist() == [[[True, False]], [[False, False]]]
    codes = Rows(torch.zeros(6, 1), present.flatten(0, 1))
    packed = Packed(torch.arange(6).view(2, 3), mask, torch.tensor([1, 0]), 1)
    request = Request(codes, mask, candidates, nothing, nothing, packed)
    assert torch.equal(masks_by_stream(request), codes.present)
    some = any_history(masks_by_stream(request), request)
    assert some.tolist() == [[[False, False]], [[True, False]]]


def test_a_candidate_asks_with_the_mean_of_its_present_tokens():
    present = torch.tensor([[0, 0, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1]]).bool()
    x = torch.arange(1.0, 25.0).view(4, 3, 2) * present.unsqueeze(-1)  # absent ones are cleared
    assert mean_token(x, present).tolist() == [[0, 0], [9, 10], [15, 16], [21, 22]]


def test_without_an_operator_slots_stand_side_by_side():
    x = torch.arange(12.0).view(2, 3, 2)
    vector, loss = fuse(None, x, torch.ones(2, 3, dtype=torch.bool))
    assert vector.tolist() == x.flatten(1).tolist()
    assert (float(loss), loss.shape) == (0, ())
    assert tokens_out(None, 3) == 3


def test_streams_of_unequal_poolers_are_pooled_one_by_one():
    """Streams of widths 2 and 3: codes and queries are split where each begins."""
    streams = Streams([2, 3], MeanPooler)
    assert streams.together is False
    assert (streams.history_widths, streams.query_widths) == ([2, 3], [0, 0])
    assert (streams.query_width, streams.pooled_widths) == (0, [2, 3])
    history = [torch.randn(4, 2), torch.randn(4, 3)]
    code = streams.history(history)
    assert torch.equal(code, torch.cat(history, -1))
    target, queries = streams.split(streams.candidate([x[:1] for x in history])[None])
    assert torch.equal(target[0, 0], code[0])
    masks = torch.tensor([[[1, 0], [1, 1], [0, 1], [0, 0]]]).bool()
    pooled = streams.pool(queries, code[None], masks)
    expected = torch.cat([history[0][:2].mean(0), history[1][1:3].mean(0)])
    torch.testing.assert_close(pooled[0, 0], expected)
    packed = Packed(torch.arange(4)[None], torch.ones(1, 4).bool(), torch.tensor([0]), 1)
    alone = streams.pool(queries.new_zeros(1, 1, 0), code, masks[0], packed)
    torch.testing.assert_close(alone, pooled)
    bare = Streams([2, 3], None)
    assert bare.pool(queries, code[None], masks) is None
    assert bare.history(history).shape == (4, 0)
    assert torch.equal(bare.split(code[None])[0], code[None])
    assert bare.split(code[None])[1].shape == (1, 4, 0)


class Doubled(TargetAttention):
    """Equal streams in common products by a formula of its own: twice the parent's."""

    def pool_streams(self, queries, history, masks):
        return 2.0 * super().pool_streams(queries, history, masks)


def alone(pooler, target, past):
    """One pooler on the entries [n, D] of one history, without padding."""
    code, query = pooler.prepare_history(past)[None], pooler.prepare_target(target[None])[None]
    return pooler(query, code, torch.ones(1, len(past), dtype=torch.bool))[0, 0]


@pytest.mark.parametrize(
    ("kind", "widths", "per_candidate", "together"),
    [
        (TargetAttention, [4, 4, 4], False, True),
        (Doubled, [4, 4, 4], False, True),
        (TargetAttention, [4], False, True),
        (TargetAttention, [4, 4], True, False),
        (TargetAttention, [4, 6], False, False),
        (DinPooler, [4, 4], False, False),
    ],
)
def test_streams_are_pooled_as_each_alone_packed_or_not(kind, widths, per_candidate, together):
    """Three rows of two requests, with gaps; codes stand in another order than the histories."""
    torch.manual_seed(0)
    streams = Streams(widths, kind, per_candidate=per_candidate).double().eval()
    assert streams.together is together
    n, rows = 7, torch.tensor([0, 2, 3])  # of two requests with two candidates each
    items = [torch.randn(n, width, dtype=torch.float64) for width in widths]
    there = torch.arange(n * len(widths)).view(n, -1) % 4 > 0
    place = torch.tensor([[0, 5, 2, 6], [0, 0, 1, 3]])
    mask = torch.tensor([[0, 1, 1, 1], [0, 0, 1, 1]]).bool()
    targets = [torch.randn(3, width, dtype=torch.float64) for width in widths]
    with torch.no_grad():
        code, candidates = streams.history(items), streams.candidate(targets)
        packed = Packed(place, mask, rows, 2)
        target, queries = streams.split(candidates.unsqueeze(1))
        assert torch.equal(target.squeeze(1), torch.cat(targets, -1))
        assert code.shape == (n, sum(streams.history_widths))
        assert queries.shape == (3, 1, streams.query_width)
        assert streams.pooled_widths == widths
        mine = streams.pool(queries, code, there, packed)
        owner = rows // 2
        padded = streams.pool(
            queries, code[place[owner]], mask[owner].unsqueeze(-1) & there[place[owner]]
        )
        for row, request in enumerate(owner.tolist()):
            real = place[request][mask[request]]
            each = [
                alone(pooler, targets[s][row], items[s][real[there[real, s]]])
                for s, pooler in enumerate(streams.poolers)
            ]
            for pooled in (mine, padded):
                torch.testing.assert_close(pooled[row, 0], torch.cat(each))
