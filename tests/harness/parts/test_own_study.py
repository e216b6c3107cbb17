"""A study in which every part of a person's own takes its place, from files and from a package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

NAMES = ("production", "recent", "pairs", "net_benefit", "two_threads", "shop_log", "letters")
POINTS = """\
[fusefront.baselines]
production = {0}production:Production
[fusefront.poolers]
recent = {0}recent:Recent
[fusefront.heads]
pairs = {0}pairs:Pairs
[fusefront.metrics]
net_benefit = {0}net_benefit:NetBenefit
[fusefront.backends]
two_threads = {0}two_threads:TwoThreads
[fusefront.layouts]
shop_log = {0}shop_log:ShopLog
[fusefront.encoders]
letters = {0}letters:Letters
"""
STUDY = """\
name: own
dataset: shop.yaml
baseline: late_fusion
controls: false
strategies:
  late_fusion: {}
  production: {width: 8, hidden: 16}
  mixed: {baseline: composed, operator: concat, token_width: 8, pooler: recent, head: pairs}
seeds: [0, 1]
training: {epochs: 1}
latency: {candidates: [4], decide_at: 4, rounds: 3, backends: [two_threads]}
comparison: {metrics: [net_benefit]}
margin: 0.05
"""
SPEC = "layout: shop_log\nname: little_shop  # goes before the layout's own\n"
WORDS = [
    "red",
    "blue",
    "shoes",
    "boots",
    "linen",
    "wool",
    "wide",
    "narrow",
    "summer",
    "winter",
    "long",
    "short",
]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # commands, each its own process


def fusefront(
    folder: Path, *words: str, packages: Path | None = None, codes: tuple[int, ...] = (0,)
) -> str:
    """Standard output of a command that must end with one of the exit codes."""
    command = subprocess.run(
        [sys.executable, "-c", "from fusefront.harness.cli.main import main; main()", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(packages or "")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert command.returncode in codes, command.stderr[-2000:]
    return command.stdout


def write_shop(folder: Path) -> None:
    """A log of 60 users, 40 items and 1,800 rows, titles of four words, and the study."""
    rng = np.random.default_rng(8)
    titles = [" ".join(rng.choice(WORDS, 4)) for _ in range(40)]
    taste = np.array([title.count("o") for title in titles])
    users, items = rng.integers(1, 61, 1800), rng.integers(1, 41, 1800)
    liked = 0.6 * (taste[items - 1] - taste.mean()) * np.where(users % 2 == 0, 1, -1)
    clicks = (rng.random(1800) < 1 / (1 + np.exp(0.7 - liked))).astype(int)
    log = {"user": users, "item": items, "click": clicks, "time": np.arange(1800) * 60}
    (folder / "data").mkdir()
    pl.DataFrame(log).write_csv(folder / "data" / "log.csv")
    pl.DataFrame({"item": range(1, 41), "title": titles}).write_csv(folder / "data" / "items.csv")
    (folder / "shop.yaml").write_text(SPEC)
    (folder / "study.yaml").write_text(STUDY)


def check_study(folder: Path, price: float = 0.25) -> None:
    """The metric's numbers by a plain loop; the backend's rows in the bench and on the page."""
    study = folder / "out" / "studies" / "own"
    comparison = json.loads((study / "comparison.json").read_text())
    intervals = 0
    for row in comparison["strategies"]:
        gains = []
        for path in sorted(
            (folder / "out/runs").glob(f"*/{row['name']}/*/predictions/test.parquet")
        ):
            frame = pl.read_parquet(path)
            total = 0.0
            for logit, label in zip(frame["logit"], frame["label"], strict=True):
                if 1 / (1 + np.exp(-logit)) > price:
                    total += label - price
            gains.append(total / len(frame))
        assert len(gains) == 2
        estimate = row["metrics"]["net_benefit"]
        assert estimate["value"] == pytest.approx(np.mean(gains), abs=1e-6)
        if estimate["low"] is None:  # nothing above the price, or all
            assert estimate["note"] == "no interval: nothing varies"
        else:
            assert estimate["low"] < estimate["value"] < estimate["high"]
            intervals += 1
    assert intervals
    bench = json.loads((study / "bench" / "bench.json").read_text())
    timed = {(row["strategy"], row["backend"]) for row in bench["rows"]}
    page = (folder / "out/reports/own/index.html").read_text()
    assert "net benefit" in page
    assert "Other ways to serve" in page
    table = page[page.index("Other ways to serve") :]
    for strategy in ("late_fusion", "production", "mixed"):
        assert {(strategy, "onnx"), (strategy, "two_threads")} <= timed
        assert strategy in table
    assert "two_threads" in table


def runs(folder: Path) -> dict[str, float]:
    """When each run ended."""
    paths = (folder / "out" / "runs").glob("*/*/*/status.json")
    return {str(path): path.stat().st_mtime for path in paths}


def test_every_kind_of_part_from_files_through_the_whole_command_line(page_files, tmp_path):
    write_shop(tmp_path)
    (tmp_path / "mine").mkdir()
    for name in NAMES:
        (tmp_path / "mine" / f"{name}.py").write_text(page_files[f"{name}.py"])
    mine = ("--include-path", "mine")
    fusefront(tmp_path, "prepare", "shop.yaml", "--data", "data", *mine)
    run = ("run", "study.yaml", "--data", "data", "--no-wandb", "--jobs", "1")
    fusefront(tmp_path, *run, *mine)
    check_study(tmp_path)
    before = runs(tmp_path)
    assert len(before) == 6
    assert [path.name for path in (tmp_path / "out/prepared").iterdir()] == ["little_shop"]
    # a metric, a backend and a layout retrain nothing
    metric = tmp_path / "mine" / "net_benefit.py"
    metric.write_text(metric.read_text().replace("PRICE = 0.25", "PRICE = 0.35"))
    for name in ("two_threads", "shop_log"):
        other = tmp_path / "mine" / f"{name}.py"
        other.write_text(other.read_text() + "\n\nUNUSED = 1\n")
    fusefront(tmp_path, *run, *mine)
    check_study(tmp_path, price=0.35)
    assert runs(tmp_path) == before
    # what is on record is found again
    judged = json.loads(fusefront(tmp_path, "compare", "own", "--metric", "net_benefit", "--json"))
    assert judged["metric"] == "net_benefit"
    again = ("bench", "own", "--backends", "two_threads", "--candidates", "4", "--at-most", "1")
    fusefront(tmp_path, *again, codes=(0, 4))  # 4: something else kept this machine busy
    fusefront(tmp_path, "report", "own")


def test_every_kind_of_part_from_an_installed_package(page_files, tmp_path):
    packages, shop = tmp_path / "site", tmp_path / "shop"
    info = packages / "shopparts-1.0.dist-info"
    info.mkdir(parents=True)
    shop.mkdir()
    for name in NAMES:
        (packages / f"own_{name}.py").write_text(page_files[f"{name}.py"])
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shopparts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS.format("own_"))
    write_shop(shop)
    for kind in ("metrics", "backends", "layouts", "encoders"):
        listed = json.loads(fusefront(shop, "list", kind, "--json", packages=packages))
        assert listed[-1]["from"] == "package 'shopparts'"
    run = ("run", "study.yaml", "--data", "data", "--no-wandb", "--jobs", "1")
    fusefront(shop, *run, packages=packages)
    check_study(shop)
    record = json.loads((shop / "out/studies/own/include.json").read_text())
    assert {part["name"] for part in record["parts"]} == set(NAMES)
    assert {part["package"] for part in record["parts"]} == {"shopparts 1.0"}
