"""A folder with everything that verbs read, made once by the verbs themselves; damages work on a
copy."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from place import Place, fill


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Data, specs, store, runs, study with bench, decision and report, bundle, rows, own parts."""
    root = tmp_path_factory.mktemp("filled") / "place"
    root.mkdir()
    fill(root)
    return Place(root)
