"""A small world of known truth, prepared once for the tests of the harness."""

from pathlib import Path

import pytest

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """The tour world with 300 / 60 / 100 requests."""
    folder: Path = tmp_path_factory.mktemp("world")
    spec = write_world("tour", folder / "files", seed=1, train=300, valid=60, test=100)
    return prepare(load_spec(spec), spec.parent, folder / "out")
