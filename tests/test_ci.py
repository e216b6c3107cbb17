"""What CI and those who contribute are told to run: it exists, and comes in the right order."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
SCRIPT = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_a_bare_machine_is_tested_before_anything_is_installed() -> None:
    steps = re.findall(r"; +(make [a-z-]+)|^  (apt-get install)", SCRIPT, re.MULTILINE)
    assert ["".join(step) for step in steps] == [
        "make lint",
        "make test",
        "apt-get install",
        "make test-system",
        "make demo",
        "make test-gate",
    ]


def test_what_was_skipped_runs_again_and_may_not_skip() -> None:
    (recipe,) = re.findall(
        r"^test-system:.*\n\t(.*)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    assert '-m "needs and not timed"' in recipe
    assert "--skip-nothing" in recipe


def test_the_forge_runs_the_same_script() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]


def test_contributing_is_short_and_names_what_is_there() -> None:
    assert len(CONTRIBUTING.splitlines()) < 60
    visited = set(re.findall(r"`make ([a-z-]+)", CONTRIBUTING + SCRIPT))
    assert visited <= TARGETS
    links = re.findall(r"\]\(([^):]+)\)", CONTRIBUTING)
    files = re.findall(r"`((?:tests|fusion_variants|tools)/[\w/.]*)`", CONTRIBUTING)
    assert len(links) > 4
    assert [path for path in (*links, *files) if not (ROOT / path).exists()] == []
