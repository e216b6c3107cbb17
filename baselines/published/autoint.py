"""AutoInt (Song et al. 2019, CIKM): self-attention over the fields of a row.

fields as DeepFM's; per layer and head h: a = softmax((Q_h v)(K_h v)'), v ← ReLU([a V_h v]_h + W v);
logit = w' [v_1; ...; v_F] + b.
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
)
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.published.base import Published
from fusefront.baselines.published.fields import FieldTokens
from fusefront.baselines.published.recipes import BARS, BARS_SOURCE, Recipe


class InteractingLayer(nn.Module):
    """v [N, F, D] to ReLU(heads of attention + W v) [N, F, heads * width]."""

    def __init__(self, width_in: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width_in, 3 * heads * width, bias=False)
        self.residual = nn.Linear(width_in, heads * width, bias=False)

    def forward(self, v: Tensor) -> Tensor:
        """Fields v [N, F, w] that have read one another: [N, F, heads * d]."""
        split = torch.unflatten(self.project(v), -1, (3, self.heads, -1))  # [N, F, 3, h, d]
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)  # [N, h, F, d]
        weight = (query @ key.transpose(-1, -2)).softmax(-1)
        mixed = (weight @ value).transpose(1, 2).flatten(-2)
        return (mixed + self.residual(v)).relu()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class AutoIntSettings:
    """As published: 3 layers of 2 heads."""

    embedding: int = 16
    layers: int = 3
    heads: int = 2
    attention: int = 64  # of each head


class AutoInt(Published):
    """Self-attention between the fields of a row."""

    name: ClassVar[str] = "autoint"
    paper: ClassVar[str] = "Song et al. 2019, CIKM"
    recipe: ClassVar[Recipe] = BARS
    recipe_source: ClassVar[str] = BARS_SOURCE
    needs_history: ClassVar[bool] = False
    Settings: ClassVar[type[AutoIntSettings]] = AutoIntSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (8, 16, 32),
        "layers": (1, 2, 3),
        "attention": (16, 32, 64),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: AutoIntSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.tokens = FieldTokens(schema, items, settings.embedding)
        self.kinds = EventKindTokens(schema.history_kinds, self.tokens.item_width)
        wide = settings.heads * settings.attention
        widths = [settings.embedding] + [wide] * settings.layers
        self.layers = nn.ModuleList(
            InteractingLayer(before, settings.attention, settings.heads) for before in widths[:-1]
        )
        self.out = nn.Linear(self.tokens.count * widths[-1], 1)

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        code = self.tokens.encode(ids, keep)  # [U, F * E]
        rows = Rows(code, (ids > 0).unsqueeze(1))
        return ItemCodes(Rows(*self.kinds(*rows, events)), rows), no_loss(code)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        fields = select(self.tokens(request), rows)  # [N, F * E]
        v = torch.unflatten(fields, 1, (self.tokens.count, -1))  # [N, F, E]
        for layer in self.layers:
            v = layer(v)
        logits = self.out(v.flatten(-2)).squeeze(-1)
        return Scored(spread(logits, rows, request.candidates.values), no_loss(logits))

    def cacheable(self) -> str:
        """Fields of items are looked up; they meet the context online."""
        return "part: fields attend to each other online"
