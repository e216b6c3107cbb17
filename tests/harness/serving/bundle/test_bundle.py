"""The bundle: written from a run, replayed without torch, refused where a file is not what it
says."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from fusefront.datasets.errors import DataContractError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.store import PreparedDataset
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.data.tables import schema_of
from fusefront.harness.errors import GateError, UsageError
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.robustness.explained_file import explain_file
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.serving.bundle.card import auc_with_interval
from fusefront.harness.serving.bundle.opened import BundleError, read_manifest, replay, sha256
from fusefront.harness.serving.bundle.predict import predict_file, write_scores
from fusefront.harness.serving.bundle.trained import write_model
from fusefront.harness.serving.bundle.write import dataset_facts, export_run, load_run
from fusefront.harness.serving.export.parity import score_split
from fusefront.harness.serving.export.scorer import Scorer
from fusefront.harness.training.build import build_model, save_model
from fusefront.harness.training.module import encode_table
from fusefront.harness.training.run import run

BLOCKED = """
import sys
from importlib.machinery import ModuleSpec
class Block:  # a probe finds nothing wrong, an import does
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.split(".")[0] in {blocked} else None
    def create_module(self, spec):
        raise ImportError(spec.name + " is not on this machine")
    def exec_module(self, module):
        pass
sys.meta_path.insert(0, Block())
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small trained run, its store and the bundle of it."""
    root = tmp_path_factory.mktemp("out")
    data = tmp_path_factory.mktemp("world")
    spec = write_world("tour", data, train=300, valid=200, test=200, warm=400, cold=100)
    store = prepare(load_spec(spec), spec.parent, root)
    recipe = {"epochs": 1, "batch_rows": 512}
    run_spec = RunSpec(store.name, store.fingerprint, "compressed_fusion", {}, recipe, 0)
    record = run(Cell("compressed", "strategy", run_spec), root, store, load_parts(()))
    loaded = load_run(record.path, root)
    bundle = export_run(loaded, root / "bundle", rows="float32", licence="CC0")
    return root, store, record.path, bundle, data


@pytest.fixture
def bundle(world, tmp_path):
    """A copy to be spoilt."""
    return Path(shutil.copytree(world[3], tmp_path / "bundle"))


def test_the_bundle_scores_a_split_as_the_run_recorded_it(world):
    _, store, path, bundle, _ = world
    scored = score_split(Scorer(bundle / "scorer.onnx").logits, store, "test")
    recorded = pl.read_parquet(path / "predictions" / "test.parquet")["logit"].to_numpy()
    np.testing.assert_allclose(scored, recorded, atol=1e-4)


def test_golden_requests_replay_with_numpy_and_onnxruntime_alone(world):
    blocked = {"torch", "polars", "pyarrow", "typer", "pydantic", "onnx", "scipy", "fusefront"}
    code = BLOCKED.format(blocked=blocked) + (
        f"sys.argv = ['check.py', {str(world[3])!r}]\n"
        f"exec(compile(open({str(world[3] / 'check.py')!r}).read(), 'check.py', 'exec'))\n"
    )
    process = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    record = json.loads(process.stdout)
    assert record["passed"]
    assert record["predictions"] == 1 + 3 * 7 + 4 * 512


def test_a_machine_without_onnxruntime_is_told_so(world):
    code = BLOCKED.format(blocked={"onnxruntime"}) + (
        f"sys.argv = ['check.py', {str(world[3])!r}]\n"
        f"exec(compile(open({str(world[3] / 'check.py')!r}).read(), 'check.py', 'exec'))\n"
    )
    process = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert process.returncode == 3
    assert process.stderr.startswith(f"{world[3]}: onnxruntime cannot be loaded")
    assert process.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", ["serve_check", "predict"])
def test_the_verbs_run_where_torch_is_absent(world, verb, tmp_path):
    rows = tmp_path / "rows.parquet"
    _rows(world).write_parquet(rows)
    call = {
        "serve_check": f"serve_check(Path({str(world[3])!r}))",
        "predict": f"predict(Path({str(world[3])!r}), Path({str(rows)!r}))",
    }[verb]
    code = BLOCKED.format(blocked={"torch", "pytorch_lightning"}) + (
        f"from pathlib import Path\nfrom fusefront.harness.cli.{verb} import "
        f"{verb}\n{call}\nassert 'torch' not in sys.modules\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_contributions_to_the_rows_of_a_file_sum_to_the_runs_logits(world, tmp_path):
    """Each modality, history, fields and ids; of the trained run that the bundle is of."""
    root, _, path, folder, _ = world
    source, target = tmp_path / "rows.parquet", tmp_path / "parts.parquet"
    _rows(world).head(40).write_parquet(source)
    result = explain_file(folder, source, target, root)
    frame = pl.read_parquet(target)
    logits = pl.read_parquet(path / "predictions" / "test.parquet")["logit"].to_numpy()[:40]
    np.testing.assert_allclose(frame["logit"], logits, atol=1e-4)
    groups = [name for name in frame.columns if name not in ("row", "logit", "base")]
    assert groups == ["text", "image", "audio", "history", "context fields", "ids"]
    total = frame.select(pl.sum_horizontal("base", *groups)).to_series()
    np.testing.assert_allclose(total, frame["logit"], rtol=0, atol=1e-6)
    sizes = result["mean_size"]
    assert sorted(sizes) == sorted(groups)
    assert list(sizes.values()) == sorted(sizes.values(), reverse=True)
    assert sizes["text"] == pytest.approx(frame["text"].abs().mean())
    assert (result["rows"], frame["row"].to_list()) == (40, list(range(40)))
    explain_file(folder, source, tmp_path / "alone.parquet", tmp_path)  # nothing lies there
    assert pl.read_parquet(tmp_path / "alone.parquet").equals(frame)


@pytest.mark.parametrize("reason", ["it holds more", None])
def test_a_bundle_that_cannot_give_its_model_asks_for_the_run(world, bundle, tmp_path, reason):
    """One of an earlier version, or of a model that holds more than its weights."""
    source = tmp_path / "rows.parquet"
    _rows(world).head(4).write_parquet(source)
    manifest = read_manifest(bundle)
    content = json.loads((bundle / "model.json").read_text())
    assert content["reason"] == ""
    if reason is None:
        (bundle / "model.json").unlink()
        del manifest["files"]["model.json"]
    else:
        (bundle / "model.json").write_text(json.dumps({**content, "reason": reason}))
        size = (bundle / "model.json").stat().st_size
        digest = sha256(bundle / "model.json")
        manifest["files"]["model.json"] = {"bytes": size, "sha256": digest}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    words = reason or "it was exported by an earlier version"
    with pytest.raises(UsageError, match=rf"\({words}\), and its run [0-9a-f]+ is not under"):
        explain_file(bundle, source, tmp_path / "parts.parquet", tmp_path)
    assert explain_file(bundle, source, tmp_path / "parts.parquet", world[0])["rows"] == 4


@pytest.mark.parametrize("baseline", ["popularity", "din", "gated_fusion", "early_fusion"])
def test_other_models_are_built_from_their_weights_alone(ragged, tmp_path, baseline):
    """To the bit; one whose items lie elsewhere is said to hold more."""
    parts = load_parts(())
    spec = RunSpec(ragged.name, ragged.fingerprint, baseline, {}, {}, 3)
    model = build_model(spec, ragged, parts).eval()
    save_model(model, spec, tmp_path / "run" / "model")
    (tmp_path / "bundle").mkdir()
    shutil.copy(tmp_path / "run" / "model" / "weights.safetensors", tmp_path / "bundle")
    schema = schema_of(ragged)
    facts = json.dumps(dataset_facts(ragged), sort_keys=True)  # as it is written: by name
    (tmp_path / "bundle" / "dataset.json").write_text(facts)
    codes = encode_table(model, schema.items)
    write_model(tmp_path / "bundle", tmp_path / "run", schema, codes)
    assert json.loads((tmp_path / "bundle" / "model.json").read_text())["reason"] == ""
    elsewhere = codes._replace(
        candidate=codes.candidate._replace(values=codes.candidate.values + 1)
    )
    write_model(tmp_path / "bundle", tmp_path / "run", schema, elsewhere)
    record = json.loads((tmp_path / "bundle" / "model.json").read_text())
    assert record["reason"] == "it holds more of the items than its weights"
    (tmp_path / "bundle" / "weights.safetensors").write_bytes(
        (tmp_path / "run" / "model" / "weights.safetensors").read_bytes()
    )
    other = spec.to_json() | {"settings": {"unknown": 1}}
    (tmp_path / "run" / "model" / "spec.json").write_text(json.dumps(other))
    write_model(tmp_path / "bundle", tmp_path / "run", schema, codes)
    record = json.loads((tmp_path / "bundle" / "model.json").read_text())
    assert record["reason"].startswith("ValueError: ")


def _rows(world) -> pl.DataFrame:
    """Test rows as a client would send them: keys, raw context values, histories as lists of
    keys."""
    _, store, *_ = world
    split, keys = store.split("test"), store.item_keys().sort("row")["key"].to_numpy()
    request = np.repeat(np.arange(len(split.group)), np.diff(split.row_start))
    history = []
    for r in request.tolist():
        start, length = int(split.history_start[r]), int(split.history_length[r])
        history.append(keys[store.history_values[start : start + length] - 1].tolist())
    frame = {"item": keys[split.item - 1], "history": history}
    sides = (
        ("request", split.request_ids[request]),
        ("candidate", split.candidate_ids),
    )
    for side, codes in sides:
        for at, field in enumerate(getattr(store.manifest.schema_, f"{side}_fields")):
            words = store.vocabulary(side, field.name)
            value_of = dict(zip(words["code"].to_list(), words["value"].to_list(), strict=True))
            frame[field.name] = [value_of.get(code) for code in codes[:, at].tolist()]
    return pl.DataFrame(frame)


def test_a_file_of_raw_rows_is_scored_as_the_run_recorded_them(world, tmp_path):
    _, _, path, bundle, _ = world
    source = tmp_path / "rows.parquet"
    _rows(world).write_parquet(source)
    summary = write_scores(bundle, source, tmp_path / "scores.parquet")
    scores = pl.read_parquet(tmp_path / "scores.parquet")
    logits = pl.read_parquet(path / "predictions" / "test.parquet")["logit"].to_numpy()
    assert summary["rows"] == len(logits) == len(scores)
    expected = 1 / (1 + np.exp(-logits.astype(np.float64)))
    np.testing.assert_allclose(scores["probability"].to_numpy(), expected, atol=1e-5)


def test_an_unknown_item_scores_and_a_missing_column_is_named(world, tmp_path):
    rows = _rows(world).head(3).with_columns(pl.lit(-1).alias("item"))
    rows.write_parquet(tmp_path / "unknown.parquet")
    (scores,) = predict_file(world[3], tmp_path / "unknown.parquet")
    assert np.isfinite(scores).all()
    rows.drop("item").write_parquet(tmp_path / "without.parquet")
    with pytest.raises(DataContractError, match=r"without.parquet: column 'item' is missing"):
        list(predict_file(world[3], tmp_path / "without.parquet"))
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(DataContractError, match=r"text.parquet: not a readable parquet file"):
        list(predict_file(world[3], tmp_path / "text.parquet"))


def test_nothing_in_the_bundle_is_a_pickle_and_every_file_is_listed(world):
    bundle = world[3]
    manifest = read_manifest(bundle)
    there = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert there == {*manifest["files"], "bundle.json"}
    for path in bundle.rglob("*"):
        assert path.suffix not in {".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
    with np.load(bundle / "golden.npz", allow_pickle=False) as golden:
        assert golden.files


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda b: (b / "candidate_values_table.bin").unlink(),
            "candidate_values_table.bin: missing",
        ),
        (
            lambda b: (b / "scorer.onnx").write_bytes((b / "scorer.onnx").read_bytes()[:-9]),
            "scorer.onnx: .* bytes, the bundle says",
        ),
        (
            lambda b: _flip(b / "weights.safetensors"),
            "weights.safetensors: its content was changed",
        ),
        (lambda b: (b / "bundle.json").unlink(), "bundle.json: not there"),
        (lambda b: (b / "bundle.json").write_text("{"), "bundle.json: unreadable"),
        (lambda b: (b / "bundle.json").write_text('{"a": 1}'), "bundle.json: not written by"),
        (lambda b: _edit(b / "bundle.json", format=9), "bundle.json: got format 9, expected 1"),
        (
            lambda b: _edit(b / "bundle.json", files=None),
            "bundle.json: says nothing of 'scorer.onnx'",
        ),
        (
            lambda b: _edit(b / "bundle.json", files={}),
            "bundle.json: says nothing of 'scorer.onnx'",
        ),
        (
            lambda b: _without(b / "bundle.json", "strategy"),
            "bundle.json: says nothing of 'strategy'",
        ),
        (lambda b: _without(b / "bundle.json", "shape"), "bundle.json: says nothing of 'shape'"),
        *(
            (lambda b, odd=odd: _restate(b, odd), "bundle.json: says nothing of 'golden.npz'")
            for odd in ("9", None, True, 1.5, [1])
        ),
    ],
)
def test_a_spoilt_bundle_is_refused_with_the_name_of_the_file(bundle, spoil, sentence):
    spoil(bundle)
    with pytest.raises(BundleError, match=sentence):
        replay(bundle)


def _restate(folder: Path, size: object) -> None:
    """The manifest with another word for the bytes of a file."""
    files = json.loads((folder / "bundle.json").read_text())["files"]
    _edit(
        folder / "bundle.json", files=files | {"golden.npz": files["golden.npz"] | {"bytes": size}}
    )


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def _without(path: Path, key: str) -> None:
    remaining = {k: value for k, value in json.loads(path.read_text()).items() if k != key}
    path.write_text(json.dumps(remaining))


@pytest.mark.parametrize(
    "name", ["/dev/zero", "../bundle/scorer.onnx", "/etc/passwd", "", "a/../../b"]
)
def test_a_manifest_that_names_files_outside_is_refused_at_once(bundle, name):
    listed = json.loads((bundle / "bundle.json").read_text())["files"]
    listed[name] = {"bytes": 0, "sha256": "0" * 64}
    _edit(bundle / "bundle.json", files=listed)
    with pytest.raises(BundleError, match=r"bundle.json: names '.*', which lies outside"):
        read_manifest(bundle)


def test_a_link_or_a_device_in_the_place_of_a_file_is_not_read(bundle):
    (bundle / "card.md").unlink()
    (bundle / "card.md").symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=r"card.md: a link"):
        read_manifest(bundle)
    (bundle / "card.md").unlink()
    os.mkfifo(bundle / "card.md")
    with pytest.raises(BundleError, match=r"card.md: no file of a bundle"):
        read_manifest(bundle)


def test_all_sizes_are_seen_before_any_content(bundle, monkeypatch):
    """The last file listed is short: nothing is hashed for it."""
    from fusefront.harness.serving.bundle import opened

    listed = json.loads((bundle / "bundle.json").read_text())["files"]
    last = bundle / list(listed)[-1]
    last.write_bytes(last.read_bytes()[:-1])
    monkeypatch.setattr(opened, "sha256", lambda path: pytest.fail(f"hashed {path}"))
    with pytest.raises(BundleError, match="bytes, the bundle says"):
        read_manifest(bundle)


@pytest.mark.parametrize("spoil", ["weights", "predictions"])
def test_an_export_is_held_to_the_predictions_of_the_run(world, tmp_path, spoil):
    root, _, path, *_ = world
    loaded = load_run(path, root)
    if spoil == "weights":
        with torch.no_grad():
            next(iter(loaded.model.head.parameters())).mul_(1.05)
    else:
        copy = tmp_path / "run"
        shutil.copytree(path, copy)
        target = copy / "predictions" / "valid.parquet"
        pl.read_parquet(target).with_columns(-pl.col("logit")).write_parquet(target)
        loaded = loaded._replace(run=copy)
    with pytest.raises(GateError, match="do not score its validation rows as recorded"):
        export_run(loaded, tmp_path / "bundle", rows="float32")
    assert not (tmp_path / "bundle").exists()


def test_golden_requests_of_another_scorer_are_refused(bundle):
    """A foreign file put in with its checksum."""
    from fusefront.harness.serving.bundle.opened import sha256

    golden = bundle / "golden.npz"
    np.savez(golden, **{"0.logits": np.zeros((1, 1)), "0.other": np.zeros((1, 1))})
    listed = json.loads((bundle / "bundle.json").read_text())["files"]
    listed[golden.name] = {"bytes": golden.stat().st_size, "sha256": sha256(golden)}
    _edit(bundle / "bundle.json", files=listed)
    with pytest.raises(BundleError, match=r"golden.npz: has no '.*', which scorer.onnx asks for"):
        replay(bundle)


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        ("item", ["a", "b", "c"], "column 'item', row 0: got 'a', expected an integer item key"),
        ("item", ["1", "02", "3"], "column 'item', row 1: got '02', expected an integer item key"),
        ("item", [1.5, 2.5, 3.5], "column 'item', row 0: the keys are fractions, .* whole numbers"),
        (
            "history",
            ["1 2", "3", ""],
            "column 'history', row 0: got .*expected a list of item keys",
        ),
        ("history", [["1"], [], ["x"]], "column 'history'.*: got 'x', expected an integer"),
    ],
)
def test_keys_of_another_type_are_refused_not_scored_as_unknown(
    world, tmp_path, column, values, sentence
):
    source = tmp_path / "rows.parquet"
    _rows(world).head(3).with_columns(pl.Series(column, values)).write_parquet(source)
    with pytest.raises(DataContractError, match=sentence):
        list(predict_file(world[3], source))


def test_empty_histories_score_whatever_their_type(world, tmp_path):
    source = tmp_path / "rows.parquet"
    _rows(world).head(3).with_columns(pl.Series("history", [[], None, []])).write_parquet(source)
    (scores,) = predict_file(world[3], source)
    assert scores.shape == (3,)
    assert np.isfinite(scores).all()


def test_another_graph_with_the_right_checksum_fails_the_replay(bundle):
    """The golden requests see what checksums cannot: a table that scores otherwise."""
    table = bundle / "candidate_values_table.bin"
    rows = np.fromfile(table, np.float32)
    (rows * 1.5).astype(np.float32).tofile(table)
    manifest = json.loads((bundle / "bundle.json").read_text())
    from fusefront.harness.serving.bundle.opened import sha256

    manifest["files"][table.name]["sha256"] = sha256(table)
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    assert not replay(bundle)["passed"]


def test_export_replaces_a_bundle_and_nothing_else(world, tmp_path):
    root, _, path, bundle, _ = world
    loaded = load_run(path, root)
    again = export_run(loaded, bundle, rows="float32", licence="CC0")
    assert replay(again)["passed"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with pytest.raises(UsageError, match="choose another folder with --to"):
        export_run(loaded, tmp_path / "mine", rows="float32")
    assert (tmp_path / "mine" / "thesis.txt").exists()
    with pytest.raises(UsageError, match="got rows 'float8'"):
        export_run(loaded, tmp_path / "new", rows="float8")  # type: ignore[arg-type]


def test_the_card_tells_data_quality_limits_and_licence(world):
    card = json.loads((world[3] / "card.json").read_text())
    text = (world[3] / "card.md").read_text()
    assert card["licence"] == "CC0"
    assert card["limits"]
    metric = card["metrics"]["test_auc"]
    assert metric["low"] < metric["value"] < metric["high"]
    assert f"{metric['value']:.4f}" in text
    assert {s["slice"] for s in card["slices"]} <= set(world[1].manifest.slices)


def test_the_cards_interval_covers_over_clusters():
    rng = np.random.default_rng(0)
    hits, truth = 0, []
    for _ in range(100):
        cluster = np.repeat(np.arange(60), 10)
        logit = (rng.normal(size=60)[cluster] + rng.normal(size=600)).astype(np.float32)
        label = (logit + 2 * rng.normal(size=600) > 0).astype(np.uint8)
        truth.append(auc_with_interval(logit, label, cluster))
    center = np.mean([t["value"] for t in truth])
    hits = sum(t["low"] <= center <= t["high"] for t in truth)
    assert 88 <= hits <= 100


def test_a_run_without_a_model_is_refused(world, tmp_path):
    with pytest.raises(UsageError, match="train it first"):
        load_run(tmp_path, world[0])
    assert PreparedDataset.open(world[1].path).name == world[1].name
