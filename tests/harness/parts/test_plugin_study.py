"""An operator of one's own, from file or package, through the whole command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

STUDY = """\
name: mine
dataset: {synthetic: redundant, train: 200, valid: 300, test: 100}
baseline: late_fusion
controls: false
strategies:
  late_fusion: {}
  largest: {baseline: composed, operator: largest}
seeds: [0]
training: {epochs: 1}
latency: {candidates: [8], decide_at: 8, rounds: 3}
margin: 0.05
"""
INFO = "Metadata-Version: 2.1\nName: shopfusion\nVersion: 1.0\n"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # commands, each its own process


def fusefront(folder: Path, *words: str, packages: Path | None = None, code: int = 0) -> str:
    """Standard output of a command that must end with `code`; standard error where it is not 0."""
    environment = {**os.environ, "PYTHONPATH": str(packages or "")}
    process = subprocess.run(
        [sys.executable, "-c", "from fusefront.harness.cli.main import main; main()", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == code, process.stderr[-2000:]
    return process.stderr if code else process.stdout


def check_study(folder: Path) -> None:
    """Trained like any other, in the report, with a decision beside it."""
    (page,) = folder.glob("out/reports/mine/index.html")
    assert "largest" in page.read_text()
    runs = [
        json.loads(path.read_text()) for path in folder.glob("out/runs/*/largest/*/summary.json")
    ]
    assert [run["seed"] for run in runs] == [0]
    assert all(0.4 < run["valid_auc"] <= 1.0 for run in runs)
    bench = json.loads((folder / "out/studies/mine/bench/bench.json").read_text())
    assert "largest" in json.dumps(bench)


def test_an_operator_in_a_file_is_listed_trained_reported_and_ablated(page_files, tmp_path):
    (tmp_path / "largest.py").write_text(page_files["largest.py"])
    (tmp_path / "study.yaml").write_text(STUDY)
    mine = ("--include-path", "largest.py")
    listed = json.loads(fusefront(tmp_path, "list", "operators", "--json", *mine))
    assert listed[-1]["name"] == "largest"
    fusefront(tmp_path, "run", "study.yaml", "--no-wandb", "--jobs", "1", *mine)
    check_study(tmp_path)
    options = ("--of", "largest", "--no-wandb", "--json", "--jobs", "1")
    planned = json.loads(fusefront(tmp_path, "ablate", "study.yaml", "--dry-run", *options, *mine))
    assert {row["to_train"] for row in planned["rows"]} == {1}
    ablate = ("ablate", "study.yaml", "--no-path", *options, *mine)
    rows = json.loads(fusefront(tmp_path, *ablate))["rows"]
    assert [row["without"] for row in rows] == [row["without"] for row in planned["rows"]]
    planned = json.loads(fusefront(tmp_path, "ablate", "study.yaml", "--dry-run", *options, *mine))
    assert {row["to_train"] for row in planned["rows"]} == {0}
    without = {row["without"] for row in rows}
    assert {"operator", "text", "image"} <= without
    other = ("--set", "dataset.seed=1")  # other data: told before anything is trained
    printed = fusefront(tmp_path, "ablate", "study.yaml", *other, *options, *mine, code=3)
    assert "cannot be compared" in printed
    fusefront(tmp_path, "report", "mine")
    assert "largest" in (tmp_path / "out/reports/mine/index.html").read_text()


def test_an_operator_of_an_installed_package_is_listed_trained_and_reported(page_files, tmp_path):
    packages, shop = tmp_path / "site", tmp_path / "shop"
    info = packages / "shopfusion-1.0.dist-info"
    info.mkdir(parents=True)
    shop.mkdir()
    (packages / "shopfusion.py").write_text(page_files["largest.py"])
    (info / "METADATA").write_text(INFO)
    (info / "entry_points.txt").write_text("[fusefront.operators]\nlargest = shopfusion:Largest\n")
    (shop / "study.yaml").write_text(STUDY)
    listed = json.loads(fusefront(shop, "list", "operators", "--json", packages=packages))
    assert listed[-1]["name"] == "largest"
    fusefront(shop, "run", "study.yaml", "--no-wandb", "--jobs", "1", packages=packages)
    check_study(shop)


def test_a_strategy_whose_every_trial_fails_does_not_stop_the_others(page_files, tmp_path):
    (tmp_path / "largest.py").write_text(page_files["largest.py"])
    text = (tmp_path / "largest.py").read_text()
    assert text.count("def forward(") == 1
    head, body = text.split("def forward(")
    signature, rest = body.split(":\n", 1)
    fails = "        if self.training:\n            raise RuntimeError('no luck')\n"
    (tmp_path / "largest.py").write_text(f"{head}def forward({signature}:\n{fails}{rest}")
    (tmp_path / "study.yaml").write_text(STUDY + "tuning: {trials: 2}\n")
    mine = ("--include-path", "largest.py", "--no-wandb", "--jobs", "1")
    printed = fusefront(tmp_path, "run", "study.yaml", *mine, code=1)
    assert "1 of 2 runs failed (largest seed 0)" in " ".join(printed.split())
    states = {
        path.parts[-3]: json.loads(path.read_text())["state"]
        for path in tmp_path.glob("out/runs/*/*/*/status.json")
        if (path.parent / "predictions" / "valid.parquet").exists() or "largest" in path.parts
    }
    assert states == {"late_fusion": "completed", "largest": "failed"}
    assert (tmp_path / "out/reports/mine/index.html").exists()
