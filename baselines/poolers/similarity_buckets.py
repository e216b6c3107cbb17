"""Decoupled target attention: similarity enters keys and values through bucket embeddings (DMF,
arXiv 2510.11066).

s_l = cos(t, h_l), b_l its bucket; k_l = W_k h_l + E_K[b_l], v_l = W_v h_l + E_V[b_l], q = W_q t;
u = Σ_l softmax(q · k_l / √D) v_l. q · E_K is one product a candidate, Σ_l w_l E_V[b_l] one
histogram.
"""

from collections.abc import Mapping
from math import sqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.baselines.contract import Pooler
from fusefront.baselines.initial import near_identity
from fusefront.baselines.poolers.masking import additive, alive
from fusefront.baselines.poolers.similarity import bucket, cosines, direction, histogram


class SimilarityBuckets(Pooler):
    """Attention whose keys and values depend on the item's similarity to the candidate."""

    name: ClassVar[str] = "similarity_buckets"
    paper: ClassVar[str] = "Lazada 2025, arXiv 2510.11066 (DMF's DTA)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {"buckets": (10, 20, 35)}

    def __init__(self, width: int, *, buckets: int = 35, content: int = 0) -> None:
        """`content` is the width of what similarity is taken over; 0 = the vectors themselves."""
        super().__init__(width)
        self.buckets, self.content = buckets, content or width
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        nn.init.normal_(self.key.weight, std=0.1 / sqrt(width))
        self.value = near_identity(nn.Linear(width, width, bias=False))
        self.bucket_keys = nn.Parameter(0.1 * torch.randn(buckets, width))
        self.bucket_values = nn.Parameter(0.1 * torch.randn(buckets, width))

    @property
    def width_out(self) -> int:
        return self.width

    def history_code(self, x: Tensor, content: Tensor) -> Tensor:
        """Vectors [..., D] that are read and content [..., C] that is compared, to
        [..., 2 D + C]."""
        return torch.cat([self.key(x), self.value(x), direction(content)], -1)

    def target_code(self, x: Tensor, content: Tensor) -> Tensor:
        """The same of a candidate, [..., D + C]."""
        return torch.cat([self.query(x) / sqrt(self.width), direction(content)], -1)

    def prepare_history(self, x: Tensor) -> Tensor:
        return self.history_code(x, x)

    def prepare_target(self, x: Tensor) -> Tensor:
        return self.target_code(x, x)

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        width, content = self.width, self.content
        query, toward = torch.split(target, [width, content], -1)  # [R, K, D], [R, K, C]
        keys, values, ways = torch.split(history, [width, width, content], -1)  # [R, (K,) L, .]
        mask = mask.unsqueeze(1)  # [R, 1, L]
        place = bucket(cosines(toward, ways), self.buckets)  # [R, K, L]
        score = cosines(query, keys) + (query @ self.bucket_keys.T).gather(-1, place)
        weight = (score + additive(mask, score)).softmax(-1) * alive(mask, score)
        counted = histogram(weight, place, self.buckets) @ self.bucket_values  # [R, K, D]
        if history.ndim == 4:
            return (weight.unsqueeze(-2) @ values).squeeze(-2) + counted
        return weight @ values + counted
