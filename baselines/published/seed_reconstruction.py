"""Reconstruction of the challenge's task-2 winner (Zhou 2025, arXiv 2504.18961), every piece a
switch.

m_i = recipe(x_i) in tokens of width E, PCA_k(x - mean) not whitened: V1 the first modality alone,
V2 the second alone, V3 PCA of all side by side, V4 PCA of each modality, then side by side;
"learned" a linear layer instead of PCA.
e_i = [E_id; E_fields; W m_i]; u = attention(e_t, {e_l}), DIN's or multi-head; fields F = {context,
pieces of e_t, pieces of u}; z_f = mean(e_f), a = σ(W_2 ReLU(W_1 z)), F ← a F (SENet);
logit = MLP([F]). The paper's text names V4, SENet and the attention; V1 to V3 are inferred.
"""

from collections.abc import Mapping
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
    pool,
)
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.placements.stream import fuse, select, spread
from fusefront.baselines.published.base import Published
from fusefront.baselines.published.fields import ContextFields
from fusefront.baselines.published.recipes import DIN, DIN_SOURCE, Recipe
from fusefront.baselines.published.seed_recipes import (
    ATTENTIONS,
    RECIPES,
    SeedSettings,
    check_recipe,
    pooler_of,
    slots_of,
)
from fusefront.baselines.settings import make_part


class SeedReconstruction(Published):
    """Compression per modality, target attention, re-weighted fields."""

    name: ClassVar[str] = "seed_reconstruction"
    paper: ClassVar[str] = "Zhou 2025, arXiv 2504.18961"
    recipe: ClassVar[Recipe] = DIN
    recipe_source: ClassVar[str] = DIN_SOURCE
    packs: ClassVar[bool] = True
    Settings: ClassVar[type[SeedSettings]] = SeedSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "recipe": RECIPES,
        "attention": ATTENTIONS,
        "senet": (True, False),
        "embedding": (16, 32, 64),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: SeedSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        width = settings.embedding
        self.slots = slots_of(schema, items, settings, parts)
        self.pieces, self.width = len(self.slots.names), width
        self.kinds = EventKindTokens(schema.history_kinds, self.pieces, width)
        self.pool = pooler_of(settings, self.pieces * width)
        self.context = ContextFields(schema, width)
        count = self.context.count + 2 * self.pieces
        self.operator = None
        if settings.senet:
            spec = {"name": "senet", "readout": "tokens"}
            self.operator = make_part("operator", parts.operators, spec, count, width)
        self.head = Deep(count * width, settings.hidden, dropout=settings.dropout)

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> SeedSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: SeedSettings = super().check(schema, settings, parts)
        check_recipe(cls.name, resolved, tuple(schema.modalities))
        return resolved

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        x, present, loss = self.slots(ids, keep)  # [U, S, E]
        e = x.flatten(-2)  # [U, S * E]
        typed, _ = self.kinds(x, present, events)
        there = (ids if events is None else ids[events.item]) > 0
        history = Rows(self.pool.prepare_history(typed.flatten(-2)), there.unsqueeze(-1))
        return ItemCodes(
            history, Rows(torch.cat([e, self.pool.prepare_target(e)], -1), present)
        ), loss

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        code, there = request.candidates
        e = code[..., : self.pieces * self.width]  # [R, K, S * E]
        asks = code[..., self.pieces * self.width :]
        u = pool(self.pool, asks, request)  # [R, K, S * E]
        c = self.context(request, e)  # [R, K, C * E]
        fields = torch.unflatten(torch.cat([c, e, u], -1), -1, (-1, self.width))
        always = torch.ones_like(there[..., :1]).expand(*there.shape[:2], self.context.count)
        some = request.history_mask.sum(-1) > 0 if request.packed is None else request.packed.some
        pooled = some[:, None, None].expand(there.shape)
        present = torch.cat([always, there, pooled], -1)  # [R, K, F]
        weighed, loss = fuse(self.operator, fields, present)
        return Scored(spread(self.head(select(weighed, rows)), rows, code), loss)

    def cacheable(self) -> str:
        """Item tokens are looked up; SENet weighs them beside context and history."""
        return "part: SENet weighs the fields online" if self.settings.senet else "yes"
