"""A copy of the checkout that Python imports instead of it."""

import ast
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

from mutation.lines import FOLDER

# Third-party packages that are imported once, before a process is forked for each change.
# Not here: polars, pyarrow and onnxruntime, which start threads when they are imported.
WARM = (
    *("pytest", "numpy", "scipy.stats", "scipy.optimize", "pydantic", "yaml"),
    *("matplotlib.pyplot", "jinja2", "typer", "rich", "onnx", "onnxscript", "torch", "torch.onnx"),
    *("torch.export", "torch._dynamo", "torchmetrics", "pytorch_lightning", "optuna", "wandb"),
    *("psutil", "safetensors.torch"),
)
START = """import os, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if {editable!r} not in repr(finder)]
if os.environ.get({folder!r}):
    sys.path.insert(0, {tools!r})
    from mutation.lines import record_this_process
    del sys.path[0]
    record_this_process()
"""


class TreeError(Exception):
    """The tree cannot be copied or is not what Python imports."""


def git(root: Path, *words: str) -> str:
    process = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if process.returncode:
        raise TreeError(f"git {' '.join(words)}: {process.stderr.strip()}")
    return process.stdout


def listed(root: Path) -> list[Path]:
    """Files that git follows, and new ones it does not ignore, as they lie in the checkout."""
    names = git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [Path(name) for name in sorted(set(names)) if name and (root / name).is_file()]


def project(root: Path) -> dict[str, Any]:
    """The tables of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))


def packages(root: Path) -> dict[str, Path]:
    """Package name -> folder, from `package-dir` of pyproject.toml."""
    mapping = project(root).get("tool", {}).get("setuptools", {}).get("package-dir", {})
    return {name: Path(folder) for name, folder in mapping.items() if name}


def imported(path: Path) -> set[str]:
    """Full names of what a file imports, wherever in it; `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


class Tree:
    """One copy of the checkout with its environment; several may live side by side."""

    def __init__(self, root: Path, folder: Path, python: Path) -> None:
        self.copy, self.path, self.python = folder / "tree", folder / "path", python
        for name in listed(root):
            target = self.copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((root / name).read_bytes())
            target.chmod((root / name).stat().st_mode)
        if (root / ".venv").exists():
            (self.copy / ".venv").symlink_to(root / ".venv")
        self._put_packages_on_the_path()
        self.environment = os.environ | {
            "PYTHONPATH": str(self.path),
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._check()

    def _put_packages_on_the_path(self) -> None:
        """Symlinks that come before an editable install, and a start file that drops its finder."""
        self.path.mkdir(parents=True)
        for name, folder in sorted(packages(self.copy).items(), reverse=True):
            link = self.path / name.replace(".", "/")
            link.parent.mkdir(parents=True, exist_ok=True)
            if link.is_dir():  # a package whose sub-packages are mapped too
                for part in (self.copy / folder).iterdir():
                    (link / part.name).symlink_to(part)
            else:
                link.symlink_to(self.copy / folder)
        name = project(self.copy).get("project", {}).get("name", "")
        editable = f"__editable___{name.replace('-', '_')}"
        tools = str(Path(__file__).resolve().parents[1])
        start = START.format(editable=editable, tools=tools, folder=FOLDER)
        (self.path / "sitecustomize.py").write_text(start, encoding="utf-8")

    def _check(self) -> None:
        names = sorted(packages(self.copy))
        code = (
            "import importlib.util, sys\n"
            "for name in sys.argv[1:]: print(*importlib.util.find_spec(name)"
            ".submodule_search_locations, sep='|')"
        )
        command = [str(self.python), "-c", code, *names]
        process = subprocess.run(
            command,
            cwd=self.copy,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            raise TreeError(
                f"{self.python} cannot import {', '.join(names)}: {process.stderr[-400:]}"
            )
        for name, where in zip(names, process.stdout.splitlines(), strict=True):
            if not Path(where.split("|")[0]).resolve().is_relative_to(self.path.parent.resolve()):
                raise TreeError(f"{name} is imported from {where}, expected the copy {self.copy}")

    def warm(self) -> list[str]:
        """Packages of WARM that a file of the tree imports, pytest first."""
        names = {name.split(".")[0] for path in self.copy.rglob("*.py") for name in imported(path)}
        return [name for name in WARM if name == "pytest" or name.split(".")[0] in names]
