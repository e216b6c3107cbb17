"""Any number of commands on one output folder: each run is trained once, and everybody ends
well."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
def test_killed_commands_of_two_studies_never_spoil_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In an interpreter of its own, which has used no threads before it forks."""
    script = Path(__file__).with_name("interleave.py")
    command = [sys.executable, str(script), str(tmp_path), str(INTERLEAVINGS)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        written, errors = process.communicate()
    assert process.returncode == 0, errors[-4000:]
    assert written.splitlines()[-1].startswith(f"{INTERLEAVINGS} interleavings, ")
    with capsys.disabled():
        print(f"\n{written.splitlines()[-1]}")
