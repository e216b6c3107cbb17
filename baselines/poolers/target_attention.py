"""Multi-head target attention: the candidate asks, the history answers (Zhou et al. 2018; Vaswani
et al. 2017)."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusefront.baselines.contract import Pooler
from fusefront.baselines.initial import near_identity
from fusefront.baselines.packed import Packed, at
from fusefront.baselines.poolers.masking import additive, alive


class TargetAttention(Pooler):
    """Per head: u = softmax(q k' / sqrt(d_h)) v, with q = W_q t + b, k = W_k h, v = W_v h.

    All three projections and the scale are made offline; a key bias would change nothing.
    """

    name: ClassVar[str] = "target_attention"
    paper: ClassVar[str] = "Vaswani et al. 2017, NeurIPS"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"heads": (1, 2, 4)}

    def __init__(self, width: int, *, heads: int = 2) -> None:
        super().__init__(width)
        if width % heads:
            raise ValueError(f"{heads} heads do not divide the width {width}; choose a divisor")
        self.heads, self.head_width = heads, width // heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        nn.init.normal_(self.key.weight, std=0.1 / sqrt(width))  # starts as the mean
        self.value = near_identity(nn.Linear(width, width, bias=False))

    @property
    def width_out(self) -> int:
        return self.width

    def prepare_history(self, x: Tensor) -> Tensor:
        return torch.cat([self.key(x), self.value(x)], -1)

    def prepare_target(self, x: Tensor) -> Tensor:
        return self.query(x) / sqrt(self.head_width)  # type: ignore[no-any-return]

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        if history.ndim == 3:
            queries, codes = self.join_queries([target]), self.join_history([history])
            return self.pool_streams(queries, codes, mask.unsqueeze(-1))
        split = (self.heads, self.head_width)
        query = torch.unflatten(target, -1, split)  # [R, K, h, dh]
        keys, values = torch.unflatten(history, -1, (2, *split)).unbind(-3)  # [R, K, L, h, dh]
        bias = additive(mask, target)[:, None, None]  # [R, 1, 1, L]
        score = (keys.transpose(2, 3) @ query.unsqueeze(-1)).squeeze(-1)  # [R, K, h, L]
        weight = (score + bias).softmax(-1).unsqueeze(-2)
        pooled: Tensor = (weight @ values.transpose(2, 3)).flatten(-3)  # [R, K, D]
        return pooled * alive(mask, pooled).unsqueeze(1)

    def join_history(self, prepared: Sequence[Tensor]) -> Tensor:
        """What S equal poolers prepared, [n, 2 D] each, as all keys, then all values [n, 2 S D]."""
        pairs = [torch.chunk(x, 2, -1) for x in prepared]
        return torch.cat([*(key for key, _ in pairs), *(value for _, value in pairs)], -1)

    def join_queries(self, prepared: Sequence[Tensor]) -> Tensor:
        """S queries [n, D] as [n, S h (dh + 1)]: a 1 after each head's, to which masks are
        added."""
        queries = torch.unflatten(torch.cat(list(prepared), -1), -1, (-1, self.head_width))
        return torch.cat([queries, torch.ones_like(queries[..., :1])], -1).flatten(-2)

    def pool_streams(self, queries: Tensor, history: Tensor, masks: Tensor) -> Tensor:
        """S equal poolers in two products: joined codes [R, K, .], [R, L, .] -> [R, K, S D].

        Masks [R, L, S] enter the product of queries and keys as one more row. Masked values are
        cleared here, not once a candidate: a history without any real item pools to zero.
        """
        streams, width = masks.shape[-1], history.shape[-1] // 2
        split = (streams, self.heads, self.head_width)
        keys, values = torch.split(history, [width, width], -1)  # [R, L, S D]
        bias = additive(masks, history)[..., None, None].expand(-1, -1, -1, self.heads, -1)
        keys = torch.cat([torch.unflatten(keys, -1, split), bias], -1)  # [R, L, S, h, dh + 1]
        keys = keys.permute(0, 2, 3, 4, 1)  # [R, S, h, dh + 1, L]
        values = torch.unflatten(values, -1, split) * masks.to(values.dtype)[..., None, None]
        values = values.permute(0, 2, 3, 1, 4)  # [R, S, h, L, dh]
        query = torch.unflatten(queries, -1, (streams, self.heads, self.head_width + 1))
        weight = (query.permute(0, 2, 3, 1, 4) @ keys).softmax(-1)  # [R, S, h, K, L]
        return (weight @ values).permute(0, 3, 1, 2, 4).flatten(2)  # [R, K, S D]

    def pool_rows(self, target: Tensor, history: Tensor, packed: Packed) -> Tensor:
        """`forward` of real rows: [N, D], [n, 2 D] -> [N, D]."""
        if not row_by_row(packed):
            masks = packed.mask.unsqueeze(-1)
            return self._side_by_side(self.join_queries([target]), history, masks, packed)
        place, mask = packed.unrolled
        return self._attend(target, history, place, mask.unsqueeze(-1))

    def pool_stream_rows(
        self, queries: Tensor, history: Tensor, present: Tensor, packed: Packed
    ) -> Tensor:
        """`pool_streams` of real rows: joined codes [N, .], [n, .] of which `present` [n, S] ->
        [N, S D]."""
        if not row_by_row(packed):
            masks = packed.mask.unsqueeze(-1) & at(present, packed.place)  # [R, L, S]
            return self._side_by_side(queries, history, masks, packed)
        place, mask = packed.unrolled
        queries = torch.unflatten(queries, -1, (-1, self.head_width + 1))[..., :-1].flatten(-2)
        return self._attend(queries, history, place, mask.unsqueeze(-1) & at(present, place))

    def _side_by_side(
        self, queries: Tensor, history: Tensor, masks: Tensor, packed: Packed
    ) -> Tensor:
        """The rows of a request in its padded places, for they read one history."""
        pooled = self.pool_streams(packed.grid(queries), at(history, packed.place), masks)
        return at(pooled.flatten(0, 1), packed.rows)

    def _attend(self, queries: Tensor, history: Tensor, place: Tensor, masks: Tensor) -> Tensor:
        """Each row by itself, in one fused product: [N, S D], [n, 2 S D], [N, L], [N, L, S] ->
        [N, S D].

        Keys and values are looked up apart: their gradients come as their lookups want them.
        """
        streams = masks.shape[-1]
        split = (streams * self.heads, self.head_width)
        keys, values = (
            torch.unflatten(at(half.contiguous(), place), -1, split).transpose(1, 2)
            for half in history.chunk(2, -1)
        )  # [N, S h, L, dh]
        query = torch.unflatten(queries, -1, split).unsqueeze(2)  # [N, S h, 1, dh]
        bias = additive(masks, history).transpose(1, 2)  # [N, S, L]
        bias = bias.repeat_interleave(self.heads, 1).unsqueeze(2)  # [N, S h, 1, L]
        pooled = functional.scaled_dot_product_attention(
            query, keys, values, attn_mask=bias, scale=1.0
        )
        some = masks.any(1).to(pooled.dtype).unsqueeze(-1)  # [N, S, 1]
        return (torch.unflatten(pooled.flatten(1), -1, (streams, -1)) * some).flatten(1)


def row_by_row(packed: Packed) -> bool:
    """Whether rows that attend each by itself take less time than those of a request side by side.

    As measured (docs/performance.md), a row costs 9 by itself; side by side, a request costs 10 and
    each of its padded places 1.
    """
    return 9 * len(packed.rows) <= len(packed.place) * (10 + packed.candidates)
