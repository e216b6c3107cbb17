"""QIN, the quadratic interest network (Li et al. 2025, WWW companion; the challenge's rank 2).

a = ReLU(q · k_l / √H) over the real items, not normalised, H = 2D; u = W_o Σ_l a_l v_l + e_t;
x = [context; e_t; u]; 4 times x ← x + dropout(PReLU(BN(Σ_{r ≤ R} x ⊙ dropout(W_r x + b_r)))); logit
= w' x + b. In evaluation the R matrices of a layer are one, their sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fusefront.baselines.contract import (
    Events,
    ItemCodes,
    ItemTable,
    Parts,
    Request,
    Rows,
    Schema,
    Scored,
    no_loss,
    pool,
)
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.fields import context_of
from fusefront.baselines.heads.quadratic import QuadraticHead
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.poolers.sparse_relu_attention import SparseReluAttention
from fusefront.baselines.published.base import ItemTokens, Published
from fusefront.baselines.published.recipes import QIN, QIN_SOURCE, Recipe


@dataclass(frozen=True)
class QinSettings:
    """As published; the authors warn that rank 4 is unstable elsewhere."""

    embedding: int = 128
    attention: int = 0  # H; 0 = twice the item's width
    layers: int = 4
    rank: int = 4
    dropout: float = 0.1


class Qin(Published):
    """Sparse attention, then products of products."""

    name: ClassVar[str] = "qin"
    paper: ClassVar[str] = "Li et al. 2025, WWW companion"
    recipe: ClassVar[Recipe] = QIN
    recipe_source: ClassVar[str] = QIN_SOURCE
    packs: ClassVar[bool] = True
    Settings: ClassVar[type[QinSettings]] = QinSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (16, 32, 64),
        "layers": (1, 2, 4),
        "rank": (2, 3, 4),
        "dropout": (0.0, 0.1, 0.2),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: QinSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.tokens = ItemTokens(schema, items, settings.embedding)
        self.context = context_of(schema, settings.embedding)
        width = self.tokens.width_out
        self.kinds = EventKindTokens(schema.history_kinds, width)
        self.pool = SparseReluAttention(width, hidden=settings.attention)
        self.head = QuadraticHead(
            self.context.width_out + 2 * width,
            layers=settings.layers,
            rank=settings.rank,
            dropout=settings.dropout,
            norm=False,
        )

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        e = self.tokens(ids, keep)  # [U, D]
        there = (ids > 0).unsqueeze(1)
        target = self.pool.prepare_target(e)  # [U, H + D], e last
        typed, some = self.kinds(e, there, events)
        codes = Rows(self.pool.prepare_history(typed), some), Rows(target, there)
        return ItemCodes(*codes), no_loss(e)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        target = request.candidates.values  # [R, K, H + D]
        u = pool(self.pool, target, request)  # [R, K, D]
        e = target[..., self.pool.hidden :]
        c = self.context(request.request_context, request.candidate_context, target)
        logits = self.head(select(torch.cat([c, e, u], -1), rows))
        return Scored(spread(logits, rows, target), no_loss(logits))
