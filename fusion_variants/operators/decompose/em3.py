"""EM3: content = FQ-Former(x_1 ... x_M-1), output W [x_0; content] + b, slot 0 the item's id.

Training adds weight * symmetric InfoNCE between an item's content and its id vector (content-id
contrast), over at most 1,024 items that have both; rows of one id vector, as the same candidate of
two requests at placement `pooled`, are not each other's negatives.

No code of the authors is public. MMCTR-Bench contrasts bare products, not cosines, counts a row's
twins as negatives, and lets the FQ-Former read the id, whose vector the contrast then holds
already; here content alone is read, as what is to be aligned with the id.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.choice import between
from fusefront.fusion_variants.contract import Fused, FusionOperator
from fusefront.fusion_variants.contrast import info_nce, sampled
from fusefront.fusion_variants.layers import Flat
from fusefront.fusion_variants.operators.attention.fq_former import QueryEncoder
from fusefront.fusion_variants.presence import cleared, one_token


class Em3(FusionOperator):
    """Fused content, trained to agree with the id embedding."""

    name: ClassVar[str] = "em3"
    paper: ClassVar[str] = "Deng et al. 2024, arXiv 2404.06078"
    choices: ClassVar = {"queries": (2, 5), "layers": (1, 2), "heads": (1, 2, 4)}
    uses_query_slot: ClassVar[bool] = True

    def __init__(
        self,
        slots: int,
        d: int,
        *,
        queries: int = 5,
        layers: int = 2,
        heads: int = 4,
        weight: float = 0.1,
        temperature: float = 0.1,
    ) -> None:
        super().__init__(slots, d)
        self.weight, self.temperature = weight, between("temperature", temperature, 0.0)
        self.encode = QueryEncoder(slots - 1, d, queries, layers, heads)
        self.mix = Flat([2 * d, d])

    @property
    def tokens_out(self) -> int:
        return 1

    def forward(self, x: Tensor, present: Tensor, query: Tensor | None = None) -> Fused:
        x = cleared(x, present)  # (..., M, d)
        item, content_present = x[..., 0, :], present[..., 1:]  # (..., d), (..., M - 1)
        content = self.encode(x[..., 1:, :], content_present)  # (..., d)
        content = content.masked_fill(~content_present.any(-1, keepdim=True), 0.0)
        loss = None
        if self.training and self.weight:
            both = present[..., 0] & content_present.any(-1)  # (...)
            pick = sampled(int(both.sum()), both.device)
            told_of, ids = content[both][pick], item[both][pick]  # (N, d) each
            twins = torch.unique(ids.detach(), dim=0, return_inverse=True)[1]  # (N)
            loss = self.weight * info_nce(told_of, ids, twins, self.temperature)
        return one_token(self.mix(torch.cat([item, content], -1)), present, loss)
