"""MAKE (Sheng et al. 2024, CIKM): a content half trained first for several epochs, then ids.

v_i = [W_1 x_1; ...; W_M x_M], no id; h = ReLU network of [v_t; DIN(v_t, v_l)], f = w' h + b, taught
by its own click loss, first alone for several epochs, and by nothing else. e_i = [E_id; item
fields; numbers], u = DIN(e_t, e_l), logit = MLP([context; e_t; u; h; f]).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn, split
from torch.nn.functional import binary_cross_entropy_with_logits as click_loss

from fusefront.baselines.contract import (
    Batches,
    Events,
    ItemCodes,
    ItemTable,
    Losses,
    Parts,
    Request,
    RequestBatch,
    Rows,
    Schema,
    Scored,
    gather,
    no_loss,
)
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.fields import context_of
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.published.content import WithContent, content_slots, descend, id_tokens


@dataclass(frozen=True)
class MakeSettings:
    """`content` is the width of each modality's token, `first_epochs` those of the content half."""

    embedding: int = 64
    content: int = 64
    first_epochs: int = 3
    first_rate: float = 1e-3
    attention: tuple[int, ...] = (512, 256)
    knowledge: tuple[int, ...] = (128, 64)
    hidden: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0


class Make(WithContent):
    """A content half, trained first, whose outputs are features of the id model."""

    name: ClassVar[str] = "make"
    paper: ClassVar[str] = "Sheng et al. 2024, CIKM"
    Settings: ClassVar[type[MakeSettings]] = MakeSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (16, 32, 64),
        "content": (16, 32, 64),
        "first_epochs": (1, 3, 5),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: MakeSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.slots = content_slots(schema, items, parts, settings.content)
        self.tokens = id_tokens(schema, items, settings.embedding)
        self.widths = (len(schema.modalities) * settings.content, self.tokens.width_out)
        self.kinds = EventKindTokens(schema.history_kinds, self.widths[1])
        pools = (DinPooler(width, hidden=settings.attention) for width in self.widths)
        self.content_pool, self.pool = pools
        self.code = [width + settings.attention[0] for width in self.widths]
        self.knowledge = Deep(2 * self.widths[0], settings.knowledge, norm=False, out=False)
        self.content_out = nn.Linear(self.knowledge.width_out, 1)
        self.context = context_of(schema, settings.embedding)
        wide = self.context.width_out + 2 * self.widths[1] + self.knowledge.width_out + 1
        self.head = Deep(wide, settings.hidden, dropout=settings.dropout)

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        x, _, loss = self.slots(ids, keep)  # [U, M, d]
        v, e, there = x.flatten(1), self.tokens(ids, keep), (ids > 0).unsqueeze(1)
        asks = [self.content_pool.prepare_target(v), self.pool.prepare_target(e)]
        typed, some = self.kinds(e, there, events)
        past = v if events is None else v[events.item]
        codes = [self.content_pool.prepare_history(past), self.pool.prepare_history(typed)]
        return ItemCodes(Rows(torch.cat(codes, -1), some), Rows(torch.cat(asks, -1), there)), loss

    def both(self, request: Request, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logits of the model and of the content half alone, [N] each."""
        asks, past = (split(x.values, self.code, -1) for x in (request.candidates, request.history))
        u_c = self.content_pool(asks[0], past[0], request.history_mask)
        h = self.knowledge(select(torch.cat([asks[0][..., : self.widths[0]], u_c], -1), rows))
        f = self.content_out(h)  # [N, 1]
        u = self.pool(asks[1], past[1], request.history_mask)
        c = self.context(request.request_context, request.candidate_context, u)
        x = select(torch.cat([c, asks[1][..., : self.widths[1]], u], -1), rows)
        return self.head(torch.cat([x, h.detach(), f.detach()], -1)), f.squeeze(-1)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        logits, _ = self.both(request, rows)
        return Scored(spread(logits, rows, request.candidates.values), no_loss(logits))

    def losses(self, batch: RequestBatch, keep: Tensor | None = None) -> Losses:
        codes, loss = self.encode_batch(batch, keep)
        logits, alone = self.both(gather(codes, batch), batch.rows)
        labels = batch.labels.flatten()[batch.rows].to(logits.dtype)
        loss = loss + click_loss(alone, labels)
        return Losses(click_loss(logits, labels), loss, spread(logits, batch.rows, batch.labels))

    def first_stage(self, train: Batches) -> None:
        """The content half alone, `first_epochs` epochs of Adam at `first_rate`."""
        half = nn.ModuleList([self.slots, self.content_pool, self.knowledge, self.content_out])
        descend(self, half, train, self.settings.first_epochs, self.settings.first_rate)
