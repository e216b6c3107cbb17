"""Every number and line of the model card, by plain loops."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import special, stats
from sklearn.metrics import roc_auc_score

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.serving.bundle import card, opened
from fusefront.harness.serving.bundle.card import (
    Card,
    CardGap,
    ServedQuality,
    auc_with_interval,
    card_markdown,
    limits,
    make_card,
)
from fusefront.harness.training.predict import write_predictions

SERVED: ServedQuality = {
    "rows": "float16",
    "bytes_per_item": 42.4,
    "max_difference": 3.25e-6,
    "auc_change": None,
    "inputs": ["a"],
    "exporter": "torch",
}
SUMMARY = {
    "run_id": "0123",
    "strategy": "mine",
    "baseline": "early_fusion",
    "family": "early",
    "seed": 4,
    "parameters_dense": 12,
    "parameters_fusion": 3.0,
    "valid_auc": 0.7,
}


def by_loop(
    logit: np.ndarray, label: np.ndarray, cluster: np.ndarray
) -> tuple[float, float, float]:
    """AUC and the ends of its interval: every cluster left out, one pair of rows at a time."""

    def auc_of(rows):
        a, b = logit[rows & (label == 1)].astype(float), logit[rows & (label == 0)].astype(float)
        return float(((a[:, None] > b) + 0.5 * (a[:, None] == b)).mean())

    every = np.ones(len(label), bool)
    auc, codes = auc_of(every), np.unique(cluster)
    without = np.array([auc_of(cluster != code) for code in codes])
    error = np.sqrt((len(codes) - 1) / len(codes) * np.square(auc - without).sum())
    share = [
        (label[cluster == c].mean() * (cluster == c).sum() / label.sum()
         + (1 - label[cluster == c]).sum() / (1 - label).sum()) / 2
        for c in codes
    ]  # fmt: skip
    both = [len(np.unique(cluster[label == k])) for k in (0, 1)]
    effective = min(1 / np.square(share).sum(), *both)
    half = stats.t.ppf(0.975, effective - 1) * error / (auc * (1 - auc))
    middle = np.log(auc / (1 - auc))
    return auc, *(1 / (1 + np.exp(-(middle + sign * half))) for sign in (-1, 1))


def scored(rows: int, clusters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows)
    label = (rng.random(rows) < 0.4).astype(np.uint8)
    logit = np.round(rng.normal(size=rows) + 0.6 * label, 1).astype(np.float32)  # with ties
    return logit, label, rng.integers(0, clusters, rows) * 7


@pytest.mark.parametrize(("rows", "clusters", "much"), [(150, 12, 0), (90, 30, 0), (150, 25, 60)])
def test_the_interval_leaves_out_each_cluster_by_hand(rows: int, clusters: int, much: int) -> None:
    logit, label, cluster = scored(rows, clusters)
    cluster[:much] = 7  # one with much of the rows
    auc, low, high = by_loop(logit, label, cluster)
    assert auc == pytest.approx(roc_auc_score(label, logit))
    assert auc_with_interval(logit, label, cluster) == {
        "value": pytest.approx(auc, abs=1e-12),
        "low": pytest.approx(low, rel=1e-4),
        "high": pytest.approx(high, rel=1e-4),
        "rows": rows,
        "clusters": len(np.unique(cluster)),
    }


def test_few_clusters_have_no_interval() -> None:
    logit, label, cluster = scored(90, 9)
    few = auc_with_interval(logit, label, cluster)
    assert few == {
        "value": pytest.approx(roc_auc_score(label, logit)),
        "rows": 90,
        "clusters": 9,
    }


def test_code_has_a_value_alone_and_one_class_none() -> None:
    logit, label, _ = scored(30, 3)
    alone = auc_with_interval(logit, label, np.zeros(30, np.int64))
    assert alone == {
        "value": pytest.approx(roc_auc_score(label, logit)),
        "rows": 30,
        "clusters": 1,
    }
    none = auc_with_interval(logit, np.zeros(30, np.uint8), np.arange(30))
    assert none == {"value": None, "rows": 30}


@pytest.fixture
def predicted(ragged: PreparedDataset, tmp_path: Path) -> Path:
    """A run's folder with predictions that know a little of the labels."""
    for split in ("valid", "test"):
        label = ragged.split(split).label
        noise = np.random.default_rng(0).normal(size=len(label))
        logit = (noise + 0.8 * label).astype(np.float32)
        write_predictions(tmp_path / "predictions" / f"{split}.parquet", logit, ragged, split)
    return tmp_path


def phones(store: PreparedDataset, run: Path, split: str = "test") -> dict[str, pl.DataFrame]:
    frame = pl.read_parquet(run / "predictions" / f"{split}.parquet")
    code = np.asarray(store.split(split).slices["phone"])
    values = store.manifest.slices["phone"].values
    return {value: frame.filter(code == at) for at, value in enumerate(values)}


def classes(frame: pl.DataFrame) -> int:
    return min(int(frame["label"].sum()), frame.height - int(frame["label"].sum()))


def test_the_card_says_what_was_measured(ragged: PreparedDataset, predicted: Path) -> None:
    content = make_card(predicted, SUMMARY, ragged, SERVED, "MIT")  # type: ignore[arg-type]
    expected = {"format": 1, "strategy": "mine", "baseline": "early_fusion", "family": "early"}
    expected |= {"run_id": "0123", "seed": 4, "licence": "MIT", "serving": SERVED}
    assert {key: content[key] for key in expected} == expected  # type: ignore[literal-required]
    assert content["parameters"] == {"parameters_dense": 12, "parameters_fusion": 3}
    data = content["data"]
    assert (data["name"], data["fingerprint"]) == ("ragged", ragged.fingerprint)
    assert (data["items"], data["modalities"]) == (45, {"text": 7, "image": 5})
    assert {split: counts["rows"] for split, counts in data["counts"].items()} == {
        "train": 495,
        "valid": 151,
        "test": 183,
    }
    frame = pl.read_parquet(predicted / "predictions" / "test.parquet")
    auc = roc_auc_score(frame["label"], frame["logit"])
    assert list(content["metrics"]) == ["test_auc"]
    metric = content["metrics"]["test_auc"]
    assert metric["value"] == pytest.approx(auc, abs=1e-12)
    assert "low" not in metric  # nine users
    assert metric["clusters"] == frame["group"].n_unique() < frame["request"].n_unique()


def test_by_request_where_requests_are_independent(
    ragged: PreparedDataset, predicted: Path
) -> None:
    manifest = ragged.manifest.model_copy(update={"cluster": "request"})
    content = make_card(predicted, SUMMARY, replace(ragged, manifest=manifest), SERVED, "MIT")  # type: ignore[arg-type]
    assert content["metrics"]["test_auc"]["clusters"] == 17


def test_without_test_the_card_is_of_validation(ragged: PreparedDataset, predicted: Path) -> None:
    (predicted / "predictions" / "test.parquet").unlink()
    content = make_card(predicted, SUMMARY, ragged, SERVED, "MIT")  # type: ignore[arg-type]
    assert list(content["metrics"]) == ["valid_auc"]
    assert content["metrics"]["valid_auc"]["rows"] == 151


@pytest.mark.parametrize("mostly_clicked", [False, True])
def test_a_slice_needs_rows_of_both_labels(
    ragged: PreparedDataset,
    predicted: Path,
    monkeypatch: pytest.MonkeyPatch,
    mostly_clicked: bool,
) -> None:
    if mostly_clicked:
        path = predicted / "predictions" / "test.parquet"
        frame = pl.read_parquet(path)
        frame.with_columns(1 - pl.col("label")).write_parquet(path)
    parts = phones(ragged, predicted)
    assert card.LEAST_CLASS == 20
    for least in sorted({classes(part) for part in parts.values()}):
        monkeypatch.setattr(card, "LEAST_CLASS", least)
        content = make_card(predicted, SUMMARY, ragged, SERVED, "MIT")  # type: ignore[arg-type]
        expected = {value: part for value, part in parts.items() if classes(part) >= least}
        assert [(part["slice"], part["value"]) for part in content["slices"]] == [
            ("phone", value) for value in expected
        ]
        for part in content["slices"]:
            frame = expected[part["value"]]
            auc = roc_auc_score(frame["label"], frame["logit"])
            assert part["auc"]["value"] == pytest.approx(auc, abs=1e-12)
            assert part["auc"]["rows"] == frame.height
            assert part["auc"]["clusters"] == frame["group"].n_unique()


def test_limits_say_what_is_missing(ragged: PreparedDataset) -> None:
    sentences = limits(ragged)
    assert sentences[3:] == [
        "Only the newest 10 items of a history are read.",
        "Some items lack text, image; they are scored by what they have.",
    ]
    schema = ragged.manifest.schema_.model_copy(update={"max_history": 0})
    manifest = ragged.manifest.model_copy(
        update={"schema_": schema, "present": {"text": 45, "image": 44}}
    )
    assert limits(replace(ragged, manifest=manifest))[3:] == [
        "Some items lack image; they are scored by what they have."
    ]
    whole = manifest.model_copy(update={"present": {"text": 45, "image": 45}})
    assert limits(replace(ragged, manifest=whole)) == sentences[:3]


def test_a_logit_of_the_replay_is_a_probability() -> None:
    logits = np.array([0.0, 2.0, -3.0, 40.0, -1e9, 1e9], np.float32)
    np.testing.assert_allclose(opened._probability(logits), special.expit(logits), atol=1e-15)


def test_the_card_reads_like_this() -> None:
    content: Card = {
        "format": 1,
        "strategy": "mine",
        "baseline": "early_fusion",
        "family": "early",
        "run_id": "0123",
        "seed": 4,
        "licence": "MIT",
        "data": {
            "name": "shop",
            "fingerprint": "f00",
            "counts": {"train": {"rows": 12345}},
            "items": 6789,
            "modalities": {"text": 7, "image": 5},
        },
        "metrics": {"test_auc": {"value": 0.71234, "low": 0.7, "high": 0.72361, "rows": 4321}},
        "slices": [
            {"slice": "phone", "value": "d0", "auc": {"value": 0.6, "rows": 1000}},
            {"slice": "phone", "value": "d1", "auc": {"value": None, "rows": 10}},
        ],
        "gaps": [],
        "serving": SERVED,
        "parameters": {},
        "counters": {},
        "limits": ["Scores this.", "Not that."],
    }
    text = card_markdown(content)
    assert text == (
        "# mine on shop\n\n"
        "Run `0123`, seed 4, baseline `early_fusion` (early). Licence: MIT.\n\n"
        "## Data\n"
        "shop (fingerprint `f00`), 6,789 items, modalities text (7), image (5); 12,345 training "
        "rows.\n\n"
        "## Quality\n"
        "| what | rows | AUC | 95 % interval |\n"
        "|---|---|---|---|\n"
        "| test | 4,321 | 0.7123 | 0.7000 to 0.7236 |\n"
        "| phone = d0 | 1,000 | 0.6000 | |\n"
        "| phone = d1 | 10 | not defined | |\n\n"
        "## Serving\n"
        "Rows in float16, 42 bytes an item; largest difference of a probability from training "
        "3.2e-06; AUC change none (exact).\n\n"
        "## Limits\n"
        "- Scores this.\n"
        "- Not that.\n"
    )
    served: ServedQuality = {**SERVED, "auc_change": -0.00012, "kinds": "in the table"}
    data = {**content["data"], "modalities": {}}
    other = card_markdown({**content, "serving": served, "data": data})  # type: ignore[typeddict-item]
    assert "AUC change -1.2e-04 on 20,000 rows.\nEvents of histories: in the table.\n" in other
    assert "modalities none;" in other
    counted = {"candidate.shown": "how often shown", "request.clicks": "how many clicks"}
    assert (
        "## Counters\n"
        "Raw values that a request brings, or `predict --counters` looks up:\n"
        "- `shown` (candidate): how often shown\n"
        "- `clicks` (request): how many clicks\n\n"
        "## Limits\n"
    ) in card_markdown({**content, "counters": counted})


def as_sensitive(store: PreparedDataset) -> PreparedDataset:
    part = store.manifest.slices["phone"].model_copy(update={"sensitive": True})
    manifest = store.manifest.model_copy(update={"slices": {"phone": part}})
    return replace(store, manifest=manifest)


def test_gaps_of_sensitive_slices_are_in_the_card(ragged: PreparedDataset, predicted: Path) -> None:
    """Every pair of groups by scikit-learn and plain loops; none where no slice is sensitive."""
    plain = make_card(predicted, SUMMARY, ragged, SERVED, "MIT")  # type: ignore[arg-type]
    assert plain["gaps"] == []
    content = make_card(predicted, SUMMARY, as_sensitive(ragged), SERVED, "MIT")  # type: ignore[arg-type]
    groups = {
        value: part
        for value, part in phones(ragged, predicted).items()
        if part.height >= 30 and classes(part)
    }
    assert len(groups) > 2
    frame = pl.read_parquet(predicted / "predictions" / "test.parquet")
    shown = set()
    for request in frame["request"].unique():
        own = frame.filter(pl.col("request") == request).sort("logit", descending=True)
        shown |= set(own["row_id"][: card.TOP_K].to_list())

    def measure(name: str, part: pl.DataFrame) -> float:
        if name == "auc":
            return float(roc_auc_score(part["label"], part["logit"]))
        if name == "pcoc":
            return float(special.expit(part["logit"].to_numpy()).sum() / part["label"].sum())
        return sum(row in shown for row in part["row_id"]) / part.height

    pairs = [(a, b) for at, a in enumerate(groups) for b in list(groups)[at + 1 :]]
    assert len(content["gaps"]) == 3 * len(pairs)
    for gap in content["gaps"]:
        assert (gap["group"], gap["other"]) in pairs
        own, other = (measure(gap["measure"], groups[gap[end]]) for end in ("group", "other"))  # type: ignore[literal-required]
        assert gap["value"] == pytest.approx(own - other, abs=1e-6)
        assert gap["slice"] == "phone"
        assert (gap["low"], gap["high"], gap["shown"]) == (None, None, False)  # nine users


def test_gaps_read_like_this() -> None:
    def gap(measure: str, low: float | None, high: float | None, *, shown: bool) -> CardGap:
        ends = {"value": 0.0312, "low": low, "high": high, "shown": shown}
        return {"slice": "maker", "measure": measure, "group": "a", "other": "b", **ends}  # type: ignore[typeddict-item]

    lines = card._groups(
        [
            gap("auc", 0.0101, 0.0523, shown=True),
            gap("pcoc", -0.01, 0.07, shown=False),
            gap("exposure", None, None, shown=False),
        ]
    )
    assert lines[0] == "## Groups"
    assert lines[3:] == [
        "| groups | measure | gap | 95 % interval | verdict |",
        "|---|---|---|---|---|",
        "| maker: a − b | AUC | +0.0312 | +0.0101 to +0.0523 | shown |",
        "| maker: a − b | predicted over clicked | +0.0312 | -0.0100 to +0.0700 | not shown |",
        "| maker: a − b | share among the first 3 | +0.0312 |  | no interval |",
        "",
    ]
    assert card._groups([]) == []


def test_a_planted_gap_is_in_the_card_and_none_where_there_is_none() -> None:
    """80 users; the second group's scores know nothing."""
    rng, n = np.random.default_rng(3), 1600
    code, label = np.arange(n) % 2, (rng.random(n) < 0.5).astype(np.uint8)
    request = np.arange(n) // 5
    rows = card.RowTable(label, request // 4, request, np.ones(n, np.int32), np.arange(n))
    slices = (card.SliceCodes("maker", ("a", "b"), code, sensitive=True),)
    planted = (1.5 * label * (1 - code) + rng.normal(size=n)).astype(np.float32)
    null = (1.5 * label + rng.normal(size=n)).astype(np.float32)
    for logit, is_shown in ((planted, True), (null, False)):
        gaps = card.sensitive_gaps(rows, logit, slices, "user")
        assert [gap["measure"] for gap in gaps] == ["auc", "pcoc", "exposure"]
        assert gaps[0]["shown"] is is_shown
        assert is_shown or not any(gap["shown"] for gap in gaps)
    assert card.sensitive_gaps(rows, planted, (), "user") == []
