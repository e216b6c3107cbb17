"""What a run records, on a model whose best epoch is known and is not the last."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file
from sklearn.metrics import log_loss, roc_auc_score

from fusefront.baselines.contract import Parts
from fusefront.datasets.raw.files import sha256
from fusefront.datasets.store import PreparedDataset
from fusefront.harness.runs.spec import Cell
from fusefront.harness.training.build import load_model
from fusefront.harness.training.fit import Epochs
from fusefront.harness.training.run import (
    RunRecord,
    _environment,
    find_record,
    run,
    run_folder,
)

TIMES = ("seconds", "rows_per_second")


class Trained:
    """A run of `turning` and what it said while it ran."""

    def __init__(self, record: RunRecord, messages: list[dict[str, Any]]) -> None:
        self.path, self.summary, self.messages = record.path, dict(record.summary), messages
        text = (record.path / "metrics.jsonl").read_text(encoding="utf-8")
        self.lines = [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def trained(train: Any, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    messages: list[dict[str, Any]] = []
    root = tmp_path_factory.mktemp("runs")
    return Trained(train(root, seed=3, progress=messages.append), messages)


def noise(item: np.ndarray) -> np.ndarray:
    return np.sin((item.astype(np.float32) * np.float32(12.9898)).astype(np.float64))


def scores(store: PreparedDataset, split: str, turn: float) -> np.ndarray:
    """What `turning` scores, by its formula."""
    item = np.asarray(store.split(split).item, np.int64)
    signal = np.where((item - 1) % 3 == 0, 1.0, -1.0)
    return (1 - 4 * abs(turn - 0.5)) * signal + noise(item)


def test_the_best_epoch_is_kept_and_not_the_last(trained: Trained, ragged: PreparedDataset) -> None:
    auc = [line["valid_auc"] for line in trained.lines]
    best = int(np.argmax(auc))
    assert 0 < best < 4  # of five
    assert trained.summary["best_epoch"] == best + 1
    assert trained.summary["epochs"] == 5
    for name in ("valid_auc", "valid_logloss", "train_loss"):
        assert trained.summary[name] == trained.lines[best][name]
    assert len({line["valid_logloss"] for line in trained.lines}) == 5
    turn = trained.summary["report_turn"]
    logit = scores(ragged, "valid", turn)
    label = ragged.split("valid").label
    assert auc[best] == pytest.approx(roc_auc_score(label, logit), abs=1e-6)
    expected = log_loss(label, 1 / (1 + np.exp(-logit)))
    assert trained.summary["valid_logloss"] == pytest.approx(expected, abs=1e-6)
    assert abs(turn - 0.5) < 0.25  # the last is further off
    weights = load_file(trained.path / "model" / "weights.safetensors")
    assert float(weights["turn"]) == turn


@pytest.mark.parametrize("split", ["valid", "test"])
def test_predictions_are_the_best_epochs_in_the_rows_of_the_store(
    trained: Trained, ragged: PreparedDataset, split: str
) -> None:
    frame = pl.read_parquet(trained.path / "predictions" / f"{split}.parquet")
    rows = ragged.split(split)
    request = [
        r
        for r in range(len(rows.group))
        for _ in range(int(rows.row_start[r]), int(rows.row_start[r + 1]))
    ]
    assert frame.columns == ["row_id", "request", "group", "item", "label", "logit"]
    assert frame["row_id"].to_list() == rows.row_id.tolist()
    assert frame["request"].to_list() == request
    assert frame["group"].to_list() == [int(rows.group[r]) for r in request]
    assert frame["item"].to_list() == rows.item.tolist()
    assert frame["label"].to_list() == rows.label.tolist()
    turn = trained.summary["report_turn"]
    np.testing.assert_allclose(frame["logit"], scores(ragged, split, turn), atol=2e-6)
    assert frame["group"].n_unique() < frame["request"].n_unique()


def test_train_loss_is_the_mean_over_the_steps_of_its_epoch(
    trained: Trained, ragged: PreparedDataset
) -> None:
    """In training mode `turning` scores by noise alone, so each row's loss is known."""
    rows = ragged.split("train")
    order_of = [np.random.default_rng([3, epoch]).permutation(40) for epoch in range(5)]
    for line, order in zip(trained.lines, order_of, strict=True):
        item = np.concatenate([rows.item[rows.row_start[r] : rows.row_start[r + 1]] for r in order])
        label = np.concatenate(
            [rows.label[rows.row_start[r] : rows.row_start[r + 1]] for r in order]
        )
        ends = np.cumsum([rows.row_start[r + 1] - rows.row_start[r] for r in order])
        logit = noise(item)
        loss = np.log1p(np.exp(logit)) - label * logit
        step = np.repeat((ends - 1) * 8 // 495, np.diff(ends, prepend=0))  # 495 / 64: 8 steps
        expected = np.mean([loss[step == n].mean() for n in range(8)])
        assert line["train_loss"] == pytest.approx(expected, abs=1e-5)


def test_every_epoch_has_a_line_and_a_message(trained: Trained) -> None:
    assert [line["epoch"] for line in trained.lines] == [1, 2, 3, 4, 5]
    expected = [{"strategy": "my turning", "seed": 3, **line} for line in trained.lines]
    assert trained.messages == expected
    for line in trained.lines:
        assert line["seconds"] > 0
        assert line["rows_per_second"] == pytest.approx(495 / line["seconds"], rel=0.2)
    seconds = sum(line["seconds"] for line in trained.lines)
    assert trained.summary["rows_per_second"] == pytest.approx(5 * 495 / seconds, rel=0.05)
    assert seconds < trained.summary["seconds"] < 600


def test_the_summary_says_what_was_trained(
    trained: Trained, make_cell: Any, ragged: PreparedDataset
) -> None:
    spec = make_cell(seed=3).spec
    expected = {
        "format": 1,
        "run_id": spec.run_id,
        "dataset": "ragged",
        "fingerprint": ragged.fingerprint,
        "baseline": "turning",
        "strategy": "my turning",
        "role": "strategy",
        "family": "own",
        "seed": 3,
        "code": spec.code,
        "threads": 1,
        "host_pid": os.getpid(),
        "parameters_id_embedding": 46,
        "parameters_field_embedding": 0,
        "parameters_fusion": 0,
        "parameters_dense": 1,
        "macs_per_candidate": 0,
    }
    assert {name: trained.summary[name] for name in expected} == expected
    hashes = trained.summary["sha256"]
    assert set(hashes) == {
        "model/weights.safetensors",
        "predictions/valid.parquet",
        "predictions/test.parquet",
        "metrics.jsonl",
    }
    assert all(sha256(trained.path / name) == value for name, value in hashes.items())
    assert trained.summary == json.loads((trained.path / "summary.json").read_text())


def test_the_other_files_say_how(trained: Trained, make_cell: Any) -> None:
    spec = make_cell(seed=3).spec
    assert trained.path.parts[-4:] == ("runs", "ragged", "my turning", spec.run_id)
    config = yaml.safe_load((trained.path / "config.yaml").read_text())
    assert config == spec.to_json()
    assert list(config) == sorted(config)
    assert json.loads((trained.path / "model" / "spec.json").read_text()) == spec.to_json()
    status = json.loads((trained.path / "status.json").read_text())
    assert (status["format"], status["state"], status["reason"]) == (1, "completed", "")
    started, ended = (datetime.fromisoformat(status[name]) for name in ("started", "ended"))
    assert started <= ended <= datetime.now(UTC)
    assert ended - started < timedelta(minutes=10)
    code = json.loads((trained.path / "code.json").read_text())
    assert code["format"] == 1
    assert "fusefront.harness.training.module" in code["sources"]
    assert json.loads((trained.path / "environment.json").read_text())["threads"] == 1


def test_of_equal_epochs_the_first_is_kept(train: Any, tmp_path: Path) -> None:
    """So far from the best, a step changes every score and no order."""
    record = train(tmp_path, settings={"best_at": 100.0}, epochs=3)
    lines = [json.loads(line) for line in (record.path / "metrics.jsonl").read_text().splitlines()]
    assert len({line["valid_auc"] for line in lines}) == 1
    assert len({line["valid_logloss"] for line in lines}) == 3
    assert record.summary["best_epoch"] == 1
    assert record.summary["valid_logloss"] == lines[0]["valid_logloss"]


def test_validation_encodes_as_serving_does(ragged: PreparedDataset, trained: Trained) -> None:
    """`turning` scores by noise alone in training mode; its record shows signal."""
    item = np.asarray(ragged.split("valid").item, np.int64)
    chance = roc_auc_score(ragged.split("valid").label, noise(item))
    assert trained.summary["valid_auc"] > chance + 0.05


def test_a_control_is_of_the_family_control(train: Any, tmp_path: Path) -> None:
    summary = train(tmp_path, role="control", epochs=1).summary
    assert (summary["role"], summary["family"]) == ("control", "control")


def test_a_record_without_test_does_not_do_where_test_is_wanted(
    train: Any, make_cell: Any, tmp_path: Path
) -> None:
    short, whole = ({"epochs": 1, "with_test": test} for test in (False, True))
    assert find_record(make_cell(**short), tmp_path) is None
    first = train(tmp_path, **short)
    assert not (first.path / "predictions" / "test.parquet").exists()
    assert "predictions/test.parquet" not in first.summary["sha256"]
    again = find_record(make_cell(**short), tmp_path)
    assert again == first
    assert find_record(make_cell(**whole), tmp_path) is None
    second = train(tmp_path, **whole)
    assert (second.path / "predictions" / "test.parquet").exists()
    assert find_record(make_cell(**whole), tmp_path) == second
    assert find_record(make_cell(**short), tmp_path) == second  # more than it needs


def test_a_record_is_used_whatever_name_a_study_gave_it(
    train: Any, make_cell: Any, ragged: PreparedDataset, parts: Parts, tmp_path: Path
) -> None:
    first = train(tmp_path, epochs=1)
    cell = make_cell(epochs=1)
    renamed = run(Cell("another name", "strategy", cell.spec), tmp_path, ragged, parts)
    assert renamed == first


def test_a_failed_run_says_why_and_is_trained_anew(
    train: Any, parts: Parts, ragged: PreparedDataset, make_cell: Any, tmp_path: Path
) -> None:
    class Broken(parts.baselines["turning"]):  # type: ignore[name-defined,misc]
        def report(self) -> dict[str, float]:
            raise ValueError("no report\n  today")

    broken = parts._replace(baselines={**parts.baselines, "turning": Broken})
    with pytest.raises(ValueError, match="no report"):
        run(make_cell(epochs=1), tmp_path, ragged, broken)
    (folder,) = (tmp_path / "runs" / "ragged" / "my turning").iterdir()
    status = json.loads((folder / "status.json").read_text())
    assert (status["state"], status["reason"]) == ("failed", "ValueError: no report today")
    assert not (folder / "summary.json").exists()
    assert find_record(make_cell(epochs=1), tmp_path) is None
    record = train(tmp_path, epochs=1)
    assert record.path == folder
    assert json.loads((folder / "status.json").read_text())["state"] == "completed"
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1  # of the second training


def test_a_few_scores_that_are_no_numbers_fail_the_run_with_their_count(
    parts: Parts, ragged: PreparedDataset, make_cell: Any, tmp_path: Path
) -> None:
    item, count = np.unique(ragged.split("valid").item, return_counts=True)
    rare = int(item[np.argmin(count)])

    class Overflowing(parts.baselines["turning"]):  # type: ignore[name-defined,misc]
        def encode(self, ids: torch.Tensor, keep: Any = None) -> Any:
            codes, loss = super().encode(ids, keep)
            if not self.training:
                codes.candidate.values[ids == rare] = torch.inf
            return codes, loss

    own = parts._replace(baselines={**parts.baselines, "turning": Overflowing})
    sentence = rf"^{count.min()} of 151 valid scores are not finite; lower the learning rate$"
    with pytest.raises(FloatingPointError, match=sentence):
        run(make_cell(epochs=1), tmp_path, ragged, own)


def test_a_run_leaves_nothing_where_it_was_started(
    train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    train(tmp_path / "out", epochs=1)
    assert list((tmp_path / "here").iterdir()) == []


def test_a_model_that_solves_itself_sees_both_splits_and_is_recorded_as_one_epoch(
    parts: Parts, ragged: PreparedDataset, make_cell: Any, tmp_path: Path
) -> None:
    rows: dict[str, list[int]] = {}

    class Solved(parts.baselines["turning"]):  # type: ignore[name-defined,misc]
        solved = True

        def solve(self, train: Any, valid: Any) -> None:
            for name, split in (("train", train), ("valid", valid)):
                for _ in range(2):  # as often as it likes
                    rows[name] = [
                        int(n) for b in split() for n in b.row_ids[b.candidate_mask].tolist()
                    ]
            with torch.no_grad():
                self.turn.fill_(0.4375)

    own = parts._replace(baselines={**parts.baselines, "turning": Solved})
    record = run(make_cell(epochs=3), tmp_path, ragged, own)
    assert rows == {name: ragged.split(name).row_id.tolist() for name in ("train", "valid")}
    summary = record.summary
    assert (summary["epochs"], summary["best_epoch"], summary["report_turn"]) == (1, 1, 0.4375)  # type: ignore[typeddict-item]
    logit, label = scores(ragged, "valid", 0.4375), ragged.split("valid").label
    assert summary["valid_auc"] == pytest.approx(roc_auc_score(label, logit), abs=1e-6)
    (line,) = (record.path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line)["train_loss"] == summary["train_loss"]
    train = ragged.split("train")
    logit = noise(np.asarray(train.item, np.int64))  # in training mode, as every train loss
    expected = np.mean(np.log1p(np.exp(logit)) - train.label * logit)
    assert summary["train_loss"] == pytest.approx(expected, abs=1e-5)


def test_dropout_is_drawn_by_the_seed(train: Any, tmp_path: Path) -> None:
    settings = {"head.dropout": 0.4}
    losses = []
    for place, seed in (("a", 5), ("b", 5), ("c", 6)):
        torch.rand(len(place) + seed)  # whatever was drawn before
        record = train(tmp_path / place, "early_fusion", settings, seed, epochs=1)
        losses.append(record.summary["train_loss"])
    assert losses[0] == losses[1] != losses[2]


def test_a_machine_with_many_cores_trains_without_a_warning(
    train: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert train(tmp_path, epochs=1).summary["epochs"] == 1


def test_threads_are_those_of_the_spec(
    ragged: PreparedDataset, parts: Parts, make_cell: Any, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    cell = make_cell(epochs=1)
    try:
        for threads in (2, 1):
            spec = replace(cell.spec, threads=threads)
            record = run(Cell("t", "strategy", spec), tmp_path, ragged, parts)
            assert torch.get_num_threads() == threads
            assert record.summary["threads"] == threads
            environment = json.loads((record.path / "environment.json").read_text())
            assert environment["threads"] == threads
    finally:
        torch.set_num_threads(before)


def test_a_loaded_model_is_the_recorded_one_ready_to_score(
    trained: Trained, ragged: PreparedDataset, parts: Parts
) -> None:
    model = load_model(trained.path, ragged, parts)
    assert not model.training
    assert float(model.turn.detach()) == trained.summary["report_turn"]


def test_what_a_killed_run_left_half_written_is_swept(
    tmp_path: Path, train: Any, make_cell: Any
) -> None:
    folder = run_folder(make_cell(epochs=1), tmp_path)
    left = [folder / part / ".half.tmp-1-dead" for part in ("", "predictions", "model")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    assert train(tmp_path, epochs=1).path == folder
    assert [path for path in left if path.exists()] == []


def test_before_the_first_epoch_there_are_no_lines(tmp_path: Path, make_cell: Any) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("of a run before\n")
    Epochs(path, 10, make_cell(), lambda _: None)
    assert not path.exists()
    lines = [{"epoch": 1, "seconds": 2.0}, {"epoch": 2, "seconds": 3.0}]
    again = Epochs(path, 10, make_cell(), lambda _: None, lines)
    assert [json.loads(line) for line in path.read_text().splitlines()] == lines
    assert again.speed() == 10 * 2 / 5


@pytest.mark.parametrize(
    ("baseline", "device", "name"),
    [
        ("turning", "auto", "A card"),
        ("turning", "cuda", "A card"),
        ("turning", "cpu", "cpu"),
        ("counts", "auto", "cpu"),  # solves itself, on the CPU
        ("nobody", "auto", "A card"),
    ],
)
def test_the_environment_names_what_trains(
    baseline: str,
    device: str,
    name: str,
    parts: Parts,
    make_cell: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = make_cell(baseline, device=device).spec
    assert _environment(spec, parts)["device"] == "cpu"  # there is no other here
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A card")
    assert _environment(spec, parts)["device"] == name
