"""Every fusion operator, compressor and alignment loss by name: a new one is a file and a line.

Build an operator with `OPERATORS[name](slots, d, **choices)`. One with `uses_query` takes
`query_width`: 0 (the default) ignores the query, w expects `query` [..., w].
"""

from fusefront.fusion_variants.alignment.adversarial import Adversarial
from fusefront.fusion_variants.alignment.cosine import Cosine
from fusefront.fusion_variants.alignment.infonce import InfoNce
from fusefront.fusion_variants.alignment.kl import SymmetricKl
from fusefront.fusion_variants.alignment.mmd import Mmd
from fusefront.fusion_variants.compressors.bottleneck import LearnedBottleneck
from fusefront.fusion_variants.compressors.bottleneck_pretrained import PretrainedBottleneck
from fusefront.fusion_variants.compressors.float16 import HalfRows
from fusefront.fusion_variants.compressors.int8 import Int8Rows
from fusefront.fusion_variants.compressors.matryoshka import Matryoshka
from fusefront.fusion_variants.compressors.none import NoCompression
from fusefront.fusion_variants.compressors.pca import Pca
from fusefront.fusion_variants.compressors.pca_joint import JointPca
from fusefront.fusion_variants.compressors.psrq import ProgressiveCodes
from fusefront.fusion_variants.compressors.qarm import QarmCodes
from fusefront.fusion_variants.compressors.random_projection import RandomProjection
from fusefront.fusion_variants.compressors.rq import ResidualCodes
from fusefront.fusion_variants.compressors.vq import LearnedCodes
from fusefront.fusion_variants.contract import AlignmentLoss, Compressor, FusionOperator
from fusefront.fusion_variants.operators.attention.cross_attention import CrossAttention
from fusefront.fusion_variants.operators.attention.fq_former import FqFormer
from fusefront.fusion_variants.operators.attention.mbt import Bottleneck
from fusefront.fusion_variants.operators.attention.perceiver import Perceiver
from fusefront.fusion_variants.operators.attention.self_attention import SelfAttention
from fusefront.fusion_variants.operators.attention.src import StochasticReverse
from fusefront.fusion_variants.operators.decompose.em3 import Em3
from fusefront.fusion_variants.operators.decompose.marn import Marn
from fusefront.fusion_variants.operators.decompose.pamd import Pamd
from fusefront.fusion_variants.operators.decompose.shared_specific import SharedSpecific
from fusefront.fusion_variants.operators.decompose.simcen import SimCen
from fusefront.fusion_variants.operators.early.concat import Concat
from fusefront.fusion_variants.operators.early.maf import Maf
from fusefront.fusion_variants.operators.early.mean import Mean
from fusefront.fusion_variants.operators.early.sum import Sum
from fusefront.fusion_variants.operators.gates.film import Film
from fusefront.fusion_variants.operators.gates.gmu import Gmu
from fusefront.fusion_variants.operators.gates.moe import MixtureOfExperts
from fusefront.fusion_variants.operators.gates.scalar_gate import ScalarGate
from fusefront.fusion_variants.operators.gates.senet import SeNet
from fusefront.fusion_variants.operators.logit.logit_average import LogitAverage
from fusefront.fusion_variants.operators.logit.logit_stacked import LogitStacked
from fusefront.fusion_variants.operators.logit.logit_weighted import LogitWeighted
from fusefront.fusion_variants.operators.products.bilinear import Bilinear
from fusefront.fusion_variants.operators.products.dcnv2 import CrossNetwork
from fusefront.fusion_variants.operators.products.lmf import Lmf
from fusefront.fusion_variants.operators.products.mtfn import Mtfn
from fusefront.fusion_variants.operators.products.mutan import Mutan
from fusefront.fusion_variants.operators.products.quadratic import Quadratic
from fusefront.fusion_variants.operators.products.tfn import TensorFusion

OPERATORS: dict[str, type[FusionOperator]] = {
    "concat": Concat,
    "sum": Sum,
    "mean": Mean,
    "maf": Maf,
    "scalar_gate": ScalarGate,
    "gmu": Gmu,
    "film": Film,
    "senet": SeNet,
    "moe": MixtureOfExperts,
    "bilinear": Bilinear,
    "lmf": Lmf,
    "tfn": TensorFusion,
    "mtfn": Mtfn,
    "mutan": Mutan,
    "dcnv2": CrossNetwork,
    "quadratic": Quadratic,
    "self_attention": SelfAttention,
    "cross_attention": CrossAttention,
    "mbt": Bottleneck,
    "perceiver": Perceiver,
    "fq_former": FqFormer,
    "src": StochasticReverse,
    "simcen": SimCen,
    "shared_specific": SharedSpecific,
    "pamd": Pamd,
    "marn": Marn,
    "em3": Em3,
    "logit_average": LogitAverage,
    "logit_weighted": LogitWeighted,
    "logit_stacked": LogitStacked,
}

COMPRESSORS: dict[str, type[Compressor]] = {
    "none": NoCompression,
    "pca": Pca,
    "pca_joint": JointPca,
    "random_projection": RandomProjection,
    "bottleneck": LearnedBottleneck,
    "bottleneck_pretrained": PretrainedBottleneck,
    "matryoshka": Matryoshka,
    "rq": ResidualCodes,
    "qarm": QarmCodes,
    "psrq": ProgressiveCodes,
    "vq": LearnedCodes,
    "int8": Int8Rows,
    "float16": HalfRows,
}

ALIGNMENTS: dict[str, type[AlignmentLoss]] = {
    "kl": SymmetricKl,
    "infonce": InfoNce,
    "cosine": Cosine,
    "mmd": Mmd,
    "adversarial": Adversarial,
}
