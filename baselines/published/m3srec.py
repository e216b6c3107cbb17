"""M3SRec (Bian et al. 2023, CIKM), as a click model: experts of each modality, then of all, read a
history.

x_lm = slot m of history item l + p_l + b_m, places counted from the newest; Z = Experts_m(Block(x))
for each slot m, then Z ← Experts(Block(Z)): attention over the tokens of all slots, then mixtures
of experts; u = A(Z_Lm of the newest item), v = A'(slots of the candidate), A(z) = Σ_m softmax(
w' tanh(W z_m + b)) z_m; logit = MLP([u; v; context]). The history never sees the candidate: it is
read once a request. The paper's pre-training tasks are left out; the click model is MMCTR-Bench's.
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
from fusefront.baselines.fields import context_of
from fusefront.baselines.heads.deep import Deep
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.poolers.additive_attention import AdditiveAttention
from fusefront.baselines.published.base import Published
from fusefront.baselines.published.content import content_slots
from fusefront.baselines.published.expert_reader import ExpertReader, read_slots
from fusefront.baselines.published.recipes import MMCTR_BENCH, MMCTR_BENCH_SOURCE, Recipe


@dataclass(frozen=True)
class M3SRecSettings:
    """As MMCTR-Bench has it; `feed` is the hidden width of blocks and of each expert."""

    width: int = 128
    id_width: int = 128
    heads: int = 4
    experts: int = 4
    feed: int = 512
    layers: int = 1
    hidden: tuple[int, ...] = (1024, 512, 256)
    dropout: float = 0.0


class M3SRec(Published):
    """A sequence of all modalities through attention and mixtures of experts."""

    name: ClassVar[str] = "m3srec"
    paper: ClassVar[str] = "Bian et al. 2023, CIKM"
    recipe: ClassVar[Recipe] = MMCTR_BENCH
    recipe_source: ClassVar[str] = MMCTR_BENCH_SOURCE
    Settings: ClassVar[type[M3SRecSettings]] = M3SRecSettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "width": (16, 32, 64, 128),
        "feed": (32, 128, 512),
        "experts": (2, 4),
        "dropout": (0.0, 0.1, 0.3),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: M3SRecSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        width, side = settings.width, min(settings.width, 16)
        sides = {"id_width": settings.id_width, "side_width": side}
        self.slots = content_slots(schema, items, parts, width, **sides)
        count = len(self.slots.names)
        self.kinds = EventKindTokens(schema.history_kinds, count, width)
        self.slot = nn.Parameter(torch.randn(count, width) * 0.05)
        sizes = (settings.heads, settings.feed, settings.experts, settings.layers)
        self.reader = ExpertReader(count, schema.max_history, width, *sizes, settings.dropout)
        self.read_history = AdditiveAttention(width, hidden=width)
        self.read_candidate = AdditiveAttention(width, hidden=width)
        self.context = context_of(schema, side)
        wide = self.context.width_out + 2 * width
        self.head = Deep(wide, settings.hidden, dropout=settings.dropout)

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> M3SRecSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: M3SRecSettings = super().check(schema, settings, parts)
        if resolved.width % resolved.heads:
            raise ValueError(
                f"{cls.name}: setting 'heads' {resolved.heads} does not divide 'width' "
                f"{resolved.width}; choose a divisor"
            )
        return resolved

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        x, present, loss = self.slots(ids, keep)  # [U, M, d]
        v = read_slots(self.read_candidate, x, present)  # [U, d]
        typed, some = self.kinds(x, present, events)
        history = Rows((typed + self.slot).flatten(1), some.any(-1, keepdim=True))
        return ItemCodes(history, Rows(v, present.any(-1, keepdim=True))), loss

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        v, mask = request.candidates.values, request.history_mask  # [R, K, d], [R, L]
        x = torch.unflatten(request.history.values, -1, (len(self.slot), -1))  # [R, L, M, d]
        there = mask.any(-1, keepdim=True).expand(-1, len(self.slot))
        u = read_slots(self.read_history, self.reader(x, mask), there).unsqueeze(1).expand_as(v)
        c = self.context(request.request_context, request.candidate_context, v)
        logits = self.head(select(torch.cat([c, u, v], -1), rows))
        return Scored(spread(logits, rows, v), no_loss(logits))

    def cacheable(self) -> str:
        """The history is read once a request; a candidate is a lookup."""
        return "part: the transformer runs online, over the history once a request"
