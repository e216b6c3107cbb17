"""SimCEN, the simple contrast-enhanced network (Li et al. 2024, ACM MM).

X [F, d] = every field of the row: id, item fields, modalities and numbers of the candidate, the
means of the same over the history, context. G = X W X' [F, F] holds their products. Three views,
vec(X), B triu(G) and C tril(G), pass gated layers of three experts (the operator `simcen`), which
give ego, v_1 and v_2; logit = w' [ego; ego + v_1; ego + v_2] + b. W, B, C, w and b are learned.
Training adds the contrast of the three.
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
from fusefront.baselines.published.recipes import SIMCEN, SIMCEN_SOURCE, Recipe
from fusefront.baselines.settings import make_part


@dataclass(frozen=True)
class SimcenSettings:
    """As released for Avazu; `hidden` is the width of one of the three experts."""

    embedding: int = 16
    layers: int = 3
    hidden: int = 160
    dropout: float = 0.1
    weight: float = 0.01
    temperature: float = 2.0


class Simcen(Published):
    """Fields and two views of their products, contrasted."""

    name: ClassVar[str] = "simcen"
    paper: ClassVar[str] = "Li et al. 2024, ACM MM"
    recipe: ClassVar[Recipe] = SIMCEN
    recipe_source: ClassVar[str] = SIMCEN_SOURCE
    Settings: ClassVar[type[SimcenSettings]] = SimcenSettings
    needs_history: ClassVar[bool] = False
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (8, 16, 32),
        "layers": (1, 2, 3),
        "dropout": (0.0, 0.1, 0.2),
        "weight": (0.0, 0.01, 0.1),
        "temperature": (0.1, 0.5, 2.0),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: SimcenSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.tokens = FieldTokens(schema, items, settings.embedding)
        self.kinds = EventKindTokens(schema.history_kinds, self.tokens.item_width)
        spec = {
            "name": "simcen",
            "layers": settings.layers,
            "hidden": settings.hidden,
            "dropout": settings.dropout,
            "weight": settings.weight,
            "temperature": settings.temperature,
            "readout": "tokens",
        }
        operator = ("operator", parts.operators, spec)
        self.operator = make_part(*operator, self.tokens.count, settings.embedding)
        self.out = nn.Linear(3 * settings.hidden, 1)

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> SimcenSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: SimcenSettings = super().check(schema, settings, parts)
        if resolved.hidden % resolved.embedding:
            raise ValueError(
                f"{cls.name}: setting 'hidden' is {resolved.hidden}, expected a multiple of "
                f"'embedding' {resolved.embedding}; correct one of them"
            )
        return resolved

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        e = self.tokens.encode(ids, keep)  # [U, F_item * d]
        code = Rows(e, (ids > 0).unsqueeze(1))
        return ItemCodes(Rows(*self.kinds(*code, events)), code), no_loss(e)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        x = select(self.tokens(request), rows)  # [N, F * d]
        fields = torch.unflatten(x, -1, (self.tokens.count, -1))  # [N, F, d]
        there = torch.ones_like(fields[..., 0], dtype=torch.bool)
        fused = self.operator(fields, there, None)
        logits = self.out(fused.tokens.flatten(-2)).squeeze(-1)
        return Scored(spread(logits, rows, request.candidates.values), fused.loss)

    def cacheable(self) -> str:
        """An item's fields are a lookup; products with the history and the context are not."""
        return "part: fields are multiplied online"
