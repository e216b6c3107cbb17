"""Matryoshka: z = E x, every prefix z_1..p a code of its own; one training gives AUC against p.

Training draws a prefix for each item and clears what follows (nested dropout), so that the model
above learns to read every prefix. Scoring: `narrow(p)` makes `forward` return p numbers, and
`narrowed(layer, p)` cuts the linear layer above to match: the code, and what reading it costs,
really shrink.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Compressor, CompressorReport


class Matryoshka(Compressor):
    """Prefixes k, k/2, k/4, ... down to `least` in one projection."""

    name: ClassVar[str] = "matryoshka"
    fit_uses: ClassVar[str] = "rows"
    paper: ClassVar[str] = (
        "Kusupati et al. 2022, NeurIPS; Rippel et al. 2014, ICML (nested dropout)"
    )
    choices: ClassVar = {"k": (32, 64, 128)}

    def __init__(self, width_in: int, *, k: int = 64, least: int = 8) -> None:
        super().__init__(width_in)
        if not 1 <= least <= k:
            raise ValueError(f"matryoshka: least is {least}; expected 1 to k = {k}")
        self.k, self.prefix = k, k
        self.prefixes = [
            p for p in (k >> halvings for halvings in range(k.bit_length())) if p >= least
        ]
        self.encode = nn.Linear(width_in, k)
        self.widths: Tensor
        self.register_buffer("widths", torch.tensor(self.prefixes), persistent=False)

    @property
    def width_frozen(self) -> int:
        return self.width_in

    @property
    def width_out(self) -> int:
        return self.prefix

    def narrow(self, prefix: int) -> None:
        """Return only the first `prefix` numbers from now on; k returns the whole code again.

        Raises:
            ValueError: the codes were not trained for that prefix.
        """
        if prefix not in self.prefixes:
            known = ", ".join(map(str, self.prefixes))
            raise ValueError(f"matryoshka was not trained for prefix {prefix}; trained: {known}")
        self.prefix = prefix

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        return CompressorReport({})

    def transform(self, rows: Tensor) -> Tensor:
        return rows

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        absent = ~present.unsqueeze(-1)
        rows = rows.masked_fill(absent, 0.0)
        weight, bias = self.encode.weight[: self.prefix], self.encode.bias[: self.prefix]
        x = nn.functional.linear(rows, weight, bias).masked_fill(absent, 0.0)  # (..., prefix)
        if self.training and self.prefix == self.k:
            drawn = torch.randint(len(self.prefixes), x.shape[:-1]).to(x.device)  # one an item
            width = self.widths[drawn].unsqueeze(-1)  # (..., 1)
            x = x.masked_fill(torch.arange(self.k, device=x.device) >= width, 0.0)
        return x, x.new_zeros(())


def narrowed(layer: nn.Linear, prefix: int) -> nn.Linear:
    """A copy of the layer for the first `prefix` of its inputs, as if all others were 0."""
    small = nn.Linear(prefix, layer.out_features, bias=layer.bias is not None)
    small.to(layer.weight)
    with torch.no_grad():
        small.weight.copy_(layer.weight[:, :prefix])
        if layer.bias is not None:
            small.bias.copy_(layer.bias)
    return small
