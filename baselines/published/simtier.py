"""SimTier beside an id model (Sheng et al. 2024, CIKM): how much of the history is how alike.

e_i = [E_id; item fields; numbers], no content; u = DIN(e_t, e_l);
n_b = number of history items whose cos(g_t, g_l) lies in tier b of B equal steps from -1 to 1, for
each modality, over items that have it, g frozen; s_b = w_b log(1 + n_b), w learned;
logit = MLP([context; e_t; u; s of each modality]).
The released code (of MUSE) has the edges of 22 tiers at multiples of .1, closed above.
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
)
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.fields import context_of
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.published.content import Content, TierCounts, WithContent, id_tokens


@dataclass(frozen=True)
class SimTierSettings:
    """`content` is the numbers of each modality that similarity is taken over."""

    embedding: int = 64
    content: int = 32
    tiers: int = 20
    attention: tuple[int, ...] = (512, 256)
    hidden: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0


class SimTier(WithContent):
    """A model in which content enters as counts of similarity, never as a vector."""

    name: ClassVar[str] = "simtier"
    paper: ClassVar[str] = "Sheng et al. 2024, CIKM"
    Settings: ClassVar[type[SimTierSettings]] = SimTierSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (16, 32, 64),
        "content": (8, 16, 32),
        "tiers": (10, 20, 40),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: SimTierSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.tokens = id_tokens(schema, items, settings.embedding)
        width = self.tokens.width_out
        self.kinds = EventKindTokens(schema.history_kinds, width)
        self.pool = DinPooler(width, hidden=settings.attention)
        self.content = Content(schema, items, parts, settings.content, torch.initial_seed())
        self.tiers = TierCounts(self.content.widths, settings.tiers)
        self.context = context_of(schema, settings.embedding)
        wide = self.context.width_out + 2 * width + self.tiers.weights.numel()
        self.head = Deep(wide, settings.hidden, dropout=settings.dropout)

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        e, g = self.tokens(ids, keep), self.content(ids, keep)  # [U, D], [U, C]
        item = (ids > 0).unsqueeze(1)
        there = torch.cat([item, self.content.there(ids, keep)], 1)  # [U, 1 + M]
        target = Rows(torch.cat([self.pool.prepare_target(e), g], -1), there)
        typed, _ = self.kinds(e, item, events)
        if events is not None:
            g, there = g[events.item], there[events.item]
        history = Rows(torch.cat([self.pool.prepare_history(typed), g], -1), there)
        return ItemCodes(history, target), no_loss(e)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        width, content = self.tokens.width_out, self.content.width_out
        asks = request.candidates.values[..., :-content]  # [R, K, D + H], e first
        u = self.pool(asks, request.history.values[..., :-content], request.history_mask)
        c = self.context(request.request_context, request.candidate_context, asks)
        x = torch.cat([c, asks[..., :width], u, self.tiers(request)], -1)
        logits = self.head(select(x, rows))
        return Scored(spread(logits, rows, asks), no_loss(logits))
