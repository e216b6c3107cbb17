"""Any number of commands on one output folder: each run is trained once, and everybody ends
well."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

STUDY = """
name: {name}
dataset: {{synthetic: tour, seed: 3, train: 60, valid: 30, test: 40}}
baseline: {prefix}late
strategies:
  {prefix}late: {{baseline: late_fusion, token_width: 8}}
  {prefix}popular: {{baseline: popularity}}
controls: false
seeds: [0]
training: {{epochs: 1, batch_rows: 512}}
tuning: {{trials: {trials}}}
latency: {{candidates: [10], decide_at: 10, rounds: 3}}
"""


def write_studies(folder: Path, trials: int = 0) -> None:
    """Two studies on the same world whose equal strategies have other names."""
    for name, prefix in (("first", ""), ("second", "my_")):
        text = STUDY.format(name=name, prefix=prefix, trials=trials)
        (folder / f"{name}.yaml").write_text(text)


def start(folder: Path, *words: str, jobs: bool = True) -> subprocess.Popen[str]:
    """A command in a session of its own, so that a kill reaches its workers."""
    program = str(Path(sys.executable).with_name("fusefront"))
    more = ["--jobs", "1", "--no-wandb"] if jobs else []
    return subprocess.Popen(
        [
            program,
            *words,
            "--store" if words[0] == "report" else "--out",
            str(folder / "out"),
            *more,
        ],
        cwd=folder,
        env={**os.environ, "FUSEFRONT_HOST_LOCK": str(folder / "host.lock")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


def trained(folder: Path) -> list[str]:
    """Ids of the runs, one for each time that one was trained."""
    return sorted(path.parent.name for path in folder.glob("out/runs/*/*/*/summary.json"))


def leftovers(folder: Path) -> list[Path]:
    return [path for path in (folder / "out").rglob("*") if ".tmp-" in path.name]


@pytest.mark.slow
def test_two_studies_on_a_fresh_world_train_equal_runs_once(tmp_path: Path) -> None:
    write_studies(tmp_path)
    commands = [("run", "first.yaml"), ("run", "second.yaml"), ("run", "first.yaml")]
    finish(*[start(tmp_path, *words) for words in commands])
    ids = trained(tmp_path)
    assert len(ids) == 2
    assert len(set(ids)) == 2
    for name in ("first", "second"):
        matrix = json.loads((tmp_path / "out" / "studies" / name / "matrix.json").read_text())
        assert sorted(cell["run_id"] for cell in matrix["cells"]) == ids
    late = next(tmp_path.glob("out/runs/*/*late/*/summary.json")).parent.name
    reading = [("report", "first"), ("report", "first", "--lang", "ja"), ("report", "second")]
    finish(
        *[
            start(tmp_path, *words, jobs=False)
            for words in (*reading, ("export", late), ("export", late))
        ],
        start(tmp_path, "tune", "first.yaml", "--trials", "2"),
        start(tmp_path, "ablate", "second.yaml", "--of", "my_late"),
    )
    report = tmp_path / "out" / "reports" / "first"
    assert 'lang="en"' in (report / "index.html").read_text()
    assert 'lang="ja"' in (report / "ja" / "index.html").read_text()
    assert leftovers(tmp_path) == []
    assert not (tmp_path / "out" / ".locks").exists()


INTERLEAVINGS = 300


@pytest.mark.slow
@pytest.mark.timeout(3 * 3600)
def test_killed_commands_of_two_studies_never_spoil_each_other(tmp_path: Path) -> None:
    """Two to three commands at drawn moments, each killed or not; at the end all is as
    undisturbed."""
    calm = tmp_path / "calm"
    calm.mkdir()
    write_studies(calm, trials=2)
    finish(start(calm, "run", "first.yaml"))
    finish(start(calm, "run", "second.yaml"))
    calm_scores = scores(calm)
    shared = tmp_path / "0"
    for number in range(INTERLEAVINGS):
        random = Random(number)
        if number % 6 == 0:  # a fresh folder: the world and the store are disputed, too
            shared = tmp_path / str(number)
            shared.mkdir()
            write_studies(shared, trials=2)
        processes = []
        for _ in range(random.choice((2, 2, 3))):
            verb, name = random.choice(("run", "run", "tune")), random.choice(("first", "second"))
            processes.append(start(shared, verb, f"{name}.yaml"))
            time.sleep(random.uniform(0, 2))
        time.sleep(random.uniform(0, 6))
        for process in processes:
            if random.random() < 0.7:
                os.killpg(process.pid, signal.SIGKILL)
            _, errors = process.communicate()
            assert process.returncode in (0, -signal.SIGKILL), f"{number}: {errors}"
        ids = trained(shared)
        assert len(ids) == len(set(ids)), f"{number}: a run was trained twice"
        if number % 6 == 5:
            finish(start(shared, "run", "first.yaml"), start(shared, "run", "second.yaml"))
            assert scores(shared) == calm_scores, f"after interleaving {number}"
    finish(start(shared, "run", "first.yaml"), start(shared, "run", "second.yaml"))
    assert scores(shared) == calm_scores


def scores(folder: Path) -> dict[str, float]:
    """Validation AUC by run id, and each study's winners and comparison."""
    numbers = {
        path.parent.name: json.loads(path.read_text())["valid_auc"]
        for path in folder.glob("out/runs/*/*/*/summary.json")
    }
    for path in folder.glob("out/studies/*/comparison.json"):
        for row in json.loads(path.read_text())["strategies"]:
            numbers[f"{path.parent.name} {row['name']}"] = row["metrics"]["auc"]["value"]
    return numbers
