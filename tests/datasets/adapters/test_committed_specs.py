"""The real sets beside a checkout: each has a committed spec or an adapter, and it prepares."""

from pathlib import Path

import pytest

from fusefront.datasets.adapters.zoo import find_adapter
from fusefront.datasets.audit.report import audit, refuse_severe
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec

ROOT = Path(__file__).parents[3]
SETS = ROOT.parent / "shared" / "data"
SPECS = {
    "movielens_multimodal": {"movielens.yaml": 300_063, "movielens_cold.yaml": 100_836}
}  # rows
LAYOUTS = {"movielens_multimodal": ("movielens_ml1m", "movielens_small")}

pytestmark = pytest.mark.skipif(not SETS.is_dir(), reason="the real sets are not on this machine")


def test_every_real_set_has_an_adapter_or_a_spec() -> None:
    there = {path.name for path in SETS.iterdir() if path.is_dir()}
    assert there <= {*SPECS, *LAYOUTS}
    for name in there & set(LAYOUTS):
        for layout in LAYOUTS[name]:
            assert find_adapter(layout)(SETS / name).modalities


def test_every_committed_spec_prepares_and_passes_the_audit(tmp_path: Path) -> None:
    labels = {name for names in SPECS.values() for name in names}
    assert {path.name for path in (ROOT / "studies" / "datasets").glob("*.yaml")} == labels
    for folder, rows in SPECS.items():
        for name, count in rows.items():
            spec = load_spec(ROOT / "studies" / "datasets" / name)
            store = prepare(spec, SETS / folder, tmp_path)
            assert sum(part.rows for part in store.manifest.counts.values()) == count
            refuse_severe(audit(store), spec.accept)
