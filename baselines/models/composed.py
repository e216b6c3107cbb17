"""The composed model: any compressor x operator x placement x pooler x head that means something.

slots = [E_id; W_m c(x_m) for every modality m; side fields]  offline, each of width d
item         v = Φ(slots), u = pool(v_c, {v_l}),              logit = head([u; v; u ⊙ v; context])
pooled       u_m = pool_m, u = Φ(u_1..), v = Φ(t_1..),        logit = head([u; v; u ⊙ v; context])
interaction  f_m = u_m ⊙ t_m,                                 logit = head([u; t; f; Φ(f); context])
logit        f_m = tower_m([u_m; t_m; u_m ⊙ t_m]),            logit = Φ(f_1..) + w' context
"""

from collections.abc import Mapping
from copy import deepcopy
from itertools import combinations
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import (
    Baseline,
    Events,
    ItemCodes,
    ItemTable,
    Parts,
    Request,
    Schema,
    Scored,
)
from fusefront.baselines.event_kinds import EventKindTokens
from fusefront.baselines.heads.linear import Linear
from fusefront.baselines.models.composed_parts import (
    cacheable_at,
    make_context,
    make_head,
    make_placement,
    try_parts,
)
from fusefront.baselines.models.composed_settings import (
    ComposedSettings,
    resolve_composed,
)
from fusefront.baselines.placements.logit import LogitPlacement
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.roles import split_roles
from fusefront.baselines.settings import make_part
from fusefront.baselines.slots import ItemSlots

ALIGNED_ITEMS = 1024  # most items in a pairwise loss, whose cost is quadratic


class Composed(Baseline):
    """A combination of compressor, operator, placement, pooler and head; the families are presets
    of it."""

    name: ClassVar[str] = "composed"
    reads_kinds: ClassVar[bool] = True
    packs: ClassVar[bool] = True
    Settings: ClassVar[type[ComposedSettings]] = ComposedSettings
    fixed: ClassVar[tuple[str, ...]] = ()  # settings that make a family what it is
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "token_width": (8, 16, 32),
        "id_width": (4, 8, 16),
        "compressor.k": (8, 12, 24),
        "head.hidden": ((32, 16), (64, 32), (128, 64)),
        "head.dropout": (0.0, 0.1, 0.2),
        "presence_features": (False, True),
        "modality_dropout": (0.0, 0.1),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: ComposedSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        if type(self) is Composed:
            self.family = family_of(settings)
        self.modalities = len(schema.modalities)
        self.slots = ItemSlots(
            schema,
            items,
            parts,
            modalities=tuple(settings.modalities),
            compressor=settings.compressor,
            id_width=settings.id_width if settings.use_id else 0,
            side_width=settings.side_width,
            width=settings.token_width,
            seed=torch.initial_seed(),  # the run's, see `Baseline.build`
        )
        self.context = make_context(schema, settings)
        count = len(self.slots.names)
        self.kinds = EventKindTokens(schema.history_kinds, count, self.slots.width)
        self.placement = make_placement(settings, count, self.context.width_out, parts)
        self.head = self._make_head(settings, parts)
        names = enumerate(self.slots.names)
        self.presence_at = [at for at, name in names if name not in ("id", "side")]
        counted = len(self.presence_at) if settings.presence_features else 0
        self.presence = nn.Linear(counted, 1, bias=False) if counted else None
        self.alignment = None
        if settings.alignment is not None:
            self.alignment = make_part(
                "alignment", parts.alignments, settings.alignment, settings.token_width
            )

    def _make_head(self, settings: ComposedSettings, parts: Parts) -> nn.Module | None:
        wide = self.context.width_out
        if isinstance(self.placement, LogitPlacement):  # context is a tower of its own, additive
            return Linear(wide) if wide else None
        return make_head(settings, parts)(wide + int(self.placement.width_out))  # type: ignore[arg-type]

    @classmethod
    def forced(cls, schema: Schema, settings: Mapping[str, object]) -> Mapping[str, object]:
        """Settings that follow from others and override what was given."""
        return {}

    @classmethod
    def check(
        cls, schema: Schema, settings: Mapping[str, object], parts: Parts
    ) -> ComposedSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        forced = cls.forced(schema, settings)
        resolved = resolve_composed(
            cls.Settings, cls.name, cls.fixed, schema, settings, parts, forced
        )
        try_parts(cls.name, resolved, schema, parts)
        return resolved

    def of_modality(self) -> dict[str, list[nn.Module]]:
        """The towers of modalities, where each slot has one; `slots` names its own parts."""
        if not isinstance(self.placement, LogitPlacement) or self.slots.joint:
            return {}
        towers, names = self.placement.towers, self.slots.names
        return {names[at]: [towers[at]] for at in self.presence_at}

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        """Item ids [U] to (codes of both roles, auxiliary loss []); keep [M] or [U, M]."""
        keep = self.draw_keep(ids) if keep is None else keep
        x, present, loss = self.slots(ids, keep)
        history, candidate, extra = self.placement.encode(x, present)  # type: ignore[operator]
        loss = loss + extra
        if events is not None:
            history = self.placement.history(*self.kinds(x, present, events))  # type: ignore[operator]
        if self.training and self.alignment is not None:
            loss = loss + self.settings.alignment_weight * self._align(x, present, ids)
        return ItemCodes(history, candidate), loss

    def draw_keep(self, ids: Tensor) -> Tensor | None:
        """Which modalities a training step leaves to each of the items [U], [U, M]; None = all."""
        dropout = self.settings.modality_dropout
        if not (self.training and dropout):
            return None
        keep: Tensor = torch.rand(len(ids), self.modalities, device=ids.device) >= dropout
        return keep

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        """Request to logits [R, K]; heads see the real candidates `rows` [N] alone."""
        codes = request.candidates.values
        context = self.context(request.request_context, request.candidate_context, codes)
        context = select(context, rows)  # [N, C]
        if isinstance(self.placement, LogitPlacement):
            logits, loss = self.placement(request, rows, context)
        else:
            features, loss = self.placement(request, rows)  # [N, F]
            assert self.head is not None
            logits = self.head(torch.cat([features, context], 1))
        logits = self.with_lines(logits, context, select(request.candidates.present, rows))
        return Scored(spread(logits, rows, codes), loss)

    def with_lines(self, logits: Tensor, context: Tensor, there: Tensor) -> Tensor:
        """Logits [N] and what is a line beside them: the context [N, C] of towers, and the presence
        [N, S] of modalities."""
        if self.head is not None and isinstance(self.placement, LogitPlacement):
            logits = logits + self.head(context)
        if self.presence is not None:
            shown = there[:, self.presence_at].to(logits.dtype) - 0.5
            logits = logits + self.presence(shown)[:, 0]
        return logits

    def _align(self, x: Tensor, present: Tensor, ids: Tensor) -> Tensor:
        """Mean over pairs of modalities of the alignment loss, over items that hold both."""
        assert self.alignment is not None
        chosen = torch.arange(len(ids), device=ids.device)
        if len(ids) > ALIGNED_ITEMS:
            chosen = torch.randperm(len(ids), device=ids.device)[:ALIGNED_ITEMS]
        x, present, ids = x[chosen], present[chosen], ids[chosen]
        losses = []
        for a, b in combinations(self.presence_at, 2):
            both = present[:, a] & present[:, b]
            losses.append(self.alignment(x[both, a], x[both, b], ids[both]))
        return torch.stack(losses).mean()

    @property
    def prefixes(self) -> list[int]:
        """The code widths that `narrowed` takes, widest first; empty unless the compressor
        nests."""
        return self.slots.prefixes

    def narrowed(self, prefix: int) -> Self:
        """A copy that reads the first `prefix` numbers of each nested code (Matryoshka).

        One training thus gives the whole curve of AUC against the width.

        Raises:
            ValueError: the compressor does not nest, or was not trained for that prefix.
        """
        if not self.prefixes:
            raise ValueError(
                f"compressor {self.settings.compressor['name']!r} has no nested prefixes to "
                "narrow to; train with 'matryoshka'"
            )
        if prefix not in self.prefixes:
            raise ValueError(
                f"no code was trained for prefix {prefix}; trained: "
                f"{', '.join(map(str, self.prefixes))}"
            )
        small = deepcopy(self)
        with torch.random.fork_rng(devices=[]):
            small.slots.narrow(prefix)
        return small

    def parameter_roles(self) -> dict[str, list[nn.Parameter]]:
        """id_embedding, field_embedding, fusion (projections, compressors, operator), dense."""
        fusion: list[nn.Module | None] = [self.slots, self.alignment]
        fusion += [part for name, part in self.placement.named_children() if name == "operator"]
        return split_roles(
            self,
            id_embedding=[self.slots.ids],
            field_embedding=[self.context, self.slots.side, self.kinds],
            fusion=fusion,
        )

    def cacheable(self) -> str:
        """With an item-only operator at `item`, fusion is a lookup online; elsewhere the operator
        needs the request."""
        return cacheable_at(self.settings)

    def report(self) -> dict[str, float]:
        """The compressors' measures of their fit and codes."""
        return self.slots.report()


def family_of(settings: ComposedSettings) -> str:
    """late: at `logit`; compressed: a compressor and an operator at `interaction`; else early."""
    if settings.placement == "logit":
        return "late"
    compressed = settings.compressor["name"] != "none"
    if settings.placement == "interaction" and compressed:
        return "compressed"
    return "early"
