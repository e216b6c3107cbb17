"""A study of two lean strategies that the program trains, and ablations of it by the program."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STUDY = """
name: small
dataset: {synthetic: tour, seed: 3, train: 200, valid: 60, test: 120}
baseline: late_fusion
strategies:
  early_fusion: {compressor: none, products: false, pooler: mean, head: linear, use_id: false}
  late_fusion: {}
controls: false
seeds: [0, 1]
training: {epochs: 2, batch_rows: 512}
"""
TRAIN = """
import sys
from pathlib import Path
from rich.console import Console
from fusefront.harness.jobs.pipeline import StudyRequest, begin, end, train
if __name__ == "__main__":
    plan, room = begin(StudyRequest(Path(sys.argv[1]), Path(sys.argv[2]), wandb=False), Console())
    cells, failed, _ = train(plan, room)
    end(room)
    assert not failed, failed
"""


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """In a session of its own, so that a kill reaches the whole tree."""
    program = Path(sys.executable).with_name("fusefront")
    study, out = str(folder / "small.yaml"), str(folder / "out")
    return subprocess.Popen(
        [str(program), "ablate", study, "--of", "early_fusion", "--greedy", "--no-wandb",
         "--out", out, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> str:
    output, error = process.communicate()
    assert process.returncode == 0, error
    return output


def record(folder: Path, name: str = "ablation-early_fusion.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "out/studies/small" / name).read_text())
    return content


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose own runs are there, and nothing of an ablation."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.yaml").write_text(STUDY, encoding="utf-8")
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    words = [sys.executable, folder / "train.py", folder / "small.yaml", folder / "out"]
    subprocess.run(list(map(str, words)), check=True)
    return folder
