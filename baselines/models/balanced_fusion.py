"""Balanced late fusion: a loss for every tower, and gradients held back where a tower leads.

loss = BCE(logit) + weight * mean_m BCE(f_m), over the rows that have slot m (per-modality losses).
s_m = mean probability that tower m gives to what happened, ρ_m = s_m over the mean of the others'.
`balance` α: the gradient g_m = dBCE(logit)/df_m is multiplied by 1 - tanh(α ρ_m) where ρ_m > 1
(OGM): the tower that learns fastest leaves the others something to learn. `noise` γ adds
γ N(0, var g_m) to each row's g_m (GE), so that a tower's step has the covariance of its gradients
over rows once more; the authors' code draws noise for the weights of convolutions.
`prototypes` is the weight of PMR's loss Σ_m clip(1 / ρ_m - 1, 0, 1) mean -log p_m of what happened:
p_m = softmax_k(-|z_m - c_mk|), z_m what tower m reads, c_mk its running mean over clicked (k = 1)
and other rows, ρ_m by p_m. PMR's entropy term of the first epochs is left out: a loss does not know
its epoch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as click_loss

from fusefront.baselines.contract import ItemTable, Losses, Parts, RequestBatch, Schema, gather
from fusefront.baselines.models.balancing import Prototypes, mean_there, restraint, with_noise
from fusefront.baselines.models.composed import Composed
from fusefront.baselines.models.composed_settings import ComposedSettings
from fusefront.baselines.models.late_fusion import LateSettings
from fusefront.baselines.placements.logit import LogitPlacement
from fusefront.baselines.placements.stream import select

WEIGHTS = ("tower_weight", "balance", "noise", "prototypes")  # settings that may be 0


@dataclass(frozen=True)
class BalancedSettings(LateSettings):
    """Late fusion's settings; `tower_weight`, `balance`, `noise` and `prototypes` 0 are it."""

    tower_weight: float = field(default=0.3)
    balance: float = field(default=0.3)  # α
    noise: float = field(default=0.0)  # γ; 1 as published
    prototypes: float = field(default=0.0)


class BalancedFusion(Composed):
    """Late fusion in which all towers learn, however easy one modality is."""

    name: ClassVar[str] = "balanced_fusion"
    family = "late"
    paper: ClassVar[str] = "Peng et al. 2022, CVPR (OGM-GE); Fan et al. 2023, CVPR (PMR)"
    Settings: ClassVar[type[ComposedSettings]] = BalancedSettings
    fixed: ClassVar[tuple[str, ...]] = ("placement", "conditioning")
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        **Composed.choices,
        "tower_weight": (0.0, 0.1, 0.3, 1.0),
        "balance": (0.0, 0.1, 0.3, 1.0),
        "noise": (0.0, 1.0),
        "prototypes": (0.0, 1.0, 10.0),
    }

    def __init__(
        self, schema: Schema, items: ItemTable, settings: ComposedSettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        assert isinstance(self.placement, LogitPlacement)
        self.prototypes = None
        if self.settings.prototypes:
            towers = self.placement.towers
            wide = int(next(iter(towers)).width)  # type: ignore[arg-type]
            self.prototypes = Prototypes(len(towers), wide)

    @classmethod
    def check(cls, schema: Schema, settings: Mapping[str, object], parts: Parts) -> Any:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved: Any = super().check(schema, settings, parts)
        for setting in WEIGHTS:
            if getattr(resolved, setting) < 0:
                raise ValueError(f"{cls.name}: setting {setting!r} must not be negative; raise it")
        return resolved

    def losses(self, batch: RequestBatch, keep: Tensor | None = None) -> Losses:
        codes, loss = self.encode_batch(batch, keep)
        request, rows = gather(codes, batch), batch.rows
        assert isinstance(self.placement, LogitPlacement)
        z = self.placement.read(request, rows)  # [N, S, F]
        towers = self.placement.say(z)  # [N, S]
        there = select(request.candidates.present, rows)  # [N, S]
        towers = towers.to(batch.labels.dtype)
        labels = batch.labels.flatten()[rows]
        apart = click_loss(towers, labels[:, None].expand_as(towers), reduction="none")
        of_towers = mean_there(apart, there).mean()
        share = restraint(towers.detach(), there, labels, self.settings.balance)  # [S]
        joined = towers * share + towers.detach() * (1.0 - share)
        if self.settings.noise and self.training and joined.requires_grad:
            back = partial(with_noise, there=there, noise=self.settings.noise)
            joined.register_hook(back)  # type: ignore[no-untyped-call]
        context = self.context(
            request.request_context, request.candidate_context, request.candidates.values
        )
        context = select(context, rows)
        logits, extra = self.placement.join(joined, there, context)
        logits = self.with_lines(logits, context, there)
        whole = logits.new_zeros(batch.labels.numel()).index_put((rows,), logits)
        loss = loss + extra + self.settings.tower_weight * of_towers
        if self.prototypes is not None:
            loss = loss + self.settings.prototypes * self.prototypes(z, there, labels)
        return Losses(click_loss(logits, labels), loss, whole.view(batch.labels.shape))
