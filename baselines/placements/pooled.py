"""Placement `pooled`: pool each slot's history, then fuse the pooled slots and the target's slots.

u_m = pool_m(t_m, {h_lm}); u = Φ(u_1..u_S), v = Φ(t_1..t_S) offline; features [u; v; u ⊙ v].
Target-aware: both calls of Φ get the candidate's mean token as query.
"""

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Request, Rows
from fusefront.baselines.placements.item import mean_token
from fusefront.baselines.placements.stream import (
    MakePooler,
    Streams,
    any_history,
    features,
    features_width,
    fuse,
    masks_by_stream,
    select,
    tokens_out,
)


class PooledPlacement(nn.Module):
    """One stream a slot; the operator runs once per candidate on the pooled slots."""

    def __init__(
        self,
        slots: int,
        width: int,
        operator: nn.Module | None,
        make_pooler: MakePooler,
        *,
        products: bool,
        target_aware: bool,
    ) -> None:
        super().__init__()
        self.products, self.target_aware, self.width = products, target_aware, width
        self.operator = operator
        self.streams = Streams([width] * slots, make_pooler)
        self.fused_width = tokens_out(operator, slots) * width
        self.width_out = features_width([self.fused_width], [self.fused_width], products)

    def encode(self, x: Tensor, present: Tensor) -> tuple[Rows, Rows, Tensor]:
        """Tokens [U, S, d], presence [U, S] to both codes and the operator's loss."""
        query = mean_token(x, present) if self.target_aware else None
        vector, loss = fuse(self.operator, x, present, query)
        slots = x.unbind(-2)
        queries = self.streams.candidate(slots)[..., sum(self.streams.widths) :]
        code = [vector, queries] if query is None else [vector, query, queries]
        return self.history(x, present), Rows(torch.cat(code, 1), present), loss

    def history(self, x: Tensor, present: Tensor) -> Rows:
        """Tokens [P, S, d], presence [P, S] to the code of a history's entries."""
        return Rows(self.streams.history(x.unbind(-2)), present)

    def forward(self, request: Request, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """A request and its real candidates `rows` [N] to (features [N, F], loss [])."""
        widths = [self.fused_width, *[self.width] * self.target_aware]
        parts = torch.split(request.candidates.values, [*widths, self.streams.query_width], -1)
        target, queries = parts[0], parts[-1]
        query = parts[1] if self.target_aware else None
        masks = masks_by_stream(request)
        pooled = self.streams.pool(queries, request.history.values, masks, request.packed)
        assert pooled is not None
        # the operator sees real candidates only: its losses are those of separate rows
        x = torch.unflatten(select(pooled, rows), -1, (len(self.streams.widths), -1))  # [N, S, W]
        some = select(any_history(masks, request).expand(-1, target.shape[1], -1), rows)
        query = None if query is None else select(query, rows)
        fused, loss = fuse(self.operator, x, some, query)
        return torch.cat(features(select(target, rows), fused, self.products), 1), loss
