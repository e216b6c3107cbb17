"""Balanced late fusion: a loss for every tower, and gradients held back where a tower leads.

loss = BCE(logit) + weight * mean_m BCE(f_m), over the rows that have slot m (per-modality losses).
s_m = mean probability that tower m gives to what happened, ρ_m = s_m over the mean of the others';
the gradient of BCE(logit) into f_m is multiplied by 1 - tanh(α ρ_m) where ρ_m > 1 (OGM): the tower
that learns fastest leaves the others something to learn. OGM-GE's noise on gradients is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as click_loss

from fusefront.baselines.contract import Losses, Parts, RequestBatch, Schema, gather
from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.models.late_fusion import LateSettings
from fusefront.baselines.placements.logit import LogitPlacement
from fusefront.baselines.placements.stream import select


@dataclass(frozen=True)
class BalancedSettings(LateSettings):
    """Late fusion's settings; `tower_weight` 0 and `balance` 0 are late fusion itself."""

    tower_weight: float = field(default=0.3)
    balance: float = field(default=0.3)  # α


class BalancedFusion(Composed):
    """Late fusion in which all towers learn, however easy one modality is."""

    name: ClassVar[str] = "balanced_fusion"
    family = "late"
    paper: ClassVar[str] = "Peng et al. 2022, CVPR (OGM-GE)"
    Settings: ClassVar[type[ComposedSettings]] = BalancedSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        **Composed.choices,
        "tower_weight": (0.0, 0.1, 0.3, 1.0),
        "balance": (0.0, 0.1, 0.3, 1.0),
    }

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> Any:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: Any = super().check(schema, settings, parts)
        for setting in ("tower_weight", "balance"):
            if getattr(resolved, setting) < 0:
                raise ValueError(f"{cls.name}: setting {setting!r} must not be negative; raise it")
        return resolved

    def losses(self, batch: RequestBatch, keep: Tensor | None = None) -> Losses:
        codes, loss = self.encode_batch(batch, keep)
        request, rows = gather(codes, batch), batch.rows
        assert isinstance(self.placement, LogitPlacement)
        towers = self.placement.logits(request, rows)  # [N, S]
        there = select(request.candidates.present, rows)  # [N, S]
        towers = towers.to(batch.labels.dtype)
        labels = batch.labels.flatten()[rows]
        apart = click_loss(towers, labels.unsqueeze(-1).expand_as(towers), reduction="none")
        count = there.sum(0).clamp(min=1)
        of_towers = (apart.masked_fill(~there, 0.0).sum(0) / count).mean()
        share = restraint(towers.detach(), there, labels, self.settings.balance)  # [S]
        joined = towers * share + towers.detach() * (1.0 - share)
        context = self.context(
            request.request_context, request.candidate_context, request.candidates.values
        )
        context = select(context, rows)
        logits, extra = self.placement.join(joined, there, context)
        if self.head is not None:
            logits = logits + self.head(context)
        if self.presence is not None:
            shown = there[:, self.presence_at].to(logits.dtype) - 0.5
            logits = logits + self.presence(shown).squeeze(-1)
        whole = logits.new_zeros(batch.labels.numel()).index_put((rows,), logits)
        loss = loss + extra + self.settings.tower_weight * of_towers
        return Losses(click_loss(logits, labels), loss, whole.view(batch.labels.shape))


def restraint(towers: Tensor, there: Tensor, labels: Tensor, alpha: float) -> Tensor:
    """The factor that remains of each tower's gradient [S]; towers are logits [N, S], `there` their
    presence [N, S], labels [N]."""
    right = torch.where(labels.unsqueeze(-1) > 0.5, towers, -towers).sigmoid()
    mean = right.masked_fill(~there, 0.0).sum(0) / there.sum(0).clamp(min=1)  # [S]
    others = (mean.sum() - mean) / max(1, len(mean) - 1)
    lead = mean / others.clamp(min=1e-6)
    return torch.where(lead > 1.0, 1.0 - (alpha * lead).tanh(), torch.ones_like(lead))
