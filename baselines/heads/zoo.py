"""Every head: features [N, F] to logits [N]."""

from torch import nn

from fusefront.baselines.heads.linear import Linear
from fusefront.baselines.heads.mlp import Mlp

HEADS: dict[str, type[nn.Module]] = {"linear": Linear, "mlp": Mlp}
