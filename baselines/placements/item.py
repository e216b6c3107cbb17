"""Placement `item`: fuse each item's slots, then pool the fused history (early fusion).

item-only:    v_i = Φ(slots_i), all offline; u = pool(v_c, {v_l}); features [u; v_c; u ⊙ v_c]
target-aware: history items are fused once a candidate, v_lc = Φ(slots_l | query_c), online
"""

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Request, Rows, no_loss, rows_at
from fusefront.baselines.packed import HistoryPairs, at
from fusefront.baselines.placements.stream import (
    MakePooler,
    Streams,
    features,
    features_width,
    fuse,
    select,
    tokens_out,
)


class ItemPlacement(nn.Module):
    """The operator makes one vector an item; one stream is pooled."""

    def __init__(
        self,
        slots: int,
        width: int,
        operator: nn.Module | None,
        make_pooler: MakePooler | None,
        *,
        products: bool,
        target_aware: bool,
    ) -> None:
        super().__init__()
        self.slots, self.width, self.products = slots, width, products
        self.operator, self.target_aware = operator, target_aware
        self.streams = Streams(
            [tokens_out(operator, slots) * width], make_pooler, per_candidate=target_aware
        )
        self.width_out = features_width(self.streams.widths, self.streams.pooled_widths, products)

    def encode(self, x: Tensor, present: Tensor) -> tuple[Rows, Rows, Tensor]:
        """Tokens [U, S, d], presence [U, S] to both codes and the operator's loss."""
        query = mean_token(x, present) if self.target_aware else None
        vector, loss = fuse(self.operator, x, present, query)
        code = self.streams.candidate([vector])
        if query is None:
            return self._pooled(vector, present), Rows(code, present), loss
        return Rows(x.flatten(-2), present), Rows(torch.cat([code, query], 1), present), loss

    def history(self, x: Tensor, present: Tensor) -> Rows:
        """Tokens [P, S, d], presence [P, S] to the code of a history's entries."""
        if self.target_aware:
            return Rows(x.flatten(-2), present)
        return self._pooled(fuse(self.operator, x, present)[0], present)

    def _pooled(self, vector: Tensor, present: Tensor) -> Rows:
        return Rows(self.streams.history([vector]), present.any(-1, keepdim=True))

    def forward(self, request: Request, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """A request and its real candidates `rows` [N] to (features [N, F], loss [])."""
        history, code = request.history.values, request.candidates.values
        loss, packed = no_loss(code), request.packed
        masks = self._masks(request)
        if self.target_aware:
            code, query = torch.split(code, [code.shape[-1] - self.width, self.width], -1)
            if packed is None:
                history, loss = self._fuse_history(request, query, rows)
            else:
                packed = packed.of(masks.squeeze(-1))
                history, loss = self._fuse_pairs(request.history, query.squeeze(1), packed.pairs)
                packed, masks = packed.apart(), masks.new_ones(len(history), 1)
        target, queries = self.streams.split(code)
        pooled = self.streams.pool(queries, history, masks, packed)
        return select(torch.cat(features(target, pooled, self.products), -1), rows), loss

    def _masks(self, request: Request) -> Tensor:
        """Which places of the histories hold anything, [R, L, 1]; packed: which codes, [n, 1]."""
        present = request.history.present
        some = present.any(-1) if self.target_aware else present[..., 0]
        mask = some if request.packed is not None else request.history_mask & some
        return mask.unsqueeze(-1)

    def _fuse_history(
        self, request: Request, query: Tensor, rows: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        values, present = request.history
        lead = (-1, query.shape[1], -1, -1)
        x = torch.unflatten(values, -1, (self.slots, self.width)).unsqueeze(1).expand(*lead, -1)
        there = present.unsqueeze(1).expand(lead)  # [R, K, L, S]
        if rows is not None:  # padded candidates take no part in the operator's loss
            real = present.new_zeros(query.shape[:2].numel()).index_fill(0, rows, True)
            there = there & real.view(*query.shape[:2], 1, 1)
        queries = query.unsqueeze(2).expand(-1, -1, values.shape[1], -1)  # [R, K, L, d]
        fused, loss = fuse(self.operator, x, there, queries)
        return self.streams.history([fused]), loss

    def _fuse_pairs(
        self, history: Rows, query: Tensor, pairs: HistoryPairs
    ) -> tuple[Tensor, Tensor]:
        """Codes [n, S d] fused once a pair with its row's query [N, d]: [P, H] and the loss []."""
        values, present = rows_at(history, pairs.code)
        x = torch.unflatten(values, -1, (self.slots, self.width))
        fused, loss = fuse(self.operator, x, present, at(query, pairs.row))
        return self.streams.history([fused]), loss


def mean_token(x: Tensor, present: Tensor) -> Tensor:
    """What a candidate asks with: the mean of its present tokens, [U, S, d] to [U, d]."""
    return x.sum(1) / present.sum(1, keepdim=True).clamp(min=1)
