"""DMF: the attention over similarity buckets and the histogram of similarities, interpolated (arXiv
2510.11066).

u = α W DTA(t, h) + (1 - α) MLP(share of the history in each of B buckets of cos(t, h_l)).
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from fusefront.baselines.contract import Pooler
from fusefront.baselines.poolers.layers import Dense
from fusefront.baselines.poolers.similarity import bucket, cosines, shares
from fusefront.baselines.poolers.similarity_buckets import SimilarityBuckets


class SimilarityHistogram(Pooler):
    """Two views of the similarity between history and candidate, interpolated."""

    name: ClassVar[str] = "similarity_histogram"
    paper: ClassVar[str] = "Lazada 2025, arXiv 2510.11066 (DMF)"
    choices: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "alpha": (0.0, 0.25, 0.5, 0.75),
        "bins": (10, 20),
    }

    def __init__(
        self,
        width: int,
        *,
        alpha: float = 0.5,
        bins: int = 10,
        buckets: int = 35,
        hidden: int = 32,
        content: int = 0,
    ) -> None:
        """`content` as `SimilarityBuckets` has it."""
        super().__init__(width)
        if not 0.0 <= alpha < 1.0:
            raise ValueError(f"alpha is {alpha}, expected 0 (histogram alone) to below 1")
        self.alpha, self.bins = alpha, bins
        self.attend = SimilarityBuckets(width, buckets=buckets, content=content)
        self.read = Dense((bins, hidden, width))

    @property
    def width_out(self) -> int:
        return self.width

    def prepare_history(self, x: Tensor) -> Tensor:
        return self.attend.prepare_history(x)

    def prepare_target(self, x: Tensor) -> Tensor:
        return self.attend.prepare_target(x)

    def forward(self, target: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        content = self.attend.content
        toward, ways = target[..., -content:], history[..., -content:]
        place = bucket(cosines(toward, ways), self.bins)  # [R, K, L]
        shape = self.read(shares(mask, place, self.bins, target))  # [R, K, D]
        return self.alpha * self.attend(target, history, mask) + (1.0 - self.alpha) * shape  # type: ignore[no-any-return]
