"""The benchmark script runs; a comparison costs no more than a plain loop of AUCs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "statistics_speed.py"


@pytest.mark.slow
@pytest.mark.timed
def test_all_intervals_cost_less_than_a_plain_loop_and_a_gibibyte():
    process = subprocess.run(
        [sys.executable, str(SCRIPT), "--rows", "200000"],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = re.findall(
        r"^(\S+) .* ([\d.]+) x sklearn  peak +(\d+) MiB", process.stdout, re.MULTILINE
    )
    results = {name: (float(ratio), int(peak)) for name, ratio, peak in lines}
    assert set(results) == {"sklearn", "auc", "all", "slices", "ten-million"}
    assert results["auc"][0] < 0.8
    assert results["all"][0] < 2.0
    assert max(peak for _, peak in results.values()) < 1024
