"""The trunk: studies, training, runs, tuning, statistics, latency, decision and the command line."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusefront.harness.contracts import check_fusion

__all__ = ["check_fusion"]


def __getattr__(name: str) -> object:
    """`check_fusion` is imported when asked for: it brings torch, which --help must not."""
    if name == "check_fusion":
        from fusefront.harness.contracts import check_fusion

        return check_fusion
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
