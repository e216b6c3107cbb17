"""The experiment: studies, training, runs, tuning, statistics, latency, decision and the command
line."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusefront.harness.results import Results
    from fusefront.harness.runs.study import Study
    from fusefront.harness.testing.operator import check_fusion

    __version__: str

__all__ = ["Results", "Study", "__version__", "check_fusion"]

_HOMES = {"check_fusion": "testing.operator", "Results": "results", "Study": "runs.study"}


def __getattr__(name: str) -> object:
    """Names that import torch or polars are imported on first use, so that --help stays fast."""
    if name == "__version__":
        return version("fusefront")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
