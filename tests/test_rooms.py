"""The rooms: a leaf imports only itself, nobody imports the harness, torch stays where it may be."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LEAVES = ("datasets", "fusion_variants", "baselines", "reports")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", LEAVES)
def test_a_leaf_imports_only_itself(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        for name in imported(path):
            if name.startswith("fusefront."):
                assert name.split(".")[1] == room, f"{path}: imports {name}"


@pytest.mark.parametrize("room", ["datasets", "reports"])
def test_torch_stays_out_of_rooms_that_read_files(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        if path.name == "encoders.py":  # optional encoders bring their own torch
            continue
        assert not any(name.split(".")[0] == "torch" for name in imported(path)), path


def test_datasets_has_no_init_so_that_it_never_shadows_another_package() -> None:
    assert not (ROOT / "datasets" / "__init__.py").exists()


def test_help_answers_without_torch() -> None:
    code = (
        "import sys; from fusefront.harness.cli.main import register; register();"
        "heavy = {'torch', 'polars', 'optuna', 'matplotlib', 'wandb', 'scipy'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_wheel_holds_every_module_of_the_tree(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {
        name.removeprefix("fusefront/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("fusefront/")
    }
    wanted = {
        path.relative_to(ROOT).as_posix()
        for room in ("harness", *LEAVES)
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert wanted - held == set()
