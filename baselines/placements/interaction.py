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
        return self.history(x, present), Rows(self.streams.candidate(slots), present), no_loss(x)

    def history(self, x: Tensor, present: Tensor) -> Rows:
        """Tokens [P, S, d], presence [P, S] to the code of a history's entries."""
        return Rows(self.streams.history(x.unbind(-2)), present)

    def forward(self, request: Request, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """A request and its real candidates `rows` [N] to (features [N, F], loss [])."""
        target, queries = self.streams.split(request.candidates.values)
        masks = masks_by_stream(request)
        pooled = self.streams.pool(queries, request.history.values, masks, request.packed)
        target = select(target, rows)  # [N, S d], and so on
        if pooled is not None:
            pooled = select(pooled, rows)
        pieces = features(target, pooled, self.products)
        if self.operator is None:
            return torch.cat(pieces, 1), no_loss(target)
        some = any_history(masks, request)  # [R, 1, S]
        there = self._present(request.candidates.present, some if pooled is not None else None)
        there = select(there, rows)
        product = pieces[2] if self.products and pooled is not None else None
        fields = target if pooled is None else self._fields(target, pooled, product)
        fields = torch.unflatten(normed(self.norm, fields), 1, (there.shape[1], -1))
        fused = self.operator(fields, there, None)
        crossed = fused.tokens.flatten(-2)
        return torch.cat([*pieces, crossed], 1) if self.skip else crossed, fused.loss

    def _fields(self, target: Tensor, pooled: Tensor, product: Tensor | None) -> Tensor:
        """The operator's slots [N, fields * d]."""
        if self.fields == "pair":
            return torch.cat([pooled, target], 1)
        product = pooled * target if product is None else product
        return product if self.fields == "product" else torch.cat([pooled, target, product], 1)

    def _present(self, there: Tensor, some: Tensor | None) -> Tensor:
        """Presence of the operator's slots [R, K, fields]: of target [R, K, S] and history
        [R, 1, S]."""
        if some is None:
            return there
        if self.fields == "product":
            return there & some
        history = some.expand(-1, there.shape[1], -1)
        return torch.cat([history, there, *([there & some] if self.fields == "all" else [])], -1)
