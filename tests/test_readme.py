"""README: its commands exist, and those that need no half hour run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = str(Path(sys.executable).with_name("fusefront"))
BLOCKS = re.findall(
    r"```bash\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
)
COMMANDS = [
    line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines() if line.strip()
]
REAL = ROOT.parent / "shared" / "data" / "movielens_multimodal"


def test_the_first_block_is_the_two_commands() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"\n{name}: " in targets for name in ("demo", "test"))


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("fusefront")])
def test_each_command_is_one_that_the_program_knows(command: str) -> None:
    words = shlex.split(command)
    help_of = subprocess.run(
        [PROGRAM, words[1], "--help"], capture_output=True, text=True, check=True
    ).stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", help_of)
    for option in [word for word in words if word.startswith("--")]:
        assert option in plain


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the MovieLens data is not beside this checkout")
def test_the_main_job_and_what_follows_it_run_on_the_real_data(tmp_path: Path) -> None:
    """The README's commands as they stand, made small: one seed of one strategy, one epoch."""
    out = ["--out", str(tmp_path / "out")]
    small = [
        word
        for setting in (
            "seeds=[0]",
            "training.epochs=1",
            "tuning.trials=0",
            "controls=false",
            "latency.rounds=3",
            "latency.candidates=[10]",
            "latency.decide_at=10",
        )
        for word in ("--set", setting)
    ]
    for command in [c for c in COMMANDS if c.startswith("fusefront")]:
        words = [PROGRAM, *shlex.split(command)[1:]]
        if words[1] == "run":
            words += [*out, *small, "--limit", "1"]
        elif words[1] == "ablate":
            words[words.index("--of") + 1] = "early_fusion"
            words += [*out, *small]
        elif words[1] == "report":
            words += ["--store", str(tmp_path / "out"), "--out", str(tmp_path / "report")]
        elif words[1] == "compare":
            words += out
        process = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
        assert process.returncode == 0, f"{command}: {process.stderr[-800:]}"
    assert (tmp_path / "report" / "index.html").exists()
