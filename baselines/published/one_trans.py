"""OneTrans (Zhang et al. 2025, arXiv 2510.26104): one causal transformer over sequence and fields.

Tokens [d]: s_l = A [fields of history item l] + a, oldest first, then T fields f_t of candidate and
context. A layer, with N = RMSNorm: x ← x + O Attention(N(x)), x ← x + FFN(N(x)); history tokens
share one set of weights, each field has its own; a token reads itself and what stands before it, so
the history never sees the candidate and is encoded once a request. The last layer has queries of
the fields alone (the pyramid's end); logit = w' [f_1; ...; f_T] + b. A, a, O, w and b are learned.
Dense features, cross-request caches and the pyramid's steps in between are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

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
from fusefront.baselines.published.recipes import DIN, Recipe
from fusefront.baselines.published.unified_layer import UnifiedLayer


@dataclass(frozen=True)
class OneTransSettings:
    """Small by default: the published sizes are not public for a single GPU."""

    embedding: int = 16
    layers: int = 2
    heads: int = 2
    feed: int = 32


class OneTrans(Published):
    """One transformer over the history and the fields."""

    name: ClassVar[str] = "one_trans"
    paper: ClassVar[str] = "Zhang et al. 2025, arXiv 2510.26104"
    recipe: ClassVar[Recipe] = DIN
    recipe_source: ClassVar[str] = "that of `din`: the paper's is of a stream without epochs"
    Settings: ClassVar[type[OneTransSettings]] = OneTransSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "embedding": (8, 16, 32),
        "layers": (1, 2, 3),
        "feed": (32, 64),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: OneTransSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        width = settings.embedding
        self.tokens = FieldTokens(schema._replace(max_history=0), items, width)
        self.kinds = EventKindTokens(schema.history_kinds, self.tokens.item_width)
        self.enter = nn.Linear(self.tokens.item_width, width)
        sizes = (width, self.tokens.count, settings.heads, settings.feed)
        lasts = [False] * (settings.layers - 1) + [True]
        self.layers = nn.ModuleList(UnifiedLayer(*sizes, last=last) for last in lasts)
        self.out = nn.Linear(self.tokens.count * width, 1)

    @classmethod
    def check(
        cls, schema: Schema, settings: Mapping[str, object], parts: Parts
    ) -> OneTransSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: OneTransSettings = super().check(schema, settings, parts)
        if resolved.embedding % resolved.heads:
            raise ValueError(
                f"{cls.name}: setting 'heads' {resolved.heads} does not divide 'embedding' "
                f"{resolved.embedding}; choose a divisor"
            )
        return resolved

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        e = self.tokens.encode(ids, keep)  # [U, F_item * d]
        code = Rows(e, (ids > 0).unsqueeze(1))
        typed, some = self.kinds(*code, events)
        return ItemCodes(Rows(self.enter(typed), some), code), no_loss(e)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        mask = request.history_mask
        s = request.history.values.masked_fill(~mask.unsqueeze(-1), 0.0)  # [R, L, d]
        f = self.tokens(request).unflatten(-1, (self.tokens.count, -1))  # [R, K, T, d]
        for layer in self.layers:
            s, f = layer(s, f, mask)
        logits = self.out(select(f.flatten(-2), rows)).squeeze(-1)
        return Scored(spread(logits, rows, request.candidates.values), no_loss(logits))

    def cacheable(self) -> str:
        """The history is encoded once a request, the fields once a candidate."""
        return "part: the transformer runs online, over the history once a request"
