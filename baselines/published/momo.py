"""momo, the challenge's rank 1: a transformer over [history; target] and a deep & cross network.

x_l = [e_l; e_t], 2 post-norm encoder layers of 1 head;
s = [y_{L-15}; ...; y_L; W max_l y_l + b], the maximum over real positions;
z = [context; e_t; s]; h_{k+1} = z ⊙ (W_k h_k + b_k) + h_k, 3 layers; logit = MLP_{64,32,1}([h_3;
MLP_{1024,512,256}(z)]). `mask_as_published` restores the released code's inverted padding mask:
then no padded history's content reaches the score.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

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
from fusefront.baselines.heads.dcnv2 import CrossLayer
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.poolers.transformer import Transformer
from fusefront.baselines.published.base import ItemTokens, Published
from fusefront.baselines.published.recipes import MOMO, MOMO_SOURCE, Recipe


@dataclass(frozen=True)
class MomoSettings:
    """As published, but for the mask."""

    embedding: int = 64
    layers: int = 2
    heads: int = 1
    feed: int = 256
    last: int = 16
    cross_layers: int = 3
    cross_rank: int = 0
    hidden: tuple[int, ...] = (1024, 512, 256)
    head: tuple[int, ...] = (64, 32)
    transformer_dropout: float = 0.2
    dropout: float = 0.2
    mask_as_published: bool = False


class Momo(Published):
    """Target and history interact from the first layer on; nothing of it can be cached."""

    name: ClassVar[str] = "momo"
    paper: ClassVar[str] = (
        "team momo 2025, WWW MMCTR challenge (rank 1); Wang et al. 2021, WWW (DCNv2)"
    )
    recipe: ClassVar[Recipe] = MOMO
    recipe_source: ClassVar[str] = MOMO_SOURCE
    packs: ClassVar[bool] = True
    Settings: ClassVar[type[MomoSettings]] = MomoSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (8, 16, 32),
        "last": (4, 16),
        "cross_rank": (16, 64),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: MomoSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.tokens = ItemTokens(schema, items, settings.embedding)
        self.context = context_of(schema, settings.embedding)
        self.pool = Transformer(
            self.tokens.width_out,
            layers=settings.layers,
            heads=settings.heads,
            hidden=settings.feed,
            dropout=settings.transformer_dropout,
            last=settings.last,
            mask_as_published=settings.mask_as_published,
            length=schema.max_history if settings.mask_as_published else 0,
        )
        self.kinds = EventKindTokens(schema.history_kinds, self.tokens.width_out)
        width = self.context.width_out + self.tokens.width_out + self.pool.width_out
        self.cross = nn.ModuleList(
            CrossLayer(width, settings.cross_rank) for _ in range(settings.cross_layers)
        )
        self.deep = Deep(width, settings.hidden, dropout=settings.dropout, norm=False, out=False)
        self.head = Deep(width + self.deep.width_out, settings.head, norm=False)

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        e = self.tokens(ids, keep)  # [U, D]
        code = Rows(e, (ids > 0).unsqueeze(1))
        return ItemCodes(Rows(*self.kinds(*code, events)), code), no_loss(e)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        e = request.candidates.values  # [R, K, D]
        s = pool(self.pool, e, request)  # [R, K, 17 * 2D]
        c = self.context(request.request_context, request.candidate_context, e)
        z = select(torch.cat([c, e, s], -1), rows)  # [N, F]
        h = z
        for layer in self.cross:
            h = layer(z, h)
        logits = self.head(torch.cat([h, self.deep(z)], -1))
        return Scored(spread(logits, rows, e), no_loss(logits))

    def cacheable(self) -> str:
        """Target and history meet in the first layer, so no layer can be made offline."""
        return "no: the transformer runs for every candidate"
