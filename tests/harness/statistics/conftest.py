"""The simulations of the coverage script."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def simulation() -> ModuleType:
    """tests/benchmarks/coverage.py as a module."""
    return _script("coverage")


@pytest.fixture(scope="session")
def rates() -> ModuleType:
    """tests/benchmarks/error_rates.py as a module."""
    return _script("error_rates")


def _script(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"simulated_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
