"""Parts that nothing is trained with: metrics, backends, layouts and encoders that a study
names."""

import json
from dataclasses import replace

import polars as pl
import pytest
from rich.console import Console

from fusefront.datasets.adapters.zoo import read_spec
from fusefront.datasets.allowed import Allowed
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.preparing.fingerprint import fingerprint
from fusefront.harness.dossier.bench import served_by
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.data_source import describe
from fusefront.harness.jobs.pipeline import StudyRequest, begin
from fusefront.harness.jobs.propose import write_proposal
from fusefront.harness.parts.bare import code_digest
from fusefront.harness.parts.data_parts import layout_allowed
from fusefront.harness.parts.included import remember
from fusefront.harness.parts.kinds import BACKEND, ENCODER, LAYOUT, METRIC
from fusefront.harness.parts.metric_parts import own_metrics
from fusefront.harness.parts.outside_parts import own_parts
from fusefront.harness.serving.latency.backends import find_backends
from fusefront.harness.serving.latency.study import shipped_and

STUDY = {
    "name": "mine",
    "dataset": {"synthetic": "redundant", "train": 20, "valid": 20, "test": 20},
    "baseline": "late_fusion",
    "strategies": {"late_fusion": {}},
}


@pytest.fixture
def shop(tmp_path):
    """A folder of the layout of docs/extending.md, and a spec that says no more than its name."""
    rows = {"user": [1, 2, 3, 1, 2, 3] * 10, "item": [1, 2, 3, 4] * 15, "click": [0, 1] * 30}
    folder = tmp_path / "data"
    folder.mkdir()
    pl.DataFrame(rows).with_columns(time=pl.int_range(60)).write_csv(folder / "log.csv")
    titles = {"item": [1, 2, 3, 4], "title": ["abc", "abca", "c", "b b"]}
    pl.DataFrame(titles).write_csv(folder / "items.csv")
    (tmp_path / "shop.yaml").write_text("layout: shop_log\n")
    return folder


@pytest.fixture
def mine(page_files, tmp_path):
    """The files of docs/extending.md by name, written."""

    def write(*names):
        for name in names:
            (tmp_path / name).write_text(page_files[name])
        return [tmp_path / name for name in names]

    return write


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"comparison": {"metrics": ["net"]}},
            r"metric 'net' is not known; known: auc, .*--include",
        ),
        ({"latency": {"backends": ["tpu"]}}, r"latency backend 'tpu' is not known; known: onnx, "),
    ],
)
def test_a_name_that_nobody_offers_is_refused_before_anything_is_trained(
    tmp_path, change, sentence
):
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY | change))
    with pytest.raises(UsageError, match=sentence):
        begin(StudyRequest(tmp_path / "study.yaml", tmp_path / "out"), Console(quiet=True))
    assert not list(tmp_path.glob("out/prepared/*"))


def test_own_metrics_are_those_given_and_those_on_record(mine, tmp_path):
    (file,) = mine("net_benefit.py")
    study = tmp_path / "study"
    study.mkdir()
    assert own_metrics(["auc", "logloss"], study, []) == {}
    with pytest.raises(
        UsageError, match="metric 'net_benefit' is not known; known: auc, group_auc"
    ):
        own_metrics(["auc", "net_benefit"], study, [])
    metrics = own_metrics(["auc", "net_benefit"], study, [file])
    assert [type(metric).__name__ for metric in metrics.values()] == ["NetBenefit"]
    remember(study, own_parts([file]))
    assert list(own_metrics(["net_benefit"], study, [])) == ["net_benefit"]
    file.unlink()
    with pytest.raises(UsageError, match=r"study: it was made with metric 'net_benefit' of .*gone"):
        own_metrics(["net_benefit"], study, [])
    assert own_metrics(["auc"], study, []) == {}


def test_a_metric_that_cannot_be_built_is_one_sentence(mine, tmp_path):
    (file,) = mine("net_benefit.py")
    head, part, rest = file.read_text().partition("    def value(")
    file.write_text(
        f"{head}    def __init__(self):\n        raise KeyError('no word')\n\n{part}{rest}"
    )
    with pytest.raises(
        UsageError, match=r"metric 'net_benefit' cannot be built \(KeyError: 'no wo"
    ):
        own_metrics(["net_benefit"], tmp_path, [file])


def test_backends_are_named_what_ships_first():
    assert shipped_and([]) == ("onnx",)
    assert shipped_and(["mine", "onnx", "mine"]) == ("onnx", "mine")
    with pytest.raises(
        UsageError, match=r"backend 'tpu' is not known; known: onnx, .*--include-path"
    ):
        find_backends(["tpu"])
    assert list(find_backends(["eager", "onnx"])) == ["eager", "onnx"]


def bench_row(strategy, backend, scope="model_only", candidates=8, p50=1.0, **more):
    row = {"strategy": strategy, "backend": backend, "scope": scope, "candidates": candidates}
    for name, ms in (("p50", p50), ("p95", 2 * p50), ("p99", 3 * p50)):
        row |= {f"{name}_ms": ms, f"{name}_low": 0.9 * ms, f"{name}_high": 1.1 * ms}
    return row | more


def test_rows_of_other_backends_are_shown_beside_what_ships():
    shipped = [
        bench_row("b", "onnx", p50=2.0, parity_max_difference=1e-7),
        bench_row("a", "onnx", p50=3.0),
        bench_row("a", "onnx", "end_to_end"),
        bench_row("a", "onnx", candidates=1),
        bench_row("a", "eager", "as_trained"),
    ]
    assert served_by(None, 8) == ()
    assert served_by({"facts": {}, "rows": shipped}, 8) == ()
    other = bench_row("a", "mine", p50=1.0, auc_change=-2e-5)
    timed = served_by({"facts": {}, "rows": [*shipped, other]}, 8)
    assert [(row.strategy, row.backend) for row in timed] == [
        *(("a", "mine"), ("a", "onnx"), ("b", "onnx")),
    ]
    first = timed[0]
    assert (first.p50.value, first.p50.low, first.p50.high) == (1.0, 0.9, 1.1)
    assert (first.p99.value, first.p99.low) == (3.0, pytest.approx(2.7))
    assert (first.max_difference, first.auc_change) == (None, -2e-5)
    assert timed[2].max_difference == 1e-7


def test_a_spec_that_names_a_layout_is_what_the_layout_proposes(mine, shop, tmp_path):
    files = mine("shop_log.py", "letters.py")
    data = describe(tmp_path / "shop.yaml", shop, files)
    assert data.spec.name == "shop"
    assert sorted(part.name for part in data.own) == ["letters", "shop_log"]
    store = prepare(data.spec, shop, tmp_path / "out", allowed=data.allowed)
    titles = store.vectors("title")[1:]
    assert titles[:, :3].tolist() == [
        [pytest.approx(x) for x in row]
        for row in ([1 / 3] * 3, [2 / 4, 1 / 4, 1 / 4], [0, 0, 1], [0, 2 / 3, 0])
    ]
    (tmp_path / "shop.yaml").write_text("layout: shop_log\nname: other\nsplit: {by: time}\n")
    assert describe(tmp_path / "shop.yaml", shop, files).spec.name == "other"
    with pytest.raises(SpecError, match="unknown layout 'shop_log'; choose one of microlens_mmctr"):
        describe(tmp_path / "shop.yaml", shop, files[1:])
    with pytest.raises(SpecError, match="got encoder 'letters'; expected one of minilm"):
        prepare(describe(tmp_path / "shop.yaml", shop, files[:1]).spec, shop, tmp_path / "out")
    (tmp_path / "shop.yaml").write_text("layout: tiktok\n")
    with pytest.raises(DataContractError, match="the layout"):
        describe(tmp_path / "shop.yaml", shop, [])


def test_init_writes_the_spec_of_an_own_layout(mine, shop, tmp_path):
    files = mine("shop_log.py")
    spec = tmp_path / "proposed" / "dataset.yaml"
    spec.parent.mkdir()
    allowed = layout_allowed("shop_log", files, outside=False)
    write_proposal([shop], spec, layout="shop_log", allowed=allowed)
    assert read_spec(spec, shop).modalities["title"].encoder == "letters"
    with pytest.raises(SpecError, match="layout 'shop_log' has no published sums to verify"):
        write_proposal([shop], spec, layout="shop_log", verified=True, force=True, allowed=allowed)
    with pytest.raises(SpecError, match="unknown layout 'shop_log'"):
        write_proposal([shop], spec, layout="shop_log", force=True)


@pytest.mark.parametrize(
    ("body", "error", "sentence"),
    [
        (
            "raise KeyError('no word')",
            DataContractError,
            r"layout 'own' raised KeyError .'no word'",
        ),
        (
            "return [1]",
            SpecError,
            "layout 'own' gives a list; expected a DatasetSpec or its mapping",
        ),
        ("return {'name': 'x'}", SpecError, "layout own: key 'interactions' is missing"),
    ],
)
def test_what_an_own_layout_does_wrong_is_one_sentence(tmp_path, body, error, sentence):
    file = tmp_path / "own.py"
    file.write_text(f"def propose(folder):\n    {body}\n\n\nLAYOUTS = {{'own': propose}}\n")
    (tmp_path / "spec.yaml").write_text("layout: own\n")
    with pytest.raises(error, match=sentence) as refused:
        describe(tmp_path / "spec.yaml", tmp_path, [file])
    assert "\n" not in str(refused.value)


def test_a_data_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / "spec.yaml").write_text("layout: own\n")
    with pytest.raises(UsageError, match=r"--data .*nowhere: not a folder"):
        describe(tmp_path / "spec.yaml", tmp_path / "nowhere", [])


def test_an_encoder_counts_by_its_code_and_settings(mine, shop, tmp_path):
    """Comments change no fingerprint; a formula, a setting or another name do."""
    files = mine("shop_log.py", "letters.py")

    def store_name(**settings):
        part = {"column": "title", "encode": "text", "encoder": "letters", "settings": settings}
        spec = json.dumps({"layout": "shop_log", "modalities": {"title": part}})
        (tmp_path / "shop.yaml").write_text(spec)
        data = describe(tmp_path / "shop.yaml", shop, files)
        return fingerprint(data.spec, shop, data.allowed)

    first = store_name()
    text = files[1].read_text()
    files[1].write_text(text + "\n# a comment\n")
    files[0].write_text(files[0].read_text() + "\nUNUSED = 1\n")  # the layout's file
    assert store_name() == first
    assert store_name(alphabet="abc") != first
    files[1].write_text(text.replace("max(len(text), 1)", "max(len(text), 2)"))
    assert store_name() != first


def test_an_encoder_of_the_other_kind_or_with_unknown_settings_is_refused(mine, shop, tmp_path):
    files = mine("shop_log.py", "letters.py")
    part = {"path": "posters/{key}.png", "encode": "image", "encoder": "letters"}
    title = {"column": "title", "encode": "text", "encoder": "letters", "settings": {"colour": 1}}
    for modality, sentence in (
        (part, "encode: image got encoder 'letters', which reads text; name one of its kind"),
        (title, r"encoder 'letters' cannot be built with settings {'colour': 1} \(TypeError"),
    ):
        spec = json.dumps({"layout": "shop_log", "modalities": {"it": modality}})
        (tmp_path / "shop.yaml").write_text(spec)
        data = describe(tmp_path / "shop.yaml", shop, files)
        with pytest.raises(SpecError, match=sentence):
            prepare(data.spec, shop, tmp_path / "out", allowed=data.allowed)


def test_nothing_is_allowed_where_nothing_is_given():
    assert Allowed() == Allowed({}, {}, outside=False)


def test_a_study_whose_files_have_changed_runs_with_those_that_are_given(mine, tmp_path):
    """On record are the old ones; given anew they go before them."""
    files = mine("net_benefit.py", "two_threads.py")
    study = STUDY | {
        "comparison": {"metrics": ["net_benefit"]},
        "latency": {"candidates": [4], "decide_at": 4, "backends": ["two_threads"]},
    }
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    request = StudyRequest(tmp_path / "study.yaml", tmp_path / "out", include=files, wandb=False)
    begin(request, Console(quiet=True))
    for file in files:
        file.write_text(file.read_text() + "\n\nUNUSED = 1\n")
    begin(request, Console(quiet=True))
    begin(replace(request, include=()), Console(quiet=True))  # as they are on record now
    files[0].write_text(files[0].read_text() + "\n\nMORE = 1\n")
    with pytest.raises(UsageError, match=r"made with metric 'net_benefit' of .*has changed since"):
        begin(replace(request, include=()), Console(quiet=True))


def test_a_function_that_a_spec_calls_is_an_encoder_and_nothing_else(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("def letters(texts):\n    return [[len(text)] for text in texts]\n")
    (part,) = own_parts([file], (ENCODER,), {"mine:letters", "other:letters"})
    assert (part.kind, part.name, part.files) == (ENCODER, "mine:letters", (file,))
    assert own_parts([file], (METRIC, BACKEND, LAYOUT), {"mine:letters"}) == []
    with pytest.raises(UsageError, match="nothing in it is a part"):
        own_parts([file], (ENCODER,), {"other:letters"})


def test_a_file_counts_by_its_code_with_annotations(tmp_path):
    """Fields of a dataclass are annotations: another one is other code, a remark is not."""
    file = tmp_path / "settings.py"
    texts = ("width: int = 8\n", "width: int = 8  # wide\n", "width: float = 8\n", "width = 8\n")
    digests = []
    for text in texts:
        file.write_text(text)
        digests.append(code_digest(file))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
