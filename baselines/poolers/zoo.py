"""Every pooler by name: a target and a history to one vector."""

from fusefront.baselines.contract import Pooler
from fusefront.baselines.poolers.additive_attention import AdditiveAttention
from fusefront.baselines.poolers.content_search import ContentSearch
from fusefront.baselines.poolers.din import DinPooler
from fusefront.baselines.poolers.hstu import Hstu
from fusefront.baselines.poolers.mean import MeanPooler
from fusefront.baselines.poolers.semantic_attention import SemanticAttention
from fusefront.baselines.poolers.similarity_buckets import SimilarityBuckets
from fusefront.baselines.poolers.similarity_histogram import SimilarityHistogram
from fusefront.baselines.poolers.similarity_tiers import SimilarityTiers
from fusefront.baselines.poolers.sparse_relu_attention import SparseReluAttention
from fusefront.baselines.poolers.target_attention import TargetAttention
from fusefront.baselines.poolers.transformer import Transformer

POOLERS: dict[str, type[Pooler]] = {
    "mean": MeanPooler,
    "additive_attention": AdditiveAttention,
    "target_attention": TargetAttention,
    "din": DinPooler,
    "sparse_relu_attention": SparseReluAttention,
    "transformer": Transformer,
    "similarity_buckets": SimilarityBuckets,
    "similarity_histogram": SimilarityHistogram,
    "similarity_tiers": SimilarityTiers,
    "semantic_attention": SemanticAttention,
    "content_search": ContentSearch,
    "hstu": Hstu,
}
