"""Placement `logit`: one tower a slot sees its own history and target; the operator joins the
logits.

f_m = head_m([u_m; t_m; u_m ⊙ t_m]); logit = Φ(f_1..f_S). A tower whose slot the candidate lacks is
absent. Context stays outside the towers; operators that take a query decide by it whom to believe.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Request, Rows, no_loss
from fusefront.baselines.placements.stream import (
    MakePooler,
    Streams,
    features,
    features_width,
    masks_by_stream,
    select,
)

MakeHead = Callable[[int], nn.Module]


class LogitPlacement(nn.Module):
    """One stream and one head a slot."""

    def __init__(
        self,
        slots: int,
        width: int,
        operator: nn.Module | None,
        make_pooler: MakePooler | None,
        make_head: MakeHead,
        *,
        products: bool,
    ) -> None:
        super().__init__()
        self.products, self.operator = products, operator
        self.streams = Streams([width] * slots, make_pooler)
        pooled = self.streams.pooled_widths[:1]
        self.towers = nn.ModuleList(
            make_head(features_width([width], pooled, products)) for _ in range(slots)
        )

    def encode(self, x: Tensor, present: Tensor) -> tuple[Rows, Rows, Tensor]:
        """Tokens [U, S, d], presence [U, S] to both codes; no operator runs offline."""
        slots = x.unbind(-2)
        return self.history(x, present), Rows(self.streams.candidate(slots), present), no_loss(x)

    def history(self, x: Tensor, present: Tensor) -> Rows:
        """Tokens [P, S, d], presence [P, S] to the code of a history's entries."""
        return Rows(self.streams.history(x.unbind(-2)), present)

    def read(self, request: Request, rows: Tensor | None) -> Tensor:
        """A request to what each tower reads of its real candidates, [N, S, F]."""
        target, queries = self.streams.split(request.candidates.values)
        masks = masks_by_stream(request)
        pooled = self.streams.pool(queries, request.history.values, masks, request.packed)
        pieces = [
            torch.unflatten(select(piece, rows), 1, (len(self.towers), -1))
            for piece in features(target, pooled, self.products)
        ]
        return torch.cat(pieces, -1)

    def say(self, z: Tensor) -> Tensor:
        """What each tower says of what it reads [N, S, F]: [N, S]."""
        logits = [tower(x) for tower, x in zip(self.towers, z.unbind(1), strict=True)]
        return torch.stack(logits, -1)

    def logits(self, request: Request, rows: Tensor | None) -> Tensor:
        """A request to what each tower says of its real candidates, [N, S]."""
        return self.say(self.read(request, rows))

    def forward(
        self, request: Request, rows: Tensor | None, query: Tensor
    ) -> tuple[Tensor, Tensor]:
        """A request and the context [N, C] of its real candidates to (logits [N], loss [])."""
        there = select(request.candidates.present, rows)  # [N, S]
        return self.join(self.logits(request, rows), there, query)

    def join(self, logits: Tensor, there: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        """Towers' logits [N, S], presence [N, S] and context [N, C] to (logits [N], loss [])."""
        if self.operator is None:
            return logits[:, 0], no_loss(logits)
        fused = self.operator(logits.unsqueeze(-1), there, query)
        return fused.tokens.flatten(-2).squeeze(-1), fused.loss
