"""MUSE (Wu et al. 2025, arXiv 2512.07216): content searches a long history, then weighs attention.

e_i = [E_id; item fields; numbers], no content; g frozen content, cos(g_t, g_l) the mean over the
modalities; S = the K most alike items of the history; u = SA-TA(e_t, e_l | cos) over S (pooler
`content_search`); s_b = w_b log(1 + n_b) SimTier's counts over the whole history;
logit = MLP([context; e_t; u; s of each modality]). The authors' head has Dice and a second
attention over the newest items; here one attention reads all that the search leaves.
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
from fusefront.baselines.poolers.content_search import ContentSearch
from fusefront.baselines.published.content import Content, TierCounts, WithContent, id_tokens


@dataclass(frozen=True)
class MuseSettings:
    """`content` is the numbers of each modality that similarity is taken over."""

    embedding: int = 64
    content: int = 32
    tiers: int = 20
    heads: int = 1
    nearest: int = 50
    bits: int = 0  # of the search's signatures; 0 = exact
    hidden: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0


class Muse(WithContent):
    """Search, attention and counts by content, over id embeddings."""

    name: ClassVar[str] = "muse"
    paper: ClassVar[str] = "Wu et al. 2025, arXiv 2512.07216"
    Settings: ClassVar[type[MuseSettings]] = MuseSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (16, 32, 64),
        "content": (8, 16, 32),
        "nearest": (8, 20, 50, 100),
        "bits": (0, 32, 64),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: MuseSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.tokens = id_tokens(schema, items, settings.embedding)
        width = self.tokens.width_out
        self.kinds = EventKindTokens(schema.history_kinds, width)
        self.content = Content(schema, items, parts, settings.content, torch.initial_seed())
        self.pool = ContentSearch(
            width,
            heads=settings.heads,
            nearest=settings.nearest,
            bits=settings.bits,
            content=self.content.width_out,
        )
        self.tiers = TierCounts(self.content.widths, settings.tiers)
        self.context = context_of(schema, settings.embedding)
        wide = self.context.width_out + 2 * width + self.tiers.weights.numel()
        self.head = Deep(wide, settings.hidden, dropout=settings.dropout)

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        e, g = self.tokens(ids, keep), self.content(ids, keep)  # [U, D], [U, C]
        item = (ids > 0).unsqueeze(1)
        there = torch.cat([item, self.content.there(ids, keep)], -1)  # [U, 1 + M]
        target = Rows(torch.cat([e, self.pool.target_code(e, g), g], -1), there)
        typed, _ = self.kinds(e, item, events)
        if events is not None:
            g, there = g[events.item], there[events.item]
        history = Rows(torch.cat([self.pool.history_code(typed, g), g], -1), there)
        return ItemCodes(history, target), no_loss(e)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        width, content = self.tokens.width_out, self.content.width_out
        codes = request.candidates.values  # [R, K, D + Q + C]
        e, asks = codes[..., :width], codes[..., width:-content]
        u = self.pool(asks, request.history.values[..., :-content], request.history_mask)
        c = self.context(request.request_context, request.candidate_context, asks)
        x = torch.cat([c, e, u, self.tiers(request)], -1)
        logits = self.head(select(x, rows))
        return Scored(spread(logits, rows, asks), no_loss(logits))
