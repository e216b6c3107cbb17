"""Refuse, before anything is downloaded, a torch that brings CUDA to a machine without a GPU."""

import json
import shutil
import subprocess
import sys

index = ["--index-url", sys.argv[1]] if len(sys.argv) > 1 else []
command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run", "-q"]
command += ["--report", "-", "-c", "constraints.txt", *index, "torch"]
installed = subprocess.run(command, capture_output=True, text=True, check=False)
if installed.returncode:
    sys.exit(installed.stderr)
requirement = [item["metadata"]["name"] for item in json.loads(installed.stdout)["install"]]
cuda = [name for name in requirement if name.lower().startswith(("nvidia", "cuda", "triton"))]
if cuda and shutil.which("nvidia-smi") is None:
    sys.exit(
        f"torch from this index brings {len(cuda)} CUDA packages ({cuda[0]}, ...) and no GPU is "
        "here; give another one: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu"
    )
