"""Every head by name: features [N, F] to logits [N]."""

from fusefront.baselines.contract import Head
from fusefront.baselines.heads.dcnv2 import Dcnv2
from fusefront.baselines.heads.final_mlp import FinalMlp
from fusefront.baselines.heads.gdcn import Gdcn
from fusefront.baselines.heads.linear import Linear
from fusefront.baselines.heads.mask_net import MaskNet
from fusefront.baselines.heads.mlp import Mlp
from fusefront.baselines.heads.ppnet import PpNet
from fusefront.baselines.heads.quadratic import QuadraticHead
from fusefront.baselines.heads.rank_mixer import RankMixer

HEADS: dict[str, type[Head]] = {
    "linear": Linear,
    "mlp": Mlp,
    "dcnv2": Dcnv2,
    "quadratic": QuadraticHead,
    "final_mlp": FinalMlp,
    "mask_net": MaskNet,
    "gdcn": Gdcn,
    "ppnet": PpNet,
    "rank_mixer": RankMixer,
}
