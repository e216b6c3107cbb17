"""Public checks for every kind of part, and the errors that name the broken promise.

`check_operator(Largest)` and the other checks return nothing, or raise a `ContractError` with one
sentence on the first broken promise. `fusefront check FILE` runs the checks that fit a file and
reports all broken promises.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusefront.harness.testing.alignment import check_alignment
    from fusefront.harness.testing.backend import check_backend
    from fusefront.harness.testing.baseline import check_baseline
    from fusefront.harness.testing.compressor import check_compressor
    from fusefront.harness.testing.encoder import check_encoder
    from fusefront.harness.testing.head import check_head
    from fusefront.harness.testing.layout import check_layout
    from fusefront.harness.testing.metric import check_metric
    from fusefront.harness.testing.operator import check_fusion, check_operator
    from fusefront.harness.testing.pooler import check_pooler
    from fusefront.harness.testing.promises import ContractError

_HOMES = {
    "check_operator": "operator",
    "check_fusion": "operator",
    "check_compressor": "compressor",
    "check_alignment": "alignment",
    "check_pooler": "pooler",
    "check_head": "head",
    "check_baseline": "baseline",
    "check_metric": "metric",
    "check_backend": "backend",
    "check_layout": "layout",
    "check_encoder": "encoder",
    "ContractError": "promises",
}
__all__ = [
    "ContractError",
    "check_alignment",
    "check_backend",
    "check_baseline",
    "check_compressor",
    "check_encoder",
    "check_fusion",
    "check_head",
    "check_layout",
    "check_metric",
    "check_operator",
    "check_pooler",
]


def __getattr__(name: str) -> object:
    """Imported when asked for: most of them bring torch."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
