"""Control: how often an item was clicked, or shown, in train; nothing of user or content.

s_i = log odds of (clicks_i + m r) / (impressions_i + m), r the train click rate, or s_i = log(1 +
impressions_i); standardised over train items; logit = a + b s_c, (a, b) of maximum likelihood on
train; m is the one of 5, 20 and 100 with the highest AUC on validation.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torchmetrics.functional.classification import binary_auroc

from fusefront.baselines.contract import (
    Baseline,
    Batches,
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
from fusefront.baselines.newton import solve_logistic
from fusefront.baselines.settings import one_of, resolve

STATISTICS = ("click_rate", "impressions")
PRIORS = (20.0, 5.0, 100.0)  # the first of equals wins


@dataclass(frozen=True)
class PopularitySettings:
    """Which statistic, and how many impressions at the mean rate are added to each item.

    Without a `prior`, validation chooses it.
    """

    statistic: str = "click_rate"
    prior: float | None = None


class Popularity(Baseline):
    """A model that orders items equally for every user."""

    name: ClassVar[str] = "popularity"
    family = "control"
    Settings: ClassVar[type[PopularitySettings]] = PopularitySettings
    reads_history: ClassVar[bool] = False
    solved: ClassVar[bool] = True
    statistic: Tensor
    prior: Tensor

    def __init__(
        self, schema: Schema, items: ItemTable, settings: PopularitySettings, parts: Parts
    ) -> None:
        super().__init__(schema, items, settings, parts)
        self.items = items
        prior = settings.prior or PRIORS[0]
        self.register_buffer("statistic", standardised(items, settings.statistic, prior))
        self.register_buffer("prior", torch.tensor(prior))
        self.intercept = nn.Parameter(torch.zeros(()))
        self.slope = nn.Parameter(torch.zeros(()))

    @classmethod
    def check(
        cls, schema: Schema, settings: Mapping[str, object], parts: Parts
    ) -> PopularitySettings:
        """The resolved settings, or a ValueError that says in a sentence what is wrong."""
        resolved = resolve(cls.Settings, settings, cls.name)
        one_of(cls.name, "statistic", resolved.statistic, STATISTICS)
        if resolved.prior is not None and resolved.prior <= 0:
            raise ValueError(f"{cls.name}: setting 'prior' is {resolved.prior}, expected above 0")
        return resolved

    def solve(self, train: Batches, valid: Batches) -> None:
        """Both scalars by maximum likelihood; of several priors, the best one on validation."""
        settings: PopularitySettings = self.settings
        priors = PRIORS if settings.prior is None else (settings.prior,)
        choices = [(prior, standardised(self.items, settings.statistic, prior)) for prior in priors]
        prior, statistic = max(choices, key=lambda pair: _auc(pair[1], valid))
        weights = solve_logistic(lambda: _blocks(statistic, train), 1, 0.0)
        with torch.no_grad():
            self.statistic.copy_(statistic)
            self.prior.fill_(prior)
            self.slope.copy_(weights[0])
            self.intercept.copy_(weights[1])

    def report(self) -> dict[str, float]:
        """The prior in use, in impressions."""
        return {"prior": float(self.prior)}

    def encode(
        self, ids: Tensor, keep: Tensor | None = None, events: Events | None = None
    ) -> tuple[ItemCodes, Tensor]:
        """Item ids [U] to the statistic as candidate code [U, 1]; a history item has no code."""
        code = self.statistic[ids][:, None]
        there = (ids > 0)[:, None]
        return ItemCodes(Rows(code[:, :0], there), Rows(code, there)), no_loss(code)

    def score(self, request: Request, rows: Tensor | None = None) -> Scored:
        """Request to logits [R, K]."""
        code = request.candidates.values[..., 0]
        return Scored(self.intercept + self.slope * code, no_loss(code))


def standardised(items: ItemTable, kind: str, prior: float) -> Tensor:
    """The statistic [n], mean 0 and deviation 1 over train items; items never shown get the
    prior."""
    shown, clicked = items.impressions.double(), items.clicks.double()
    if kind == "impressions":
        value = shown.log1p()
    else:
        rate = (clicked.sum() / shown.sum()).nan_to_num().clamp(1e-6, 1 - 1e-6)  # 0 / 0 is 0
        value = torch.logit((clicked + prior * rate) / (shown + prior))
    known = items.in_train.double()  # [n]; nothing seen: every item counts
    weight = torch.where(known.any(), known, torch.ones_like(known))
    weight = weight / weight.sum()
    mean = (weight * value).sum()
    deviation = (weight * (value - mean).square()).sum().sqrt()
    return ((value - mean) / deviation.clamp(min=1e-6)).float()


def _blocks(statistic: Tensor, batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """The statistic [n, 1] and the labels [n] of every batch's rows."""
    for batch in batches():
        items = batch.items[batch.candidates].flatten()[batch.rows]
        yield statistic[items].double()[:, None], batch.labels.flatten()[batch.rows].double()


def _auc(statistic: Tensor, batches: Batches) -> float:
    """The statistic's AUC over every batch's rows; without a batch no number, so that the first
    prior wins."""
    blocks = list(_blocks(statistic, batches))
    if not blocks:
        return math.nan
    score, label = torch.cat([x for x, _ in blocks]), torch.cat([y for _, y in blocks])
    return float(binary_auroc(score[:, 0].sigmoid(), label.int(), thresholds=None))
