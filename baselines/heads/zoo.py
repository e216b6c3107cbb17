"""Every head by name: features [N, F] to logits [N]."""

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.dcnv2 import Dcnv2
from fusefront.baselines.heads.linear import Linear
from fusefront.baselines.heads.mlp import Mlp
from fusefront.baselines.heads.quadratic import QuadraticHead

HEADS: dict[str, type[Head]] = {
    "linear": Linear,
    "mlp": Mlp,
    "dcnv2": Dcnv2,
    "quadratic": QuadraticHead,
}
