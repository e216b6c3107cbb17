"""What a run tells of its codes after training, and the curve of AUC against their width."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from fusefront.datasets.store import PreparedDataset
from fusefront.harness.cli.codes import codes
from fusefront.harness.dossier.codes import curves, measures
from fusefront.harness.dossier.widths import width_rows
from fusefront.harness.errors import NothingToDoError, UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.recipe import Training
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.runs.store import RunEntry
from fusefront.harness.training.build import build_model, load_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.predict import predict
from fusefront.harness.training.run import run
from fusefront.reports.evidence import Interval

RECIPE = {**Training().model_dump(mode="json"), "epochs": 1, "batch_rows": 512}
COMPRESSORS = {
    "matryoshka": {"name": "matryoshka", "k": 48, "least": 6},  # audio has 32 numbers
    "vq": {"name": "vq", "k": 8, "parts": 2, "codes": 16},
    "rq": {"name": "rq", "k": 8, "levels": 2, "codes": 64},
    "none": {"name": "none"},
}


@pytest.fixture(scope="module")
def root(world: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("codes")


def record(root: Path, store: PreparedDataset, name: str) -> Path:
    settings = {"compressor": COMPRESSORS[name]}
    spec = RunSpec(store.name, store.fingerprint, "early_fusion", settings, RECIPE, 0)
    return run(Cell("early_fusion", "strategy", spec), root, store, load_parts([])).path


def summary(path: Path) -> dict[str, float]:
    record: dict[str, float] = json.loads((path / "summary.json").read_text())
    return record


def test_one_run_gives_the_curve_of_auc_against_the_width(
    root: Path, world: PreparedDataset
) -> None:
    path = record(root, world, "matryoshka")
    rows = width_rows(path)
    widths = [row["k"] for row in rows if row["split"] == "valid"]
    assert widths == [48, 32, 24, 16, 12, 8, 6]
    assert {row["split"] for row in rows} == {"valid"}  # test stays closed
    nested = json.loads((path / "nested.json").read_text())
    assert (nested["format"], nested["compressor"]) == (2, COMPRESSORS["matryoshka"])
    assert rows[0]["auc"] == pytest.approx(summary(path)["valid_auc"], abs=1e-6)
    offline = [row["macs_per_item"] for row in rows if row["split"] == "valid"]
    assert offline == sorted(offline, reverse=True)
    assert offline[0] > offline[-1]
    assert len({row["macs_per_candidate"] for row in rows}) == 1  # tokens are as wide as before


def test_a_point_of_the_curve_is_the_auc_of_the_codes_cut_there(
    root: Path, world: PreparedDataset
) -> None:
    path = record(root, world, "matryoshka")
    model = load_model(path, world, load_parts([]))
    cut = {"text": 12, "image": 12, "audio": 8}  # audio nests 32, 16, 8
    with torch.no_grad():
        for part, width in zip(model.slots.modalities, cut.values(), strict=True):
            part.compressor.encode.weight[width:] = 0.0
            part.compressor.encode.bias[width:] = 0.0
    logits = predict(model, encode_table(model, world.manifest.schema_.items), world, "valid")
    expected = roc_auc_score(world.split("valid").label, logits.astype(np.float64))
    rows = width_rows(path)
    (row,) = (row for row in rows if (row["k"], row["split"]) == (12, "valid"))
    assert row["auc"] == pytest.approx(expected, abs=1e-5)
    assert row["low"] < row["delta"] < row["high"]


@pytest.mark.parametrize("name", ["vq", "rq"])
def test_codes_are_counted_as_they_are_after_training(
    root: Path, world: PreparedDataset, name: str
) -> None:
    path = record(root, world, name)
    model = load_model(path, world, load_parts([]))
    part = model.slots.modalities[0]
    rows = part.frozen[part.fit_mask]
    if name == "vq":  # the nearest of the learned codes, piece by piece
        pieces = part.compressor.encode(rows).detach().unflatten(-1, (2, 4))
        book = part.compressor.book.detach()
        drawn = [torch.cdist(pieces[:, p], book[p]).argmin(-1) for p in range(2)]
        picked = torch.stack(drawn, -1).numpy()
    else:
        picked = rows.numpy()
    messages, size = summary(path), COMPRESSORS[name]["codes"]
    for place in range(2):
        _, count = np.unique(picked[:, place], return_counts=True)
        share = count / count.sum()
        assert messages[f"report_text.codebook_use_{place}"] == pytest.approx(len(count) / size)
        expected = np.exp(-(share * np.log(share)).sum())
        assert messages[f"report_text.perplexity_{place}"] == pytest.approx(expected, rel=1e-6)
    _, inverse, count = np.unique(picked, axis=0, return_inverse=True, return_counts=True)
    collided = (count[inverse.ravel()] > 1).mean()
    assert messages["report_text.collision_rate"] == pytest.approx(collided)
    assert 0.0 < collided < 1.0
    if name == "vq":
        spec = RunSpec(**json.loads((path / "model" / "spec.json").read_text()))
        born = build_model(spec, world, load_parts([])).slots.modalities[0].fitted
        moved = [messages[f"report_text.perplexity_{p}"] - born[f"perplexity_{p}"] for p in (0, 1)]
        assert any(abs(change) > 1e-3 for change in moved)  # training went on after the fit


def test_the_verb_shows_codes_and_curve(
    root: Path, world: PreparedDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    coded, nested = record(root, world, "vq"), record(root, world, "matryoshka")
    codes(coded.name, root)
    printed = capsys.readouterr().out
    assert "collision_rate" in printed
    assert "perplexity_1" in printed
    codes(str(nested), root)
    printed = capsys.readouterr().out
    assert "against whole" in printed
    assert "[" in printed
    codes(nested.name, root, as_json=True)
    assert len(json.loads(capsys.readouterr().out)["curve"]) == 7


def test_a_run_without_codes_or_no_run_says_so(root: Path, world: PreparedDataset) -> None:
    plain = record(root, world, "none")
    assert not (plain / "nested.json").exists()
    with pytest.raises(NothingToDoError, match="its compressors have no measures"):
        codes(plain.name, root)
    with pytest.raises(UsageError, match="expected an id or folder of a completed run"):
        codes("ffff", root)


def entry(path: Path) -> RunEntry:
    """The run as a study's reader sees it."""
    return RunEntry(
        path.name, "early_fusion", "early", "strategy", 3, "completed", path, summary(path)
    )


@pytest.mark.parametrize("name", ["vq", "rq"])
def test_the_report_is_given_what_the_run_told_of_its_codebooks(
    root: Path, world: PreparedDataset, name: str
) -> None:
    path = record(root, world, name)
    messages = {
        key: [v for k, v in summary(path).items() if k.startswith(f"report_text.{key}")]
        for key in ("codebook_use", "perplexity", "collision_rate")
    }
    results = {
        first.measure: first for first in measures([entry(path)]) if first.modality == "text"
    }
    for key, values in messages.items():
        assert results[key].parts == len(values)
        assert results[key].value == (
            Interval(pytest.approx(np.mean(values)), min(values), max(values))
        )
    assert curves([entry(path)]) == ()


def test_the_report_is_given_the_curve_of_nested_codes(root: Path, world: PreparedDataset) -> None:
    path = record(root, world, "matryoshka")
    rows = width_rows(path)
    (curve,) = curves([entry(path)])
    assert curve.widths == (6, 8, 12, 16, 24, 32, 48)
    assert curve.auc == tuple(row["auc"] for row in rows[::-1])
    assert curve.change[-1] == Interval(0.0, 0.0, 0.0)
    assert curve.run_id == path.name


def test_figures_that_older_runs_wrote_themselves_are_read_as_they_stand(
    root: Path, world: PreparedDataset, tmp_path: Path
) -> None:
    rows = width_rows(record(root, world, "matryoshka"))
    (tmp_path / "nested.json").write_text(json.dumps({"format": 1, "rows": rows}))
    assert width_rows(tmp_path) == rows


def test_the_interval_of_a_width_is_the_one_over_users(root: Path, world: PreparedDataset) -> None:
    path = record(root, world, "matryoshka")
    frames = {k: pl.read_parquet(path / "predictions" / f"valid-k{k}.parquet") for k in (48, 8)}
    label, group = (frames[48][name].to_numpy() for name in ("label", "group"))
    scores = [frame["logit"].to_numpy().astype(np.float64) for frame in frames.values()]

    def change(rows: np.ndarray) -> float:
        whole, small = (roc_auc_score(label[rows], s[rows]) for s in scores)
        return float(small - whole)

    users = np.unique(group)
    delta = change(np.ones(len(label), bool))
    without = np.array([change(group != g) for g in users])  # each user left out
    error = np.sqrt((len(users) - 1) / len(users) * np.square(delta - without).sum())
    clicks = np.array([label[group == g].sum() for g in users]) / label.sum()
    others = np.array([(1 - label[group == g]).sum() for g in users]) / (1 - label).sum()
    known = min((clicks > 0).sum(), (others > 0).sum())
    effective = min(1 / np.square((clicks + others) / 2).sum(), known)
    (row,) = (row for row in width_rows(path) if row["k"] == 8)
    assert row["delta"] == pytest.approx(delta, abs=1e-12)
    half = stats.t.ppf(0.975, min(2 * effective, 1.5 * known) - 1) * error
    assert row["high"] - row["delta"] == pytest.approx(half, rel=1e-3)
