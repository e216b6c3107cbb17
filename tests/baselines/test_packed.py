"""The real part of a batch, against loops over its masks; who is given it."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from fusefront.baselines import packed as lookups
from fusefront.baselines.contract import (
    Baseline,
    Parts,
    Pooler,
    Request,
    Scored,
    defined_with,
    pool_packed,
)
from fusefront.baselines.heads.zoo import HEADS
from fusefront.baselines.models.composed import Composed
from fusefront.baselines.packed import Packed, at, at_in
from fusefront.baselines.poolers import target_attention
from fusefront.baselines.poolers.crossed import crossed
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.poolers.mean import MeanPooler
from fusefront.baselines.poolers.target_attention import TargetAttention
from fusefront.baselines.poolers.zoo import POOLERS
from fusefront.baselines.zoo import BASELINES
from fusefront.fusion_variants.zoo import ALIGNMENTS, COMPRESSORS, OPERATORS
from fusefront.harness.testing.scene import make_scene

PARTS = Parts(OPERATORS, COMPRESSORS, ALIGNMENTS, POOLERS, HEADS, BASELINES)
CODES = 9
PLACE = torch.tensor([[0, 3, 5], [0, 0, 0], [7, 2, 2], [0, 0, 8]])
MASK = torch.tensor([[0, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 1]]).bool()
ROWS = torch.tensor([0, 1, 2, 4, 5, 6])  # of four requests of up to two candidates
OWNER = [0, 0, 1, 2, 2, 3]


@pytest.fixture
def packed() -> Packed:
    return Packed(PLACE, MASK, ROWS, 2)


def entries(mask: Tensor = MASK) -> Iterator[tuple[int, int]]:
    """(row, code) of every real row and every real entry of its history, in order."""
    for row, request in enumerate(OWNER):
        for place in range(3):
            if mask[request, place]:
                yield row, int(PLACE[request, place])


def test_every_real_row_meets_every_real_entry_once(packed: Packed) -> None:
    pairs = packed.pairs
    assert list(zip(pairs.row.tolist(), pairs.code.tolist(), strict=True)) == list(entries())
    rows = [row for row, _ in entries()]
    assert pairs.start.tolist() == [sum(r < row for r in rows) for row in range(len(OWNER))]


def test_entries_without_the_modality_are_no_pairs(packed: Packed) -> None:
    present = torch.ones(CODES, dtype=torch.bool)
    present[[3, 2]] = False
    narrowed = packed.of(present)
    mask = MASK & present[PLACE]
    pairs = narrowed.pairs
    assert list(zip(pairs.row.tolist(), pairs.code.tolist(), strict=True)) == list(entries(mask))
    assert narrowed.some.tolist() == [bool(mask[request].any()) for request in OWNER]


def test_sums_and_softmax_are_those_of_a_loop(packed: Packed) -> None:
    g = torch.Generator().manual_seed(0)
    values = torch.randn(CODES, 4, generator=g, dtype=torch.float64)
    score = 3000 * torch.randn(len(packed.pairs.row), generator=g, dtype=torch.float64)
    weight = packed.pairs.softmax(score)
    sums = packed.pairs.sums(weight, values)
    for row in range(len(OWNER)):
        own = [n for n, (r, _) in enumerate(entries()) if r == row]
        codes = [code for r, code in entries() if r == row]
        expected = torch.zeros(4, dtype=torch.float64)
        if own:
            expected = score[own].softmax(0) @ values[codes]
        torch.testing.assert_close(sums[row], expected)


def test_shares_count_each_rows_own_pairs(packed: Packed) -> None:
    bucket = torch.tensor([code % 3 for _, code in entries()])
    shares = packed.pairs.shares(bucket, 3, torch.zeros((), dtype=torch.float64))
    for row in range(len(OWNER)):
        own = [code % 3 for r, code in entries() if r == row]
        expected = [own.count(b) / max(1, len(own)) for b in range(3)]
        assert shares[row].tolist() == pytest.approx(expected)


def test_a_row_has_its_requests_history_unrolled_and_codes_made_for_each_pair(
    packed: Packed,
) -> None:
    place, mask = packed.unrolled
    assert torch.equal(place, PLACE[OWNER])
    assert torch.equal(mask, MASK[OWNER])
    apart = packed.apart()
    assert apart.pairs.row.tolist() == packed.pairs.row.tolist()
    assert apart.pairs.code.tolist() == list(range(len(packed.pairs.row)))
    again, real = apart.unrolled
    assert again[real].tolist() == list(range(len(packed.pairs.row)))


def test_one_candidate_a_request_is_nothing_to_unroll() -> None:
    flat = Packed(PLACE, MASK, torch.arange(4), 1)
    assert flat.unrolled[0] is PLACE
    assert flat.pairs.code.tolist() == PLACE[MASK].tolist()
    assert flat.pairs.row.tolist() == [0, 0, 2, 2, 2, 3]
    lacking = Packed(PLACE, MASK, torch.tensor([0, 3]), 1)  # requests without a real row
    assert lacking.pairs.code.tolist() == [3, 5, 8]
    assert lacking.pairs.row.tolist() == [0, 0, 1]
    crowded = Packed(PLACE[:1].repeat(2, 1), MASK[:1].repeat(2, 1), torch.tensor([0, 1]), 2)
    assert crowded.pairs.row.tolist() == [0, 0, 1, 1]
    other = Packed(PLACE[[0, 3]], MASK[[0, 0]], torch.tensor([2, 3]), 2)  # none of the first
    assert other.pairs.code.tolist() == [0, 8, 0, 8]


def test_rows_go_to_their_places_in_the_grid(packed: Packed) -> None:
    grid = packed.grid(torch.arange(1.0, 7.0).unsqueeze(-1))
    assert grid.squeeze(-1).tolist() == [[1, 2], [3, 0], [4, 5], [6, 0]]
    assert packed.grid(torch.zeros(6, 0)).shape == (4, 2, 0)


def test_a_lookup_is_an_index_with_its_gradient() -> None:
    g = torch.Generator().manual_seed(0)
    table = torch.randn(5, 3, generator=g, requires_grad=True)
    place = torch.tensor([[0, 0, 4], [2, 0, 2]])
    weight = torch.randn(2, 3, 3, generator=g)
    gradients = [
        torch.autograd.grad((looked * weight).sum(), table)[0]
        for looked in (at(table, place), table[place])
    ]
    assert torch.equal(at(table, place), table[place])
    torch.testing.assert_close(*gradients)


class Doubled(DinPooler):
    """A person's own pooler: another formula over a parent that has a second way of its own."""

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        return 2.0 * super().forward(target, history, mask)


def test_a_pooler_with_its_own_formula_is_not_pooled_by_its_parents(packed: Packed) -> None:
    torch.manual_seed(0)
    pooler = Doubled(3, hidden=(4,)).double().eval()
    x = torch.randn(CODES, 3, dtype=torch.float64)
    target, history = pooler.prepare_target(x[:6]), pooler.prepare_history(x)
    plain = pooler.pool_rows(target, history, packed)
    torch.testing.assert_close(pool_packed(pooler, target, history, packed), 2.0 * plain)
    assert float(plain.detach().abs().max()) > 1e-3


class PaddedReader(Composed):
    """A person's own model that reads the padded request, over a parent that packs."""

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        assert request.packed is None
        return super().score(request, rows)


@pytest.mark.parametrize(
    ("kind", "second", "first", "expected"),
    [
        (DinPooler, "pool_rows", "forward", True),
        (Doubled, "pool_rows", "forward", False),
        (MeanPooler, "pool_rows", "forward", False),
        (Composed, "packs", "score", True),
        (BASELINES["early_fusion"], "packs", "score", True),
        (PaddedReader, "packs", "score", False),
        (Pooler, "pool_rows", "nothing", False),
    ],
)
def test_a_second_way_counts_where_it_stands_beside_the_first(
    kind: type, second: str, first: str, *, expected: bool
) -> None:
    assert defined_with(kind, second, first) is expected


def test_a_model_that_reads_padding_is_given_it() -> None:
    scene = make_scene()
    with torch.no_grad():
        for kind in (PaddedReader, Composed):
            model: Baseline = scene.model(kind, {}, PARTS).eval()
            table = model.encode_items(torch.arange(scene.schema.items + 1))
            codes, _ = model.encode_batch(scene.batch)
            by_table, _ = model.score_rows(table, scene.batch, scene.batch.items)
            by_batch, _ = model.score_rows(codes, scene.batch)
            torch.testing.assert_close(by_table, by_batch)
            grid = model.losses(scene.batch).logits
            assert torch.equal(grid.flatten()[scene.batch.rows], by_batch)
            assert not grid[~scene.batch.candidate_mask].any()


def test_blocks_of_products_are_the_product_of_all(
    packed: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and gradients of W (t * h), in blocks of two pairs, against autograd's own."""
    monkeypatch.setattr(lookups, "BLOCK", 9)  # of width 4: two pairs
    g = torch.Generator().manual_seed(0)
    shapes = ((len(OWNER), 4), (CODES, 4), (3, 4))
    parts = [torch.randn(s, generator=g, dtype=torch.float64, requires_grad=True) for s in shapes]
    target, history, weight = parts
    pairs = packed.pairs
    ours = crossed(target, history, weight, pairs)
    plain = (target[pairs.row] * history[pairs.code]) @ weight.T
    torch.testing.assert_close(ours, plain)
    toward = torch.randn(plain.shape, generator=g, dtype=torch.float64)
    for mine, own in zip(
        torch.autograd.grad((ours * toward).sum(), parts),
        torch.autograd.grad((plain * toward).sum(), parts),
        strict=True,
    ):
        torch.testing.assert_close(mine, own)


def test_gradients_of_a_code_met_thousands_of_times_are_summed_in_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their sum in float64, by a GPU's way and a CPU's; stored in bf16 each time it ends far
    below."""
    monkeypatch.setattr(lookups, "BLOCK", 300)
    g = torch.Generator().manual_seed(0)
    table = torch.randn(5, 4, generator=g).requires_grad_()
    place = torch.randint(0, 5, (4000,), generator=g)
    place[:2000] = 3
    grad = torch.rand(4000, 4, generator=g).bfloat16()
    exact = torch.zeros(5, 4, dtype=torch.float64).index_add(0, place, grad.double())
    for way, within in (
        (lambda: lookups._Narrowed.apply(table, place, torch.bfloat16), 1e-5),
        (lambda: at_in(torch.bfloat16, table, place), 2**-8),
    ):
        values = way()
        assert torch.equal(values, table.detach().bfloat16()[place])
        (ours,) = torch.autograd.grad(values, table, grad)
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), exact, rtol=within, atol=0)
    stored = torch.zeros(4, dtype=torch.bfloat16)
    for addend in grad[place == 3]:
        stored += addend
    assert bool((stored < 0.5 * exact[3]).all())


@pytest.mark.parametrize("apart", [False, True])
def test_rows_attend_alike_by_themselves_and_side_by_side(
    packed: Packed, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    """Two streams, two heads, gaps in both, against a loop; gradients against finite changes."""
    monkeypatch.setattr(target_attention, "row_by_row", lambda _: apart)
    pooler, g = TargetAttention(4, heads=2).double(), torch.Generator().manual_seed(5)
    queries = torch.randn(len(OWNER), 8, generator=g, dtype=torch.float64)  # [N, S D]
    codes = torch.randn(CODES, 16, generator=g, dtype=torch.float64)  # keys, then values
    present = torch.rand(CODES, 2, generator=g) > 0.4
    present[[3, 8], 0] = present[3, 1] = False
    expected = torch.zeros_like(queries)
    for row in range(len(OWNER)):
        own = [code for n, code in entries() if n == row]
        for part in range(4):  # stream by stream, head by head
            some = [code for code in own if present[code, part // 2]]
            at_part = slice(2 * part, 2 * part + 2)
            scores = codes[some][:, at_part] @ queries[row, at_part]
            for code, weight in zip(some, scores.softmax(0), strict=True):
                expected[row, at_part] += weight * codes[code, 8 + 2 * part : 10 + 2 * part]
    joined = pooler.join_queries([queries[:, :4], queries[:, 4:]])
    pooled = pooler.pool_stream_rows(joined, codes, present, packed)
    assert torch.allclose(pooled, expected, atol=1e-12)
    assert (expected[2] == 0).all()
    assert (expected == 0).sum() > 8  # a row of others, too, has a stream without any code

    def of(queries: Tensor, codes: Tensor) -> Tensor:
        joined = pooler.join_queries([queries[:, :4], queries[:, 4:]])
        return pooler.pool_stream_rows(joined, codes, present, packed)

    torch.autograd.gradcheck(of, (queries.requires_grad_(), codes.requires_grad_()))
    alone = pooler.pool_rows(queries[:, :4], codes[:, [0, 1, 2, 3, 8, 9, 10, 11]], packed)
    every = torch.ones(CODES, 1, dtype=torch.bool)
    joined = pooler.join_queries([queries[:, :4]])
    again = pooler.pool_stream_rows(joined, codes[:, [0, 1, 2, 3, 8, 9, 10, 11]], every, packed)
    assert torch.allclose(alone, again, atol=1e-12)


@pytest.mark.parametrize(
    ("requests", "rows", "candidates", "apart"),
    [
        (8192, 8192, 1, True),
        (100, 210, 12, True),
        (100, 800, 8, False),
        (100, 244, 12, True),  # 9 x 244 <= 100 x 22
        (100, 245, 12, False),
        (100, 500, 60, True),  # one long request: nearly all places are empty
    ],
)
def test_rows_attend_by_themselves_where_that_costs_less(
    requests: int, rows: int, candidates: int, apart: bool
) -> None:
    place = torch.zeros(requests, 3, dtype=torch.long)
    packed = Packed(place, place > 0, torch.arange(rows), candidates)
    assert target_attention.row_by_row(packed) is apart
