"""The packages: a leaf imports only itself, nobody imports the harness, torch stays where it may
be."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

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


@pytest.mark.parametrize("folder", LEAVES)
def test_a_leaf_imports_only_itself(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        for name in imported(path):
            if name.startswith("fusefront."):
                assert name.split(".")[1] == folder, f"{path}: imports {name}"


FORBIDDEN = {  # folder: what it may not import, so that the flow goes one way
    "harness/statistics": ("pathlib", "fusefront.harness.runs", "fusefront.harness.dossier"),
    "harness/decision": (
        "pathlib",
        "fusefront.reports",
        "fusefront.harness.runs",
        "fusefront.harness.dossier",
    ),
    "harness/training": ("fusefront.harness.statistics", "fusefront.harness.dossier"),
    "harness/data": ("fusefront.harness.training", "fusefront.harness.statistics"),
    "harness/runs": ("fusefront.harness.training", "fusefront.harness.dossier"),
    "harness/serving": ("fusefront.harness.dossier", "fusefront.harness.decision"),
    "reports/words": ("fusefront.reports.figures", "matplotlib"),
    "baselines/placements": ("fusefront.baselines.models", "fusefront.baselines.published"),
    "baselines/models": ("fusefront.baselines.published",),
    "baselines/poolers": ("fusefront.baselines.models", "fusefront.baselines.published"),
    "baselines/heads": ("fusefront.baselines.models", "fusefront.baselines.published"),
}


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_arrows_inside_a_package_go_one_way(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for name in imported(path):
            assert not name.startswith(FORBIDDEN[folder]), f"{path}: imports {name}"


@pytest.mark.parametrize("folder", ["datasets", "reports"])
def test_torch_stays_out_of_packages_that_read_files(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        if path.name == "encoders.py":  # optional encoders bring their own torch
            continue
        assert not any(name.split(".")[0] == "torch" for name in imported(path)), path


def test_datasets_has_no_init_so_that_it_never_shadows_another_package() -> None:
    assert not (ROOT / "datasets" / "__init__.py").exists()


def test_help_answers_without_torch() -> None:
    code = (
        "import sys; from fusefront.harness.cli.app import register; register();"
        "heavy = {'torch', 'polars', 'optuna', 'matplotlib', 'wandb', 'scipy'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_every_folder_of_code_is_a_package_and_every_other_file_is_data() -> None:
    """What pyproject.toml does not list works when editable and is missing from the wheel."""
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    files = [
        p for folder in ("harness", *LEAVES) for p in (ROOT / folder).rglob("*") if p.is_file()
    ]
    files = [p.relative_to(ROOT) for p in files if "__pycache__" not in p.parts]
    code = {".".join(("fusefront", *p.parts[:-1])) for p in files if p.suffix == ".py"}
    folders = {f"fusefront.{folder}" for folder in ("harness", *LEAVES)}
    assert sorted(setup["packages"]) == sorted(code | folders)
    assert set(setup["package-dir"]) == folders
    patterns = [
        f"{package.removeprefix('fusefront.').replace('.', '/')}/{pattern}"
        for package, own in setup["package-data"].items()
        for pattern in own
    ]
    data = [p for p in files if p.suffix != ".py" and p.name != "py.typed"]
    assert [p for p in data if not any(p.match(pattern) for pattern in patterns)] == []
    assert [p for p in patterns if not p.startswith("*") and not list(ROOT.glob(p))] == []


def test_the_lowest_versions_allowed_are_those_that_are_tested() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    texts = [*table["project"]["dependencies"], *table["project"]["optional-dependencies"]["pdf"]]
    requirements = [Requirement(text) for text in (*texts, *table["dependency-groups"]["test"])]
    lowest = {
        canonicalize_name(each.name): [
            Version(part.version) for part in each.specifier if part.operator == ">="
        ]
        for each in requirements
    }
    pins = [
        Requirement(line)
        for line in (ROOT / "constraints-lowest.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    tested = {
        canonicalize_name(each.name): [Version(part.version) for part in each.specifier]
        for each in pins
    }
    assert tested == lowest


def test_no_text_names_an_address_of_the_project_since_it_has_none() -> None:
    """Whoever registers one takes this test out (DECISIONS.md)."""
    folders = ("harness", *LEAVES, "docs", "studies", "tests", "tools", ".ci", ".github")
    paths = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    texts = {str(path): path.read_bytes() for path in paths if path.is_file()}
    assert len(texts) > 500
    address = re.compile(rb"(?:https?|git|ssh)://[^\s\"'<>)]*fusefront", re.IGNORECASE)
    assert {
        name: address.findall(text) for name, text in texts.items() if address.search(text)
    } == {}


def test_every_room_is_typed_for_those_who_import_it() -> None:
    for folder in ("harness", *LEAVES):
        assert (ROOT / folder / "py.typed").is_file()


def test_the_version_is_one_and_answers_without_torch() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    code = (
        "import sys; sys.argv = ['fusefront', '--version']\n"
        "from fusefront.harness import __version__\n"
        "from fusefront.harness.cli.main import main\n"
        "try:\n    main()\nfinally:\n    print(__version__, 'torch' in sys.modules)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout == f"fusefront {version}\n{version} False\n"


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
    packed = {
        name.removeprefix("fusefront/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("fusefront/")
    }
    expected = {
        path.relative_to(ROOT).as_posix()
        for folder in ("harness", *LEAVES)
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    assert expected - packed == set()
