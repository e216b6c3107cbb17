"""Pre-trained bottleneck: z = E(x) of an autoencoder fitted on the items, E and D two layers each.

The vectors are standardised by one mean and one deviation, so that the error's scale is known.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from fusefront.fusion_variants.contract import Compressor, CompressorReport
from fusefront.fusion_variants.layers import Flat


class PretrainedBottleneck(Compressor):
    """A nonlinear PCA: min |D(E(x)) - x|² by Adam over shuffled items, then frozen."""

    name: ClassVar[str] = "bottleneck_pretrained"
    fit_uses: ClassVar[str] = "seed"
    paper: ClassVar[str] = "Hinton and Salakhutdinov 2006, Science"
    choices: ClassVar = {"k": (16, 32, 64, 128), "epochs": (5, 20)}

    def __init__(
        self, width_in: int, *, k: int = 64, hidden: int = 256, epochs: int = 10, batch: int = 256
    ) -> None:
        super().__init__(width_in)
        self.k, self.hidden, self.epochs, self.batch = k, hidden, epochs, batch
        self.encode = Flat([width_in, hidden, k]).requires_grad_(False)
        self.mean: Tensor
        self.deviation: Tensor
        self.register_buffer("mean", torch.zeros(width_in))
        self.register_buffer("deviation", torch.ones(()))

    @property
    def width_frozen(self) -> int:
        return self.k

    @property
    def width_out(self) -> int:
        return self.k

    def fit(self, rows: Tensor, seed: int) -> CompressorReport:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.mean.copy_(rows.double().mean(0))
            self.deviation.copy_((rows - self.mean).double().square().mean().sqrt().clamp_min(1e-6))
            encode = Flat([self.width_in, self.hidden, self.k])
            decode = Flat([self.k, self.hidden, self.width_in])
            self._learn(nn.Sequential(encode, decode), self._standard(rows))
        self.encode.load_state_dict(encode.state_dict())
        with torch.no_grad():
            x = self._standard(rows)
            explained = 1.0 - (decode(encode(x)) - x).square().mean()
        return CompressorReport({"explained_variance": float(explained)})

    def _standard(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) / self.deviation

    def _learn(self, both: nn.Sequential, x: Tensor) -> None:
        optimiser = torch.optim.Adam(both.parameters(), lr=1e-3)
        for _ in range(self.epochs):
            for pick in torch.split(torch.randperm(len(x)), self.batch):
                loss = (both(x[pick]) - x[pick]).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

    @torch.no_grad()
    def transform(self, rows: Tensor) -> Tensor:
        z: Tensor = self.encode(self._standard(rows))  # (n, k)
        return z

    def forward(self, rows: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        return rows.masked_fill(~present.unsqueeze(-1), 0.0), rows.new_zeros(())
