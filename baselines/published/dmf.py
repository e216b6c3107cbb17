"""DMF (Lazada 2025, arXiv 2510.11066), as a click model: ids attend, content only says how alike
items are.

g_i = [PCA_k(x_1); ...; PCA_k(x_M)], each at length 1, frozen: cos(g_t, g_l) is the mean cosine of
the modalities. e_i = E_id + W [item fields]; u = α W' DTA + (1 - α) MLP(share of the history in
each of 10 bins of cos(g_t, g_l)), where DTA reads e by attention whose keys and values take the
embedding of one of 35 buckets of cos(g_t, g_l); logit = MLP([u; context]). The candidate's own
vector is not in the head.
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
from fusefront.baselines.poolers.similarity_histogram import SimilarityHistogram
from fusefront.baselines.published.content import Content, WithContent
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe
from fusefront.baselines.slots import ItemSlots


@dataclass(frozen=True)
class DmfSettings:
    """As published but for `content`, the numbers of each modality that similarity is taken
    over."""

    width: int = 128
    content: int = 32
    alpha: float = 0.5
    bins: int = 10
    buckets: int = 35
    hidden: tuple[int, ...] = (1024, 512, 256)


class Dmf(WithContent):
    """A model in which content only enters as similarity."""

    name: ClassVar[str] = "dmf"
    paper: ClassVar[str] = "Lazada 2025, arXiv 2510.11066"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    packs: ClassVar[bool] = True
    Settings: ClassVar[type[DmfSettings]] = DmfSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "width": (16, 32, 64, 128),
        "content": (8, 16, 32),
        "alpha": (0.25, 0.5, 0.75),
        "hidden": ((64, 32), (256, 128), (1024, 512, 256)),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: DmfSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        seed = torch.initial_seed()
        side, none = min(settings.width, 16), {"name": "none"}
        sizes = {"id_width": settings.width, "side_width": side, "width": settings.width}
        self.slots = ItemSlots(
            schema, items, parts, modalities=(), compressor=none, **sizes, seed=seed
        )
        self.kinds = EventKindTokens(schema.history_kinds, settings.width)
        self.content = Content(schema, items, parts, settings.content, seed)
        self.pool = SimilarityHistogram(
            settings.width,
            alpha=settings.alpha,
            bins=settings.bins,
            buckets=settings.buckets,
            content=self.content.width_out,
        )
        self.context = context_of(schema, side)
        self.head = Deep(self.context.width_out + settings.width, settings.hidden)

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> DmfSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: DmfSettings = super().check(schema, settings, parts)
        if not 0.0 <= resolved.alpha < 1.0:
            raise ValueError(
                f"{cls.name}: got alpha {resolved.alpha}, expected 0 to below 1; correct it"
            )
        return resolved

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        x, _, loss = self.slots(ids, keep)  # [U, S, d], S = id and item fields
        e, g = x.sum(-2), self.content(ids, keep)  # [U, d], [U, C]
        there = (ids > 0).unsqueeze(1)
        typed, some = self.kinds(e, there, events)
        like = g if events is None else g[events.item]
        history = Rows(self.pool.attend.history_code(typed, like), some)
        return ItemCodes(history, Rows(self.pool.attend.target_code(e, g), there)), loss

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        target = request.candidates.values  # [R, K, d + C]
        u = pool(self.pool, target, request)  # [R, K, d]
        c = self.context(request.request_context, request.candidate_context, target)
        logits = self.head(select(torch.cat([c, u], -1), rows))
        return Scored(spread(logits, rows, target), no_loss(logits))
