"""Stacked logits: f = Σ_m π_m a_m f_m + b · π, or a small network on [π f; π]; presence π.

The stacker must see logits of towers that did not train on the row. So the model trains folds x
towers, takes the fold from `groups`, and passes for each row the logits of its held-out fold; this
operator detaches them, so that the stacker teaches no tower (the towers learn by losses of their
own). At scoring time the model passes the average of a tower's folds.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.presence import cleared, one_token


class LogitStacked(FusionOperator):
    """A logistic regression (hidden = 0) or a small network on out-of-fold logits; d = 1."""

    name: ClassVar[str] = "logit_stacked"
    paper: ClassVar[str] = "Wolpert 1992, Neural Networks"
    choices: ClassVar = {"hidden": (0, 8, 16)}
    level: ClassVar[str] = "logit"

    def __init__(self, slots: int, d: int, *, hidden: int = 0) -> None:
        super().__init__(slots, d)
        width = slots * (d + 1)
        self.stack = Flat([width, hidden, d] if hidden else [width, d])
        if not hidden:  # start as the average of the towers
            linear = self.stack.layers[0]
            assert isinstance(linear, nn.Linear)
            nn.init.constant_(linear.weight, 1.0 / slots)
            nn.init.zeros_(linear.weight[:, slots * d :])
            nn.init.zeros_(linear.bias)

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        logits = cleared(x.detach(), present).flatten(-2)  # (..., M * d)
        features = torch.cat([logits, present.to(logits.dtype)], -1)  # (..., M * (d + 1))
        return one_token(self.stack(features), present)  # (..., 1, d)
