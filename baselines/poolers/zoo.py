"""Every pooler: a target and a history to one vector."""

from fusefront.baselines.contract import Pooler
from fusefront.baselines.poolers.mean import Mean
from fusefront.baselines.poolers.target_attention import TargetAttention

POOLERS: dict[str, type[Pooler]] = {"mean": Mean, "target_attention": TargetAttention}
