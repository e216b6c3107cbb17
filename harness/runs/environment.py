"""The environment of a run: versions, hardware, threads, and the state of the source repository."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fusefront.harness.runs.records import EnvironmentRecord, Git
from fusefront.harness.runs.spec import code_version

_PACKAGES = (
    "torch",
    "pytorch-lightning",
    "torchmetrics",
    "optuna",
    "polars",
    "numpy",
    "scipy",
    "onnxruntime",
)
_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "WANDB_MODE",
    "MALLOC_MMAP_THRESHOLD_",  # freed memory is kept: speeds with and without it are not comparable
    "MALLOC_TRIM_THRESHOLD_",
)


def environment(threads: int, device: str = "cpu") -> EnvironmentRecord:
    """The content of environment.json; `device`, where the run trains, is "cpu" or a GPU's name."""
    return {
        "format": 1,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": device,
        "packages": {name: _version(name) for name in ("fusefront", *_PACKAGES)},
        "code": code_version(),
        "git": _git(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), ""
    )


@cache
def _git() -> Git | None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        sha = _output(root, "rev-parse", "HEAD")
        return {"sha": sha, "dirty": bool(_output(root, "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _output(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
