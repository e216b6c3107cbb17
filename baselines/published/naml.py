"""NAML (Wu et al. 2019, IJCAI), as a click model: an attentive user meets an item in a dot product.

e_i = Σ_m tanh(W_m x_m + b_m) over id, modalities and side fields; u = Σ_l softmax(v' tanh(W
e_l + b)) e_l + W_c context; logit = u · e_t + b. The user's half knows nothing of the candidate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
)
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.fields import context_of
from fusefront.baselines.placements.stream import fuse, select, spread
from fusefront.baselines.poolers.additive_attention import AdditiveAttention
from fusefront.baselines.published.base import Published
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe
from fusefront.baselines.settings import find_part, make_part
from fusefront.baselines.slots import ItemSlots


def _none() -> Mapping[str, object]:
    return {"name": "none"}


@dataclass(frozen=True)
class NamlSettings:
    """Widths, and the compressor before the projections."""

    width: int = 128
    id_width: int = 128
    attention: int = 128
    compressor: Mapping[str, object] = field(default_factory=_none)


class Naml(Published):
    """Dot product of a user's and an item's vector."""

    name: ClassVar[str] = "naml"
    paper: ClassVar[str] = "Wu et al. 2019, IJCAI"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[NamlSettings]] = NamlSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "width": (16, 32, 64, 128),
        "id_width": (8, 32, 128),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: NamlSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.slots = ItemSlots(
            schema,
            items,
            parts,
            modalities=tuple(schema.modalities),
            compressor=settings.compressor,
            id_width=settings.id_width,
            side_width=min(settings.width, 16),
            width=settings.width,
            seed=torch.initial_seed(),
        )
        count = len(self.slots.names)
        self.kinds = EventKindTokens(schema.history_kinds, count, settings.width)
        self.operator = make_part(
            "operator", parts.operators, {"name": "maf"}, count, settings.width
        )
        self.pool = AdditiveAttention(settings.width, hidden=settings.attention)
        self.context = context_of(schema, min(settings.width, 16))
        wide = self.context.width_out
        self.user = nn.Linear(wide, settings.width) if wide else None
        self.bias = nn.Parameter(torch.zeros(()))

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> NamlSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: NamlSettings = super().check(schema, settings, parts)
        find_part("compressor", parts.compressors, resolved.compressor)
        find_part("operator", parts.operators, {"name": "maf"})
        return resolved

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        x, present, loss = self.slots(ids, keep)  # [U, S, d]
        e, extra = fuse(self.operator, x, present)  # [U, d]
        there = present.any(-1, keepdim=True)
        typed = e if events is None else fuse(self.operator, *self.kinds(x, present, events))[0]
        some = there if events is None else there[events.item]
        return ItemCodes(Rows(self.pool.prepare_history(typed), some), Rows(e, there)), loss + extra

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        e = request.candidates.values  # [R, K, d]
        mask = request.history_mask & request.history.present[..., 0]
        user = self.pool(e, request.history.values, mask)  # [R, K, d]
        if self.user is not None:
            c = self.context(request.request_context, request.candidate_context, e)
            user = user + self.user(c)
        logits = select((user * e).sum(-1, keepdim=True), rows).squeeze(-1) + self.bias
        return Scored(spread(logits, rows, e), no_loss(logits))
