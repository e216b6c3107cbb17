"""The cost of serving a strategy: money a prediction, multiplications, bytes, cold start."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fusefront.harness.runs.files import Json


def per_million(
    price_per_core_hour: float, request_ms: float, candidates: int, load: float
) -> float:
    """Money for a million predictions on one core kept at `load` (1 = the price of offline
    scoring).

    >>> round(per_million(0.036, 1.0, 100, 0.5), 6)
    0.0002

    Raises:
        ValueError: the load is not above 0 and at most 1.
    """
    if not 0 < load <= 1:
        raise ValueError(f"got load {load}, expected a share of capacity above 0 and at most 1")
    return price_per_core_hour / 3600 * 1e6 * (request_ms / 1000) / candidates / load


def multiplications(call: Callable[[], object]) -> int:
    """Multiply-adds of the matrix products of a torch call.

    Fused attention in eval mode would not be counted, so it is switched off meanwhile.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        plain = sdpa_kernel(SDPBackend.MATH)
        with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
            call()
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops()) // 2


@dataclass(frozen=True)
class ColdStart:
    """A new process that imports, loads and scores once; seconds and bytes."""

    import_s: float
    load_s: float
    first_s: float
    total_s: float  # of the three
    peak_bytes: int  # after 500 requests

    def to_json(self) -> dict[str, Json]:
        """The values as JSON."""
        return dict(vars(self))


_COLD = """
import json, resource, sys, time
begin = time.perf_counter()
import numpy as np
import onnxruntime as ort
imported = time.perf_counter()
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
loaded = time.perf_counter()
with np.load(sys.argv[2], allow_pickle=False) as file:
    feed = {name: file[name] for name in file.files}
ready = time.perf_counter()
session.run(None, feed)
first = time.perf_counter()
for _ in range(500):
    session.run(None, feed)
try:  # not getrusage on Linux: its peak starts from the process that forked this one
    with open("/proc/self/status") as status:
        peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
except (OSError, StopIteration):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([imported - begin, loaded - imported, first - ready, peak]))
"""


def cold_start(graph: Path, feed: Path) -> ColdStart:
    """Load `graph` in a new process without torch and score `feed` (npz); its times and peak
    memory.

    Raises:
        RuntimeError: the process cannot load the graph.
    """
    command = [sys.executable, "-I", "-c", _COLD, str(graph), str(feed)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(
            f"{graph}: a fresh process cannot load it: {process.stderr.strip()[-500:]}"
        )
    imported, loaded, first, peak = json.loads(process.stdout)
    return ColdStart(imported, loaded, first, imported + loaded + first, int(peak))
