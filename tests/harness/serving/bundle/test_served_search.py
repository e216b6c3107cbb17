"""A bundle of content search: `predict` searches before the graph, which then reads K items."""

import json
import shutil

import numpy as np
import pytest

from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.synthetic.write import write_world
from fusefront.harness.parts.plugins import load_parts
from fusefront.harness.runs.spec import Cell, RunSpec
from fusefront.harness.serving.bundle import predict
from fusefront.harness.serving.bundle.golden import FILE, replay_rows
from fusefront.harness.serving.bundle.opened import MANIFEST, replay
from fusefront.harness.serving.bundle.write import export_run, load_run
from fusefront.harness.training.run import run

NEAREST = 3
SETTINGS = {"operator": "concat", "pooler": {"name": "content_search", "nearest": NEAREST}}


@pytest.fixture(scope="module", params=["float32", "float16"])
def bundle(request, tmp_path_factory):
    root, data = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("world")
    spec = write_world("tour", data, train=300, valid=100, test=100, warm=400, cold=100)
    store = prepare(load_spec(spec), spec.parent, root)
    run_spec = RunSpec(
        store.name, store.fingerprint, "composed", SETTINGS, {"epochs": 1, "batch_rows": 512}, 0
    )
    record = run(Cell("searched", "strategy", run_spec), root, store, load_parts(()))
    return export_run(load_run(record.path, root), root / "bundle", rows=request.param)


def test_rows_are_scored_from_what_the_search_leaves(bundle, monkeypatch):
    lengths = []

    def noted(session, folder, feed):
        lengths.append(feed["history"].shape[1])
        return score(session, folder, feed)

    score = predict.score
    monkeypatch.setattr(predict, "score", noted)
    replayed = replay_rows(bundle)
    assert replayed.passed
    assert replayed.rows > 100
    assert set(lengths) == {NEAREST}
    assert replay(bundle)["passed"]


def test_the_graph_searches_for_itself_where_the_bundle_has_no_search(bundle, tmp_path):
    """Bundles written before are read as ever, with the same scores; float16 rows are searched by
    rounded content there, which may choose another item of nearly the same likeness."""
    before = np.concatenate(list(predict.predict_file(bundle, bundle / FILE)))
    older = tmp_path / "older"
    shutil.copytree(bundle, older)
    (older / "search.npz").unlink()
    manifest = json.loads((older / MANIFEST).read_text("utf-8"))
    del manifest["files"]["search.npz"]
    (older / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    after = np.concatenate(list(predict.predict_file(older, older / FILE)))
    apart = np.abs(before - after)
    rows = manifest["serving"]["rows"]
    assert (apart < 1e-5).mean() >= (1.0 if rows == "float32" else 0.9)
