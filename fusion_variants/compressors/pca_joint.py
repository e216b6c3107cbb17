"""Joint principal components: one PCA over the modalities side by side.

`joint` tells the model to feed [x_1; ...; x_M] [n, ΣD_m], NaN in the columns of a modality that an
item lacks, and present = any modality there. A gap is filled with the column's mean over the fitted
items, which after centring is zero: a missing modality pulls nothing.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.compressors.pca import Pca
from fusefront.fusion_variants.contract import CompressorReport


class JointPca(Pca):
    """The k directions of most variance of all modalities together, frozen."""

    name: ClassVar[str] = "pca_joint"
    paper: ClassVar[str] = "Hotelling 1933; as shipped with the MMCTR challenge"
    joint: ClassVar[bool] = True

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        """Learn from rows [n, ΣD_m], NaN where an item lacks a modality."""
        return super().fit(torch.where(rows.isnan(), rows.double().nanmean(0), rows), seed)

    def transform(self, rows: Tensor) -> Tensor:
        return super().transform(torch.where(rows.isnan(), self.mean, rows))
