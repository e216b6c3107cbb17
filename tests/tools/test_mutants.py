"""The survey of small changes: what it draws, what it finds unheld, what it leaves alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "mutants.py"
PYPROJECT = """
[project]
name = "shop"
[tool.setuptools]
package-dir = { "shop.till" = "till" }
[tool.pytest.ini_options]
addopts = "--import-mode=importlib"
markers = ["slow", "timed"]
"""
PRICE = '''"""Prices of a small shop."""

RATE = 4
FREE = 30


def price(amount: int) -> int:
    if amount > 10:
        return amount * RATE - 7
    return amount * RATE


def postage(total: int) -> int:
    return 0 if total >= FREE else 5


def stock(count: int) -> int:
    return count + 1


def unseen(count: int) -> int:
    return count - 3
'''
WAIT = """def rounds(left: int) -> int:
    count = 0
    while left > 0:
        left = left - 2
        count += 1
    return count
"""
TESTS = """import subprocess
import sys

from shop.till.price import postage, price
from shop.till.wait import rounds


def test_rounds_of_two():
    assert rounds(5) == 3


def test_the_price_of_few_and_of_many():
    assert (price(2), price(20)) == (8, 73)


def test_postage_is_paid_below_the_limit():
    assert postage(29) == 5
    assert postage(200) == 0


def test_stock_grows_in_another_process():
    code = "import sys; from shop.till.price import stock; sys.exit(stock(4) != 5)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose tests hold all but two changes: FREE one higher, and what nothing runs."""
    root = tmp_path_factory.mktemp("shop")
    for name, text in {
        "pyproject.toml": PYPROJECT,
        ".gitignore": "/out/\n__pycache__/\n",
        "till/price.py": PRICE,
        "till/wait.py": WAIT,
        "tests/till/test_price.py": TESTS,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "shop")
    return root


def git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout


def survey(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *words]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_what_no_test_holds_lives_and_what_one_holds_is_killed(shop: Path) -> None:
    process = survey(shop, "till/price.py", "-n", "99", "--json", "out/rows.json")
    assert process.returncode == 0, process.stderr
    rows = json.loads((shop / "out" / "rows.json").read_text(encoding="utf-8"))
    kinds = {(row["line"], row["before"], row["after"]): row["verdict"] for row in rows}
    assert kinds == {
        (3, "4", "5"): "killed",
        (4, "30", "31"): "LIVED",  # no test is at the limit
        (8, " > ", " >= "): "LIVED",
        (8, "10", "11"): "LIVED",
        (8, "amount > 10", "True"): "killed",
        (8, "amount > 10", "False"): "killed",
        (9, " * ", " / "): "killed",
        (9, " - ", " + "): "killed",
        (9, "7", "8"): "killed",
        (10, " * ", " / "): "killed",
        (14, "0", "1"): "killed",
        (14, " >= ", " > "): "LIVED",
        (14, "5", "6"): "killed",
        (18, " + ", " - "): "killed",  # by the process that a test starts
        (18, "1", "2"): "killed",
        (22, " - ", " + "): "not covered",
        (22, "3", "4"): "not covered",
    }
    assert "LIVED         till/price.py:4  '30' -> '31'    FREE = 30" in process.stdout
    assert "till/price.py: 65 % killed, 11 of 17 (seed 0: 11/17), 2 not covered" in process.stdout


def test_the_checkout_is_not_touched(shop: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in shop.rglob("*.py")}
    assert survey(shop, "till", "-n", "2").returncode == 0
    assert git(shop, "status", "--porcelain") == ""
    assert {path: path.stat().st_mtime_ns for path in shop.rglob("*.py")} == before


def test_a_seed_draws_from_all_changes_and_the_recording_is_used_again(shop: Path) -> None:
    tree = [row for seed in (5, 6, 5) for row in drawn(shop, seed)]
    assert tree[:2] == tree[4:]
    assert tree[:2] != tree[2:4]
    both = survey(shop, "till/price.py", "-n", "2", "--seeds", "5", "6", "--verbose")
    assert "recorded" not in both.stderr
    assert {row["line"] for row in tree} == {
        int(line.split("price.py:")[1].split()[0])
        for line in both.stdout.splitlines()
        if "price.py:" in line and "killed," not in line
    }


def test_only_a_changed_test_file_is_recorded_again(shop: Path) -> None:
    path = shop / "tests" / "till" / "test_more.py"
    path.write_text(
        "from shop.till.price import postage\n\n\n"
        "def test_the_limit_is_free():\n    assert postage(30) == 0\n",
        encoding="utf-8",
    )
    survey(shop, "till/price.py", "-n", "99", "--json", "out/rows.json")
    path.write_text(path.read_text("utf-8").replace("postage(30) == 0", "postage(30) < 1"), "utf-8")
    process = survey(shop, "--again", "out/rows.json", "--verbose")
    path.unlink()
    assert "tests/till/test_more.py: 1 tests recorded" in process.stderr
    assert "tests/till: " not in process.stderr
    assert "again rows.json: 0 % killed, 0 of 4 (seed 0: 0/4), 2 not covered" in process.stdout


def drawn(shop: Path, seed: int) -> list[dict[str, object]]:
    words = ["-n", "2", "--seeds", str(seed), "--json", "out/rows.json"]
    survey(shop, "till/price.py", *words)
    rows = json.loads((shop / "out" / "rows.json").read_text(encoding="utf-8"))
    return [{"line": row["line"], "after": row["after"]} for row in rows]


def test_a_loop_without_end_is_killed_by_time(shop: Path) -> None:
    process = survey(shop, "till/wait.py", "-n", "99", "--timeout", "2", "--verbose")
    assert "killed (time) till/wait.py:4  ' - ' -> ' + '" in process.stdout


def test_files_changed_since_the_last_tag_are_one_pool(shop: Path) -> None:
    assert survey(shop, "--changed", "-n", "0").returncode == 2  # one commit: nothing changed
    git(shop, "tag", "v1")
    try:
        path = shop / "till" / "price.py"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("count + 1", "1 + count"), encoding="utf-8")
        process = survey(shop, "--changed", "-n", "0")
        assert "till/price.py: " in process.stdout
        path.write_text(text, encoding="utf-8")
    finally:
        git(shop, "tag", "-d", "v1")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere.py"], "nowhere.py is not in"),
        ([], "no file to change: name files or folders, or give --changed REV"),
        (["--changed", "v9"], "v9"),
    ],
)
def test_what_cannot_be_surveyed_is_one_sentence(
    shop: Path, words: list[str], sentence: str
) -> None:
    process = survey(shop, *words)
    assert process.returncode == 2
    assert sentence in process.stderr
    assert "Traceback" not in process.stderr
