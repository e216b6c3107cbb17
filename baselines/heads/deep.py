"""The field's deep head: linear, batch norm, ReLU, dropout per hidden layer, then one logit.

x ← dropout(ReLU(BN(W x + b))) for every hidden layer; logit = w' x + b; in evaluation BN is part of
W and b. With `dice` the activation is Dice, which has a norm of its own, in place of BN and ReLU.
"""

from itertools import pairwise

from torch import Tensor, nn

from fusefront.baselines.heads.dice import Dice
from fusefront.baselines.heads.norm import linear_normed


class Deep(nn.Module):
    """Features [N, F] to logits [N], or to the last hidden layer where `out` is False."""

    def __init__(
        self,
        width: int,
        hidden: tuple[int, ...],
        *,
        dropout: float = 0.0,
        norm: bool = True,
        out: bool = True,
        dice: bool = False,
    ) -> None:
        super().__init__()
        norm = norm and not dice
        pairs = pairwise((width, *hidden))
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm1d(after) for after in hidden if norm)
        self.bends = nn.ModuleList(Dice(after) for after in hidden if dice)
        self.dropout = nn.Dropout(dropout)
        self.width_out = hidden[-1] if hidden else width
        self.out = nn.Linear(self.width_out, 1) if out else None

    def forward(self, x: Tensor) -> Tensor:
        """Features [N, F] to logits [N], or to the last hidden layer [N, H] where there is no
        output."""
        for index, layer in enumerate(self.layers):
            norm = self.norms[index] if len(self.norms) else None
            x = linear_normed(layer, norm, x)  # type: ignore[arg-type]  # [N, H]
            x = self.dropout(self.bends[index](x) if len(self.bends) else x.relu())
        return x if self.out is None else self.out(x).squeeze(-1)
