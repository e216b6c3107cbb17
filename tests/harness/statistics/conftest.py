"""The simulations of the coverage script, and a study in which no two counts are equal."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fusefront.harness.statistics.rows import RowTable
from fusefront.harness.statistics.score_source import MemorySource, SliceCodes


@pytest.fixture(scope="session")
def simulation() -> ModuleType:
    """tests/benchmarks/coverage.py as a module."""
    return _script("coverage")


@pytest.fixture(scope="session")
def rates() -> ModuleType:
    """tests/benchmarks/error_rates.py as a module."""
    return _script("error_rates")


@pytest.fixture(scope="session")
def searching() -> ModuleType:
    """tests/benchmarks/search_noise.py as a module."""
    return _script("search_noise")


@pytest.fixture(scope="session")
def unequal() -> ModuleType:
    """tests/benchmarks/unequal_clusters.py as a module."""
    return _script("unequal_clusters")


@pytest.fixture(scope="session")
def deciding() -> ModuleType:
    """tests/benchmarks/decision_errors.py as a module."""
    return _script("decision_errors")


def _script(name: str) -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"simulated_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


SEEDS = {"base": (0, 1, 2), "up": (0, 1, 2, 7), "side": (1, 4), "lone": (3,), "flat": (0, 1, 2)}
ROLES = {"flat": "control", "side": "ablation"}
GAPS = {("up", 0): 0.1, ("up", 2): 0.4, ("up", 7): None, ("up", 1): 0.7}


@dataclass(frozen=True)
class Recorded(MemorySource):
    """With the gaps between validation and train that some runs recorded."""

    def gap(self, strategy, seed):
        return GAPS.get((strategy, seed))


def table(rng, users=60):
    """Users of 1 to 4 requests of 2 to 5 rows, not in order; items cross them."""
    request, group = [], []
    for user in range(users):
        for _ in range(rng.integers(1, 5)):
            rows = int(rng.integers(2, 6))
            request += [len(set(request)) * 3 + 11] * rows
            group += [user * 7 + 5] * rows
    order = rng.permutation(len(request))
    request, group = np.array(request)[order], np.array(group)[order]
    item = rng.integers(0, 25, len(order)) * 2
    truth = rng.normal(size=len(order))
    label = (truth + rng.normal(size=len(order)) > 0.6).astype(np.uint8)
    return truth, RowTable(label, group, request, item, np.arange(len(order)) + 90)


def scores(rng, truth, quality):
    results = {}
    for name, seeds in SEEDS.items():
        own = rng.normal(size=len(truth))
        results[name] = {
            seed: np.zeros(len(truth), np.float32)
            if name == "flat"
            else (
                np.round(4 * (quality[name] * truth + own + 0.4 * rng.normal(size=len(truth)))) / 4
            ).astype(np.float32)
            for seed in seeds
        }
    return results


@pytest.fixture(scope="session")
def uneven():
    """Strategies of 1 to 4 seeds on users of several requests; validation prefers another."""
    rng = np.random.default_rng(5)
    truth, rows = table(rng)
    quality = {"base": 0.6, "up": 1.6, "side": 0.7, "lone": 0.4, "flat": 0.0}
    age = SliceCodes("age", ("old", "new", "never"), rng.integers(0, 2, len(truth)))
    some = SliceCodes("some", ("part",), np.where(rows.item < 20, 0, -1))
    other_truth, other_rows = table(rng, 40)
    chosen = {"base": 0.6, "up": 0.7, "side": 1.9, "lone": 0.4, "flat": 0.0}
    valid = MemorySource(other_rows, scores(rng, other_truth, chosen))
    return Recorded(rows, scores(rng, truth, quality), ROLES, (age, some), valid)
