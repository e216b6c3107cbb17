"""Multiply-accumulates per candidate, on a model whose products are counted by hand."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from fusefront.baselines.contract import (
    Baseline,
    Field,
    ItemCodes,
    Request,
    Rows,
    Schema,
    Scored,
)
from fusefront.harness.data.cost import code_bytes, macs_per_candidate

SCHEMA = Schema(
    500, {"text": 3}, (), 0, (Field("a", 9), Field("b", 9, 4)), 6, (Field("c", 9, 2),), 3, 12
)


class Counted(Baseline):
    """Products of known size; notes what it was asked to score."""

    name: ClassVar[str] = "counted"

    def __init__(self) -> None:
        super().__init__(SCHEMA, None, None, None)  # type: ignore[arg-type]
        self.of_request, self.of_numbers = nn.Linear(5, 70), nn.Linear(6, 40)
        self.of_candidate, self.of_price = nn.Linear(2, 5), nn.Linear(3, 7)
        self.read = nn.MultiheadAttention(4, 2, batch_first=True)
        self.meet = nn.MultiheadAttention(4, 2, batch_first=True)
        self.request: Request | None = None
        self.rows: Tensor | None = None
        self.modes: list[bool] = []

    def encode(self, ids: Tensor, keep: Tensor | None = None) -> tuple[ItemCodes, Tensor]:
        self.modes.append(self.training)
        rows = Rows(ids.float().unsqueeze(-1).expand(-1, 4), torch.ones(len(ids), 1) > 0)
        return ItemCodes(rows, rows), torch.zeros(())

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        self.request, self.rows = request, rows
        self.modes.append(self.training)
        x = request.candidates.values
        once = self.of_request(request.request_context.ids.float()).sum(-1)
        once = once + self.of_numbers(request.request_context.numbers).sum(-1)
        each = self.of_candidate(request.candidate_context.ids.float()).sum(-1)
        each = each + self.of_price(request.candidate_context.numbers).sum(-1)
        history = request.history.values
        history, _ = self.read(history, history, history)  # where a fast path exists
        met, _ = self.meet(x, history, history, ~request.history_mask)
        return Scored(once.unsqueeze(1) + each + met.sum(-1), torch.zeros(()))


def test_products_are_those_that_a_hand_counts() -> None:
    model = Counted()
    attention = (
        4 * 12 * 4 * 4  # queries, keys, values and what goes out of reading the history
        + 2 * 12 * 12 * 4  # its scores and their use
        + 100 * 4 * 4  # queries
        + 2 * 12 * 4 * 4  # keys and values of the history
        + 2 * 100 * 12 * 4  # scores and their use
        + 100 * 4 * 4  # out
    )
    request, candidates = 5 * 70 + 6 * 40, 100 * (2 * 5 + 3 * 7)
    expected = round((attention + request + candidates) / 100)
    assert macs_per_candidate(model, 500, SCHEMA) == expected == 188


def test_the_request_has_a_hundred_candidates_and_a_full_history() -> None:
    model = Counted()
    macs_per_candidate(model, 500, SCHEMA)
    assert model.request is not None
    assert model.rows is not None
    assert model.rows.tolist() == list(range(100))
    assert model.request.candidates.values[0, :, 0].tolist() == list(range(1, 101))
    assert model.request.history.values[0, :, 0].tolist() == list(range(1, 13))
    assert model.request.history_mask.all()
    assert model.modes == [False] * 3  # codes, then two requests and one


def test_few_items_come_again_and_padding_never() -> None:
    model = Counted()
    macs_per_candidate(model, 7, SCHEMA)
    assert model.request is not None
    assert model.request.candidates.values[0, :, 0].tolist() == [k % 7 + 1 for k in range(100)]
    assert model.request.history.values[0, :, 0].tolist() == [k % 7 + 1 for k in range(12)]


def test_products_of_weights_alone_are_constants_of_a_graph_and_not_counted() -> None:
    class Folded(Counted):
        def score(self, request: Request, rows: Tensor | None = None) -> Scored:
            scored = super().score(request, rows)
            twice = self.of_request.weight @ self.of_request.weight.T  # 70 x 5 x 70
            return Scored(scored.logits + twice.sum(), scored.loss)

    assert macs_per_candidate(Folded(), 500, SCHEMA) == 188


@pytest.mark.parametrize("fast", [True, False])
def test_the_fast_path_is_as_it_was(fast: bool) -> None:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        macs_per_candidate(Counted(), 20, SCHEMA)
        assert torch.backends.mha.get_fastpath_enabled() is fast
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class UnequalCodes(Counted):
    """Codes of 4 numbers for a candidate and of 7 for an entry of the history."""

    ids: Tensor | None = None

    def encode(self, ids: Tensor, keep: Tensor | None = None) -> tuple[ItemCodes, Tensor]:
        self.ids = ids
        codes, loss = super().encode(ids, keep)
        history = Rows(torch.zeros(len(ids), 7), torch.ones(len(ids), 1) > 0)
        return codes._replace(history=history), loss


@pytest.mark.parametrize(("items", "most"), [(500, 100), (7, 7)])
def test_codes_that_a_request_looks_up_take_two_bytes_a_number(items: int, most: int) -> None:
    model = UnequalCodes()
    model.train()
    assert code_bytes(model, items, SCHEMA, 31) == 2 * (31 * 4 + 12 * 7)
    assert model.modes == [False]
    assert model.ids is not None
    assert model.ids.tolist() == list(range(most + 1))  # 0 is padding
