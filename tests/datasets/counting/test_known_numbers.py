"""Logistic regression of counters alone on real ratings: the AUC that the reference has."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import parse_spec
from fusefront.datasets.store import PreparedDataset

ROOT = Path(__file__).parents[3]
REAL = ROOT.parent / "shared" / "data" / "movielens_multimodal"
GENRES = ["user", "item.genres"]
COUNTERS = [
    {"of": "user", "prior": 5},
    {"of": "item", "prior": 20},
    {"of": GENRES, "prior": 5},
    {"residual": "user", "prior": 5, "item_prior": 20},
    {"residual": GENRES, "prior": 5, "item_prior": 20},
]
FOUR = ("user_n", "user_rate", "item_n", "item_rate")
EIGHT = (*FOUR, "user_genres_n", "user_genres_rate", "user_residual", "user_genres_residual")


def table(store: PreparedDataset, split: str, names: tuple[str, ...]) -> np.ndarray:
    part, schema = store.split(split), store.manifest.schema_
    owner = np.repeat(np.arange(len(part.group)), np.diff(part.row_start))
    every = np.concatenate([part.request_numbers[owner], part.candidate_numbers], axis=1)
    place = schema.request_numbers + schema.candidate_numbers
    return every[:, [place.index(name) for name in names]]


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the MovieLens data is not beside this checkout")
def test_counters_of_movielens_reach_the_reference(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "studies/datasets/movielens.yaml").read_text("utf-8"))
    del raw["modalities"], raw["slices"]
    store = prepare(parse_spec(raw | {"counters": COUNTERS}, "spec"), REAL, tmp_path)
    counts = store.manifest.counts
    assert [counts[split].rows for split in ("train", "valid", "test")] == [210_044, 30_005, 60_014]
    label = {split: store.split(split).label for split in ("train", "test")}
    for names, reference in ((FOUR, 0.7744), (EIGHT, 0.7816)):
        model = LogisticRegression(C=np.inf, max_iter=1000)
        model.fit(table(store, "train", names), label["train"])
        scores = model.decision_function(table(store, "test", names))
        assert roc_auc_score(label["test"], scores) == pytest.approx(reference, abs=0.002)
