"""DIN, the MMCTR challenge's official baseline (Zhou et al. 2018, KDD; reczoo, WWW 2025 challenge).

e_i = [E_id; mean E_tags; W x_i]; s_l = MLP_{512,256,1}([e_t; e_l; e_t - e_l; e_t ⊙ e_l]) over the
real items, no softmax; u = Σ_l s_l e_l; logit = MLP_{1024,512,256,1}([context; e_t; u]) with batch
norm, or with `dice` the paper's activation in its place. The attention keeps ReLU either way:
Dice's statistics over a history would count how batches are cut.
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
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.published.base import ItemTokens, Published
from fusefront.baselines.published.recipes import DIN, DIN_SOURCE, Recipe


@dataclass(frozen=True)
class DinSettings:
    """As the challenge ships it."""

    embedding: int = 64
    attention: tuple[int, ...] = (512, 256)
    hidden: tuple[int, ...] = (1024, 512, 256)
    attention_dropout: float = 0.1
    dropout: float = 0.0
    dice: bool = False


class Din(Published):
    """The candidate weighs each history item by a small network."""

    name: ClassVar[str] = "din"
    paper: ClassVar[str] = "Zhou et al. 2018, KDD"
    recipe: ClassVar[Recipe] = DIN
    recipe_source: ClassVar[str] = DIN_SOURCE
    packs: ClassVar[bool] = True
    wide: ClassVar[bool] = True
    Settings: ClassVar[type[DinSettings]] = DinSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (16, 32, 64),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: DinSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.tokens = ItemTokens(schema, items, settings.embedding)
        self.context = context_of(schema, settings.embedding)
        width = self.tokens.width_out
        self.kinds = EventKindTokens(schema.history_kinds, width)
        self.pool = DinPooler(width, hidden=settings.attention, dropout=settings.attention_dropout)
        self.head = Deep(
            self.context.width_out + 2 * width,
            settings.hidden,
            dropout=settings.dropout,
            dice=settings.dice,
        )

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        e = self.tokens(ids, keep)  # [U, D]
        there = (ids > 0).unsqueeze(1)
        target = self.pool.prepare_target(e)  # [U, D + H], e first
        typed, some = self.kinds(e, there, events)
        codes = Rows(self.pool.prepare_history(typed), some), Rows(target, there)
        return ItemCodes(*codes), no_loss(e)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        target = request.candidates.values  # [R, K, D + H]
        u = pool(self.pool, target, request)  # [R, K, D]
        e = target[..., : self.tokens.width_out]
        c = self.context(request.request_context, request.candidate_context, target)
        logits = self.head(select(torch.cat([c, e, u], -1), rows))
        return Scored(spread(logits, rows, target), no_loss(logits))
