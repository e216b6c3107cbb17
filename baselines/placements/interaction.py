"""Placement `interaction`: each slot keeps its own summary; the operator crosses them in the head.

u_m = pool_m(t_m, {h_lm}); fields f_m = u_m ⊙ t_m ("product"), or u and t ("pair"), or all three
("all"); features [u_m; t_m; u_m ⊙ t_m for every m; Φ(fields)], or Φ(fields) alone without `skip`.
"""

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Request, Rows, no_loss
from fusefront.baselines.heads.norm import normed
from fusefront.baselines.placements.stream import (
    MakePooler,
    Streams,
    any_history,
    features,
    features_width,
    masks_by_stream,
    select,
    tokens_out,
)

FIELDS_PER_SLOT = {"product": 1, "pair": 2, "all": 3}


class InteractionPlacement(nn.Module):
    """One stream a slot; the operator runs once per candidate on the slots' summaries."""

    def __init__(
        self,
        slots: int,
        width: int,
        operator: nn.Module | None,
        make_pooler: MakePooler | None,
        *,
        products: bool,
        fields: str,
        skip: bool,
    ) -> None:
        super().__init__()
        self.products, self.fields, self.skip = products, fields, skip
        self.operator = operator
        self.streams = Streams([width] * slots, make_pooler)
        plain = features_width(self.streams.widths, self.streams.pooled_widths, products)
        count = slots * FIELDS_PER_SLOT[fields] if make_pooler else slots
        crossed = 0 if operator is None else tokens_out(operator, count) * width
        self.norm = nn.BatchNorm1d(count * width) if operator is not None else None
        self.width_out = crossed + (plain if skip or operator is None else 0)

    def encode(self, x: Tensor, present: Tensor) -> tuple[Rows, Rows, Tensor]:
        """Tokens [U, S, d], presence [U, S] to both codes; no operator runs offline."""
        slots = x.unbind(-2)
        history = Rows(self.streams.history(slots), present)
        return history, Rows(self.streams.candidate(slots), present), no_loss(x)

    def forward(self, request: Request, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """A request and its real candidates `rows` [N] to (features [N, F], loss [])."""
        target, queries = self.streams.split(request.candidates.values)
        masks = masks_by_stream(request.history_mask, request.history.present)
        pooled = self.streams.pool(queries, request.history.values, masks)
        pieces = features(target, pooled, self.products)  # [R, K, S d] each
        if self.operator is None:
            plain = select(torch.cat(pieces, -1), rows)
            return plain, no_loss(plain)
        product = pieces[2] if len(pieces) > 2 else None
        fields, there = self._fields(target, pooled, product, request.candidates.present, masks)
        fields, there = select(fields, rows), select(there, rows)
        fields = torch.unflatten(normed(self.norm, fields), -1, (there.shape[-1], -1))
        fused = self.operator(fields, there, None)
        crossed = fused.tokens.flatten(-2)
        if not self.skip:
            return crossed, fused.loss
        return torch.cat([*(select(piece, rows) for piece in pieces), crossed], -1), fused.loss

    def _fields(
        self,
        target: Tensor,
        pooled: Tensor | None,
        product: Tensor | None,
        there: Tensor,
        masks: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The operator's slots [R, K, fields * d] and their presence [R, K, fields]."""
        if pooled is None:
            return target, there
        product = pooled * target if product is None else product
        some = any_history(masks, target)
        both = there & some
        if self.fields == "product":
            return product, both
        if self.fields == "pair":
            return torch.cat([pooled, target], -1), torch.cat([some, there], -1)
        return torch.cat([pooled, target, product], -1), torch.cat([some, there, both], -1)
