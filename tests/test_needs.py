"""What a test needs of the machine: skipped with its reason where it lacks, or failed on demand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BROWSER = Path(__file__).parent / "reports" / "test_browser.py"


@pytest.mark.parametrize(
    ("options", "outcome", "code"), [((), "SKIPPED", 0), (("--skip-nothing",), "ERROR", 1)]
)
def test_a_need_that_lacks_skips_or_fails_and_says_why(
    options: tuple[str, ...], outcome: str, code: int, tmp_path: Path
) -> None:
    name = f"{BROWSER}::test_a_request_and_an_error_would_have_been_seen"
    command = [sys.executable, "-m", "pytest", "-rsE", "-p", "no:cacheprovider", *options, name]
    process = subprocess.run(
        command,
        cwd=BROWSER.parents[2],
        env={**os.environ, "PATH": str(tmp_path)},  # no program at all
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == code, process.stdout
    assert f"\n{outcome} " in process.stdout
    assert "chromium is not installed (Debian: chromium)" in process.stdout
