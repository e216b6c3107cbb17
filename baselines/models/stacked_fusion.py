"""Stacked late fusion (Wolpert 1992): a stacker learns from logits of towers that never saw the
row's label.

Fold of a request = its user modulo F. F copies of late fusion's towers, ids and projections
included; copy f learns from the rows of the other folds. logit = Φ(f_1..f_S of the row's own fold,
detached) + w' context while training; at scoring time Φ reads the mean over the copies. Trains in
one run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fusefront.baselines.contract import (
    Baseline,
    Events,
    ItemCodes,
    ItemTable,
    Losses,
    Parts,
    Request,
    RequestBatch,
    Rows,
    Schema,
    Scored,
    gather,
)
from fusefront.baselines.heads.linear import Linear
from fusefront.baselines.models.composed_parts import cacheable_at, make_context, try_parts
from fusefront.baselines.models.composed_settings import resolve_composed, slots_of
from fusefront.baselines.models.late_fusion import LateFusion, LateSettings
from fusefront.baselines.placements.stream import select, spread
from fusefront.baselines.roles import split_roles
from fusefront.baselines.settings import make_part


@dataclass(frozen=True)
class StackedSettings(LateSettings):
    """Late fusion's settings, the number of folds, and the stacker's hidden width (0 = logistic
    regression)."""

    folds: int = 2
    stack_hidden: int = 0


class StackedFusion(Baseline):
    """Late fusion with weights learned out of fold; costs `folds` times the towers."""

    name: ClassVar[str] = "stacked_fusion"
    reads_kinds: ClassVar[bool] = True
    family = "late"
    paper: ClassVar[str] = "Wolpert 1992, Neural Networks"
    Settings: ClassVar[type[StackedSettings]] = StackedSettings
    fixed: ClassVar[tuple[str, ...]] = (
        "placement",
        "conditioning",
        "operator",
        "presence_features",
    )
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        **{key: values for key, values in LateFusion.choices.items() if key != "presence_features"},
        "folds": (2, 3),
        "stack_hidden": (0, 8),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: StackedSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        member = {f.name: getattr(settings, f.name) for f in fields(LateSettings)}
        plain = replace(LateSettings(**member), context_width=0)  # context is the stacker's
        self.members = nn.ModuleList(
            LateFusion(schema, items, plain, parts) for _ in range(settings.folds)
        )
        slots = len(slots_of(settings, schema, parts))
        spec = {"name": "logit_stacked", "hidden": settings.stack_hidden}
        self.operator = make_part("operator", parts.operators, spec, slots, 1)
        self.context = make_context(schema, settings)
        wide = self.context.width_out
        self.head = Linear(wide) if wide else None

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> StackedSettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved = resolve_composed(cls.Settings, cls.name, cls.fixed, schema, settings, parts)
        assert isinstance(resolved, StackedSettings)
        try_parts(cls.name, resolved, schema, parts)
        if resolved.folds < 2:
            raise ValueError(
                f"{cls.name}: setting 'folds' is {resolved.folds}, expected at least 2; raise it"
            )
        return resolved

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        """The members' codes side by side; a modality is dropped for all of them or for none."""
        keep = self.members[0].draw_keep(ids) if keep is None else keep  # type: ignore[operator]
        encoded = [member.encode(ids, keep, events) for member in self.members]  # type: ignore[operator]
        history = _side_by_side([codes.history for codes, _ in encoded])
        candidate = _side_by_side([codes.candidate for codes, _ in encoded])
        return ItemCodes(history, candidate), torch.stack([loss for _, loss in encoded]).sum()

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        """Request to logits [R, K], every tower the mean of its copies."""
        return self._stack(request, rows, self._towers(request, rows).mean(0))

    def losses(self, batch: RequestBatch, keep: Tensor | None = None) -> Losses:
        """The stacker learns on held-out logits; each copy learns on the other folds' rows. keep
        [M] or [U, M] as in `encode`."""
        if not self.training:
            return super().losses(batch, keep)
        codes, loss = self.encode_batch(batch, keep)
        request = gather(codes, batch)
        towers = self._towers(request, batch.rows)  # [F, N, S]
        fold = (batch.groups % len(self.members))[batch.rows // batch.candidates.shape[1]]  # [N]
        held_out = towers[fold, torch.arange(len(fold), device=fold.device)]  # [N, S]
        scored = self._stack(request, batch.rows, held_out)
        labels = batch.labels.flatten()[batch.rows]
        click = binary_cross_entropy_with_logits(scored.logits.flatten()[batch.rows], labels)
        there = select(request.candidates.present, batch.rows)
        return Losses(click, loss + self._copies(towers, fold, there, labels), scored.logits)

    def _towers(self, request: Request, rows: Tensor | None) -> Tensor:
        """What each copy's towers say of its own codes, [F, N, S]."""
        history = request.history.values.chunk(len(self.members), -1)
        candidates = request.candidates.values.chunk(len(self.members), -1)
        return torch.stack(
            [
                member.placement.logits(  # type: ignore[union-attr,operator]
                    request._replace(
                        history=request.history._replace(values=history[at]),
                        candidates=request.candidates._replace(values=candidates[at]),
                    ),
                    rows,
                )
                for at, member in enumerate(self.members)
            ]
        )

    def _stack(self, request: Request, rows: Tensor | None, towers: Tensor) -> Scored:
        there = select(request.candidates.present, rows)  # [N, S]
        fused = self.operator(towers[..., None], there, None)
        logits = fused.tokens[:, 0, 0]
        codes = request.candidates.values
        if self.head is not None:
            context = self.context(request.request_context, request.candidate_context, codes)
            logits = logits + self.head(select(context, rows))
        return Scored(spread(logits, rows, codes), fused.loss)

    def _copies(self, towers: Tensor, fold: Tensor, there: Tensor, labels: Tensor) -> Tensor:
        """Mean cross entropy of the copies' towers over the rows they may learn from."""
        copies = torch.arange(len(towers), device=fold.device)[:, None]
        learns = (fold != copies)[..., None] & there  # [F, N, S]
        targets = labels[:, None].expand(towers.shape)
        each = binary_cross_entropy_with_logits(towers, targets, reduction="none")
        return each.masked_fill(~learns, 0.0).sum() / learns.sum().clamp(min=1)

    def parameter_roles(self) -> dict[str, list[nn.Parameter]]:
        """The members' roles together; the stacker is fusion."""
        slots = [member.slots for member in self.members]
        return split_roles(
            self,
            id_embedding=[part.ids for part in slots],  # type: ignore[union-attr,misc]
            field_embedding=[self.context, *(part.side for part in slots)],  # type: ignore[union-attr,list-item]
            fusion=[*slots, self.operator],  # type: ignore[list-item]
        )

    def cacheable(self) -> str:
        """As late fusion's."""
        return cacheable_at(self.settings)

    def report(self) -> dict[str, float]:
        """What the compressors tell of their fit."""
        measures: dict[str, float] = self.members[0].report()  # type: ignore[operator]
        return measures


def _side_by_side(parts: list[Rows]) -> Rows:
    """The copies' codes [U, H] of one role in a row; presence is that of each."""
    first, *others = parts
    return Rows(torch.cat([first.values, *(part.values for part in others)], 1), first.present)
