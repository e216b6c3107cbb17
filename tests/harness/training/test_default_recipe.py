"""The default recipe on a world of known truth, beside the one it replaced."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "recipes.py"


@pytest.mark.slow
def test_no_strategy_loses_by_the_default_recipe_or_at_a_quarter_of_the_batch() -> None:
    """Within .004 test AUC of the former recipe at its batch, at that batch and at a quarter."""
    program = [sys.executable, str(SCRIPT), "--seeds", "1"]
    run = subprocess.run(program, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-1500:] + run.stderr[-800:]
