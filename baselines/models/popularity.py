"""Control: how often an item was clicked, or shown, in train; nothing of user or content.

s_i = log odds of (clicks_i + m r) / (impressions_i + m), r the train click rate, or s_i = log(1 +
impressions_i); standardised over train items; logit = a + b s_c: two calibrated scalars.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import (
    Baseline,
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
from fusefront.baselines.settings import one_of, resolve

STATISTICS = ("click_rate", "impressions")


@dataclass(frozen=True)
class PopularitySettings:
    """Which statistic, and how many impressions at the mean rate are added to each item."""

    statistic: str = "click_rate"
    prior: float = 20.0


class Popularity(Baseline):
    """The same order of items for everybody."""

    name: ClassVar[str] = "popularity"
    family = "control"
    Settings: ClassVar[type[PopularitySettings]] = PopularitySettings
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "statistic": STATISTICS,
        "prior": (5.0, 20.0, 100.0),
    }
    reads_history: ClassVar[bool] = False
    statistic: Tensor

    def __init__(
        self, schema: Schema, items: ItemTable, settings: PopularitySettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.register_buffer("statistic", standardised(items, settings))
        self.intercept = nn.Parameter(torch.zeros(()))
        self.slope = nn.Parameter(torch.zeros(()))

    @classmethod
    def check(
        cls, schema: Schema, settings: Mapping[str, object], parts: Parts
    ) -> PopularitySettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved = resolve(cls.Settings, settings, cls.name)
        one_of(cls.name, "statistic", resolved.statistic, STATISTICS)
        if resolved.prior <= 0:
            raise ValueError(f"{cls.name}: setting 'prior' is {resolved.prior}, expected above 0")
        return resolved

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        """Item ids [U] to the statistic as candidate code [U, 1]; a history item has no code."""
        code = self.statistic[ids].unsqueeze(-1)
        there = (ids > 0).unsqueeze(-1)
        return ItemCodes(Rows(code[:, :0], there), Rows(code, there)), no_loss(code)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        """Request to logits [R, K]."""
        code = request.candidates.values.squeeze(-1)
        return Scored(self.intercept + self.slope * code, no_loss(code))


def standardised(items: ItemTable, settings: PopularitySettings) -> Tensor:
    """The statistic [n], mean 0 and deviation 1 over train items; items never shown get the prior."""
    shown, clicked = items.impressions.double(), items.clicks.double()
    if settings.statistic == "impressions":
        value = shown.log1p()
    else:
        rate = (clicked.sum() / shown.sum().clamp(min=1.0)).clamp(1e-6, 1 - 1e-6)
        value = torch.logit((clicked + settings.prior * rate) / (shown + settings.prior))
    in_train = items.in_train.double()  # [n]; nothing seen: every item counts
    weight = torch.where(in_train.any(), in_train, torch.ones_like(in_train))
    weight = weight / weight.sum()
    mean = (weight * value).sum()
    deviation = (weight * (value - mean).square()).sum().sqrt()
    return ((value - mean) / deviation.clamp(min=1e-6)).float()
