"""PSRQ's codes: each level quantises what is left together with what the levels before said.

Of a vector x [D], r_l [D] is what is left before level l and p_l [D] what the levels before it
said: r_0 = x - mean, p_l = r_0 - r_l. Level l has centres of both, C_l,c and P_l,c [D], and takes
the code c_l = argmin_c |[r_l; p_l] - [C_l,c; P_l,c]|; then r_l+1 = r_l - C_l,c_l. Where a later
code of `rq` means the same shift of any item, one of these still tells what the item is. The model
reads a learned vector of each code, side by side, as of `qarm`. The price: what is left is small
beside what was said, so that later codes repeat the first, and all of them together tell less than
`rq`'s.
Left out: the paper's autoencoder around the codes (centres are of k-means here, of the vectors
themselves), the learned map from a centre to what is taken away (here its first half), and codes of
all modalities jointly.
"""

from typing import ClassVar

import torch
from torch import Tensor

from fusefront.fusion_variants.compressors.rq import ResidualCodes


class ProgressiveCodes(ResidualCodes):
    """A vector as `levels` categorical fields, later ones within the meaning of those before."""

    name: ClassVar[str] = "psrq"
    paper: ClassVar[str] = "Wang et al. 2025, CIKM (PSRQ)"
    choices: ClassVar = {"k": (8, 16, 32), "levels": (2, 3), "codes": (64, 256, 1024)}

    def __init__(self, width_in: int, *, k: int = 16, levels: int = 3, codes: int = 256) -> None:
        super().__init__(width_in, k=k, levels=levels, codes=codes)
        self.centres = torch.zeros(levels, codes, 2 * width_in)

    @property
    def width_out(self) -> int:
        return self.levels * self.k

    def query(self, rest: Tensor, whole: Tensor) -> Tensor:
        return torch.cat([rest, whole - rest], -1)

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        x = self.table(rows.long() + self.offset).flatten(-2)  # (..., L * k)
        return x.masked_fill(~present.unsqueeze(-1), 0.0), x.new_zeros(())
