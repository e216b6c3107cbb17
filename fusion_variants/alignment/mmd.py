"""MMD²: mean k(a, a') + mean k(b, b') - 2 mean k(a, b), k a mean of RBF kernels.

k(x, y) = mean over s of exp(-|x - y|² / (s v)), s in ¼, ½, 1, 2, 4 and v the mean squared distance
of all rows (a constant for the gradient). Means run over all pairs, i = j included.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.contract import AlignmentLoss
from fusefront.fusion_variants.contrast import sampled

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


class Mmd(AlignmentLoss):
    """Both modalities get the same distribution; items need not match; at most 1,024 rows."""

    name: ClassVar[str] = "mmd"
    paper: ClassVar[str] = "Gretton et al. 2012, JMLR"

    def forward(self, a: Tensor, b: Tensor, ids: Tensor) -> Tensor:
        if not len(a):
            return a.new_zeros(())
        pick = sampled(len(a), a.device)
        rows = torch.cat([a[pick], b[pick]]).float()  # (2 n, d)
        length = rows.square().sum(-1)  # (2 n)
        distance = (length.unsqueeze(1) + length - 2.0 * rows @ rows.T).clamp_min(0.0)
        width = distance.detach().mean().clamp_min(1e-12)
        kernel = torch.stack([(-distance / (s * width)).exp() for s in SCALES]).mean(0)
        n = len(pick)
        return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2.0 * kernel[:n, n:].mean()
