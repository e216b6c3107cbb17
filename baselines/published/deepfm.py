"""DeepFM (Guo et al. 2017, IJCAI): first order, pairwise products and an MLP over the same
embeddings.

fields v_f in R^E: id, item fields, modalities projected, context, and each item field's mean over
the history; logit = b + Σ_f w_f + ½ Σ_e ((Σ_f v_f)² - Σ_f v_f²)_e + MLP([v_1; ...; v_F]).
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
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.published.base import Published
from fusefront.baselines.published.fields import FieldTokens
from fusefront.baselines.published.recipes import BARS, BARS_SOURCE, Recipe


@dataclass(frozen=True)
class DeepFmSettings:
    """Width of the embeddings, and the deep half."""

    embedding: int = 16
    hidden: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0


class DeepFm(Published):
    """Products of all pairs of fields, beside a deep network."""

    name: ClassVar[str] = "deepfm"
    paper: ClassVar[str] = "Guo et al. 2017, IJCAI"
    recipe: ClassVar[Recipe] = BARS
    recipe_source: ClassVar[str] = BARS_SOURCE
    needs_history: ClassVar[bool] = False
    Settings: ClassVar[type[DeepFmSettings]] = DeepFmSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (8, 16, 32),
        "hidden": ((64, 32), (256, 128), (1024, 512, 256)),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: DeepFmSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.tokens = FieldTokens(schema, items, settings.embedding + 1)  # the last column is w_f
        self.kinds = EventKindTokens(schema.history_kinds, self.tokens.item_width)
        self.deep = Deep(
            self.tokens.count * settings.embedding, settings.hidden, dropout=settings.dropout
        )

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        code = self.tokens.encode(ids, keep)  # [U, F * (E + 1)]
        rows = Rows(code, (ids > 0).unsqueeze(1))
        return ItemCodes(Rows(*self.kinds(*rows, events)), rows), no_loss(code)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        fields = select(self.tokens(request), rows)  # [N, F * (E + 1)]
        v = torch.unflatten(fields, -1, (self.tokens.count, -1))
        v, w = v[..., :-1], v[..., -1]  # [N, F, E], [N, F]
        pairs = (v.sum(1).square() - v.square().sum(1)).sum(1) / 2
        logits = w.sum(-1) + pairs + self.deep(v.flatten(-2))
        return Scored(spread(logits, rows, request.candidates.values), no_loss(logits))

    def cacheable(self) -> str:
        """Fields of items are looked up; they meet the context online."""
        return "part: fields are multiplied online"
