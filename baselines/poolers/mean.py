"""Mean pooling: the same vector for every candidate."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from fusefront.baselines.contract import Pooler


class MeanPooler(Pooler):
    """u = mean of the real history items."""

    name: ClassVar[str] = "mean"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {}

    @property
    def width_out(self) -> int:
        return self.width

    def prepare_history(self, x: Tensor) -> Tensor:
        return x

    def prepare_target(self, x: Tensor) -> Tensor:
        return x[..., :0]

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        weight = mask.to(history.dtype)
        weight = weight / weight.sum(-1, keepdim=True).clamp(min=1.0)  # [R, L]
        if history.ndim == 4:
            return (weight[:, None, None] @ history).squeeze(-2)  # [R, K, D]
        return (weight.unsqueeze(1) @ history).expand(-1, target.shape[1], -1)
