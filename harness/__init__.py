"""The trunk: studies, training, runs, tuning, statistics, latency, decision and the command line."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusefront.harness.results import Results
    from fusefront.harness.runs.study import Study
    from fusefront.harness.testing.operator import check_fusion

__all__ = ["Results", "Study", "check_fusion"]

_HOMES = {"check_fusion": "testing.operator", "Results": "results", "Study": "runs.study"}


def __getattr__(name: str) -> object:
    """Imported when asked for: they bring torch or polars, which --help must not."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
