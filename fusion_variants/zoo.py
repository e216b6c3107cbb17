"""Every fusion operator, compressor and alignment loss by name: a new one is a file and a line.

Build an operator with `OPERATORS[name](slots, d, **choices)`. One with `uses_query` takes
`query_width`: 0 (the default) ignores the query, w expects `query` [..., w].
"""

from fusefront.fusion_variants.alignment.cosine import Cosine
from fusefront.fusion_variants.compressors.none import NoCompression
from fusefront.fusion_variants.compressors.pca import Pca
from fusefront.fusion_variants.contract import AlignmentLoss, Compressor, FusionOperator
from fusefront.fusion_variants.operators.early.concat import Concat
from fusefront.fusion_variants.operators.early.maf import Maf
from fusefront.fusion_variants.operators.early.mean import Mean
from fusefront.fusion_variants.operators.early.sum import Sum
from fusefront.fusion_variants.operators.gates.gmu import Gmu
from fusefront.fusion_variants.operators.gates.scalar_gate import ScalarGate
from fusefront.fusion_variants.operators.gates.senet import SeNet
from fusefront.fusion_variants.operators.logit.logit_average import LogitAverage
from fusefront.fusion_variants.operators.logit.logit_weighted import LogitWeighted
from fusefront.fusion_variants.operators.products.bilinear import Bilinear

OPERATORS: dict[str, type[FusionOperator]] = {
    "concat": Concat,
    "sum": Sum,
    "mean": Mean,
    "maf": Maf,
    "scalar_gate": ScalarGate,
    "gmu": Gmu,
    "senet": SeNet,
    "bilinear": Bilinear,
    "logit_average": LogitAverage,
    "logit_weighted": LogitWeighted,
}

COMPRESSORS: dict[str, type[Compressor]] = {
    "none": NoCompression,
    "pca": Pca,
}

ALIGNMENTS: dict[str, type[AlignmentLoss]] = {
    "cosine": Cosine,
}
