"""What --help shows: texts that the terminal's markup would swallow are found here."""

import os
import subprocess
import sys
from pathlib import Path

import typer.main

from fusefront.harness.cli.app import VERBS, register


def test_no_help_text_holds_brackets_which_markup_swallows() -> None:
    group = typer.main.get_command(register())
    texts = {
        f"{verb} {param.name}": str(getattr(param, "help", "") or "")
        for verb, command in group.commands.items()  # type: ignore[attr-defined]
        for param in command.params
    }
    assert set(VERBS) == set(group.commands)  # type: ignore[attr-defined]
    assert [where for where, text in texts.items() if "[" in text] == []


def test_data_verbs_leave_torch_alone(tmp_path: Path) -> None:
    """Its some 370 MiB would break the promise of `prepare --max-memory`."""
    program = (
        "import sys\nfrom fusefront.harness.cli.main import main\n"
        "try:\n    main()\nfinally:\n    print('torch._C' in sys.modules)\n"
    )
    world = str(tmp_path / "world")
    spec, out = f"{world}/dataset.yaml", ["--out", str(tmp_path / "out")]
    for words in (
        ["init", "--synthetic", "null", "--train", "200", "--out", world],
        ["init", world, "--spec", str(tmp_path / "own" / "spec.yaml")],
        ["prepare", spec, *out, "--max-memory", "512M"],
        ["audit", spec, *out],
    ):
        process = subprocess.run(
            [sys.executable, "-c", program, *words],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, process.stderr
        assert process.stdout.split()[-1] == "False", words
