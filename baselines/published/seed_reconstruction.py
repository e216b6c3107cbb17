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
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from fusefront.baselines.contract import (
    Events,
    ItemCodes,
    ItemTable,
    Parts,
    Pooler,
    Request,
    Rows,
    Schema,
    Scored,
    pool,
)
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.placements.stream import fuse, select, spread
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.poolers.target_attention import TargetAttention
from fusefront.baselines.published.base import Published
from fusefront.baselines.published.fields import ContextFields
from fusefront.baselines.published.recipes import DIN, DIN_SOURCE, Recipe
from fusefront.baselines.settings import make_part, one_of
from fusefront.baselines.slots import ItemSlots

RECIPES = ("V1", "V2", "V3", "V4", "learned")
ATTENTIONS = ("target_attention", "din")


@dataclass(frozen=True)
class SeedSettings:
    """`embedding` is both E and PCA's k: 64 + 64 = 128, as the challenge asks."""

    recipe: str = "V4"
    attention: str = "target_attention"
    heads: int = 4
    senet: bool = True
    embedding: int = 64
    hidden: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0


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
        modalities, compressor = recipe_of(settings, tuple(schema.modalities))
        width = settings.embedding
        self.slots = ItemSlots(
            schema,
            items,
            parts,
            modalities=modalities,
            compressor=compressor,
            id_width=width,
            side_width=width,
            width=width,
            seed=torch.initial_seed(),
        )
        self.pieces, self.width = len(self.slots.names), width
        self.kinds = EventKindTokens(schema.history_kinds, self.pieces, width)
        self.pool = self._pooler(self.pieces * width)
        self.context = ContextFields(schema, width)
        count = self.context.count + 2 * self.pieces
        self.operator = None
        if settings.senet:
            spec = {"name": "senet", "readout": "tokens"}
            self.operator = make_part("operator", parts.operators, spec, count, width)
        self.head = Deep(count * width, settings.hidden, dropout=settings.dropout)

    def _pooler(self, width: int) -> Pooler:
        if self.settings.attention == "din":
            return DinPooler(width)
        return TargetAttention(width, heads=self.settings.heads)

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> SeedSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: SeedSettings = super().check(schema, settings, parts)
        one_of(cls.name, "recipe", resolved.recipe, RECIPES)
        one_of(cls.name, "attention", resolved.attention, ATTENTIONS)
        if resolved.recipe in ("V1", "V2") and len(schema.modalities) < int(resolved.recipe[1]):
            raise ValueError(
                f"{cls.name}: recipe {resolved.recipe!r} needs {resolved.recipe[1]} modalities "
                f"and the data has {len(schema.modalities)}; use 'V4'"
            )
        if resolved.attention == "target_attention" and resolved.embedding % resolved.heads:
            raise ValueError(
                f"{cls.name}: 'heads' {resolved.heads} does not divide 'embedding' "
                f"{resolved.embedding}; choose a divisor"
            )
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


def recipe_of(
    settings: SeedSettings, modalities: tuple[str, ...]
) -> tuple[tuple[str, ...], Mapping[str, object]]:
    """Which modalities, through which compressor."""
    pca: Mapping[str, object] = {"name": "pca", "k": settings.embedding, "whiten": False}
    recipes: dict[str, tuple[tuple[str, ...], Mapping[str, object]]] = {
        "V1": (modalities[:1], pca),
        "V2": (modalities[1:2], pca),
        "V3": (modalities, {**pca, "name": "pca_joint"}),
        "V4": (modalities, pca),
        "learned": (modalities, {"name": "none"}),
    }
    return recipes[settings.recipe]
