"""`fusefront init` as a user meets it: files in, a spec and a study out, which prepare."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

from fusefront.datasets.adapters.zoo import LAYOUTS
from fusefront.datasets.errors import DataContractError, SpecError
from fusefront.datasets.prepare import prepare
from fusefront.datasets.spec import load_spec
from fusefront.datasets.synthetic.worlds import WORLDS
from fusefront.harness.cli.app import register
from fusefront.harness.cli.init import PUBLISHED
from fusefront.harness.errors import UsageError
from fusefront.harness.jobs.pipeline import StudyRequest, run_study
from fusefront.harness.runs.study import load_study

APP = register()


def init(*words: str | Path) -> str:
    """What the verb prints; its errors come through."""
    result = CliRunner().invoke(APP, ["init", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody's own files: an event log in which a like depends on two vectors."""
    folder = tmp_path / "shop"
    folder.mkdir()
    rng = np.random.default_rng(0)
    count, items = 6000, 60
    text, image = rng.standard_normal((2, items, 8)).astype(np.float32)
    item = rng.integers(0, items, count)
    rate = 1 / (1 + np.exp(-2 * text[item, 0] - 2 * image[item, 0]))
    pl.DataFrame(
        {
            "user_id": [f"u{k}" for k in rng.integers(0, 200, count)],
            "item_id": [f"sku{k}" for k in item],
            "clicked": (rng.random(count) < rate).astype(np.int8),
            "ts": np.arange(count),
        }
    ).write_parquet(folder / "log.parquet")
    pl.DataFrame(
        {"item_id": [f"sku{k}" for k in range(items)], "text": text.tolist()}
    ).write_parquet(folder / "items.parquet")
    np.save(folder / "image.npy", image)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_folder_becomes_a_spec_and_a_study_that_load_and_prepare(shop: Path) -> None:
    printed = init(shop)
    assert "fusefront run study.yaml --data" in printed
    assert load_study(Path("study.yaml")).dataset == "dataset.yaml"
    store = prepare(load_spec(Path("dataset.yaml")), shop, Path("out"))
    assert dict(store.manifest.schema_.modalities) == {"image": 8, "text": 8}
    with pytest.raises(UsageError, match=r"dataset\.yaml exists.*--force"):
        init(shop)
    init(shop, "--force")


@pytest.mark.slow
def test_what_init_wrote_runs_to_a_report(shop: Path) -> None:
    init(shop / "log.parquet", shop / "items.parquet", shop / "image.npy")
    small = ("seeds=[0]", "tuning.trials=0", "training.epochs=2", "latency.rounds=3")
    request = StudyRequest(Path("study.yaml"), Path("out"), shop, small, wandb=False, limit=1)
    conclusion = run_study(request, Console(quiet=True))
    assert conclusion.page.is_file()
    assert Path("out/studies/shop/audit.json").is_file()


def test_a_world_is_written_as_files_that_prepare(tmp_path: Path) -> None:
    printed = init("--synthetic", "gated", "--out", tmp_path / "gated", "--train", "200")
    assert f"fusefront run {tmp_path / 'gated' / 'study.yaml'}" in " ".join(printed.split())
    files = {path.name for path in (tmp_path / "gated").iterdir()}
    assert {"interactions.parquet", "items.parquet", "dataset.yaml", "text.npy"} <= files
    spec = load_spec(tmp_path / "gated" / "dataset.yaml")
    store = prepare(spec, tmp_path / "gated", tmp_path / "out")
    assert store.manifest.counts["train"].requests <= 200
    assert store.manifest.bayes_auc is not None
    assert load_study(tmp_path / "gated" / "study.yaml").baseline == "late_fusion"
    with pytest.raises(UsageError, match="exists; give another path"):
        init("--synthetic", "null", "--out", tmp_path / "gated")


def test_a_published_layout_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PUBLISHED.split(", ") == list(LAYOUTS)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "baby"
    folder.mkdir()
    rows = [(u, (7 * u + i) % 40, 5.0, 20 * i + u, i // 4) for u in range(30) for i in range(12)]
    names = ["userID", "itemID", "rating", "timestamp", "x_label"]
    pl.DataFrame(rows, names, orient="row").write_csv(folder / "baby.inter", separator="\t")
    for name in ("image", "text"):
        np.save(folder / f"{name}_feat.npy", np.random.default_rng(0).random((40, 4)))
    init(folder, "--layout", "mmrec")
    spec = load_spec(Path("dataset.yaml"))
    assert spec.name == "baby"
    assert prepare(spec, folder, Path("out")).manifest.split_by == "given"


@pytest.mark.parametrize(
    ("words", "kind", "sentence"),
    [
        ((), UsageError, "no data given"),
        (("nowhere",), DataContractError, "nowhere: not there"),
        (("--synthetic", "mars"), SpecError, "mars"),
        (("shop", "--layout", "mars"), SpecError, "unknown layout 'mars'"),
        (("shop", "--layout", "tiktok"), DataContractError, r"no 'train\.json'"),
        (("shop/log.parquet", "--layout", "tiktok"), UsageError, "takes one folder"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    shop: Path, words: tuple[str, ...], kind: type[Exception], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence) as refusal:
        init(*words)
    assert "\n" not in str(refusal.value)
    assert not Path("dataset.yaml").exists()


def test_help_names_worlds_and_layouts() -> None:
    printed = init("--help")
    assert "--layout" in printed
    assert "--synthetic" in printed
    assert set(WORLDS) >= {"additive", "tour"}
